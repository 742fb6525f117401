//! What became of a canary. Written at once when its result or its place changed; otherwise the figures of runs follow
//! at most every five minutes, so that a healthy canary isn't rewritten at each run.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Provider;
use crate::anomaly_alarm::LastError;
use crate::schema::{conditions, date_time};

/// What became of a canary.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Running, Suspended, or Stopped where it can't run (Ready says why); for AWS, the state that Synthetics tells, such
    /// as CREATING.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// How the last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// Since when it has been so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub since: Option<Timestamp>,
    /// The last run that this status knows of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// The last failure; it stays when runs pass again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// Share of the runs that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<Success>,
    /// The last ten runs, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub runs: Vec<Run>,
    /// Runs and failures of the last 24 hours by the hour, the oldest first: what `success.day` is counted from when the
    /// operator restarts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub hours: Vec<Hour>,
    /// The value of the annotation tidewatch.dev/run-now that was last heeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_now: Option<String>,
    /// The canary of CloudWatch Synthetics; absent with Embedded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsCanary>,
    /// Ready (the canary is in place as declared), Passing (its last run passed), and for AWS RuntimeCurrent (its runtime
    /// isn't about to be deprecated). Passing never changes Ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// A canary of CloudWatch Synthetics. What names it is written before it is made, so that nothing is lost.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AwsCanary {
    /// Its name, which is also the value of the dimension CanaryName of its metrics.
    pub name: String,
    /// Its Region.
    pub region: String,
    /// The role that the operator assumed for it; absent for the operator's own identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The id that AWS gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A canary of this name is there that isn't this object's: it is left alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
    /// Why it is in its state, as AWS says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// The same as a code, such as CREATE_FAILED or ROLLBACK_COMPLETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason_code: Option<String>,
    /// The runtime version that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_version: Option<String>,
    /// When AWS deprecates that version, once AWS has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub runtime_deprecation: Option<Timestamp>,
    /// Lambda functions that AWS made for it. Their log groups are deleted with the object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub functions: Vec<String>,
    /// Canaries that this object had before, in another Region, by another role or by another name, until they are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub leaving: Vec<FormerCanary>,
    /// Keys of the tags that the operator set from `tags`; it removes no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub tag_keys: Vec<String>,
    /// Where the results of the last failed run are in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_artifacts: Option<String>,
    /// How often the state and the runs are read from AWS, such as 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_every: Option<String>,
    /// The last call that AWS refused, until one succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// Each is a canary that the object no longer wants.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct FormerCanary {
    /// Its name.
    pub name: String,
    /// Its Region.
    pub region: String,
    /// The role that it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Lambda functions that AWS made for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
}

/// How a run ended.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunResult {
    Passed,
    Failed,
}

impl RunResult {
    /// As the status writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
        }
    }
}

/// A run, check by check.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// When it began.
    #[schemars(schema_with = "date_time")]
    pub at: Timestamp,
    /// How it ended.
    pub result: RunResult,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// How many times it was tried: more than one where `retries` allows it and the first try failed.
    pub attempts: u32,
    /// The trace of its requests (W3C trace id), by which they are found in tracing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Its checks, in their order; those after a failure weren't made.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub checks: Vec<CheckRun>,
}

/// Each is one check of the run.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CheckRun {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub result: RunResult,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// How long each phase took.
    #[serde(default)]
    pub phases: Phases,
}

/// How long the phases of a check took, milliseconds; those that it didn't come to are absent.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Phases {
    /// Finding the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_ms: Option<u64>,
    /// Connecting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<u64>,
    /// From the request to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// Reading the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_ms: Option<u64>,
}

/// A failure, so that a person can act on it.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When the run began.
    #[schemars(schema_with = "date_time")]
    pub at: Timestamp,
    /// The check that failed.
    pub check: String,
    /// Why, such as connect timed out.
    pub message: String,
    /// What was expected, where an expectation wasn't met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// How long each phase took until then.
    #[serde(default)]
    pub phases: Phases,
    /// The trace of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Share of the runs that passed, percent, such as 99.3.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Success {
    /// Over the last hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<String>,
    /// Over the last 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
}

/// Each is a run in one line.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// When it began.
    #[schemars(schema_with = "date_time")]
    pub at: Timestamp,
    /// How it ended.
    pub result: RunResult,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// The check that failed, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Each has the runs of one hour.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Hour {
    /// When the hour began.
    #[schemars(schema_with = "date_time")]
    pub from: Timestamp,
    /// Runs.
    pub runs: u32,
    /// Those that failed.
    pub failed: u32,
}
