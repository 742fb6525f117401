//! `Canary`: what to check from time to time, and how it went.

#![expect(clippy::duplicated_attributes, reason = "each printer column has a type")]
#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

mod aws;
mod check;
mod http;
mod schedule;
mod script;
mod status;
mod tls;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::rules;

pub use crate::anomaly_alarm::LastError;
pub use crate::provider::{DeletionPolicy, Provider};
pub use aws::{AwsSpec, EncryptionSpec, RetentionSpec, VpcSpec};
pub use check::{
    Check, DnsCheck, DnsExpect, DnsProtocol, Encoding, IpFamily, RecordType, SecretKey, TcpCheck, TcpExpect,
    TlsCheck,
};
pub use http::{
    ApiKeyAuthentication, Authentication, AwsSecret, BasicAuthentication, ClientAuthentication, Extract,
    HeaderExpect, HttpCheck, HttpExpect, HttpTls, JsonExpect, Method, OauthAuthentication, SecretSource,
};
pub use schedule::ScheduleSpec;
pub use script::{ConfigMapRef, Framework, HeartbeatSpec, S3Object, ScriptSpec};
pub use status::{
    AwsCanary, CanaryStatus, CheckRun, Failure, FormerCanary, Hour, LastRun, Phases, Run, RunResult, Success,
};
pub use tls::{ClientCertificate, ValidityOf};

/// Metadata annotation: each new value makes the canary run once, at once.
pub const RUN_NOW_ANNOTATION: &str = "tidewatch.dev/run-now";
/// Metadata annotation that allows the operator to take over a canary of CloudWatch Synthetics that it didn't make. Its
/// value is that canary's name.
pub const ADOPT_CANARY_ANNOTATION: &str = "tidewatch.dev/adopt-canary";
/// Finalizer that keeps an object until what it made in AWS is gone.
pub const CANARY_FINALIZER: &str = "tidewatch.dev/synthetics";
/// Label of a Secret that allows canaries of its namespace to send what it holds; its value is `true`.
pub const SECRET_LABEL: &str = "tidewatch.dev/canary";

/// What to check, and when.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "tidewatch.dev",
    version = "v1alpha1",
    kind = "Canary",
    plural = "canaries",
    shortname = "syncanary",
    category = "tidewatch",
    namespaced,
    status = "CanaryStatus",
    derive = "PartialEq",
    doc = "Canary checks from time to time that something answers as it should: by requests of HTTP, DNS, TLS and TCP, by a page in a browser, or by a script; from within the cluster, or as a canary of CloudWatch Synthetics.",
    printcolumn(
        name = "RESULT",
        type_ = "string",
        json_path = ".status.result",
        description = "How the last run ended"
    ),
    printcolumn(
        name = "SINCE",
        type_ = "date",
        json_path = ".status.since",
        description = "Time since the result last changed"
    ),
    printcolumn(
        name = "SUCCESS-24H",
        type_ = "string",
        json_path = ".status.success.day",
        description = "Share of the runs of 24 hours that passed, percent"
    ),
    printcolumn(
        name = "FAILURE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Passing\")].message",
        description = "Why the last run failed"
    ),
    printcolumn(
        name = "PROVIDER",
        type_ = "string",
        json_path = ".status.provider",
        description = "Who runs it"
    ),
    printcolumn(
        name = "STATE",
        type_ = "string",
        json_path = ".status.state",
        description = "Running, Suspended, or the state in AWS"
    ),
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the canary is in place as declared"
    ),
    printcolumn(
        name = "LAST-RUN",
        type_ = "date",
        json_path = ".status.lastRun.at",
        description = "Time since the last run; beyond the schedule and five minutes, nobody runs it"
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the canary was declared"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.checks), has(self.heartbeat), has(self.script)].filter(x, x).size() == 1")
    .message("a canary does one thing: write exactly one of checks, heartbeat or script"))]
#[x_kube(validation = Rule::new("!has(self.provider) || self.provider != 'Embedded' || has(self.checks)")
    .message("pages in a browser and scripts run in AWS only: write checks, or provider: AWS"))]
#[x_kube(validation = Rule::new("!has(self.provider) || self.provider != 'AWS' || has(self.aws)")
    .message("AWS needs to know as whom the canary runs and where its results go: write aws: {executionRoleArn: …, artifacts: s3://…}"))]
#[x_kube(validation = rules::duration_at("self.schedule.every", "has(self.provider) && self.provider == 'AWS' && has(self.schedule.every)", "(duration(self.schedule.every).getSeconds() % 60 == 0 && duration(self.schedule.every) <= duration('1h'))")
    .message("AWS takes intervals of whole minutes from 1m to 1h: write such as every: 5m, or cron for longer ones"))]
#[x_kube(validation = Rule::new("!has(self.provider) || self.provider != 'AWS' || !has(self.schedule.timeZone) || self.schedule.timeZone == 'UTC'")
    .message("AWS knows cron in UTC only: write the hours in UTC and leave timeZone out"))]
#[x_kube(validation = rules::timeout_within_interval()
    .message("a run must end before the next begins: make timeout shorter than schedule.every"))]
pub struct CanarySpec {
    /// Who runs it, written AWS (CloudWatch Synthetics) or Embedded (the operator, from within the cluster). Absent: what the
    /// chart sets (`canary.defaultProvider`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// When it runs. Absent: every 5m.
    #[serde(default)]
    pub schedule: ScheduleSpec,
    /// What is checked, one after the other; at the first failure the run ends and has failed. At most ten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("nothing is checked: write at least one check, such as {name: home, http: {url: https://shop.example.com}}"))]
    pub checks: Option<Vec<Check>>,
    /// Instead of checks: pages that are loaded in a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatSpec>,
    /// Instead of checks: a script of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSpec>,
    /// Values that checks use as `${name}`; at most ten.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "variables")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z][a-zA-Z0-9_]*$') && k.size() <= 64)").message("not the name of a variable: write a letter, then letters, digits and _, such as host"))]
    pub variables: BTreeMap<String, String>,
    /// How long a run may take, such as 1m; from 3s to 14m, and not longer than the interval. Absent: 1m, or the interval where that is
    /// shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('3s') && duration(self) <= duration('14m')").message("write a time limit from 3s to 14m, such as 1m"))]
    pub timeout: Option<String>,
    /// How many times a failed run is tried again at once before it counts as failed.
    #[serde(default)]
    #[schemars(range(max = 2))]
    pub retries: u8,
    /// Whether requests carry a trace (traceparent, and X-Ray's header), by which a slow answer is found in tracing.
    #[serde(default)]
    pub tracing: Tracing,
    /// Don't run.
    #[serde(default)]
    pub suspend: bool,
    /// AWS tags of the canary, such as {team: shop}. The operator adds its own, which begin with tidewatch.dev/.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags")]
    #[x_kube(validation = rules::canary_tags())]
    pub tags: BTreeMap<String, String>,
    /// What happens in AWS when this object is deleted. With Retain the canary stays and goes on running.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How AWS runs it. Ignored by Embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsSpec>,
}

/// Whether requests carry a trace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tracing {
    Active,
    #[default]
    Off,
}

fn variables(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 10,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    })
}

fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 44,
        "additionalProperties": {"type": "string", "maxLength": 256},
    })
}
