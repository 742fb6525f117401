//! What can be made to fail.
//!
//! | Fault | What happens | Where |
//! |---|---|---|
//! | [`Fault::ZoneLink`] | packets between two zones are lost or late, each direction on its own | the router's relay |
//! | [`Fault::Node`] | packets from and to a node are lost | both ends of its link |
//! | [`Fault::Pod`] | packets from and to a pod are lost | both ends of its link |
//! | [`Fault::Block`] | connection requests to a Service's pods vanish, as by a security group or NetworkPolicy | every node's forwarding |
//! | [`Fault::Refuse`] | connection requests to a Service's pods are answered by RST, as when its process is down | the pods' own namespaces |
//! | [`Fault::Overload`] | a Service of the shop stops accepting | asked of its pods at their admin port |
//! | [`Fault::Remote`] | packets from and to an outside host are lost | both ends of its link |
//! | [`Fault::Connections`] | connection requests from or to a node vanish, established connections are fine | both ends of its link |
//! | [`Fault::ConntrackFull`] | a node's connection-tracking table is full | the node's own table |

pub(crate) mod apply;
mod conntrack;
mod rules;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The share of packets lost in each direction that the fault covers, above 0 and up to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Loss(f64);

impl Loss {
    /// No loss, for a fault that only delays.
    pub const NONE: Self = Self(0.0);

    /// A loss ratio: 0.02 is 2%.
    #[must_use]
    pub fn ratio(ratio: f64) -> Self {
        Self(if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) })
    }

    /// The ratio, 0 to 1.
    #[must_use]
    pub fn as_ratio(self) -> f64 {
        self.0
    }

    /// In millionths.
    #[must_use]
    pub fn per_million(self) -> u32 {
        // In range by construction.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millionths = (self.0 * 1e6).round() as u32;
        millionths
    }

    /// Of two independent losses in a row.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(1.0 - (1.0 - self.0) * (1.0 - other.0))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Shortest form that reads back as the same: 2%, 0.5%.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

impl FromStr for Loss {
    type Err = FaultParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || FaultParseError(format!("loss {text:?}: write a share from 0% to 100%, such as 2% or 0.02"));
        let ratio = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
            None => text.parse::<f64>().map_err(|_| wrong())?,
        };
        if (0.0..=1.0).contains(&ratio) { Ok(Self(ratio)) } else { Err(wrong()) }
    }
}

/// Text that names no fault; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultParseError(pub(crate) String);

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// Packets between two zones are lost or late.
    ZoneLink {
        /// From this zone.
        a: String,
        /// To this one (and back, unless `one_way`).
        b: String,
        /// Share lost, in each direction.
        loss: Loss,
        /// Added to each direction.
        delay: Duration,
        /// Only from `a` to `b`.
        one_way: bool,
    },
    /// Packets from and to a node are lost, those of its pods included.
    Node {
        /// The node.
        node: String,
        /// Share lost, in each direction.
        loss: Loss,
    },
    /// Packets from and to a pod are lost.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
        /// Share lost, in each direction.
        loss: Loss,
    },
    /// Connection requests to the Service's pods vanish.
    Block {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
    },
    /// Connection requests to the Service's pods are answered by RST.
    Refuse {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
    },
    /// The Service's pods (of `tidewatch-shop`) are told to stop accepting.
    Overload {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
    },
    /// Packets from and to an outside host are lost.
    Remote {
        /// The host's name.
        remote: String,
        /// Share lost, in each direction.
        loss: Loss,
    },
    /// Connection requests (SYN) from or to a node vanish, as at a packet or connection allowance of its instance or by a broken
    /// security group of its interface.
    Connections {
        /// The node.
        node: String,
        /// Share of the requests that vanish.
        loss: Loss,
        /// Which of them.
        direction: Direction,
    },
    /// A node's connection-tracking table is full: its kernel drops the first packet of whatever is new.
    ConntrackFull {
        /// The node.
        node: String,
    },
}

/// Which of a node's connection requests a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Those from elsewhere.
    Inbound,
    /// Those to elsewhere.
    Outbound,
    /// All of them.
    Both,
}

impl Fault {
    /// Loss between two zones, both ways; `loss` is a ratio.
    #[must_use]
    pub fn zone_link(a: &str, b: &str, loss: f64) -> Self {
        let (a, b) = (a.to_owned(), b.to_owned());
        Self::ZoneLink { a, b, loss: Loss::ratio(loss), delay: Duration::ZERO, one_way: false }
    }

    /// Loss from zone `a` to zone `b` only; `loss` is a ratio.
    #[must_use]
    pub fn zone_link_one_way(a: &str, b: &str, loss: f64) -> Self {
        let (a, b) = (a.to_owned(), b.to_owned());
        Self::ZoneLink { a, b, loss: Loss::ratio(loss), delay: Duration::ZERO, one_way: true }
    }

    /// Loss at a node; `loss` is a ratio.
    #[must_use]
    pub fn node(node: &str, loss: f64) -> Self {
        Self::Node { node: node.to_owned(), loss: Loss::ratio(loss) }
    }

    /// Loss at a pod; `loss` is a ratio.
    #[must_use]
    pub fn pod(namespace: &str, pod: &str, loss: f64) -> Self {
        Self::Pod { namespace: namespace.to_owned(), pod: pod.to_owned(), loss: Loss::ratio(loss) }
    }

    /// A blocked Service.
    #[must_use]
    pub fn block(namespace: &str, service: &str) -> Self {
        Self::Block { namespace: namespace.to_owned(), service: service.to_owned() }
    }

    /// A refusing Service.
    #[must_use]
    pub fn refuse(namespace: &str, service: &str) -> Self {
        Self::Refuse { namespace: namespace.to_owned(), service: service.to_owned() }
    }

    /// An overloaded Service of the shop.
    #[must_use]
    pub fn overload(namespace: &str, service: &str) -> Self {
        Self::Overload { namespace: namespace.to_owned(), service: service.to_owned() }
    }

    /// Connection requests of a node that vanish; `loss` is a ratio.
    #[must_use]
    pub fn connections(node: &str, loss: f64, direction: Direction) -> Self {
        Self::Connections { node: node.to_owned(), loss: Loss::ratio(loss), direction }
    }

    /// A node whose connection-tracking table is full.
    #[must_use]
    pub fn conntrack_full(node: &str) -> Self {
        Self::ConntrackFull { node: node.to_owned() }
    }

    /// Loss at an outside host; `loss` is a ratio.
    #[must_use]
    pub fn remote(remote: &str, loss: f64) -> Self {
        Self::Remote { remote: remote.to_owned(), loss: Loss::ratio(loss) }
    }
}

impl fmt::Display for Fault {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZoneLink { a, b, loss, delay, one_way } => {
                write!(f, "zone-link {a} {b} --loss {loss}")?;
                if !delay.is_zero() {
                    write!(f, " --delay {delay:?}")?;
                }
                if *one_way {
                    f.write_str(" --one-way")?;
                }
                Ok(())
            }
            Self::Node { node, loss } => write!(f, "node {node} --loss {loss}"),
            Self::Pod { namespace, pod, loss } => write!(f, "pod {namespace}/{pod} --loss {loss}"),
            Self::Block { namespace, service } => write!(f, "block {namespace}/{service}"),
            Self::Refuse { namespace, service } => write!(f, "refuse {namespace}/{service}"),
            Self::Overload { namespace, service } => write!(f, "overload {namespace}/{service}"),
            Self::Remote { remote, loss } => write!(f, "remote {remote} --loss {loss}"),
            Self::Connections { node, loss, direction } => {
                write!(f, "connections {node} --loss {loss}")?;
                match direction {
                    Direction::Both => Ok(()),
                    Direction::Inbound => f.write_str(" --inbound"),
                    Direction::Outbound => f.write_str(" --outbound"),
                }
            }
            Self::ConntrackFull { node } => write!(f, "conntrack-full {node}"),
        }
    }
}

/// Splits `NAMESPACE/NAME`.
///
/// # Errors
/// When it isn't of that form.
pub fn namespaced(text: &str) -> Result<(String, String), FaultParseError> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(FaultParseError(format!("{text:?}: write NAMESPACE/NAME"))),
    }
}

/// Reads `20ms`, `1.5s`, `250us`.
///
/// # Errors
/// When it isn't of that form, or is longer than ten seconds.
pub fn delay(text: &str) -> Result<Duration, FaultParseError> {
    let wrong = || FaultParseError(format!("delay {text:?}: write up to 10s, such as 20ms, 250us or 1.5s"));
    let (number, unit) = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, unit)))
        .ok_or_else(wrong)?;
    let seconds = number.trim().parse::<f64>().map_err(|_| wrong())? * unit;
    if (0.0..=10.0).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}

/// The name of a fault that is on: `f1`, `f2`, … in the order of their beginnings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultId(pub(crate) String);

impl FaultId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for FaultId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A fault that is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Its name, for `heal`.
    pub id: FaultId,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
    /// Since when.
    pub since: jiff::Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_read_as_percent_or_ratio() {
        for (text, ratio) in
            [("2%", 0.02), ("0.5%", 0.005), ("0.02", 0.02), ("100%", 1.0), ("0", 0.0), (" 3 %", 0.03)]
        {
            let got = text.trim().parse::<Loss>().unwrap().as_ratio();
            assert!((got - ratio).abs() < 1e-12, "{text}");
        }
        for bad in ["", "%", "101%", "-1%", "2 percent", "nan", "inf", "1.5"] {
            assert!(bad.parse::<Loss>().is_err(), "{bad}");
        }
    }

    #[test]
    fn loss_prints_as_it_was_written() {
        for text in ["2%", "0.5%", "12.25%", "100%", "0%"] {
            assert_eq!(text.parse::<Loss>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn losses_in_a_row_compose() {
        assert_eq!(Loss::ratio(0.5).and(Loss::ratio(0.5)), Loss::ratio(0.75));
        assert_eq!(Loss::ratio(0.02).and(Loss::NONE).per_million(), 20_000);
    }

    #[test]
    fn a_delay_needs_a_unit_and_has_a_ceiling() {
        assert_eq!(delay("20ms").unwrap(), Duration::from_millis(20));
        assert_eq!(delay("250us").unwrap(), Duration::from_micros(250));
        assert_eq!(delay("1.5s").unwrap(), Duration::from_millis(1500));
        for bad in ["20", "ms", "-1ms", "11s", "1m", "nans"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_namespaced_name_has_exactly_two_parts() {
        assert_eq!(namespaced("shop/cart").unwrap(), ("shop".into(), "cart".into()));
        for bad in ["cart", "/cart", "shop/", "a/b/c", ""] {
            assert!(namespaced(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_survives_the_state_file() {
        let fault = ActiveFault {
            id: FaultId("f1".into()),
            fault: Fault::ZoneLink {
                a: "zone-1".into(),
                b: "zone-2".into(),
                loss: Loss::ratio(0.02),
                delay: Duration::from_millis(20),
                one_way: true,
            },
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<ActiveFault>(&text).unwrap(), fault);
        assert_eq!(fault.fault.to_string(), "zone-link zone-1 zone-2 --loss 2% --delay 20ms --one-way");
    }
}
