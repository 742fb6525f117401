//! Calls to AWS, counted.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::error::ErrorKind;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    outcome: &'static str,
}

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct CallMetrics {
    calls: Family<Call, Counter>,
}

impl CallMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("aws");
        registry.register("calls", "Calls to AWS, by operation and outcome", self.calls.clone());
    }

    pub(super) fn count(&self, operation: &'static str, failed: Option<ErrorKind>) {
        let outcome = match failed {
            None => "ok",
            Some(ErrorKind::Terminal) => "invalid",
            Some(ErrorKind::InUse) => "in_use",
            Some(ErrorKind::Retry) => "failed",
            Some(ErrorKind::Throttled) => "throttled",
            Some(ErrorKind::Denied) => "denied",
            Some(ErrorKind::NotFound) => "not_found",
            Some(ErrorKind::Conflict) => "conflict",
            Some(ErrorKind::Quota) => "quota",
            Some(ErrorKind::Credentials) => "credentials",
        };
        self.calls.get_or_create(&Call { operation, outcome }).inc();
    }
}
