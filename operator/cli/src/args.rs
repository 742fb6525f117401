//! The commands' arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use tidewatch_crds::parse_duration;

/// Options of all commands: the cluster, and the format of the report.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Context of the kubeconfig; its current one if absent
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig file; $KUBECONFIG or ~/.kube/config if absent, and within a pod its service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Format of the report: text, json or yaml
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Time limit for reading from the cluster
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
    Yaml,
}

/// Show how the cluster is: degraded monitors, firing alarms, failing canaries, coverage
///
/// Lists every NetworkMonitor, the worst first, with the component at fault and whose fault it is; the alarms that fire and
/// the canaries that fail; and how much of the traffic is seen. Nothing wraps: on a narrow screen, columns are left out and
/// names are cut. Colour is used on a terminal only, and not where NO_COLOR is set.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit codes: 0 all is healthy; 1 error; 2 something is degraded, firing, failing, not ready, or without a verdict."
)]
pub struct StatusArgs {
    /// Only this namespace
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// All namespaces, as without -n
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Show it again after each interval (5s unless it is given), until interrupted
    #[arg(short, long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "5s", value_parser = interval)]
    pub watch: Option<Duration>,
    #[command(flatten)]
    pub common: Common,
}

/// The time between two looks at the cluster.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_secs(1) {
        return Err(format!("{text} is shorter than 1s, the shortest interval"));
    }
    Ok(interval)
}

/// Say why one object is as it is: the verdict, the evidence, what changed, and what to do
///
/// Shows the verdict on a NetworkMonitor, AnomalyAlarm or Canary with the numbers that it stands on, what changed in the
/// cluster just before, related objects, conditions that aren't as they should be, recent events, and what
/// docs/troubleshooting.md says to do.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit codes: 0 the object is healthy; 1 error, such as no object of that name; 2 something about it needs attention."
)]
pub struct WhyArgs {
    /// The object, such as netmon/checkout, anomalarm/latency or canary/home
    #[arg(value_name = "KIND/NAME")]
    pub object: String,
    /// Its namespace; that of the context if absent
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// Check whether Tidewatch itself is in order, and say what to mend
///
/// Checks the custom resource definitions, the operator and its lease, its rights (by SubjectAccessReview), the agent of each
/// node with kernel and version, the collector's certificates, clocks, what AWS refuses, and whether each object is in place.
/// It only reads, apart from the reviews, which store nothing. It needs the rights of a cluster administrator; what it may
/// not read is a finding.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit codes: 0 all is in order; 1 error; 2 there are findings, among them what couldn't be checked."
)]
pub struct DoctorArgs {
    /// Namespace that the operator runs in, where its Deployment isn't found by its labels
    #[arg(short, long, value_name = "NAME", default_value = "tidewatch-system")]
    pub namespace: String,
    #[command(flatten)]
    pub common: Common,
}

/// Print a completion script for a shell
#[derive(Debug, Clone, Args)]
#[command(after_help = "Such as: source <(tidewatch completion bash)")]
pub struct CompletionArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        status: StatusArgs,
    }

    fn watch(arguments: &[&str]) -> Result<Option<Duration>, String> {
        let line = Line::try_parse_from(["status"].iter().chain(arguments));
        line.map(|line| line.status.watch).map_err(|error| error.to_string())
    }

    #[test]
    fn the_interval_of_a_watch_is_a_duration() {
        assert_eq!(watch(&[]), Ok(None));
        assert_eq!(watch(&["--watch"]), Ok(Some(Duration::from_secs(5))));
        assert_eq!(watch(&["--watch=1m"]), Ok(Some(Duration::from_secs(60))));
        assert!(watch(&["--watch=100ms"]).unwrap_err().contains("shorter than 1s"));
        assert!(watch(&["--watch=5"]).unwrap_err().contains("write a number and a unit"));
    }
}
