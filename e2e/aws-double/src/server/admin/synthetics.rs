//! What canaries find around them, and what becomes of their runs.

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Inner, parse};
use crate::operations::synthetics::describe::described;
use crate::state::Region;
use crate::state::synthetics::{Canary, Delays, Outcome, RunPlan, Runtime};

/// Where a request is about.
#[derive(Deserialize)]
struct Place {
    account: String,
    region: String,
}

impl Place {
    fn of<'i>(&self, inner: &'i mut Inner) -> &'i mut Region {
        let now = inner.now();
        inner.world.truth(&self.account, &self.region, now)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Runs {
    #[serde(flatten)]
    place: Place,
    canary: String,
    outcome: Outcome,
    duration: Option<SignedDuration>,
    times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailingUpdate {
    #[serde(flatten)]
    place: Place,
    canary: String,
    reason: String,
    #[serde(default = "yes")]
    rolled_back: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Role {
    #[serde(flatten)]
    place: Place,
    role: String,
    assumable: bool,
    /// From when it is, if not yet.
    from: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(flatten)]
    place: Place,
    /// A subnet or security group.
    id: String,
    usable: bool,
}

#[derive(Deserialize)]
struct Object {
    #[serde(flatten)]
    place: Place,
    bucket: String,
    key: String,
    /// Base64.
    content: String,
}

#[derive(Deserialize)]
struct RuntimeChange {
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    runtime: Runtime,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(flatten)]
    place: Place,
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
    let done = match (method, path) {
        ("POST", "canary-runs") => parse::<Runs>(body).and_then(|it| {
            let plan = RunPlan { outcome: it.outcome, duration: it.duration, times: it.times };
            it.place.of(inner).plan_runs(&it.canary, plan).map_err(|error| error.to_string())
        }),
        ("POST", "canary-update-fails") => parse::<FailingUpdate>(body).and_then(|it| {
            let failed = it.place.of(inner).fail_next_update(&it.canary, &it.reason, it.rolled_back);
            failed.map_err(|error| error.to_string())
        }),
        ("POST", "role") => parse::<Role>(body).map(|it| {
            let roles = &mut it.place.of(inner).synthetics.surroundings.unassumable_roles;
            if it.assumable && it.from.is_none() {
                roles.remove(&it.role);
            } else {
                roles.insert(it.role, it.from);
            }
        }),
        ("POST", "network") => parse::<Network>(body).map(|it| {
            let unusable = &mut it.place.of(inner).synthetics.surroundings.unusable_networks;
            if it.usable {
                unusable.remove(&it.id);
            } else {
                unusable.insert(it.id);
            }
        }),
        ("POST", "object") => return Some(parse::<Object>(body).and_then(|it| put_object(inner, &it))),
        ("POST", "runtime") => {
            parse::<RuntimeChange>(body).map(|it| it.place.of(inner).set_runtime(it.runtime))
        }
        ("POST", "canary-settings") => parse::<Settings>(body).map(|it| {
            let synthetics = &mut it.place.of(inner).synthetics;
            synthetics.quota = it.quota.or(synthetics.quota);
            synthetics.delays = it.delay.map_or(synthetics.delays, Delays::all);
        }),
        ("GET", "provisioned") => return Some(Ok(provisioned(inner))),
        _ => return None,
    };
    Some(done.map(|()| Value::Null))
}

fn put_object(inner: &mut Inner, object: &Object) -> Result<Value, String> {
    let content = BASE64.decode(object.content.as_bytes()).map_err(|error| error.to_string())?;
    let surroundings = &mut object.place.of(inner).synthetics.surroundings;
    Ok(json!({"version": surroundings.put_object(&object.bucket, &object.key, content)}))
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
