//! The changes of monitors' statuses, write by write, from the API server's own history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use tidewatch_crds::NetworkMonitor;
use tidewatch_crds::network_monitor::{NetworkMonitorStatus, Traffic};

use crate::cluster::{Cluster, name_of};

/// For how long the server sends what happened; it has all of it at hand.
const REPLAY_SECONDS: u32 = 3;

/// A moment, from which on changes are told.
#[derive(Debug, Clone)]
pub struct Since {
    namespace: String,
    resource_version: String,
    statuses: BTreeMap<String, NetworkMonitorStatus>,
}

/// One write that changed something.
#[derive(Debug, Clone)]
pub struct Change {
    pub monitor: String,
    before: NetworkMonitorStatus,
    after: NetworkMonitorStatus,
}

/// Why a status changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Other nodes are short of CPU or memory than before.
    Shortages,
    /// Nothing but numbers, and one of them at least doubled or halved: which.
    Numbers(String),
    /// Anything else: the fields.
    Other(Vec<String>),
}

impl Since {
    /// Begins now.
    pub fn now(cluster: &Cluster, namespace: &str) -> anyhow::Result<Self> {
        let list: List = parse(&cluster.raw(&path(namespace, ""))?)?;
        let statuses = list
            .items
            .into_iter()
            .map(|monitor| (name_of(&monitor.metadata).to_owned(), monitor.status.unwrap_or_default()));
        Ok(Self {
            namespace: namespace.to_owned(),
            resource_version: list.metadata.resource_version,
            statuses: statuses.collect(),
        })
    }

    /// The changes of statuses until now, in their order.
    pub fn changes(&self, cluster: &Cluster) -> anyhow::Result<Vec<Change>> {
        let query =
            format!("?watch=1&resourceVersion={}&timeoutSeconds={REPLAY_SECONDS}", self.resource_version);
        changes(self.statuses.clone(), &cluster.raw(&path(&self.namespace, &query))?)
    }
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    items: Vec<NetworkMonitor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

fn path(namespace: &str, query: &str) -> String {
    format!("/apis/tidewatch.dev/v1alpha1/namespaces/{namespace}/networkmonitors{query}")
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).with_context(|| format!("from the API server: {text:.200}"))
}

fn changes(
    mut statuses: BTreeMap<String, NetworkMonitorStatus>,
    events: &str,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for line in events.lines().filter(|line| !line.is_empty()) {
        let event: Event = parse(line)?;
        if !matches!(event.kind.as_str(), "ADDED" | "MODIFIED" | "DELETED") {
            anyhow::bail!("the API server's history: {line}");
        }
        let monitor: NetworkMonitor = serde_json::from_value(event.object)?;
        let name = name_of(&monitor.metadata).to_owned();
        let after = monitor.status.unwrap_or_default();
        let before = statuses.insert(name.clone(), after.clone()).unwrap_or_default();
        if before != after {
            changes.push(Change { monitor: name, before, after });
        }
    }
    Ok(changes)
}

impl Change {
    pub fn reason(&self) -> Reason {
        if short_nodes(&self.before) != short_nodes(&self.after) {
            return Reason::Shortages;
        }
        let fields = differing(&without_numbers(&self.before), &without_numbers(&self.after));
        if !fields.is_empty() {
            return Reason::Other(fields);
        }
        match moved(&self.before.traffic, &self.after.traffic) {
            Some(number) => Reason::Numbers(number),
            None => Reason::Other(vec!["numbers that moved by less than half".to_owned()]),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.monitor, self.reason())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shortages => f.write_str("other nodes are short of CPU or memory"),
            Self::Numbers(number) => f.write_str(number),
            Self::Other(fields) => f.write_str(&fields.join("; ")),
        }
    }
}

fn short_nodes(status: &NetworkMonitorStatus) -> BTreeSet<(&str, String)> {
    status.node_shortages.iter().map(|one| (one.node.as_str(), format!("{:?}", one.resource))).collect()
}

fn without_numbers(status: &NetworkMonitorStatus) -> NetworkMonitorStatus {
    let mut status = NetworkMonitorStatus {
        traffic: Vec::new(),
        numbers_as_of: None,
        overview: None,
        node_shortages: Vec::new(),
        ..status.clone()
    };
    if let Some(coverage) = &mut status.coverage {
        (coverage.connections_seen, coverage.connections_reported) = (0, 0);
    }
    status
}

/// The fields that differ, with both values.
fn differing(before: &NetworkMonitorStatus, after: &NetworkMonitorStatus) -> Vec<String> {
    let fields = |status| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            let text = |of: Option<&Value>| of.map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("{name} {} became {}", text(before.get(name)), text(after.get(name)))
        })
        .collect()
}

/// The first number that at least doubled or halved.
fn moved(before: &[Traffic], after: &[Traffic]) -> Option<String> {
    after.iter().find_map(|now| {
        let category = format!("{:?}", now.category);
        let Some(was) = before.iter().find(|was| was.category == now.category) else {
            return Some(format!("{category} traffic came up"));
        };
        let numbers = [
            ("rttP50", microseconds(was.rtt_p50.as_deref()), microseconds(now.rtt_p50.as_deref())),
            ("rttP99", microseconds(was.rtt_p99.as_deref()), microseconds(now.rtt_p99.as_deref())),
            ("bytes", was.bytes, now.bytes),
            ("flows", was.flows, now.flows),
            ("retransmissions", was.retransmissions, now.retransmissions),
        ];
        let (name, was, now) = numbers
            .into_iter()
            .find(|(_, was, now)| (*was).max(*now) >= 2 * (*was).min(*now) && was != now)?;
        Some(format!("{category} {name} {was} became {now}"))
    })
}

/// As the status writes it: 0.52ms, 3.1s.
fn microseconds(text: Option<&str>) -> u64 {
    let text = text.unwrap_or_default();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1_000.0),
        None => (text.trim_end_matches('s'), 1_000_000.0),
    };
    number.parse::<f64>().map_or(0, |number| (number * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(fields: Value) -> Value {
        serde_json::json!({"metadata": {"name": "shop"}, "spec": {"local": []}, "status": fields})
    }

    fn reasons(statuses: &[Value]) -> Vec<Reason> {
        let event = |fields: &Value| {
            format!("{}\n", serde_json::json!({"type": "MODIFIED", "object": status(fields.clone())}))
        };
        let events: String = statuses.iter().skip(1).map(event).collect();
        let first: NetworkMonitor = serde_json::from_value(status(statuses[0].clone())).unwrap();
        let known = BTreeMap::from([("shop".to_owned(), first.status.unwrap())]);
        changes(known, &events).unwrap().iter().map(Change::reason).collect()
    }

    fn traffic(p99: &str) -> Value {
        serde_json::json!({"traffic": [{"category": "InterAZ", "rttP50": "1.2ms", "rttP99": p99,
            "retransmissions": 0, "timeouts": 0, "bytes": 1000, "flows": 7}]})
    }

    #[test]
    fn numbers_may_be_written_when_one_doubled_and_only_then() {
        assert_eq!(
            reasons(&[traffic("2.0ms"), traffic("2.1ms"), traffic("2.1ms"), traffic("19ms")]),
            [
                Reason::Other(vec!["numbers that moved by less than half".to_owned()]),
                Reason::Numbers("InterAz rttP99 2100 became 19000".to_owned()),
            ]
        );
    }

    #[test]
    fn what_changed_is_told_by_field() {
        let healthy = serde_json::json!({"networkHealthIndicator": "Healthy"});
        let unknown = serde_json::json!({"networkHealthIndicator": "InsufficientData"});
        assert_eq!(
            reasons(&[healthy, unknown]),
            [Reason::Other(vec![
                "networkHealthIndicator \"Healthy\" became \"InsufficientData\"".to_owned()
            ])]
        );
    }

    #[test]
    fn a_node_that_becomes_short_is_a_change_of_its_own() {
        let short = |pressure: &str| {
            serde_json::json!({"nodeShortages": [
                {"node": "w1", "resource": "CPU", "pressure": pressure, "message": pressure}]})
        };
        let none = serde_json::json!({});
        assert_eq!(reasons(&[none, short("40%")]), [Reason::Shortages]);
    }
}
