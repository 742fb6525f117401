//! The objects of Tidewatch as they were read, and what their conditions say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use tidewatch_crds::{AnomalyAlarm, Canary, NetworkMonitor};

/// An answer of the API server, or the error in words where it couldn't be read.
pub type Read<T> = Result<T, String>;

/// All objects of the three kinds in one namespace or in all.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub monitors: Vec<NetworkMonitor>,
    pub alarms: Vec<AnomalyAlarm>,
    pub canaries: Vec<Canary>,
    pub unreadable: Vec<Unreadable>,
}

/// An object that doesn't parse, since it was stored by another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub error: String,
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    NetworkMonitor,
    AnomalyAlarm,
    Canary,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetworkMonitor => "NetworkMonitor",
            Self::AnomalyAlarm => "AnomalyAlarm",
            Self::Canary => "Canary",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::NetworkMonitor => "NetworkMonitors",
            Self::AnomalyAlarm => "AnomalyAlarms",
            Self::Canary => "Canaries",
        }
    }

    /// The name that commands are typed with.
    pub fn short(self) -> &'static str {
        match self {
            Self::NetworkMonitor => "netmon",
            Self::AnomalyAlarm => "anomalarm",
            Self::Canary => "canary",
        }
    }

    /// The kind that a user may mean: by its name, its plural or its short name, in any case.
    pub fn of(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().trim_end_matches(".tidewatch.dev") {
            "networkmonitor" | "networkmonitors" | "netmon" | "monitor" => Some(Self::NetworkMonitor),
            "anomalyalarm" | "anomalyalarms" | "anomalarm" | "alarm" => Some(Self::AnomalyAlarm),
            "canary" | "canaries" | "syncanary" => Some(Self::Canary),
            _ => None,
        }
    }
}

/// An object of one of the three kinds, with what they have in common.
pub(crate) trait TidewatchObject: kube::Resource<DynamicType = ()> {
    const KIND: Kind;

    fn conditions(&self) -> &[Condition];

    fn namespace_and_name(&self) -> (String, String) {
        let meta = self.meta();
        (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }

    fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.type_ == kind)
    }

    /// Reason and message of an object that isn't Ready: those of its condition, or that it has none.
    fn not_ready(&self) -> Option<(&str, &str)> {
        match self.condition("Ready") {
            Some(ready) if ready.status == "True" => None,
            Some(ready) => Some((&ready.reason, &ready.message)),
            None => Some(("NoStatus", "nobody reconciles it: it has no status")),
        }
    }
}

impl TidewatchObject for NetworkMonitor {
    const KIND: Kind = Kind::NetworkMonitor;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

impl TidewatchObject for AnomalyAlarm {
    const KIND: Kind = Kind::AnomalyAlarm;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

impl TidewatchObject for Canary {
    const KIND: Kind = Kind::Canary;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

/// A value of one of the API's enums as the API writes it.
pub(crate) fn api_name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// True for a condition that isn't as it should be. Those that tell of a fault should be False, and all others True.
pub(crate) fn is_abnormal(condition: &Condition) -> bool {
    let tells_of_a_fault = matches!(condition.type_.as_str(), "Degraded" | "WorkloadFault" | "Firing");
    condition.status != if tells_of_a_fault { "False" } else { "True" }
}
