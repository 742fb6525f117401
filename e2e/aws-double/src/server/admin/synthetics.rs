//! What canaries find around them, and what becomes of their runs.

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Inner, parse};
use crate::operations::synthetics::describe::described;
use crate::state::Region;
use crate::state::synthetics::{Canary, Delays, Outcome, RunPlan, Runtime};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    canary: String,
    outcome: Outcome,
    duration: Option<SignedDuration>,
    times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FailingUpdate {
    canary: String,
    reason: String,
    #[serde(default = "yes")]
    rolled_back: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    role: String,
    assumable: bool,
    /// From when it is, if not yet.
    from: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    /// A subnet or security group.
    id: String,
    usable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    bucket: String,
    key: String,
    /// Base64.
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// In every state in which AWS works on a canary.
    delay: Option<SignedDuration>,
    quota: Option<usize>,
}

/// The answer, if the path is about Synthetics.
pub(super) fn answer(
    inner: &mut Inner,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<Result<Value, String>> {
    Some(match (method, path) {
        ("POST", "canary-runs") => at(inner, body, plan_runs),
        ("POST", "canary-update-fails") => at(inner, body, fail_update),
        ("POST", "role") => at(inner, body, set_role),
        ("POST", "network") => at(inner, body, set_network),
        ("POST", "object") => at(inner, body, put_object),
        ("POST", "runtime") => at(inner, body, |region, runtime: Runtime| {
            region.set_runtime(runtime);
            Ok(Value::Null)
        }),
        ("POST", "canary-settings") => at(inner, body, set),
        ("GET", "provisioned") => Ok(provisioned(inner)),
        _ => return None,
    })
}

/// Does what a body says in the account and Region that it names.
fn at<T: DeserializeOwned>(
    inner: &mut Inner,
    body: &[u8],
    act: impl FnOnce(&mut Region, T) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut members: Map<String, Value> = parse(body)?;
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!("{name} must be a text")),
    };
    let (account, region) = (text("account")?, text("region")?);
    let wanted = serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
    let now = inner.now();
    act(inner.world.truth(&account, &region, now), wanted)
}

fn plan_runs(region: &mut Region, it: Runs) -> Result<Value, String> {
    let plan = RunPlan { outcome: it.outcome, duration: it.duration, times: it.times };
    region.plan_runs(&it.canary, plan).map_err(|error| error.to_string())?;
    Ok(Value::Null)
}

fn fail_update(region: &mut Region, it: FailingUpdate) -> Result<Value, String> {
    let failed = region.fail_next_update(&it.canary, &it.reason, it.rolled_back);
    failed.map_err(|error| error.to_string())?;
    Ok(Value::Null)
}

fn set_role(region: &mut Region, it: Role) -> Result<Value, String> {
    let roles = &mut region.synthetics.surroundings.unassumable_roles;
    if it.assumable {
        roles.remove(&it.role);
    } else {
        roles.insert(it.role, it.from);
    }
    Ok(Value::Null)
}

fn set_network(region: &mut Region, it: Network) -> Result<Value, String> {
    let unusable = &mut region.synthetics.surroundings.unusable_networks;
    if it.usable {
        unusable.remove(&it.id);
    } else {
        unusable.insert(it.id);
    }
    Ok(Value::Null)
}

fn put_object(region: &mut Region, it: Object) -> Result<Value, String> {
    let content = BASE64.decode(it.content.as_bytes()).map_err(|error| error.to_string())?;
    Ok(json!({"version": region.synthetics.surroundings.put_object(&it.bucket, &it.key, content)}))
}

fn set(region: &mut Region, it: Settings) -> Result<Value, String> {
    let synthetics = &mut region.synthetics;
    synthetics.quota = it.quota.or(synthetics.quota);
    synthetics.delays = it.delay.map_or(synthetics.delays, Delays::all);
    Ok(Value::Null)
}

/// The functions, layers and log groups that there are, whether their canary is or not.
fn provisioned(inner: &mut Inner) -> Value {
    let now = inner.now();
    inner.world.tick(now);
    let regions = inner.world.regions().map(|region| {
        let surroundings = &region.synthetics.surroundings;
        json!({
            "account": region.account,
            "region": region.name,
            "functions": surroundings.functions,
            "layers": surroundings.layers,
            "logGroups": surroundings.log_groups.keys().collect::<Vec<_>>(),
        })
    });
    json!({"regions": regions.collect::<Vec<_>>()})
}

/// A canary with what AWS doesn't show.
pub(super) fn shown(canary: &Canary, region: &Region) -> Value {
    let mut shown = described(canary, region);
    let more = json!({
        "EnvironmentVariables": canary.config.run_config.environment_variables,
        "ScheduleBegan": canary.schedule_began,
        "Runs": canary.runs.len(),
        "PackageDefect": canary.defect,
        "S3Bucket": canary.config.code.s3_bucket,
        "S3Key": canary.config.code.s3_key,
        "S3Version": canary.config.code.s3_version,
    });
    if let (Value::Object(members), Value::Object(more)) = (&mut shown, more) {
        members.extend(more);
    }
    shown
}
