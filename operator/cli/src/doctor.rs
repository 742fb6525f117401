//! `tidewatch doctor` checks whether Tidewatch itself is in order. Pure: from what was read to findings.

mod agents;
mod aws;
mod certificates;
mod clock;
mod definitions;
mod objects;
mod operator;
mod placement;
pub(crate) mod rights;
mod screen;
mod version;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;

use crate::count::counted;
use crate::objects::{Objects, Read};

pub use certificates::Certificates;
pub use rights::{Right, RightAnswer};
pub(crate) use screen::render;

/// Names of what the chart and the operator make.
pub(crate) mod names {
    pub(crate) use super::agents::DAEMON_SET;
    pub(crate) use super::certificates::{CONFIG_MAP, SECRET};
    pub(crate) use super::operator::LEASE;
}

/// Everything that is checked.
#[derive(Debug, Clone)]
pub struct Collected {
    /// Namespace that the operator runs in.
    pub namespace: String,
    /// Version of this program.
    pub version: String,
    /// This machine's clock when the API server answered.
    pub now: Timestamp,
    /// The API server's clock, to the second.
    pub server_time: Read<Timestamp>,
    pub definitions: Read<Vec<CustomResourceDefinition>>,
    /// The operators' Deployments of all namespaces.
    pub operators: Read<Vec<Deployment>>,
    /// Pods of the operator and of the agents.
    pub pods: Read<Vec<Pod>>,
    pub daemon_set: Read<Option<DaemonSet>>,
    pub lease: Read<Option<Lease>>,
    pub nodes: Read<Vec<Node>>,
    pub certificates: Read<Certificates>,
    pub rights: Read<Vec<RightAnswer>>,
    /// True where the operator's service account is bound to its ClusterRole.
    pub binding: Read<bool>,
    pub objects: Read<Objects>,
}

/// Severity of a finding, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// Something doesn't work.
    Problem,
    /// Something will stop working, or works in part.
    Warning,
    /// It couldn't be checked.
    Unchecked,
}

/// Something that somebody must mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub severity: Severity,
    /// The problem in a sentence, with the name of the object.
    pub message: String,
    #[serde(rename = "do")]
    pub mend: String,
}

impl Finding {
    fn problem(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, message: message.into(), mend: mend.into() }
    }

    fn warning(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::problem(message, mend) }
    }

    fn unchecked(what: &str, error: &str) -> Self {
        let mend =
            "If a right is missing, ask for it or have an administrator run this command; else run it again.";
        Self {
            severity: Severity::Unchecked,
            ..Self::problem(format!("{what} couldn't be read: {error}"), mend)
        }
    }
}

/// One part that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub name: String,
    /// A sentence about what is in order; absent where there are findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    pub findings: Vec<Finding>,
}

impl Check {
    fn new(name: &str, mut findings: Vec<Finding>, summary: impl FnOnce() -> String) -> Self {
        findings.sort_by_key(|finding| finding.severity);
        let summary = findings.is_empty().then(summary);
        Self { name: name.to_owned(), summary, findings }
    }
}

/// The report on Tidewatch itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    pub healthy: bool,
    pub summary: String,
    pub namespace: String,
    pub version: String,
    pub checks: Vec<Check>,
}

/// Checks all that was read.
pub fn report(collected: &Collected) -> DoctorReport {
    let checks = vec![
        definitions::check(collected),
        operator::check(collected),
        rights::check(collected),
        agents::check(collected),
        certificates::check(collected),
        clock::check(collected),
        aws::check(collected),
        objects::check(collected),
    ];
    let count = |severity| {
        checks.iter().flat_map(|check| &check.findings).filter(|finding| finding.severity == severity).count()
    };
    let counts = [
        (count(Severity::Problem), "problem", "problems"),
        (count(Severity::Warning), "warning", "warnings"),
        (count(Severity::Unchecked), "thing that couldn't be checked", "things that couldn't be checked"),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, several)| counted(count, one, several))
        .collect();
    let healthy = parts.is_empty();
    let summary =
        if healthy { "Tidewatch is in order.".to_owned() } else { format!("{}.", parts.join(", ")) };
    let namespace = collected.namespace.clone();
    DoctorReport { healthy, summary, namespace, version: collected.version.clone(), checks }
}

#[cfg(test)]
#[path = "doctor_tests/mod.rs"]
mod tests;
