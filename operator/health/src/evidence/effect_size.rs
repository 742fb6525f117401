//! Effects that matter: below them nothing is said, however sure it is. `docs/health.md` lists them.

use crate::verdict::Class;

/// The least delay that is spoken of, on the quickest round trips of most flows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LeastDelay {
    pub(crate) added_us: f64,
    /// Times what was usual.
    pub(crate) factor: f64,
}

/// Of a node, zone or zone pair. A busy machine moves medians by more, but not the quickest trips.
const OF_A_PATH: LeastDelay = LeastDelay { added_us: 800.0, factor: 1.4 };
/// Of a service or pod: acknowledgements come from the kernel, which doesn't wait for a slow process. What moves the
/// quickest of them by as much as this is a full queue at the pod's interface, or a limit on it.
const OF_A_WORKLOAD: LeastDelay = LeastDelay { added_us: 5_000.0, factor: 3.0 };
/// Of a remote outside the cluster, on ways that are long and change.
const OF_THE_OUTSIDE: LeastDelay = LeastDelay { added_us: 5_000.0, factor: 1.5 };

pub(crate) fn least_delay(class: Class) -> LeastDelay {
    match class {
        Class::Infrastructure => OF_A_PATH,
        Class::Workload => OF_A_WORKLOAD,
        Class::External => OF_THE_OUTSIDE,
    }
}
