//! How a condition is set, for every kind.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Reason of condition Ready while something that the status stands on can't be watched.
pub const WATCH_FAILING: &str = "WatchFailing";

/// A kind's types of conditions.
pub trait ConditionKind: Copy {
    fn as_str(self) -> &'static str;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition says, apart from when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says<K> {
    pub kind: K,
    pub truth: Truth,
    pub reason: &'static str,
    pub message: String,
}

impl<K> Says<K> {
    pub fn new(kind: K, truth: Truth, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, truth, reason, message: message.into() }
    }
}

/// The conditions that `says` states, with the times of `previous` where the status didn't change.
pub fn conditions<K: ConditionKind>(
    previous: &[Condition],
    says: Vec<Says<K>>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    says.into_iter()
        .map(|says| {
            let before = previous.iter().find(|condition| condition.type_ == says.kind.as_str());
            let since = before
                .filter(|condition| condition.status == says.truth.as_str())
                .map_or(Time(whole_seconds(now)), |condition| condition.last_transition_time.clone());
            Condition {
                type_: says.kind.as_str().to_owned(),
                status: says.truth.as_str().to_owned(),
                reason: says.reason.to_owned(),
                message: says.message,
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

/// The API server keeps whole seconds of a `metav1.Time`.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The condition of type `kind`.
pub fn find<K: ConditionKind>(conditions: &[Condition], kind: K) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}
