//! The command line; each option is an environment variable too.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Tidewatch's node agent: TCP flows of this node, by window, from the kernel's own counters.
#[derive(Debug, Clone, Parser)]
#[command(name = "tidewatch-agent", version)]
pub struct Options {
    /// Root of the node's cgroups (a directory of a cgroup v2 hierarchy); sockets outside are not reported.
    /// Found by itself if not given
    #[arg(long, env = "TIDEWATCH_CGROUP", value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Name of this node in the records; the host's name if not given
    #[arg(long, env = "TIDEWATCH_NODE", value_name = "NAME")]
    pub node: Option<String>,

    /// Print records as JSON Lines
    #[arg(long, env = "TIDEWATCH_STDOUT")]
    pub stdout: bool,

    /// Send records to this OTLP/gRPC endpoint
    #[arg(long, env = "TIDEWATCH_COLLECTOR", value_name = "URL", required_unless_present = "stdout")]
    pub collector: Option<String>,

    /// Certificate authority of the collector, PEM; read again when it changes
    #[arg(long, env = "TIDEWATCH_COLLECTOR_CA", value_name = "FILE")]
    pub collector_ca: Option<PathBuf>,

    /// Bearer token for the collector; read again for each export
    #[arg(long, env = "TIDEWATCH_TOKEN", value_name = "FILE")]
    pub token: Option<PathBuf>,

    /// Compress what is sent to the collector
    #[arg(long, env = "TIDEWATCH_GZIP")]
    pub gzip: bool,

    /// Length of a window; windows begin at multiples of it
    #[arg(long, env = "TIDEWATCH_WINDOW", value_name = "DURATION", default_value = "30s", value_parser = parse_window)]
    pub window: Duration,

    /// Address at which /metrics and /healthz are served
    #[arg(long, env = "TIDEWATCH_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:9464", value_parser = parse_listen)]
    pub listen: SocketAddr,
}

impl Options {
    /// The window in seconds.
    pub fn window_seconds(&self) -> u32 {
        u32::try_from(self.window.as_secs()).unwrap_or(30)
    }
}

/// An address and a port; of IPv6 also without brackets, as Kubernetes gives a node's address in `status.hostIP`.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.rsplit_once(':').and_then(|(host, port)| {
        let ip: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some(SocketAddr::new(ip, port.parse().ok()?))
    });
    parsed.ok_or_else(|| "write an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464".to_owned())
}

/// `30s`, `1m`, or a number of seconds.
fn parse_window(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    match seconds {
        Some(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a whole number of seconds or minutes from 1s to 60m, such as 30s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_seconds_or_minutes() {
        assert_eq!(parse_window("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_window("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_window("30"), Ok(Duration::from_secs(30)));
        for bad in ["", "0s", "-1", "61m", "500ms", "s"] {
            assert!(parse_window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_ipv6_address_needs_no_brackets() {
        for (text, expected) in [
            ("198.18.0.1:9464", "198.18.0.1:9464"),
            ("fd00::1:9464", "[fd00::1]:9464"),
            ("[fd00::1]:9464", "[fd00::1]:9464"),
        ] {
            assert_eq!(parse_listen(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for bad in ["", "9464", "node-a:9464", "198.18.0.1", "198.18.0.1:", "198.18.0.1:70000"] {
            assert!(parse_listen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn records_must_go_somewhere() {
        assert!(Options::try_parse_from(["tidewatch-agent"]).is_err());
        assert!(Options::try_parse_from(["tidewatch-agent", "--stdout"]).is_ok());
    }
}
