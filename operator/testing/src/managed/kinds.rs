//! The kinds in AWS, as the cluster in memory must know them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tidewatch_crds::anomaly_alarm::FINALIZER;
use tidewatch_crds::canary::CANARY_FINALIZER;
use tidewatch_crds::{AnomalyAlarm, AnomalyAlarmStatus, Canary, CanaryStatus};

use super::Kind;

impl Kind for AnomalyAlarm {
    const FINALIZER: &'static str = FINALIZER;

    fn conditions(status: &AnomalyAlarmStatus) -> &[Condition] {
        &status.conditions
    }

    fn respecify(&mut self, applied: Self) {
        self.spec = applied.spec;
    }
}

impl Kind for Canary {
    const FINALIZER: &'static str = CANARY_FINALIZER;

    fn conditions(status: &CanaryStatus) -> &[Condition] {
        &status.conditions
    }

    fn respecify(&mut self, applied: Self) {
        self.spec = applied.spec;
    }
}
