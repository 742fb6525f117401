//! The services and pods that a component at fault would have hurt. A path is blamed only if it hurts services and pods
//! that have nothing but the path in common; otherwise the thing that they have in common is to blame. So a busy
//! service isn't mistaken for its node.

use std::collections::HashMap;

use crate::evidence::hypothesis::Column;
use crate::input::cell::{Cell, Subject};
use crate::input::names::Id;

/// Services that an infrastructure fault must hurt, where that many pass.
const SERVICES: usize = 3;
/// Log-odds that a service's flows must reach for the service to count as hurt: twice as likely with the fault as
/// without it.
pub(crate) const HURT: f64 = 0.7;
/// Log-odds that must be left of the support once the service that gives most of it is left out, and likewise the
/// endpoint.
const WITHOUT_BEST: f64 = 3.0;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Breadth {
    services_powered: usize,
    services_hurt: usize,
    without_best_service: f64,
    without_best_endpoint: f64,
}

impl Breadth {
    pub(crate) fn of<'a>(
        // Each with its support, and its power to show the harm.
        cells: impl Iterator<Item = (&'a Cell, f64, f64)>,
    ) -> Self {
        let mut services: HashMap<Option<Subject>, (f64, f64)> = HashMap::new();
        let mut endpoints: HashMap<Id, f64> = HashMap::new();
        let mut total = 0.0;
        for (cell, value, power) in cells {
            total += value;
            let (sum, could) = services.entry(cell.flow.subject.service()).or_default();
            *sum += value;
            *could += power;
            for endpoint in [cell.flow.local, cell.flow.remote] {
                *endpoints.entry(endpoint).or_default() += value;
            }
        }
        let hurt = |(sum, _): &&(f64, f64)| *sum >= HURT;
        let best_service = services.values().map(|(sum, _)| *sum).fold(0.0, f64::max);
        let best_endpoint = endpoints.values().copied().fold(0.0, f64::max);
        Self {
            services_powered: services.values().filter(|(sum, could)| *could >= 1.0 || *sum >= HURT).count(),
            services_hurt: services.values().filter(hurt).count(),
            without_best_service: total - best_service,
            without_best_endpoint: total - best_endpoint,
        }
    }

    /// True if at least one service is hurt, which is enough where the component itself reports that it does harm.
    pub(crate) fn hurts_a_service(&self) -> bool {
        self.services_hurt > 0
    }

    /// True if an infrastructure component may be blamed.
    pub(crate) fn is_of_infrastructure(&self, column: Column) -> bool {
        let least_share = if column.is_partial() { 0.3 } else { 0.5 };
        let shared = self.services_hurt >= SERVICES.min(self.services_powered)
            && self.services_hurt >= 1
            && self.services_hurt as f64 >= least_share * self.services_powered as f64;
        let service = self.services_powered < 2 || self.without_best_service >= WITHOUT_BEST;
        shared && service && self.without_best_endpoint >= WITHOUT_BEST
    }
}
