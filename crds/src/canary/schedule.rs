//! When a canary runs.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// When a canary runs: at a fixed interval, or by cron.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.every) != has(self.cron)")
    .message("a canary runs by one schedule: write either every, such as every: 1m, or cron"))]
#[x_kube(validation = Rule::new("!has(self.timeZone) || has(self.cron)")
    .message("a time zone belongs to cron: every has none"))]
pub struct ScheduleSpec {
    /// Time between the starts of two runs, such as 1m; from 10s to 24h; AWS takes whole minutes from 1m to 1h. Each canary has its
    /// own offset within the interval, so that canaries don't start together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')").message("write an interval from 10s to 24h, such as 1m"))]
    pub every: Option<String>,
    /// Five fields of cron (minute, hour, day of month, month, day of week), such as `0 9 * * 1-5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::canary_cron())]
    #[x_kube(validation = rules::ascending_ranges())]
    pub cron: Option<String>,
    /// Time zone of `cron` by its IANA name, such as Asia/Tokyo. Absent: UTC. A time that a change of the clocks skips
    /// runs as much later as the clocks jump; one that occurs twice runs once, unless the hours are `*`. AWS knows UTC
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(validation = rules::time_zone())]
    pub time_zone: Option<String>,
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        Self { every: Some("5m".to_owned()), cron: None, time_zone: None }
    }
}
