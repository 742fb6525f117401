//! What DescribeAlarmHistory tells: configuration, states, actions; of deleted alarms too.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Alarm, AlarmState, Region};

/// AWS keeps it for 30 days (DescribeAlarmHistory).
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistoryItem {
    pub alarm_name: String,
    pub alarm_type: &'static str,
    pub timestamp: Timestamp,
    /// `ConfigurationUpdate`, `StateUpdate` or `Action`.
    pub history_item_type: &'static str,
    pub history_summary: String,
    /// JSON.
    pub history_data: String,
}

impl Region {
    pub(crate) fn forget_old_history(&mut self) {
        let old = self.history.partition_point(|item| self.now.duration_since(item.timestamp) > KEPT);
        self.history.drain(..old);
    }

    pub(crate) fn record_created(&mut self, name: &str) {
        self.record_configuration(name, "created", |alarm| json!({"type": "Create", "createdAlarm": alarm}));
    }

    pub(crate) fn record_updated(&mut self, name: &str) {
        self.record_configuration(name, "updated", |alarm| json!({"type": "Update", "updatedAlarm": alarm}));
    }

    pub(crate) fn record_deleted(&mut self, name: &str) {
        self.record_configuration(name, "deleted", |alarm| json!({"type": "Delete", "deletedAlarm": alarm}));
    }

    fn record_configuration(&mut self, name: &str, verb: &str, data: impl FnOnce(Value) -> Value) {
        let Some(alarm) = self.alarms.get(name) else { return };
        let mut data = data(Value::Object(alarm.described()));
        stamp(&mut data);
        let item = self.item(alarm, "ConfigurationUpdate", format!("Alarm \"{name}\" {verb}"), &data);
        self.history.push(item);
    }

    fn item(&self, alarm: &Alarm, kind: &'static str, summary: String, data: &Value) -> HistoryItem {
        HistoryItem {
            alarm_name: alarm.name().to_owned(),
            alarm_type: alarm.kind(),
            timestamp: self.now,
            history_item_type: kind,
            history_summary: summary,
            history_data: data.to_string(),
        }
    }

    /// Writes an alarm's state, and what follows from it into the history.
    pub(crate) fn transition(
        &mut self,
        name: &str,
        state: AlarmState,
        reason: &str,
        reason_data: Option<String>,
    ) {
        let now = self.now;
        let Some(alarm) = self.alarms.get_mut(name) else { return };
        let told = |state: AlarmState, reason: &str, data: &Option<String>| {
            let data = data.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            json!({"stateValue": state, "stateReason": reason, "stateReasonData": data})
        };
        let before = alarm.state;
        let old = told(before, &alarm.reason, &alarm.reason_data);
        reason.clone_into(&mut alarm.reason);
        alarm.reason_data = reason_data;
        alarm.state = state;
        alarm.updated_at = now;
        if before == state {
            return;
        }
        alarm.transitioned_at = now;
        self.changed.insert(name.to_owned());
        if before == AlarmState::Alarm {
            alarm.left_alarm_at = Some(now);
        }
        let new = told(state, reason, &alarm.reason_data);
        let mut data = json!({"oldState": old, "newState": new});
        stamp(&mut data);
        let Some(alarm) = self.alarms.get(name) else { return };
        let summary = format!("Alarm updated from {} to {}", before.as_str(), state.as_str());
        let mut items = vec![self.item(alarm, "StateUpdate", summary, &data)];
        if alarm.actions_enabled() && !self.muted(name) && self.suppression(alarm).is_none() {
            for action in alarm.actions(state) {
                let mut data = json!({"actionState": "Succeeded", "notificationResource": action});
                stamp(&mut data);
                items.push(self.item(
                    alarm,
                    "Action",
                    format!("Successfully executed action {action}"),
                    &data,
                ));
            }
        }
        self.history.extend(items);
    }
}

fn stamp(data: &mut Value) {
    if let Value::Object(members) = data {
        members.insert("version".to_owned(), "1.0".into());
    }
}
