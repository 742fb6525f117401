//! What a canary is configured to be, named as in AWS's model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that CreateCanary sets and UpdateCanary changes, apart from name, tags and replicas.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CanaryConfig {
    pub code: Code,
    pub artifact_s3_location: String,
    pub execution_role_arn: String,
    pub schedule: CanarySchedule,
    #[serde(default)]
    pub run_config: RunConfig,
    pub success_retention_period_in_days: Option<i64>,
    pub failure_retention_period_in_days: Option<i64>,
    pub runtime_version: String,
    pub vpc_config: Option<VpcConfig>,
    #[serde(default)]
    pub provisioned_resource_cleanup: Cleanup,
    pub artifact_config: Option<ArtifactConfig>,
    pub kms_key_arn: Option<String>,
    #[serde(default)]
    pub browser_configs: Vec<BrowserConfig>,
    #[serde(default)]
    pub resources_to_replicate_tags: Vec<String>,
    /// One for each browser; kept and shown, never compared with a screenshot.
    #[serde(default)]
    pub visual_references: Vec<Value>,
}

/// Where the script is, and how it is entered.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Code {
    #[serde(rename = "S3Bucket")]
    pub s3_bucket: Option<String>,
    #[serde(rename = "S3Key")]
    pub s3_key: Option<String>,
    #[serde(rename = "S3Version")]
    pub s3_version: Option<String>,
    /// Base64.
    pub zip_file: Option<String>,
    pub handler: Option<String>,
    #[serde(default)]
    pub blueprint_types: Vec<String>,
    #[serde(default)]
    pub dependencies: Vec<Value>,
}

impl Code {
    /// The same object of S3, whose content nobody told to have changed.
    pub(crate) fn same_unversioned_object(&self, other: &Self) -> bool {
        self.s3_key.is_some()
            && self.s3_version.is_none()
            && (&self.s3_bucket, &self.s3_key) == (&other.s3_bucket, &other.s3_key)
            && other.s3_version.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CanarySchedule {
    pub expression: String,
    /// 0 is for ever.
    pub duration_in_seconds: Option<i64>,
    pub retry_config: Option<RetryConfig>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RetryConfig {
    pub max_retries: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    pub timeout_in_seconds: Option<i64>,
    #[serde(rename = "MemoryInMB")]
    pub memory_in_mb: Option<i64>,
    pub active_tracing: Option<bool>,
    pub environment_variables: Option<BTreeMap<String, String>>,
    pub ephemeral_storage: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VpcConfig {
    #[serde(default)]
    pub subnet_ids: Vec<String>,
    #[serde(default)]
    pub security_group_ids: Vec<String>,
    pub ipv6_allowed_for_dual_stack: Option<bool>,
}

impl VpcConfig {
    /// Empty lists detach a canary from its VPC.
    pub(crate) fn detaches(&self) -> bool {
        self.subnet_ids.is_empty() && self.security_group_ids.is_empty()
    }
}

/// What becomes of function and layer when the canary is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Cleanup {
    #[default]
    Automatic,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactConfig {
    #[serde(rename = "S3Encryption")]
    pub s3_encryption: Option<S3Encryption>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct S3Encryption {
    pub encryption_mode: Option<String>,
    pub kms_key_arn: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BrowserConfig {
    pub browser_type: Option<String>,
}

/// Another Region in which the canary runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicaLocation {
    pub location: String,
    pub vpc_config: Option<VpcConfig>,
    pub kms_key_arn: Option<String>,
}

/// The members of an UpdateCanary or StartCanaryDryRun request; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Change {
    pub code: Option<Code>,
    pub artifact_s3_location: Option<String>,
    pub execution_role_arn: Option<String>,
    pub schedule: Option<CanarySchedule>,
    pub run_config: Option<RunConfig>,
    pub success_retention_period_in_days: Option<i64>,
    pub failure_retention_period_in_days: Option<i64>,
    pub runtime_version: Option<String>,
    pub vpc_config: Option<VpcConfig>,
    pub provisioned_resource_cleanup: Option<Cleanup>,
    pub artifact_config: Option<ArtifactConfig>,
    pub kms_key_arn: Option<String>,
    pub browser_configs: Option<Vec<BrowserConfig>>,
    pub visual_reference: Option<Value>,
    pub visual_references: Option<Vec<Value>>,
}

impl Change {
    /// The configuration that a canary would have after it.
    pub(crate) fn applied_to(&self, before: &CanaryConfig) -> CanaryConfig {
        let change = self.clone();
        let visual_references =
            change.visual_references.or_else(|| change.visual_reference.map(|single| vec![single]));
        CanaryConfig {
            code: change.code.unwrap_or_else(|| before.code.clone()),
            artifact_s3_location: change
                .artifact_s3_location
                .unwrap_or_else(|| before.artifact_s3_location.clone()),
            execution_role_arn: change
                .execution_role_arn
                .unwrap_or_else(|| before.execution_role_arn.clone()),
            schedule: schedule(change.schedule, &before.schedule),
            run_config: run_config(change.run_config, &before.run_config),
            success_retention_period_in_days: change
                .success_retention_period_in_days
                .or(before.success_retention_period_in_days),
            failure_retention_period_in_days: change
                .failure_retention_period_in_days
                .or(before.failure_retention_period_in_days),
            runtime_version: change.runtime_version.unwrap_or_else(|| before.runtime_version.clone()),
            vpc_config: match change.vpc_config {
                Some(vpc) if vpc.detaches() => None,
                Some(vpc) => Some(vpc),
                None => before.vpc_config.clone(),
            },
            provisioned_resource_cleanup: change
                .provisioned_resource_cleanup
                .unwrap_or(before.provisioned_resource_cleanup),
            artifact_config: change.artifact_config.or_else(|| before.artifact_config.clone()),
            kms_key_arn: change.kms_key_arn.or_else(|| before.kms_key_arn.clone()),
            browser_configs: change.browser_configs.unwrap_or_else(|| before.browser_configs.clone()),
            resources_to_replicate_tags: before.resources_to_replicate_tags.clone(),
            visual_references: visual_references.unwrap_or_else(|| before.visual_references.clone()),
        }
    }

    /// Whether it says anything apart from a schedule.
    pub(crate) fn beyond_schedule(&self) -> bool {
        Self { schedule: None, ..self.clone() } != Self::default()
    }
}

fn schedule(change: Option<CanarySchedule>, before: &CanarySchedule) -> CanarySchedule {
    let Some(change) = change else { return before.clone() };
    CanarySchedule {
        expression: change.expression,
        duration_in_seconds: change.duration_in_seconds.or(before.duration_in_seconds),
        retry_config: change.retry_config.or_else(|| before.retry_config.clone()),
    }
}

/// The variables are replaced as a whole; without them in the request they stay.
fn run_config(change: Option<RunConfig>, before: &RunConfig) -> RunConfig {
    let change = change.unwrap_or_default();
    RunConfig {
        timeout_in_seconds: change.timeout_in_seconds.or(before.timeout_in_seconds),
        memory_in_mb: change.memory_in_mb.or(before.memory_in_mb),
        active_tracing: change.active_tracing.or(before.active_tracing),
        environment_variables: change.environment_variables.or_else(|| before.environment_variables.clone()),
        ephemeral_storage: change.ephemeral_storage.or(before.ephemeral_storage),
    }
}
