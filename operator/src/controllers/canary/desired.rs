//! What should be done for a canary. Pure.

use std::sync::Arc;

use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::Provider;
use tidewatch_prober::{Plan, Secrets};

use super::policy::Policy;
use crate::embedded::{Job, Schedule};

/// Why a canary can't be run, as its condition Ready says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub reason: &'static str,
    pub message: String,
    /// Whether something else than the spec can help.
    pub may_pass: bool,
}

impl Problem {
    pub(super) fn of_spec(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), may_pass: false }
    }

    pub(super) fn of_surroundings(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), may_pass: true }
    }
}

/// Who runs it.
pub(super) fn provider(spec: &CanarySpec, policy: &Policy) -> Provider {
    spec.provider.unwrap_or(policy.default_provider)
}

/// What the prober does for `spec`; none while it is suspended. `seed` tells it from other canaries.
pub(super) fn job(
    spec: &CanarySpec,
    policy: &Policy,
    seed: &str,
    secrets: &Secrets,
) -> Result<Option<Job>, Problem> {
    if provider(spec, policy) == Provider::Aws {
        return Err(Problem::of_spec(
            "NotSupported",
            "this version doesn't make canaries in AWS yet: write provider: Embedded to run the checks from within the cluster",
        ));
    }
    if spec.checks.is_none() {
        return Err(Problem::of_spec(
            "NotSupported",
            "pages in a browser and scripts run in AWS only, and this canary is run from within the cluster: write checks",
        ));
    }
    let schedule = Schedule::new(&spec.schedule, seed)
        .map_err(|error| Problem::of_spec("InvalidSpec", error.to_string()))?;
    let plan =
        Plan::new(spec, secrets).map_err(|error| Problem::of_spec("InvalidSpec", error.to_string()))?;
    Ok((!spec.suspend).then(|| Job { plan: Arc::new(plan), schedule }))
}
