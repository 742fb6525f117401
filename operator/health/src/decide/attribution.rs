//! The health indicator and the attribution that follow from the components at fault.

use crate::verdict::{Attribution, Class, ComponentFault, HealthIndicator};

/// Degraded as soon as an infrastructure component is at fault; otherwise healthy only if enough passed to tell.
pub(crate) fn indicator(components: &[ComponentFault], enough: bool) -> HealthIndicator {
    if components.iter().any(|fault| fault.class == Class::Infrastructure) {
        HealthIndicator::Degraded
    } else if enough {
        HealthIndicator::Healthy
    } else {
        HealthIndicator::InsufficientData
    }
}

pub(crate) fn attribution(components: &[ComponentFault]) -> Attribution {
    if !components.is_empty() && components.iter().all(|fault| fault.evidence.untested_path) {
        return Attribution::Undetermined;
    }
    let has = |class| components.iter().any(|fault| fault.class == class);
    match (has(Class::Infrastructure), has(Class::Workload), has(Class::External)) {
        (false, false, false) => Attribution::None,
        (true, false, false) => Attribution::Infrastructure,
        (false, true, false) => Attribution::Workload,
        (false, false, true) => Attribution::External,
        _ => Attribution::Mixed,
    }
}
