//! GetCanaryRuns and DescribeCanariesLastRun.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{not_found, page_key};
use crate::error::ApiError;
use crate::operations::limit;
use crate::state::synthetics::{Canary, Run};
use crate::state::{Region, page};

const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetCanaryRuns {
    name: String,
    next_token: Option<String>,
    max_results: Option<i64>,
    dry_run_id: Option<String>,
    run_type: Option<String>,
}

/// The latest first.
pub(super) fn get_canary_runs(region: &mut Region, input: GetCanaryRuns) -> Result<Value, ApiError> {
    let canary = region.synthetics.canaries.get(&input.name).ok_or_else(|| not_found(&input.name))?;
    let dry = input.dry_run_id.is_some() || input.run_type.as_deref() == Some("DRY_RUN");
    let wanted = |run: &&Run| {
        run.dry_run_id.is_some() == dry
            && input.dry_run_id.as_ref().is_none_or(|id| run.dry_run_id.as_ref() == Some(id))
    };
    let latest_first = |run: &Run| {
        format!("{:020}{}", i64::MAX - run.started.as_millisecond(), run.retry.map_or(9, |retry| 9 - retry))
    };
    let mut runs: Vec<_> = canary.runs.iter().filter(wanted).map(|run| (latest_first(run), run)).collect();
    runs.sort_by(|(one, _), (other, _)| one.cmp(other));
    let (runs, next) = page(runs, input.next_token.as_deref(), limit(input.max_results, MOST))?;
    let shown: Vec<Value> = runs.into_iter().map(|run| described(canary, run)).collect();
    Ok(json!({"CanaryRuns": shown, "NextToken": next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeCanariesLastRun {
    next_token: Option<String>,
    max_results: Option<i64>,
    #[serde(default)]
    names: Vec<String>,
}

/// A canary that never ran is left out.
pub(super) fn describe_canaries_last_run(
    region: &mut Region,
    input: DescribeCanariesLastRun,
) -> Result<Value, ApiError> {
    let canaries = region.synthetics.canaries.values();
    let wanted = canaries.filter(|canary| input.names.is_empty() || input.names.contains(&canary.name));
    let keyed = wanted.filter_map(|canary| Some((page_key(&canary.name), (canary, canary.last_run()?))));
    let (found, next) = page(keyed, input.next_token.as_deref(), limit(input.max_results, MOST))?;
    let shown: Vec<Value> = found
        .into_iter()
        .map(|(canary, run)| json!({"CanaryName": canary.name, "LastRun": described(canary, run)}))
        .collect();
    Ok(json!({"CanariesLastRun": shown, "NextToken": next}))
}

fn described(canary: &Canary, run: &Run) -> Value {
    let location = canary.config.artifact_s3_location.trim_start_matches("s3://");
    json!({
        "Id": run.id,
        "ScheduledRunId": run.scheduled_id,
        "RetryAttempt": run.retry,
        "Name": canary.name,
        "Status": {
            "State": run.state,
            "StateReason": run.reason,
            "StateReasonCode": run.reason_code,
            "TestResult": run.test_result(),
        },
        "Timeline": {
            "Started": run.started,
            "Completed": run.completed,
            "MetricTimestampForRunAndRetries": run.scheduled,
        },
        "ArtifactS3Location": format!("{location}/{}/{}", canary.name, run.id),
        "DryRunConfig": run.dry_run_id.as_ref().map(|id| json!({"DryRunId": id})),
    })
}
