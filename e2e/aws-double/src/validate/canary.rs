//! Rules of the Synthetics operations that their models don't state (AWS: API_CreateCanary, API_CanaryCodeInput,
//! API_CanaryRunConfigInput, CloudWatch_Synthetics_Canaries_Create). What AWS finds at the first run only is in
//! `state::synthetics::package`.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;

use super::{Verdict, ensure};
use crate::error::ApiError;
use crate::state::Region;
use crate::state::synthetics::runtimes::{Family, Version};
use crate::state::synthetics::schedule::Frequency;
use crate::state::synthetics::{CanaryConfig, Code, ReplicaLocation, RunConfig, VpcConfig};

/// "If you input your canary script directly into the canary … it must be smaller than 225 Kb" (ZipFile).
const LARGEST_ZIP: usize = 225 * 1024;
/// "The total size of the environment variables can't exceed 4 KB."
const LARGEST_ENVIRONMENT: usize = 4 * 1024;
/// "Must be a multiple of 64."
const MEMORY_STEP: i64 = 64;
/// "The valid range is 1 to 455 days."
const LONGEST_RETENTION: i64 = 455;
const BLUEPRINT: &str = "multi-checks";

/// Whether a canary may be what it is to become.
pub(crate) fn config(config: &CanaryConfig, region: &Region) -> Verdict {
    let version = runtime(&config.runtime_version, region)?;
    code(&config.code, version)?;
    artifacts(config)?;
    schedule(config)?;
    run_config(&config.run_config)?;
    tracing(config, version)?;
    vpc(config.vpc_config.as_ref())?;
    retention(config.success_retention_period_in_days, "SuccessRetentionPeriodInDays")?;
    retention(config.failure_retention_period_in_days, "FailureRetentionPeriodInDays")?;
    browsers(config, version)
}

/// "You can't create canaries with a deprecated runtime version" (CloudWatch_Synthetics_Runtime_Support_Policy).
fn runtime(name: &str, region: &Region) -> Result<Version, ApiError> {
    let known = region.runtime(name);
    let known = known.ok_or_else(|| ApiError::validation(format!("Runtime version {name} is not valid")))?;
    ensure(!known.deprecated(region.now), || format!("Runtime version {name} is deprecated"))?;
    let version = Version::parse(name);
    version.ok_or_else(|| ApiError::validation(format!("Runtime version {name} is not supported")))
}

fn code(code: &Code, version: Version) -> Verdict {
    let s3 = [&code.s3_bucket, &code.s3_key].into_iter().flatten().count();
    ensure(code.s3_version.is_none() || s3 == 2, || "S3Version needs S3Bucket and S3Key".to_owned())?;
    ensure(s3 != 1, || "S3Bucket and S3Key must be given together".to_owned())?;
    ensure((s3 == 2) != code.zip_file.is_some(), || {
        "Code must have either ZipFile or S3Bucket and S3Key".to_owned()
    })?;
    let size = code.zip_file.as_ref().map_or(0, |zip| BASE64.decode(zip.as_bytes()).map_or(0, |it| it.len()));
    if size >= LARGEST_ZIP {
        let message = format!("ZipFile of {size} bytes must be smaller than 225 KB");
        return Err(ApiError::new("RequestEntityTooLargeException", message));
    }
    let handler = code.handler.as_deref().filter(|handler| !handler.is_empty());
    match (handler, code.blueprint_types.as_slice()) {
        (Some(_), []) => Ok(()),
        (None, [blueprint]) => {
            ensure(blueprint == BLUEPRINT, || format!("Blueprint type {blueprint} is not supported"))?;
            ensure(version.runs_blueprints(), || format!("{BLUEPRINT} needs runtime syn-nodejs-3.0 or later"))
        }
        (None, _) => ensure(false, || "Code must have a Handler or BlueprintTypes".to_owned()),
        (Some(_), _) => ensure(false, || "Code can't have both a Handler and BlueprintTypes".to_owned()),
    }
}

/// "The name of the Amazon S3 bucket can't include a period (.)."
fn artifacts(config: &CanaryConfig) -> Verdict {
    let location = &config.artifact_s3_location;
    let path = location.strip_prefix("s3://").unwrap_or(location);
    let bucket = path.split('/').next().unwrap_or_default();
    let named = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    ensure(named, || format!("ArtifactS3Location {location} must name a bucket without periods"))?;
    let encryption = config.artifact_config.as_ref().and_then(|config| config.s3_encryption.as_ref());
    let Some(encryption) = encryption else { return Ok(()) };
    let kms = encryption.encryption_mode.as_deref() == Some("SSE_KMS");
    ensure(kms || encryption.kms_key_arn.is_none(), || "KmsKeyArn needs EncryptionMode SSE_KMS".to_owned())
}

fn schedule(config: &CanaryConfig) -> Verdict {
    let frequency = Frequency::parse(&config.schedule.expression).map_err(ApiError::validation)?;
    let Frequency::Every(interval) = frequency else { return Ok(()) };
    let timeout = config.run_config.timeout_in_seconds.unwrap_or(0);
    ensure(timeout <= interval.as_secs(), || {
        format!("TimeoutInSeconds {timeout} must not be longer than the frequency of the canary")
    })
}

fn run_config(config: &RunConfig) -> Verdict {
    let memory = config.memory_in_mb.unwrap_or(MEMORY_STEP);
    ensure(memory % MEMORY_STEP == 0, || format!("MemoryInMB {memory} must be a multiple of {MEMORY_STEP}"))?;
    let variables = config.environment_variables.iter().flatten();
    let size: usize = variables.map(|(name, value)| name.len() + value.len()).sum();
    ensure(size <= LARGEST_ENVIRONMENT, || {
        format!("EnvironmentVariables of {size} bytes must not be larger than 4 KB")
    })
}

/// "ActiveTracing isn't supported for canaries that use Firefox", and by some runtimes only.
fn tracing(config: &CanaryConfig, version: Version) -> Verdict {
    let firefox = config.browser_configs.iter().any(|it| it.browser_type.as_deref() == Some("FIREFOX"));
    let able = version.traces() && !firefox;
    ensure(able || config.run_config.active_tracing != Some(true), || {
        "ActiveTracing is not supported by this runtime version and browser".to_owned()
    })
}

pub(crate) fn vpc(vpc: Option<&VpcConfig>) -> Verdict {
    let halves = vpc.is_none_or(|vpc| vpc.subnet_ids.is_empty() == vpc.security_group_ids.is_empty());
    ensure(halves, || "VpcConfig must have both SubnetIds and SecurityGroupIds".to_owned())
}

fn retention(days: Option<i64>, name: &str) -> Verdict {
    let days = days.unwrap_or(1);
    ensure(days <= LONGEST_RETENTION, || format!("{name} {days} must be from 1 to {LONGEST_RETENTION}"))
}

fn browsers(config: &CanaryConfig, version: Version) -> Verdict {
    let browsers: Vec<_> = config.browser_configs.iter().map(|it| &it.browser_type).collect();
    let different: BTreeSet<_> = browsers.iter().collect();
    ensure(different.len() == browsers.len(), || "BrowserConfigs name a browser twice".to_owned())?;
    let has_browser = matches!(version.family, Family::Puppeteer | Family::Playwright | Family::Selenium);
    ensure(has_browser || browsers.is_empty(), || "This runtime version has no browser".to_owned())
}

/// "To have the tags applied to the Lambda function, you must specify tags" (ResourcesToReplicateTags).
pub(crate) fn replicated_tags(config: &CanaryConfig, tags: &BTreeMap<String, String>) -> Verdict {
    ensure(config.resources_to_replicate_tags.is_empty() || !tags.is_empty(), || {
        "ResourcesToReplicateTags needs Tags".to_owned()
    })
}

/// Replicas are in other Regions, each once, and of runtimes that can be replicated.
pub(crate) fn replicas<'a>(
    config: &CanaryConfig,
    locations: impl IntoIterator<Item = &'a ReplicaLocation>,
    region: &Region,
) -> Verdict {
    let mut seen = BTreeSet::from([region.name.as_str()]);
    for replica in locations {
        let location = replica.location.as_str();
        ensure(seen.insert(location), || format!("Location {location} is there already"))?;
        let able = Version::parse(&config.runtime_version).is_some_and(Version::has_replicas);
        ensure(able, || format!("{} has no replicas", config.runtime_version))?;
        vpc(replica.vpc_config.as_ref())?;
    }
    Ok(())
}

pub(crate) fn dry_run(config: &CanaryConfig) -> Verdict {
    let able = Version::parse(&config.runtime_version).is_some_and(Version::has_dry_runs);
    ensure(able, || format!("{} has no dry runs", config.runtime_version))
}

pub(crate) fn quota(region: &Region) -> Verdict {
    let quota = region.canary_quota();
    if region.synthetics.canaries.len() < quota {
        return Ok(());
    }
    let message = format!("The limit of {quota} canaries in this Region has been reached");
    Err(ApiError::new("ServiceQuotaExceededException", message))
}
