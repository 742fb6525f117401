//! What the caller of `up` chooses.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::plan::Remote;

/// The name of the lab that commands without `--name` mean.
pub const DEFAULT_NAME: &str = "tw";

/// A lab's name: 1 to 8 lower-case letters and digits, a letter first. It goes into every resource the lab makes;
/// without a dash in it, no lab's `tw-<name>-` prefix is the prefix of another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabName(String);

impl LabName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LabName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut letters = text.chars();
        let first = letters.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if first && rest && text.len() <= 8 {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Invalid(format!(
                "lab name {text:?}: write 1 to 8 lower-case letters and digits, a letter first"
            )))
        }
    }
}

/// Where progress lines go: one call a line, without the line feed.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&str) + Send + Sync>);

impl Progress {
    /// Progress handed to `sink`, one call a line.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Progress on standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::to(|line| eprintln!("{line}"))
    }

    /// No progress.
    #[must_use]
    pub fn silent() -> Self {
        Self::to(|_| {})
    }

    /// Says one line.
    pub fn say(&self, line: impl AsRef<str>) {
        (self.0)(line.as_ref());
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// What `Lab::up` builds. Start from [`Options::named`] and change what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The lab's name, checked by `up`; see [`LabName`].
    pub name: String,
    /// Number of zones, 1 to 9.
    pub zones: u8,
    /// Worker nodes in each zone, 1 to 9.
    pub nodes_per_zone: u8,
    /// Only etcd, the apiserver, the controller manager and the scheduler: no nodes, no DNS.
    pub control_plane_only: bool,
    /// Hosts outside the cluster.
    pub remotes: Vec<Remote>,
    /// Where the Kubernetes binaries are (`<cache>/bin`); by default `$TIDEWATCH_CACHE`, else `.cache` of the repository.
    pub cache: Option<PathBuf>,
    /// The `tidewatch-lab` command, which runs the relay and the proxy; by default `$TIDEWATCH_LAB_COMMAND`, else this very
    /// program if it is the command, else the one built beside it in the target directory.
    pub lab_command: Option<PathBuf>,
    /// Limit for each step (the control plane answers, a node is ready, DNS is available).
    pub step_limit: Duration,
    /// On a failure, leave what was started for inspection rather than take it down.
    pub keep_failed: bool,
    /// Where progress goes.
    pub progress: Progress,
}

impl Options {
    /// Three zones of two nodes, the remotes `dynamodb` (198.19.255.10) and `internet` (198.19.255.20), progress on standard error.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            zones: 3,
            nodes_per_zone: 2,
            control_plane_only: false,
            remotes: vec![
                Remote { name: "dynamodb".into(), address: Ipv4Addr::new(198, 19, 255, 10) },
                Remote { name: "internet".into(), address: Ipv4Addr::new(198, 19, 255, 20) },
            ],
            cache: None,
            lab_command: None,
            step_limit: Duration::from_secs(120),
            keep_failed: false,
            progress: Progress::stderr(),
        }
    }

    /// Sets the number of zones.
    #[must_use]
    pub fn zones(mut self, zones: u8) -> Self {
        self.zones = zones;
        self
    }

    /// Sets the number of nodes in each zone.
    #[must_use]
    pub fn nodes_per_zone(mut self, nodes: u8) -> Self {
        self.nodes_per_zone = nodes;
        self
    }

    /// Adds an outside host, or moves the one of that name.
    #[must_use]
    pub fn remote(mut self, name: impl Into<String>, address: Ipv4Addr) -> Self {
        let name = name.into();
        self.remotes.retain(|r| r.name != name);
        self.remotes.push(Remote { name, address });
        self
    }

    /// Sets where progress goes.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::named(DEFAULT_NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_lower_case_and_has_no_dash() {
        for good in ["tw", "a", "lab12345", "x1"] {
            assert!(good.parse::<LabName>().is_ok(), "{good}");
        }
        for bad in ["", "1a", "Tw", "a-b", "a_b", "ninechars", "é", "../x", "a b"] {
            assert!(bad.parse::<LabName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_remote_given_again_moves() {
        let options = Options::named("t").remote("dynamodb", Ipv4Addr::new(198, 19, 255, 99));
        let of_name: Vec<_> = options.remotes.iter().filter(|r| r.name == "dynamodb").collect();
        assert_eq!(of_name.len(), 1);
        assert_eq!(of_name[0].address, Ipv4Addr::new(198, 19, 255, 99));
    }
}
