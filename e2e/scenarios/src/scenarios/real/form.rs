//! The part of the lane that is run. All of it takes hours, and `make test` has minutes.

use std::time::Duration;

use anyhow::{Context, bail};

/// Names of trials to run alone, with commas between.
const ONLY: &str = "TRIAL";

/// The part of the lane that is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Some minutes: some of ordinary life and some faults.
    Short,
    /// All of it, at full length.
    Whole,
}

impl Form {
    /// `REAL=whole` or `REAL=short`; short where nothing is said.
    pub(super) fn chosen() -> anyhow::Result<Self> {
        match std::env::var("REAL").as_deref() {
            Ok("whole") => Ok(Self::Whole),
            Ok("short") | Err(_) => Ok(Self::Short),
            Ok(other) => bail!("REAL={other}: write whole or short"),
        }
    }

    /// Time for which ordinary life is watched; `LIFE_SECONDS` overrides it.
    pub(super) fn life(self) -> anyhow::Result<Duration> {
        let seconds = match (std::env::var("LIFE_SECONDS"), self) {
            (Ok(text), _) => {
                text.parse().with_context(|| format!("LIFE_SECONDS={text}: write a number of seconds"))?
            }
            (Err(_), Self::Short) => 70,
            (Err(_), Self::Whole) => 20 * 60,
        };
        Ok(Duration::from_secs(seconds))
    }

    /// Time for which it is watched after its last event.
    pub(super) fn afterwards(self) -> Duration {
        Duration::from_secs(match self {
            Self::Short => 10,
            Self::Whole => 60,
        })
    }

    /// An error if `TRIAL` names what isn't among these.
    pub(super) fn check_names(known: &[&str]) -> anyhow::Result<()> {
        let Ok(only) = std::env::var(ONLY) else { return Ok(()) };
        match only.split(',').map(str::trim).find(|wanted| !known.contains(wanted)) {
            Some(unknown) => bail!("{ONLY}: there is no trial {unknown:?}; there are {}", known.join(", ")),
            None => Ok(()),
        }
    }

    /// True if a trial of this name is run: one that `TRIAL` lists; without `TRIAL` any, or in the short form only a
    /// `brief` one.
    pub(super) fn includes(self, name: &str, brief: bool) -> bool {
        match std::env::var(ONLY) {
            Ok(only) => only.split(',').any(|wanted| wanted.trim() == name),
            Err(_) => self == Self::Whole || brief,
        }
    }
}
