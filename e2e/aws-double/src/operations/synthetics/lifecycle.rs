//! StartCanary, StopCanary and DeleteCanary.

use serde::Deserialize;

use super::{conflict, with_canary};
use crate::error::ApiError;
use crate::state::Region;
use crate::state::synthetics::CanaryState;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    name: String,
}

pub(super) fn start_canary(region: &mut Region, input: Named) -> Result<(), ApiError> {
    with_canary(region, &input.name, |region, canary| match canary.state() {
        CanaryState::Ready | CanaryState::Stopped => {
            region.begin_start(canary);
            Ok(())
        }
        _ => Err(conflict("Canary is not in a startable state")),
    })
}

pub(super) fn stop_canary(region: &mut Region, input: Named) -> Result<(), ApiError> {
    with_canary(region, &input.name, |region, canary| match canary.state() {
        CanaryState::Running => {
            region.begin_stop(canary);
            Ok(())
        }
        _ => Err(conflict("Canary is not in a stoppable state")),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteCanary {
    name: String,
    #[serde(default)]
    delete_lambda: bool,
}

/// "Before you delete a canary, you must stop it", and remove its replicas (API_DeleteCanary).
pub(super) fn delete_canary(region: &mut Region, input: DeleteCanary) -> Result<(), ApiError> {
    with_canary(region, &input.name, |region, canary| match canary.state() {
        CanaryState::Ready | CanaryState::Stopped | CanaryState::Error if !canary.replicas.is_empty() => {
            Err(conflict("Canary has replicas, which must be removed first"))
        }
        CanaryState::Ready | CanaryState::Stopped | CanaryState::Error => {
            region.begin_deletion(canary, input.delete_lambda);
            Ok(())
        }
        _ => Err(conflict("Canary is not in a deletable state")),
    })
}
