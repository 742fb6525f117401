//! The status, folded from the one that stands and what was seen. Pure; the same observation twice changes nothing the
//! second time.

use jiff::{SignedDuration, Timestamp};
use tidewatch_aws::types::{Alarm, Limit, State, Training, Watched};
use tidewatch_crds::AnomalyAlarmStatus;
use tidewatch_crds::anomaly_alarm::{
    AlarmState, LastError, Overview, Reading, Resource, TrainingState, TrainingStatus, Transition,
};
use tidewatch_kube::conditions::{ConditionKind, Says, Truth, conditions, find, whole_seconds};
use tidewatch_kube::events::Happened;
use tidewatch_managed::Shared;

use super::desired::Desired;
use super::observe::{Observed, Seen};
use super::reading;
use super::reason::{Problem, Reason};

/// So many transitions are kept.
const TRANSITIONS: usize = 10;

/// The time of the reading is written again after this time even if nothing changed, so that an old one shows that nobody
/// reads the state.
const REFRESH: SignedDuration = SignedDuration::from_mins(30);

/// The conditions of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConditionType {
    /// The alarm is in place as declared.
    Ready,
    /// Its state is ALARM.
    Firing,
}

impl ConditionKind for ConditionType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Firing => "Firing",
        }
    }
}

/// What came of a pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome<'a> {
    pub now: Timestamp,
    pub generation: Option<i64>,
    pub read_every: String,
    pub desired: Option<&'a Desired>,
    /// None: AWS wasn't looked at, or didn't answer.
    pub observed: Option<&'a Observed>,
    pub resources: Vec<Resource>,
    /// None: all is in place.
    pub problem: Option<Problem>,
    /// The object is being deleted: what its alarm says isn't read any more.
    pub deleting: bool,
    pub error: Option<LastError>,
}

/// The status that should stand.
pub(super) fn fold(previous: &AnomalyAlarmStatus, outcome: &Outcome<'_>) -> AnomalyAlarmStatus {
    let mut next = AnomalyAlarmStatus {
        observed_generation: outcome.generation,
        resources: outcome.resources.clone(),
        last_error: outcome.error.clone(),
        read_every: Some(outcome.read_every.clone()),
        ..previous.clone()
    };
    if let (Some(desired), Some(observed)) = (outcome.desired, outcome.observed) {
        states(&mut next, previous, desired, observed);
        training(&mut next, desired, observed);
    }
    if outcome.deleting {
        (next.state, next.metric_state, next.network_state) = (None, None, None);
        (next.since, next.reason, next.reading, next.overview) = (None, None, None, None);
    }
    if outcome.problem.is_none()
        && let Some(desired) = outcome.desired
    {
        next.tag_keys =
            desired.tags.keys().filter(|key| !key.starts_with("tidewatch.dev/")).cloned().collect();
    }
    let says = vec![ready(outcome), firing(&next, outcome)];
    next.conditions = conditions(&previous.conditions, says, outcome.generation, outcome.now);
    if outcome.observed.is_some() {
        let is_old = |at: Timestamp| outcome.now.duration_since(at) >= REFRESH;
        if next != *previous || previous.read_at.is_none_or(is_old) {
            next.read_at = Some(whole_seconds(outcome.now));
        }
    }
    next
}

fn states(
    next: &mut AnomalyAlarmStatus,
    previous: &AnomalyAlarmStatus,
    desired: &Desired,
    observed: &Observed,
) {
    let seen = |name: Option<&str>| match observed.alarms.get(name?)? {
        Seen::There { alarm, .. } => Some(alarm.as_ref()),
        Seen::Absent => None,
    };
    let metric = seen(desired.metric.as_ref().map(|alarm| alarm.name.as_str()));
    let network = seen(desired.network.as_ref().map(|alarm| alarm.name.as_str()));
    let composite = seen(desired.composite.as_ref().map(|alarm| alarm.name.as_str()));
    next.metric_state = metric.filter(|_| desired.composite.is_some()).map(|alarm| state(alarm.state));
    next.network_state = network.map(|alarm| state(alarm.state));
    let calling = if desired.composite.is_some() { composite } else { metric };
    next.state = calling.map(|alarm| state(alarm.state));
    next.since = calling.and_then(|alarm| alarm.state_since);
    next.reason = calling.map(|alarm| alarm.reason.clone()).filter(|reason| !reason.is_empty());
    if let Some(alarm) = calling {
        transition(next, previous, alarm);
    }
    // A composite's reason has no numbers: they are the metric's.
    next.reading = metric.and_then(|alarm| reading::parse(alarm.reason_data.as_deref()?));
    next.overview = overview(next.reading.as_ref(), desired);
}

fn transition(next: &mut AnomalyAlarmStatus, previous: &AnomalyAlarmStatus, alarm: &Alarm) {
    let to = state(alarm.state);
    let Some(at) = alarm.state_since else { return };
    let newest = next.transitions.first();
    if newest.is_some_and(|newest| newest.to == to && newest.at >= at) {
        return;
    }
    let from = previous.state.filter(|from| *from != to);
    next.transitions.insert(0, Transition { at, from, to, reason: alarm.reason.clone() });
    next.transitions.truncate(TRANSITIONS);
}

fn state(state: State) -> AlarmState {
    match state {
        State::Ok => AlarmState::Ok,
        State::Alarm => AlarmState::Alarm,
        State::InsufficientData => AlarmState::InsufficientData,
    }
}

fn overview(reading: Option<&Reading>, desired: &Desired) -> Option<Overview> {
    let metric = desired.metric.as_ref()?;
    let threshold = match &metric.watched {
        Watched::Metric { threshold, .. } => Some(*threshold),
        Watched::Queries { limit: Limit::Threshold(threshold), .. } => Some(*threshold),
        Watched::Queries { limit: Limit::Band(_), .. } => None,
    };
    let band = match threshold {
        Some(threshold) => {
            let sign = match metric.comparison.as_str() {
                "GreaterThanThreshold" => ">",
                "GreaterThanOrEqualToThreshold" => "≥",
                "LessThanThreshold" => "<",
                _ => "≤",
            };
            Some(format!("{sign} {}", reading::text(threshold)))
        }
        None => reading.and_then(|reading| match (reading.lower, reading.upper) {
            (Some(lower), Some(upper)) => Some(format!("{}–{}", reading::text(lower), reading::text(upper))),
            (Some(lower), None) => Some(format!("≥ {}", reading::text(lower))),
            (None, Some(upper)) => Some(format!("≤ {}", reading::text(upper))),
            (None, None) => None,
        }),
    };
    let value = reading.and_then(|reading| reading.value).map(reading::text);
    (band.is_some() || value.is_some()).then_some(Overview { value, band })
}

fn training(next: &mut AnomalyAlarmStatus, desired: &Desired, observed: &Observed) {
    next.training = desired.detector.as_ref().map(|_| {
        let (state, message) = match observed.detector.there.as_ref().map(|detector| detector.training) {
            None | Some(Training::Pending) => (
                TrainingState::PendingTraining,
                "CloudWatch learns the band; the first comes within three hours if the metric has data, and until then the alarm can't fire",
            ),
            Some(Training::InsufficientData) => (
                TrainingState::TrainedInsufficientData,
                "the metric has too little data for a band; the alarm can't fire until there is more (up to two weeks are learnt from)",
            ),
            Some(Training::Trained) => (TrainingState::Trained, "the band is learnt from up to two weeks of the metric and follows it"),
            Some(Training::Unknown) => (TrainingState::Unknown, "CloudWatch says something of the training that this version doesn't know"),
        };
        TrainingStatus { state, message: message.to_owned() }
    });
}

fn ready(outcome: &Outcome<'_>) -> Says<ConditionType> {
    match &outcome.problem {
        None => Says::new(
            ConditionType::Ready,
            Truth::True,
            Reason::InPlace.as_str(),
            "the alarm is in CloudWatch as declared",
        ),
        Some(problem) => {
            let truth = if problem.reason.is_terminal() { Truth::False } else { Truth::Unknown };
            Says::new(ConditionType::Ready, truth, problem.reason.as_str(), problem.message.clone())
        }
    }
}

fn firing(next: &AnomalyAlarmStatus, outcome: &Outcome<'_>) -> Says<ConditionType> {
    // What was read before says nothing of now.
    if outcome.observed.is_none() {
        let why = "the alarm's state isn't known now";
        return Says::new(ConditionType::Firing, Truth::Unknown, "NotRead", why);
    }
    let reason = next.reason.clone().unwrap_or_default();
    let network_unknown = next.network_state == Some(AlarmState::InsufficientData);
    if network_unknown && next.metric_state.is_none_or(|state| state == AlarmState::Alarm) {
        // The composite says OK, since neither verdict holds: what isn't known stays visible here.
        let why =
            "nothing is known of the network's health, so that it can't be told whose fault it would be";
        return Says::new(ConditionType::Firing, Truth::Unknown, "NetworkUnknown", why);
    }
    match next.state {
        Some(AlarmState::Alarm) => Says::new(ConditionType::Firing, Truth::True, "Alarm", reason),
        Some(AlarmState::Ok) => Says::new(ConditionType::Firing, Truth::False, "OK", reason),
        Some(AlarmState::InsufficientData) => {
            Says::new(ConditionType::Firing, Truth::Unknown, "InsufficientData", reason)
        }
        None => Says::new(ConditionType::Firing, Truth::Unknown, "NotThere", "the alarm isn't in CloudWatch"),
    }
}

/// What the change from `previous` to `next` is told as.
pub(super) fn events(previous: &AnomalyAlarmStatus, next: &AnomalyAlarmStatus) -> Vec<Happened> {
    let mut events = Vec::new();
    let (was, is) = (previous.state, next.state);
    let why = next.reason.clone().unwrap_or_default();
    let happened = |reason, is_warning, note| Happened { reason, is_warning, note, action: "Evaluate" };
    match (was, is) {
        (was, Some(AlarmState::Alarm)) if was != is => events.push(happened("Alarm", true, why)),
        (Some(AlarmState::Alarm), Some(AlarmState::Ok)) => events.push(happened("Recovered", false, why)),
        (Some(AlarmState::Alarm | AlarmState::Ok), Some(AlarmState::InsufficientData)) => {
            events.push(happened("InsufficientData", true, why));
        }
        _ => {}
    }
    let ready = |status: &AnomalyAlarmStatus| find(&status.conditions, ConditionType::Ready).cloned();
    if let Some(now) = ready(next) {
        let before = ready(previous);
        let reason_before = before.as_ref().map(|ready| ready.reason.as_str());
        if now.status == "False" && before.as_ref().map(|ready| &ready.message) != Some(&now.message) {
            events.push(happened("NotInPlace", true, format!("{}: {}", now.reason, now.message)));
        } else if now.status == "Unknown"
            && Shared::REFUSALS.iter().any(|refusal| refusal.as_str() == now.reason)
            && reason_before != Some(now.reason.as_str())
        {
            events.push(happened("AWSRefused", true, format!("{}: {}", now.reason, now.message)));
        }
    }
    events
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
