//! StartCanaryDryRun: a change is tried once, beside the canary (performing-safe-canary-upgrades).

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{conflict, with_canary};
use crate::error::ApiError;
use crate::state::Region;
use crate::state::synthetics::{CanaryState, Change, DryRun};
use crate::validate;

/// From the call to its end; AWS makes a function for it first.
const TAKES: SignedDuration = SignedDuration::from_secs(30);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartCanaryDryRun {
    name: String,
    #[serde(flatten)]
    change: Change,
}

pub(super) fn start_canary_dry_run(region: &mut Region, input: StartCanaryDryRun) -> Result<Value, ApiError> {
    let id = region.uuid();
    with_canary(region, &input.name, |region, canary| {
        let settled =
            [CanaryState::Ready, CanaryState::Running, CanaryState::Stopped].contains(&canary.state());
        if !settled {
            return Err(conflict("Canary is not in a state in which a dry run can start"));
        }
        if canary.dry_run.as_ref().is_some_and(|dry_run| dry_run.status == "RUNNING") {
            return Err(conflict("A dry run of this canary is in progress"));
        }
        let config = input.change.applied_to(&canary.config);
        validate::canary::config(&config, region)?;
        validate::canary::dry_run(&config)?;
        let package = region.package_after(canary, &config).map_err(ApiError::validation)?;
        let ends = region.now.saturating_add(TAKES).unwrap_or(region.now);
        let started = region.now;
        canary.dry_run = Some(DryRun { id: id.clone(), config, package, status: "RUNNING", started, ends });
        Ok(json!({"DryRunConfig": {"DryRunId": id}}))
    })
}
