//! What the operator is told at start: flags, each also an environment variable, as the chart sets them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tidewatch_canary as canary;
use tidewatch_cluster::{RemoteError, RemoteSpec, Remotes};
use tidewatch_managed::AwsPolicy;
use tidewatch_network_monitor::Policy;

use crate::recording;
use crate::telemetry::LogFormat;

/// Namespace that the operator runs in, where nothing else is said.
pub const NAMESPACE: &str = "tidewatch-system";

/// Run the operator: the controllers and the flow collector
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Namespace that the operator runs in
    #[arg(long, env = "TIDEWATCH_NAMESPACE", default_value = NAMESPACE)]
    pub namespace: String,
    /// Name of this pod; the hostname if absent
    #[arg(long, env = "TIDEWATCH_POD_NAME")]
    pub pod_name: Option<String>,
    /// Address of this pod, to which the agents are sent
    #[arg(long, env = "TIDEWATCH_POD_IP")]
    pub pod_ip: Option<IpAddr>,
    /// Where /metrics, /healthz and /readyz are served; port 8080 of all addresses if absent
    #[arg(long, env = "TIDEWATCH_HTTP_LISTEN", value_name = "ADDR")]
    pub http_listen: Option<SocketAddr>,
    /// Where flow records are received (OTLP/gRPC over TLS); port 4317 of all addresses if absent
    #[arg(long, env = "TIDEWATCH_COLLECTOR_LISTEN", value_name = "ADDR")]
    pub collector_listen: Option<SocketAddr>,
    /// Service account of the agents
    #[arg(long, env = "TIDEWATCH_AGENT_SERVICE_ACCOUNT", default_value = "tidewatch-agent")]
    pub agent_service_account: String,
    /// Length of the agents' windows
    #[arg(long, env = "TIDEWATCH_AGENT_WINDOW", default_value = "15s", value_parser = duration)]
    pub agent_window: Duration,
    /// Memory that this process may take; half of it is for flow records
    #[arg(long, env = "TIDEWATCH_MEMORY_BYTES", value_name = "BYTES")]
    pub memory_bytes: Option<u64>,
    /// Namespaces whose monitors may select any local endpoint, separated by commas
    #[arg(long, env = "TIDEWATCH_CLUSTER_WIDE_NAMESPACES", value_delimiter = ',')]
    pub cluster_wide_namespaces: Vec<String>,
    /// YAML file with the list of remotes (chart value collector.remotes)
    #[arg(long, env = "TIDEWATCH_REMOTES", value_name = "FILE")]
    pub remotes: Option<PathBuf>,
    /// YAML file with the chart's aws values
    #[arg(long, env = "TIDEWATCH_AWS", value_name = "FILE")]
    pub aws: Option<PathBuf>,
    /// YAML file with the chart's canary values
    #[arg(long, env = "TIDEWATCH_CANARY", value_name = "FILE")]
    pub canary: Option<PathBuf>,
    /// Directory to record every judged window in, with the verdicts on it, for tidewatch analyze; nothing is recorded
    /// without
    #[arg(long, env = "TIDEWATCH_RECORD_WINDOWS", value_name = "DIRECTORY")]
    pub record_windows: Option<PathBuf>,
    /// Bytes that recorded windows may take; the oldest go when there are more
    #[arg(long, env = "TIDEWATCH_RECORD_WINDOWS_BYTES", value_name = "BYTES", default_value_t = 1 << 30)]
    pub record_windows_bytes: u64,
    /// Log level or filter
    #[arg(long, env = "TIDEWATCH_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Log format
    #[arg(long, env = "TIDEWATCH_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    #[error(transparent)]
    Remotes(#[from] RemoteError),
    #[error("the agents' window must be from 1s to 10m, in whole seconds: it is {} s", .0.as_secs())]
    AgentWindow(Duration),
}

impl Args {
    /// Where /metrics, /healthz and /readyz are served.
    pub fn http_listen(&self) -> SocketAddr {
        self.http_listen.unwrap_or_else(|| self.all_addresses(8080))
    }

    /// Where flow records are received.
    pub fn collector_listen(&self) -> SocketAddr {
        self.collector_listen.unwrap_or_else(|| self.all_addresses(4317))
    }

    /// Of the pod's family: a pod of an IPv6 cluster is reached by IPv6 only, and `[::]` can't be listened on where IPv6
    /// is switched off.
    fn all_addresses(&self, port: u16) -> SocketAddr {
        match self.pod_ip {
            Some(IpAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, port).into(),
            _ => (Ipv4Addr::UNSPECIFIED, port).into(),
        }
    }

    /// Limits on monitors.
    pub fn policy(&self) -> Result<Policy, Error> {
        let seconds = u32::try_from(self.agent_window.as_secs()).unwrap_or(u32::MAX);
        if !(1..=600).contains(&seconds) {
            return Err(Error::AgentWindow(self.agent_window));
        }
        let namespaces = self.cluster_wide_namespaces.iter().map(|name| name.trim().to_owned());
        let cluster_wide_namespaces: BTreeSet<String> = namespaces.filter(|name| !name.is_empty()).collect();
        Ok(Policy { cluster_wide_namespaces, agent_window_seconds: seconds })
    }

    /// The remotes, from their file.
    pub fn load_remotes(&self) -> Result<Remotes, Error> {
        let Some(path) = &self.remotes else { return Ok(Remotes::default()) };
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let specs: Vec<RemoteSpec> = if text.trim().is_empty() {
            Vec::new()
        } else {
            serde_saphyr::from_str(&text)
                .map_err(|error| Error::Parse { path: path.clone(), message: error.to_string() })?
        };
        Ok(Remotes::new(&specs)?)
    }

    /// Where judged windows are recorded, if they are.
    pub fn recording(&self) -> Option<recording::Settings> {
        let directory = self.record_windows.clone()?;
        Some(recording::Settings { directory, most_bytes: self.record_windows_bytes })
    }

    /// What alarms may do in AWS, from its file; nothing without one.
    pub fn load_aws(&self) -> Result<AwsPolicy, Error> {
        self.aws.as_deref().map_or_else(|| Ok(AwsPolicy::default()), read_yaml)
    }

    /// What canaries may do, from its file; without one, what is safe.
    pub fn load_canary(&self) -> Result<canary::Policy, Error> {
        self.canary.as_deref().map_or_else(|| Ok(canary::Policy::default()), read_yaml)
    }

    /// Name of this pod.
    pub fn instance(&self) -> String {
        self.pod_name
            .clone()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .unwrap_or_else(|| format!("tidewatch-{}", std::process::id()))
    }
}

fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| Error::Parse { path: path.to_owned(), message: error.to_string() })
}

/// A duration as the API writes them, such as 15s.
pub(crate) fn duration(text: &str) -> Result<Duration, tidewatch_crds::DurationError> {
    tidewatch_crds::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(arguments: &[&str]) -> Args {
        Line::try_parse_from([&["x"], arguments].concat()).unwrap().args
    }

    #[test]
    fn an_empty_list_of_namespaces_is_no_namespace() {
        let policy = parse(&["--cluster-wide-namespaces", ""]).policy().unwrap();
        assert!(policy.cluster_wide_namespaces.is_empty());
        let policy = parse(&["--cluster-wide-namespaces", "a, b"]).policy().unwrap();
        assert_eq!(policy.cluster_wide_namespaces, ["a".to_owned(), "b".to_owned()].into());
    }

    #[test]
    fn the_charts_aws_values_are_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "enabled: true\nregion: eu-west-1\nprefix: tw\nresync: 30s\ndefaultProvider: AWS\nroles:\n  shop: [arn:aws:iam::123456789012:role/a]\n";
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let policy = parse(&["--aws", file.path().to_str().unwrap()]).load_aws().unwrap();
        assert!(policy.enabled && policy.roles["shop"].contains("arn:aws:iam::123456789012:role/a"));
        assert_eq!(policy.resync, Duration::from_secs(30));
        assert!(!parse(&[]).load_aws().unwrap().enabled, "AWS is used only where the chart says so");
    }

    #[test]
    fn a_resync_that_is_no_duration_is_an_error_that_says_so() {
        for (resync, why) in
            [("soon", "\"soon\""), ("500ms", "\"500ms\" is less than a second"), ("0s", "\"0s\"")]
        {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            std::io::Write::write_all(&mut file, format!("resync: {resync}\n").as_bytes()).unwrap();
            let path = file.path().to_str().unwrap();
            let error = parse(&["--aws", path]).load_aws().unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(why) && error.contains("aws.resync"), "{error}");
        }
    }

    #[test]
    fn a_pod_with_an_ipv6_address_listens_on_ipv6() {
        let listens = |arguments: &[&str]| {
            let args = parse(arguments);
            (args.http_listen().to_string(), args.collector_listen().to_string())
        };
        let of = |http: &str, collector: &str| (http.to_owned(), collector.to_owned());
        assert_eq!(listens(&["--pod-ip", "10.0.0.9"]), of("0.0.0.0:8080", "0.0.0.0:4317"));
        assert_eq!(listens(&["--pod-ip", "fd00::9"]), of("[::]:8080", "[::]:4317"));
        let given = ["--pod-ip", "fd00::9", "--http-listen", "127.0.0.1:81"];
        assert_eq!(listens(&given), of("127.0.0.1:81", "[::]:4317"));
    }

    #[test]
    fn nothing_is_recorded_unless_a_directory_is_given() {
        assert_eq!(parse(&[]).recording(), None);
        let settings = parse(&["--record-windows", "/r", "--record-windows-bytes", "5"]).recording();
        assert_eq!(settings, Some(recording::Settings { directory: "/r".into(), most_bytes: 5 }));
    }

    #[test]
    fn a_window_that_no_agent_can_have_is_refused() {
        assert!(parse(&["--agent-window", "0s"]).policy().is_err());
        assert_eq!(parse(&["--agent-window", "5s"]).policy().unwrap().agent_window_seconds, 5);
        assert!(Line::try_parse_from(["x", "--agent-window", "5"]).is_err());
    }
}
