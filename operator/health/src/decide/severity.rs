//! The order of components at fault: the worst first.

use crate::verdict::{Cause, Class, ComponentFault, Evidence};

/// Loss at which a path is as good as down, and delay at which it is as bad as that.
const USELESS_LOSS: f64 = 0.1;
const USELESS_DELAY_US: f64 = 100_000.0;

/// Puts the worst first, as [`Verdict::components`] tells.
pub(crate) fn sort_worst_first(components: &mut [ComponentFault]) {
    let class = |fault: &ComponentFault| match fault.class {
        Class::Infrastructure => 0,
        Class::External => 1,
        Class::Workload => 2,
    };
    // By factors of two, so that two about as bad don't change places with every window.
    let harm =
        |fault: &ComponentFault| (severity(&fault.evidence, fault.cause).max(1e-6).log2().floor()) as i32;
    components.sort_by(|a, b| {
        (class(a), a.showing)
            .cmp(&(class(b), b.showing))
            .then_with(|| harm(b).cmp(&harm(a)))
            .then_with(|| b.confidence.total_cmp(&a.confidence))
            .then_with(|| a.component.cmp(&b.component))
    });
}

/// Severity from 0 to 1.
fn severity(evidence: &Evidence, cause: Cause) -> f64 {
    let failed = evidence.attempts_failed as f64 / evidence.attempts.max(1) as f64;
    let lost = (evidence.retransmission_ratio - evidence.baseline_ratio) / USELESS_LOSS;
    let late = evidence.added_us().unwrap_or(0) as f64 / USELESS_DELAY_US;
    let severity = match cause {
        Cause::PacketLoss => lost,
        Cause::Latency => late,
        Cause::Unreachable | Cause::Refused | Cause::Overload | Cause::ConnectionFailures => failed,
        Cause::ConntrackFull | Cause::AllowanceExceeded | Cause::Unknown => lost.max(late).max(failed),
    };
    severity.clamp(0.0, 1.0)
}
