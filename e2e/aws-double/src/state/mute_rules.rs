//! Alarm mute rules (AWS: alarm-mute-rules).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Region;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteRule {
    pub name: String,
    pub arn: String,
    pub description: Option<String>,
    pub schedule: MuteSchedule,
    /// Names of alarms.
    pub alarm_names: Vec<String>,
    pub start_date: Option<Timestamp>,
    pub expire_date: Option<Timestamp>,
    pub tags: BTreeMap<String, String>,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MuteSchedule {
    /// `cron(0 2 * * SUN)` or `at(2026-12-24T18:00)`.
    pub expression: String,
    /// ISO 8601.
    pub duration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MuteStatus {
    Scheduled,
    Active,
    Expired,
}

impl Region {
    /// Whether a mute rule keeps this alarm's actions from being run now.
    pub fn muted(&self, alarm: &str) -> bool {
        self.mute_rules.values().any(|rule| {
            rule.alarm_names.iter().any(|name| name == alarm) && rule.status(self.now) == MuteStatus::Active
        })
    }
}
