//! GetCanary, DescribeCanaries and DescribeRuntimeVersions.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{not_found, page_key};
use crate::error::ApiError;
use crate::operations::limit;
use crate::state::synthetics::{Canary, CanaryConfig, CanaryState, Replica, VpcConfig};
use crate::state::{Region, page};

/// 31 days unless said otherwise (API_CreateCanary).
const RETENTION: i64 = 31;
/// Megabytes; what AWS shows for canaries that name no memory.
const MEMORY: i64 = 1_000;
const MOST_CANARIES: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetCanary {
    name: String,
    dry_run_id: Option<String>,
}

/// With a dry run's id, what the canary would be.
pub(super) fn get_canary(region: &mut Region, input: GetCanary) -> Result<Value, ApiError> {
    let canary = region.synthetics.canaries.get(&input.name).ok_or_else(|| not_found(&input.name))?;
    let Some(id) = input.dry_run_id else { return Ok(json!({"Canary": described(canary, region)})) };
    let dry_run = canary.dry_run.as_ref().filter(|dry_run| dry_run.id == id);
    let dry_run = dry_run
        .ok_or_else(|| ApiError::new("ResourceNotFoundException", format!("Dry run {id} not found")))?;
    let mut shown = described(&Canary { config: dry_run.config.clone(), ..canary.clone() }, region);
    let status = json!({"DryRunId": dry_run.id, "LastDryRunExecutionStatus": dry_run.status});
    if let Value::Object(members) = &mut shown {
        members.insert("DryRunConfig".to_owned(), status);
    }
    Ok(json!({"Canary": shown}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeCanaries {
    next_token: Option<String>,
    max_results: Option<i64>,
    #[serde(default)]
    names: Vec<String>,
}

/// Names that don't exist are left out.
pub(super) fn describe_canaries(region: &mut Region, input: DescribeCanaries) -> Result<Value, ApiError> {
    let canaries = region.synthetics.canaries.values();
    let wanted = canaries.filter(|canary| input.names.is_empty() || input.names.contains(&canary.name));
    let keyed = wanted.map(|canary| (page_key(&canary.name), canary));
    let (canaries, next) = page(keyed, input.next_token.as_deref(), limit(input.max_results, MOST_CANARIES))?;
    let shown: Vec<Value> = canaries.into_iter().map(|canary| described(canary, region)).collect();
    Ok(json!({"Canaries": shown, "NextToken": next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Paged {
    pub(super) next_token: Option<String>,
    pub(super) max_results: Option<i64>,
}

pub(super) fn describe_runtime_versions(region: &mut Region, input: Paged) -> Result<Value, ApiError> {
    let mut runtimes: Vec<_> =
        region.synthetics.runtimes.iter().map(|it| (page_key(&it.version_name), it)).collect();
    runtimes.sort_by(|(one, _), (other, _)| one.cmp(other));
    let (runtimes, next) = page(runtimes, input.next_token.as_deref(), limit(input.max_results, 100))?;
    Ok(json!({"RuntimeVersions": runtimes, "NextToken": next}))
}

/// What AWS shows of a canary: neither its environment variables, nor where its code came from, nor its ARN.
pub(crate) fn described(canary: &Canary, region: &Region) -> Value {
    let config = &canary.config;
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| {
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    };
    show("Id", json!(canary.id));
    show("Name", json!(canary.name));
    show("Code", code(canary, region));
    show("ExecutionRoleArn", json!(config.execution_role_arn));
    show("Schedule", schedule(config));
    show("RunConfig", run_config(canary));
    show("SuccessRetentionPeriodInDays", json!(config.success_retention_period_in_days.unwrap_or(RETENTION)));
    show("FailureRetentionPeriodInDays", json!(config.failure_retention_period_in_days.unwrap_or(RETENTION)));
    show("Status", status(canary, region));
    show("Timeline", json!(canary.timeline));
    show("ArtifactS3Location", json!(config.artifact_s3_location));
    show("EngineArn", engine_arn(canary, region));
    show("RuntimeVersion", json!(config.runtime_version));
    let attached = config.vpc_config.as_ref().filter(|vpc| !vpc.detaches());
    show("VpcConfig", attached.map_or(Value::Null, vpc));
    show("ProvisionedResourceCleanup", json!(config.provisioned_resource_cleanup));
    if !config.browser_configs.is_empty() {
        show("BrowserConfigs", json!(config.browser_configs));
    }
    match config.visual_references.as_slice() {
        [] => {}
        [single] => show("VisualReference", single.clone()),
        several => show("VisualReferences", json!(several)),
    }
    if !canary.replicas.is_empty() {
        show("MultiLocationConfig", locations(canary, region));
    }
    show("Tags", json!(canary.tags));
    show("ArtifactConfig", json!(config.artifact_config));
    show("KmsKeyArn", json!(config.kms_key_arn));
    Value::Object(shown)
}

/// The layer that the package became.
fn code(canary: &Canary, region: &Region) -> Value {
    let code = &canary.config.code;
    let layer = region.arn_of("lambda", "layer", &format!("{}:{}", canary.engine(), canary.version));
    json!({
        "SourceLocationArn": (canary.version > 0).then_some(layer),
        "Handler": code.handler,
        "BlueprintTypes": (!code.blueprint_types.is_empty()).then_some(&code.blueprint_types),
        "Dependencies": (!code.dependencies.is_empty()).then_some(&code.dependencies),
    })
}

fn engine_arn(canary: &Canary, region: &Region) -> Value {
    if canary.version == 0 {
        return Value::Null;
    }
    region.arn_of("lambda", "function", &format!("{}:{}", canary.engine(), canary.version)).into()
}

fn schedule(config: &CanaryConfig) -> Value {
    let schedule = &config.schedule;
    json!({
        "Expression": schedule.expression,
        "DurationInSeconds": schedule.duration_in_seconds.unwrap_or(0),
        "RetryConfig": schedule.retry_config,
    })
}

fn run_config(canary: &Canary) -> Value {
    let config = &canary.config.run_config;
    json!({
        "TimeoutInSeconds": canary.timeout_seconds(),
        "MemoryInMB": config.memory_in_mb.unwrap_or(MEMORY),
        "ActiveTracing": config.active_tracing.unwrap_or(false),
        "EphemeralStorage": config.ephemeral_storage,
    })
}

/// Pending at the answer to CreateCanary, in progress whenever it is looked at later.
fn status(canary: &Canary, region: &Region) -> Value {
    let mut status = canary.status.clone();
    if canary.state() == CanaryState::Creating && region.now > canary.timeline.created {
        status.state_reason_code = Some("CREATE_IN_PROGRESS");
    }
    json!(status)
}

/// The VPC itself isn't known here: its name is made of the first subnet's.
fn vpc(vpc: &VpcConfig) -> Value {
    let of = vpc.subnet_ids.first().and_then(|subnet| subnet.strip_prefix("subnet-")).unwrap_or("0");
    json!({
        "VpcId": format!("vpc-{of}"),
        "SubnetIds": vpc.subnet_ids,
        "SecurityGroupIds": vpc.security_group_ids,
        "Ipv6AllowedForDualStack": vpc.ipv6_allowed_for_dual_stack,
    })
}

fn locations(canary: &Canary, region: &Region) -> Value {
    let state = |in_sync: bool| if in_sync { "InSync" } else { "InProgress" };
    let replica = |replica: &Replica| {
        json!({
            "Location": replica.wanted.location,
            "ReplicationStatus": {"State": state(replica.in_sync)},
            "CanaryState": canary.state(),
            "LastModified": replica.last_modified,
            "VpcConfig": replica.wanted.vpc_config.as_ref().map(vpc),
        })
    };
    json!({
        "LocationType": "Primary",
        "PrimaryLocation": region.name,
        "Replicas": canary.replicas.iter().map(replica).collect::<Vec<_>>(),
        "ReplicationState": state(canary.replicas.iter().all(|replica| replica.in_sync)),
    })
}
