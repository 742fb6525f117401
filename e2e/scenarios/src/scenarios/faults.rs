//! One fault at a time: the right verdict soon after its onset, Healthy soon after its end, and never the network's
//! fault where it isn't.

use std::time::{Duration, Instant};

use anyhow::Context;
use tidewatch_crds::network_monitor::{ComponentKind, FaultCause};
use tidewatch_lab::Fault;

use super::Scenario;
use crate::bed::{Bed, SHOP};
use crate::expect::{Expected, FalseVerdict, blames_the_network, verdict_of};
use crate::report::seconds;
use crate::wait::{Look, wait_for};

pub const ONSET_LIMIT: Duration = Duration::from_secs(90);
/// For half a percent between zones: of what one flow sends in a window hardly a packet is lost.
pub const MILD_ONSET_LIMIT: Duration = Duration::from_secs(180);
/// A fault that comes back at the same component within ten minutes must be gone for longer each time before that is told.
pub const HEAL_LIMIT: Duration = Duration::from_secs(240);

/// Faults of which another strength or direction is tried anyway: run with `SCENARIOS=all`.
pub const ANOTHER_OF_A_KIND: [&str; 4] =
    ["zone-pair-loss-2", "one-way-loss", "node-loss", "zone-pair-loss-half-a-percent"];

pub const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "zone-pair-loss-2",
        proves: "2% loss between two zones is the infrastructure's fault, and that zone pair's",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-2");
            Trial::of(Fault::zone_link("zone-1", "zone-2", 0.02), expected).run(bed)
        },
    },
    Scenario {
        name: "zone-pair-loss-5",
        proves: "5% loss between two zones likewise, and what is counted is what the kernel counts",
        run: super::healthy::zone_pair_loss_with_counters,
    },
    Scenario {
        name: "one-way-loss",
        proves: "loss in one direction between two zones is that zone pair's",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-3");
            Trial::of(Fault::zone_link_one_way("zone-3", "zone-1", 0.05), expected).run(bed)
        },
    },
    Scenario {
        name: "node-loss",
        proves: "5% loss at a node is the infrastructure's fault, and that node's",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::Node, "zone-2-b");
            Trial::of(Fault::node("zone-2-b", 0.05), expected).run(bed)
        },
    },
    Scenario {
        name: "zone-pair-loss-half-a-percent",
        proves: "0.5% loss between two zones is found too, if later",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-2~zone-3");
            Trial::of(Fault::zone_link("zone-2", "zone-3", 0.005), expected).mild().run(bed)
        },
    },
    Scenario {
        name: "node-loss-1",
        proves: "1% loss at a node likewise",
        run: |bed| {
            let expected = Expected::infrastructure(ComponentKind::Node, "zone-3-a");
            Trial::of(Fault::node("zone-3-a", 0.01), expected).mild().run(bed)
        },
    },
    Scenario {
        name: "two-faults",
        proves: "loss between two zones and a service that refuses are told apart, and both are named",
        run: |bed| {
            let pair = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-2");
            let both = pair.clone().and(Expected::workload("shop/orders", &[FaultCause::Refused]));
            Trial::of(Fault::zone_link("zone-1", "zone-2", 0.03), pair)
                .and(Fault::refuse(SHOP, "orders"), both)
                .run(bed)
        },
    },
    Scenario {
        name: "port-blocked",
        proves: "a blocked port is the workload's own doing, the policy that came with it is named, and a canary says that connecting times out",
        run: super::blocked::run,
    },
    Scenario {
        name: "connection-refused",
        proves: "a service that refuses connections is the workload's own doing",
        run: |bed| {
            let expected = Expected::workload("shop/orders", &[FaultCause::Refused]);
            Trial::of(Fault::refuse(SHOP, "orders"), expected).run(bed)
        },
    },
    Scenario {
        name: "overloaded-service",
        proves: "a service that accepts no more is overloaded, which is the workload's own doing",
        run: |bed| {
            let expected = Expected::workload("shop/shipping", &[FaultCause::Overload]);
            Trial::of(Fault::overload(SHOP, "shipping"), expected).run(bed)
        },
    },
    Scenario {
        name: "lossy-remote",
        proves: "loss towards a remote service is neither the cluster network's nor the workload's fault",
        run: |bed| {
            let expected = Expected::external("dynamodb");
            Trial::of(Fault::remote("dynamodb", 0.05), expected).run(bed)
        },
    },
];

/// Faults that begin together, and the verdict on them.
#[derive(Debug)]
pub struct Trial {
    faults: Vec<Fault>,
    expected: Expected,
    /// The verdict is to be there within.
    onset: Duration,
}

impl Trial {
    pub fn of(fault: Fault, expected: Expected) -> Self {
        Self { faults: vec![fault], expected, onset: ONSET_LIMIT }
    }

    /// With another fault at the same time; `both` is the verdict then.
    #[must_use]
    pub fn and(mut self, fault: Fault, both: Expected) -> Self {
        self.faults.push(fault);
        Self { expected: both, ..self }
    }

    /// The same with a longer limit, since a fault that loses little is detected later.
    #[must_use]
    pub fn mild(self) -> Self {
        Self { onset: MILD_ONSET_LIMIT, ..self }
    }

    /// Begins the faults, waits for the verdict, ends them, waits for Healthy.
    pub fn run(&self, bed: &Bed) -> anyhow::Result<()> {
        self.run_while(bed, |_| Ok(()))
    }

    /// As [`Trial::run`]; `meanwhile` runs once the verdict is there, with the faults still on.
    pub fn run_while(
        &self,
        bed: &Bed,
        meanwhile: impl FnOnce(&Bed) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let found = self.begin(bed).and_then(|()| {
            let took = watch(bed, &self.expected, &self.expected, self.onset).context("after the onset")?;
            bed.report.right(&self.expected.to_string(), took);
            meanwhile(bed)
        });
        bed.lab_ref()?.heal_all()?;
        found?;
        let healed =
            watch(bed, &Expected::healthy(), &self.expected, HEAL_LIMIT).context("after the healing")?;
        bed.report.right("healed: Healthy", healed);
        Ok(())
    }

    fn begin(&self, bed: &Bed) -> anyhow::Result<()> {
        for fault in &self.faults {
            bed.lab_ref()?.fault(fault.clone())?;
            bed.report.note(&format!("fault: {fault}"));
        }
        Ok(())
    }
}

/// Waits until the shop's monitor says `awaited`; no other fault than that of `allowed` may be the network's.
fn watch(bed: &Bed, awaited: &Expected, allowed: &Expected, limit: Duration) -> anyhow::Result<Duration> {
    let may_be_the_network = *allowed != Expected::healthy()
        && allowed.indicator == tidewatch_crds::network_monitor::NetworkHealthIndicator::Degraded;
    let mut blamed = None;
    let mut last = String::new();
    let begun = Instant::now();
    let outcome = wait_for(limit, format!("monitor {SHOP} says {awaited}"), || {
        let status = match bed.cluster.status(SHOP, SHOP) {
            Ok(status) => status,
            Err(error) => return Look::NotYet(format!("{error:#}")),
        };
        let verdict = verdict_of(&status);
        if !may_be_the_network && blames_the_network(&status) {
            blamed = Some(verdict.clone());
        }
        if verdict != last {
            bed.report.note(&verdict);
            last.clone_from(&verdict);
        }
        if awaited.is_met_by(&status) { Look::Done(()) } else { Look::NotYet(verdict) }
    });
    if let Some(verdict) = blamed {
        let took = seconds(begun.elapsed());
        return Err(FalseVerdict(format!(
            "the network was blamed for what isn't its fault: {verdict} (after {took})"
        ))
        .into());
    }
    let ((), took) = outcome?;
    Ok(took)
}
