//! Canaries of CloudWatch Synthetics as plain values: what is written and what is read back compare as equal when they
//! mean the same.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::types::Tags;

/// What CreateCanary sets and GetCanary tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryConfig {
    /// The role that the canary runs as.
    pub role: String,
    /// Bucket and path, without `s3://` and without a slash at the end.
    pub artifacts: String,
    pub encryption: Option<Encryption>,
    /// Such as syn-nodejs-5.2.
    pub runtime: String,
    pub entry: Entry,
    pub schedule: Schedule,
    pub run: RunConfig,
    pub success_days: i32,
    pub failure_days: i32,
    pub vpc: Option<Vpc>,
    /// Function and layer go with the canary.
    pub cleans_up: bool,
}

/// Where a canary begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Handler(String),
    /// Such as multi-checks.
    Blueprints(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Such as `rate(5 minutes)`.
    pub expression: String,
    pub max_retries: i32,
    /// 0 is for ever.
    pub duration_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    pub timeout_seconds: i32,
    pub memory_mb: i32,
    pub ephemeral_storage_mb: i32,
    pub tracing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    pub subnets: BTreeSet<String>,
    pub security_groups: BTreeSet<String>,
    pub ipv6: bool,
}

/// How results are encrypted; the default is a key that AWS keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    S3,
    /// ARN of the key.
    Kms(String),
}

/// Where the code comes from. AWS doesn't tell it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    Zip(Vec<u8>),
    S3 { bucket: String, key: String, version: Option<String> },
}

/// Everything that a canary is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryParts {
    pub name: String,
    pub config: CanaryConfig,
    pub code: Code,
    /// AWS doesn't tell these again either.
    pub environment: BTreeMap<String, String>,
}

/// Parts that UpdateCanary can change one by one. What goes together in one structure goes together here, since AWS
/// doesn't say whether it merges structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Role,
    Artifacts,
    Encryption,
    Runtime,
    /// With the entry.
    Code,
    Schedule,
    /// With the environment.
    Run,
    SuccessDays,
    FailureDays,
    Vpc,
    Cleanup,
}

impl Field {
    pub const ALL: [Self; 11] = [
        Self::Role,
        Self::Artifacts,
        Self::Encryption,
        Self::Runtime,
        Self::Code,
        Self::Schedule,
        Self::Run,
        Self::SuccessDays,
        Self::FailureDays,
        Self::Vpc,
        Self::Cleanup,
    ];

    /// As a sentence names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role => "execution role",
            Self::Artifacts => "place of the artifacts",
            Self::Encryption => "encryption",
            Self::Runtime => "runtime version",
            Self::Code => "code",
            Self::Schedule => "schedule",
            Self::Run => "run configuration",
            Self::SuccessDays | Self::FailureDays => "retention",
            Self::Vpc => "VPC",
            Self::Cleanup => "clean-up",
        }
    }
}

/// A canary as it was read. Two readings are equal unless something happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanarySeen {
    pub name: String,
    pub id: Option<String>,
    pub config: CanaryConfig,
    pub state: CanaryState,
    pub reason: Option<String>,
    /// Such as CREATE_FAILED.
    pub reason_code: Option<String>,
    /// Name of its Lambda function, once there is one.
    pub function: Option<String>,
    /// For its tags; none until there is a function, since AWS tells a canary's account by that alone.
    pub arn: Option<String>,
    pub tags: Tags,
    /// Regions of its replicas.
    pub replicas: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryState {
    Creating,
    Ready,
    Starting,
    Running,
    Updating,
    Stopping,
    Stopped,
    Error,
    Deleting,
    /// One that this version doesn't know.
    Other(String),
}

impl CanaryState {
    /// As AWS writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Creating => "CREATING",
            Self::Ready => "READY",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Updating => "UPDATING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Error => "ERROR",
            Self::Deleting => "DELETING",
            Self::Other(state) => state,
        }
    }
}

/// One attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSeen {
    pub id: String,
    /// Id of the first attempt.
    pub scheduled_id: String,
    /// 0 for the first attempt.
    pub attempt: u32,
    pub state: RunState,
    pub reason: Option<String>,
    pub started: Timestamp,
    pub completed: Option<Timestamp>,
    /// When the first attempt started.
    pub scheduled: Timestamp,
    /// Where its results are, without `s3://`.
    pub artifacts: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    Running,
    Passed,
    Failed,
}

/// A runtime that AWS offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSeen {
    pub name: String,
    pub released: Option<Timestamp>,
    pub deprecated: Option<Timestamp>,
}
