//! A component at fault, and what a monitor's flows saw of it.

use std::collections::BTreeSet;

use tidewatch_records::{FlowWindow, Role};

use crate::decide::recent_traffic::RecentTraffic;
use crate::evidence::delays::quantile;
use crate::input::record::{FlowKey, decided, key, quickest_of, refused, unanswered};
use crate::input::reduce::data_alone;
use crate::locate::finding::ratio;
use crate::verdict::{Cause, ComponentFault, ComponentId, Evidence, Showing, Verdict};

/// Of the time that the component adds, what a flow must take for it to be one that shows it.
const SHOWS_DELAY: f64 = 0.75;

/// The part that a monitor's flows have in a component's fault.
#[derive(Debug)]
pub(crate) struct MonitorShare<'a> {
    fault: &'a ComponentFault,
    flows: BTreeSet<FlowKey>,
    affected: BTreeSet<FlowKey>,
    services: BTreeSet<Option<&'a str>>,
    segments: u64,
    retransmissions: u64,
    attempts: u64,
    refused: u64,
    unanswered: u64,
    medians_us: Vec<f64>,
    quickest_us: Vec<f64>,
}

impl<'a> MonitorShare<'a> {
    pub(crate) fn new(fault: &'a ComponentFault) -> Self {
        Self {
            fault,
            flows: BTreeSet::new(),
            affected: BTreeSet::new(),
            services: BTreeSet::new(),
            segments: 0,
            retransmissions: 0,
            attempts: 0,
            refused: 0,
            unanswered: 0,
            medians_us: Vec::new(),
            quickest_us: Vec::new(),
        }
    }

    pub(crate) fn component(&self) -> &'a ComponentId {
        &self.fault.component
    }

    pub(crate) fn add(&mut self, flow: &'a FlowWindow) {
        self.flows.insert(key(flow));
        let data = data_alone(flow);
        self.segments = self.segments.saturating_add(data.segments);
        self.retransmissions = self.retransmissions.saturating_add(data.retransmissions);
        self.attempts = self.attempts.saturating_add(decided(flow));
        self.refused = self.refused.saturating_add(refused(flow));
        self.unanswered = self.unanswered.saturating_add(unanswered(flow));
        let affected = self.is_affected(flow);
        if affected {
            self.affected.insert(key(flow));
            let server = if flow.role == Role::Client { &flow.remote } else { &flow.local };
            // What is no Service's counts as one.
            self.services.insert(server.service.as_deref());
        }
        let measured = flow.rtt_us.as_ref().filter(|rtt| rtt.count > 0);
        // What is told of a delay is told of the flows that show it.
        if let Some(rtt) = measured.filter(|_| affected || self.fault.cause != Cause::Latency) {
            self.medians_us.push(rtt.p50 as f64);
            self.quickest_us.push(quickest_of(rtt) as f64);
        }
    }

    fn added_us(&self) -> (u64, u64) {
        let evidence = &self.fault.evidence;
        let median = evidence.rtt_p50_us.zip(evidence.baseline_rtt_p50_us);
        (evidence.added_us().unwrap_or(0), median.map_or(0, |(now, usual)| now.saturating_sub(usual)))
    }

    fn is_affected(&self, flow: &FlowWindow) -> bool {
        let data = data_alone(flow);
        let loses =
            data.retransmissions as f64 > 2.0 * data.segments as f64 * self.fault.evidence.baseline_ratio;
        let (added_us, _) = self.added_us();
        let is_late = |flow: &FlowWindow| {
            let rtt = flow.rtt_us.as_ref().filter(|rtt| rtt.count > 0);
            rtt.is_some_and(|rtt| quickest_of(rtt) as f64 > SHOWS_DELAY * added_us as f64)
        };
        match self.fault.cause {
            Cause::PacketLoss => loses || unanswered(flow) > 0,
            Cause::Latency => is_late(flow),
            Cause::Refused => refused(flow) > 0,
            Cause::Unreachable | Cause::Overload | Cause::ConnectionFailures => unanswered(flow) > 0,
            Cause::ConntrackFull | Cause::AllowanceExceeded | Cause::Unknown => loses || unanswered(flow) > 0,
        }
    }

    /// The fault as the monitor's flows show it; as the cluster's do where they don't. None where none crosses it.
    pub(crate) fn into_fault(self, cluster: &Verdict, recent: &mut RecentTraffic) -> Option<ComponentFault> {
        if self.fault.evidence.attempts_seconds.is_some() {
            return self.into_fault_of_minutes(cluster, recent);
        }
        if self.flows.is_empty() {
            return None;
        }
        let own = self.evidence();
        let is_now = self.fault.showing == Showing::Now;
        Some(if is_now && own.is_worse(self.fault.cause) {
            ComponentFault { evidence: own, ..self.fault.clone() }
        } else {
            let showing = if is_now { Showing::Elsewhere } else { self.fault.showing };
            ComponentFault { showing, ..self.fault.clone() }
        })
    }

    /// A fault that stands on the attempts of several minutes, which is told while nobody tries as well. Its evidence is
    /// that of all who tried: not one of them was let in.
    fn into_fault_of_minutes(self, cluster: &Verdict, recent: &mut RecentTraffic) -> Option<ComponentFault> {
        let (start, seconds) = (cluster.window_start, cluster.window_seconds);
        let tries_now = self.refused > 0 || self.unanswered > 0;
        let tried = recent.has_tried(self.component(), tries_now, start, seconds);
        if !tried && self.flows.is_empty() {
            return None;
        }
        let is_elsewhere = !tried && self.fault.showing == Showing::Now;
        let showing = if is_elsewhere { Showing::Elsewhere } else { self.fault.showing };
        Some(ComponentFault { showing, ..self.fault.clone() })
    }

    fn evidence(&self) -> Evidence {
        let of_cluster = &self.fault.evidence;
        let middle = |us: &[f64]| (!us.is_empty()).then(|| quantile(us.to_vec(), 0.5).round() as u64);
        let (median, quickest) = (middle(&self.medians_us), middle(&self.quickest_us));
        let (added_quickest, added_median) = self.added_us();
        // A path adds the same time to all that crosses it, whatever its flows are used to; where it adds none, what these
        // flows are used to is what they show.
        let usual = |now: Option<u64>, added: u64| now.map(|now| now.saturating_sub(added).max(1));
        Evidence {
            retransmission_ratio: ratio(self.retransmissions as f64, self.segments as f64),
            baseline_ratio: of_cluster.baseline_ratio,
            rtt_p50_us: median,
            baseline_rtt_p50_us: usual(median, added_median),
            rtt_min_us: quickest,
            baseline_rtt_min_us: usual(quickest, added_quickest),
            flows: self.flows.len() as u64,
            flows_affected: self.affected.len() as u64,
            services_affected: self.services.len() as u64,
            attempts: self.attempts,
            attempts_failed: if self.fault.cause == Cause::Refused { self.refused } else { self.unanswered },
            attempts_seconds: None,
            untested_path: false,
            limit: of_cluster.limit,
        }
    }
}
