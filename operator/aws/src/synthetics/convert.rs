//! Between the SDK's types and ours.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_synthetics::primitives::{Blob, DateTime};
use aws_sdk_synthetics::types as sdk;
use jiff::Timestamp;

use super::types::{
    CanaryConfig, CanaryParts, CanarySeen, CanaryState, Code, Encryption, Entry, RunConfig, RunSeen,
    RunState, RuntimeSeen, Schedule, Vpc,
};

/// What AWS makes of a canary that names none: "EphemeralStorage … the default is 1024" (API_CanaryRunConfigInput).
const EPHEMERAL_STORAGE_MB: i32 = 1024;

pub(super) fn canary_of(canary: &sdk::Canary) -> Option<CanarySeen> {
    let name = canary.name()?.to_owned();
    let status = canary.status();
    let engine = canary
        .engine_arn()
        .or_else(|| canary.engine_configs().first().and_then(sdk::EngineConfig::engine_arn));
    let replicas = canary.multi_location_config().map(|all| all.replicas()).unwrap_or_default();
    Some(CanarySeen {
        id: canary.id().map(str::to_owned),
        config: config_of(canary),
        state: state_of(status.and_then(sdk::CanaryStatus::state)),
        reason: status.and_then(sdk::CanaryStatus::state_reason).map(str::to_owned),
        reason_code: status
            .and_then(sdk::CanaryStatus::state_reason_code)
            .map(|code| code.as_str().to_owned()),
        function: engine.and_then(|arn| arn.split(':').nth(6)).map(str::to_owned),
        arn: engine.and_then(|arn| arn_of(arn, &name)),
        tags: canary.tags().map(tags_of).unwrap_or_default(),
        replicas: replicas.iter().filter_map(|replica| replica.location().map(str::to_owned)).collect(),
        name,
    })
}

/// The canary's ARN, by that of its function: `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME:VERSION`.
fn arn_of(function: &str, name: &str) -> Option<String> {
    let mut parts = function.split(':');
    let (arn, partition, _, region, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{arn}:{partition}:synthetics:{region}:{account}:canary:{name}"))
}

fn config_of(canary: &sdk::Canary) -> CanaryConfig {
    let schedule = canary.schedule();
    let run = canary.run_config();
    let blueprints = canary.code().map(|code| code.blueprint_types().to_vec()).unwrap_or_default();
    let handler = canary.code().and_then(sdk::CanaryCodeOutput::handler).unwrap_or_default().to_owned();
    CanaryConfig {
        role: canary.execution_role_arn().unwrap_or_default().to_owned(),
        artifacts: place(canary.artifact_s3_location().unwrap_or_default()),
        encryption: canary
            .artifact_config()
            .and_then(sdk::ArtifactConfigOutput::s3_encryption)
            .and_then(encryption_of),
        runtime: canary.runtime_version().unwrap_or_default().to_owned(),
        entry: if blueprints.is_empty() { Entry::Handler(handler) } else { Entry::Blueprints(blueprints) },
        schedule: Schedule {
            expression: schedule
                .and_then(sdk::CanaryScheduleOutput::expression)
                .unwrap_or_default()
                .to_owned(),
            max_retries: schedule
                .and_then(sdk::CanaryScheduleOutput::retry_config)
                .and_then(sdk::RetryConfigOutput::max_retries)
                .unwrap_or_default(),
            duration_seconds: schedule
                .and_then(sdk::CanaryScheduleOutput::duration_in_seconds)
                .unwrap_or_default(),
        },
        run: RunConfig {
            timeout_seconds: run.and_then(|run| run.timeout_in_seconds()).unwrap_or_default(),
            memory_mb: run.and_then(|run| run.memory_in_mb()).unwrap_or_default(),
            ephemeral_storage_mb: run.and_then(|run| run.ephemeral_storage()).unwrap_or(EPHEMERAL_STORAGE_MB),
            tracing: run.and_then(|run| run.active_tracing()).unwrap_or_default(),
        },
        success_days: canary.success_retention_period_in_days().unwrap_or_default(),
        failure_days: canary.failure_retention_period_in_days().unwrap_or_default(),
        vpc: canary.vpc_config().and_then(vpc_of),
        cleans_up: canary
            .provisioned_resource_cleanup()
            .is_none_or(|setting| *setting == sdk::ProvisionedResourceCleanupSetting::Automatic),
    }
}

/// AWS tells a place with or without the scheme that it was given.
pub(super) fn place(location: &str) -> String {
    location.trim_start_matches("s3://").trim_end_matches('/').to_owned()
}

fn state_of(state: Option<&sdk::CanaryState>) -> CanaryState {
    match state {
        Some(sdk::CanaryState::Creating) => CanaryState::Creating,
        Some(sdk::CanaryState::Ready) => CanaryState::Ready,
        Some(sdk::CanaryState::Starting) => CanaryState::Starting,
        Some(sdk::CanaryState::Running) => CanaryState::Running,
        Some(sdk::CanaryState::Updating) => CanaryState::Updating,
        Some(sdk::CanaryState::Stopping) => CanaryState::Stopping,
        Some(sdk::CanaryState::Stopped) => CanaryState::Stopped,
        Some(sdk::CanaryState::Error) => CanaryState::Error,
        Some(sdk::CanaryState::Deleting) => CanaryState::Deleting,
        Some(other) => CanaryState::Other(other.as_str().to_owned()),
        None => CanaryState::Other("UNKNOWN".to_owned()),
    }
}

fn vpc_of(vpc: &sdk::VpcConfigOutput) -> Option<Vpc> {
    let subnets: BTreeSet<String> = vpc.subnet_ids().iter().cloned().collect();
    (!subnets.is_empty()).then(|| Vpc {
        subnets,
        security_groups: vpc.security_group_ids().iter().cloned().collect(),
        ipv6: vpc.ipv6_allowed_for_dual_stack().unwrap_or_default(),
    })
}

fn encryption_of(encryption: &sdk::S3EncryptionConfig) -> Option<Encryption> {
    match encryption.encryption_mode()? {
        sdk::EncryptionMode::SseS3 => Some(Encryption::S3),
        _ => Some(Encryption::Kms(encryption.kms_key_arn().unwrap_or_default().to_owned())),
    }
}

fn tags_of(tags: &std::collections::HashMap<String, String>) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(super) fn run_of(run: &sdk::CanaryRun) -> Option<RunSeen> {
    let timeline = run.timeline()?;
    let status = run.status()?;
    let started = timestamp_of(timeline.started()?)?;
    let id = run.id()?.to_owned();
    Some(RunSeen {
        scheduled_id: run.scheduled_run_id().map_or_else(|| id.clone(), str::to_owned),
        attempt: run.retry_attempt().and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or_default(),
        state: match status.state() {
            Some(sdk::CanaryRunState::Passed) => RunState::Passed,
            Some(sdk::CanaryRunState::Failed) => RunState::Failed,
            _ => RunState::Running,
        },
        reason: status.state_reason().map(str::to_owned),
        started,
        completed: timeline.completed().and_then(timestamp_of),
        scheduled: timeline.metric_timestamp_for_run_and_retries().and_then(timestamp_of).unwrap_or(started),
        artifacts: run.artifact_s3_location().map(place),
        id,
    })
}

pub(super) fn runtime_of(runtime: &sdk::RuntimeVersion) -> Option<RuntimeSeen> {
    Some(RuntimeSeen {
        name: runtime.version_name()?.to_owned(),
        released: runtime.release_date().and_then(timestamp_of),
        deprecated: runtime.deprecation_date().and_then(timestamp_of),
    })
}

pub(super) fn code_to(parts: &CanaryParts) -> sdk::CanaryCodeInput {
    let builder = match &parts.code {
        Code::Zip(bytes) => sdk::CanaryCodeInput::builder().zip_file(Blob::new(bytes.clone())),
        Code::S3 { bucket, key, version } => {
            sdk::CanaryCodeInput::builder().s3_bucket(bucket).s3_key(key).set_s3_version(version.clone())
        }
    };
    match &parts.config.entry {
        Entry::Handler(handler) => builder.handler(handler),
        Entry::Blueprints(types) => builder.set_blueprint_types(Some(types.clone())),
    }
    .build()
}

pub(super) fn schedule_to(
    schedule: &Schedule,
) -> Result<sdk::CanaryScheduleInput, aws_sdk_synthetics::error::BuildError> {
    sdk::CanaryScheduleInput::builder()
        .expression(&schedule.expression)
        .duration_in_seconds(schedule.duration_seconds)
        .retry_config(sdk::RetryConfigInput::builder().max_retries(schedule.max_retries).build()?)
        .build()
}

pub(super) fn run_to(parts: &CanaryParts) -> sdk::CanaryRunConfigInput {
    let run = &parts.config.run;
    let environment = parts.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    sdk::CanaryRunConfigInput::builder()
        .timeout_in_seconds(run.timeout_seconds)
        .memory_in_mb(run.memory_mb)
        .ephemeral_storage(run.ephemeral_storage_mb)
        .active_tracing(run.tracing)
        .set_environment_variables(Some(environment.collect()))
        .build()
}

/// Empty lists take a canary out of its VPC.
pub(super) fn vpc_to(vpc: Option<&Vpc>) -> sdk::VpcConfigInput {
    let list = |ids: Option<&BTreeSet<String>>| Some(ids.into_iter().flatten().cloned().collect());
    sdk::VpcConfigInput::builder()
        .set_subnet_ids(list(vpc.map(|vpc| &vpc.subnets)))
        .set_security_group_ids(list(vpc.map(|vpc| &vpc.security_groups)))
        .set_ipv6_allowed_for_dual_stack(vpc.map(|vpc| vpc.ipv6))
        .build()
}

/// Nothing in it stands for the default.
pub(super) fn encryption_to(encryption: Option<&Encryption>) -> sdk::ArtifactConfigInput {
    let builder = sdk::S3EncryptionConfig::builder();
    let config = match encryption {
        None => None,
        Some(Encryption::S3) => Some(builder.encryption_mode(sdk::EncryptionMode::SseS3).build()),
        Some(Encryption::Kms(arn)) => {
            Some(builder.encryption_mode(sdk::EncryptionMode::SseKms).kms_key_arn(arn).build())
        }
    };
    sdk::ArtifactConfigInput::builder().set_s3_encryption(config).build()
}

pub(super) fn cleanup_to(cleans_up: bool) -> sdk::ProvisionedResourceCleanupSetting {
    if cleans_up {
        sdk::ProvisionedResourceCleanupSetting::Automatic
    } else {
        sdk::ProvisionedResourceCleanupSetting::Off
    }
}

fn timestamp_of(time: &DateTime) -> Option<Timestamp> {
    // Milliseconds, since runs that took less than a second have a duration too.
    Timestamp::from_millisecond(time.to_millis().ok()?).ok()
}
