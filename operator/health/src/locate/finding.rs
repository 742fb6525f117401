//! The conclusion of one window about one component, with the figures behind it.

use std::collections::BTreeSet;

use crate::evidence::delays::{Sample, Trips};
use crate::evidence::hypothesis::Directions;
use crate::input::cell::{Cell, Handshakes, Subject};
use crate::input::component::{Component, Direction};
use crate::learned::baseline::{Baselines, Expected};
use crate::learned::blips;
use crate::locate::suspect::Explanation;
use crate::verdict::{Cause, Class, Evidence};

/// Share of the connection requests over a path that goes unanswered when it carries nothing.
const NOTHING_PASSES: f64 = 0.5;
/// Share of a service's connection requests that has to be answered for it to be overloaded rather than cut off.
const STILL_ANSWERED: f64 = 0.1;
/// Share of unanswered requests that makes a lossy service an overloaded one.
const BACKLOG_FULL: f64 = 0.05;

/// Segments that have to arrive for open connections to be fine, and the most of them that may be sent again: a path that
/// drops that much lets neither pass.
const CARRIES_DATA: f64 = 20.0;
pub(crate) const MOSTLY_ARRIVES: f64 = 0.1;

/// The evidence that a component was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EvidenceKind {
    Refusal,
    Loss,
    Delay,
}

#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) component: Component,
    pub(crate) cause: Cause,
    pub(crate) score: f64,
    /// Share of segments that it loses itself, or the loss that is as rare as the delay that it adds; infinite where it
    /// is neither that is found.
    pub(crate) harm: f64,
    /// Log-odds for that much against what a common blip loses.
    pub(crate) surely_more: f64,
    pub(crate) evidence: Evidence,
    pub(crate) rival: Option<Component>,
    /// Cells that must not teach the baselines.
    pub(crate) cells: Vec<usize>,
}

/// The baselines and earlier findings that the cells are judged against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) cells: &'a [&'a Cell],
    pub(crate) expected: &'a [Expected],
    pub(crate) baselines: &'a Baselines,
    /// Loss that the whole cluster suffers.
    pub(crate) everywhere: f64,
    /// Cells that a workload or a remote at fault has to answer for.
    pub(crate) others: &'a [bool],
}

/// Share of segments lost from which no blip of some seconds that straddles two short windows can be it.
const SEVERE: f64 = 0.03;

impl Finding {
    /// True if the finding stands on the connection attempts of several windows.
    pub(crate) fn is_pooled(&self) -> bool {
        self.evidence.attempts_seconds.is_some()
    }

    /// True if short windows in a row may each count on their own: an outage, or a loss larger than any blip.
    pub(crate) fn is_severe(&self) -> bool {
        match self.cause {
            Cause::PacketLoss
            | Cause::ConnectionFailures
            | Cause::ConntrackFull
            | Cause::AllowanceExceeded => self.harm >= SEVERE,
            Cause::Unreachable | Cause::Refused => true,
            Cause::Latency | Cause::Overload | Cause::Unknown => false,
        }
    }

    pub(crate) fn of(found: &Explanation, by: EvidenceKind, context: &Context<'_>) -> Self {
        let sums = Sums::of(found, by, context);
        let cause = cause(found, by, &sums);
        let evidence = sums.evidence(by);
        let (harm, surely_more) = match cause {
            Cause::PacketLoss => (harm(found, context), found.score - found.common_score),
            Cause::ConnectionFailures => (sums.unanswered_of_affected(), f64::INFINITY),
            Cause::Latency => (delay_as_loss(&evidence), f64::INFINITY),
            _ => (f64::INFINITY, f64::INFINITY),
        };
        Self {
            component: found.component,
            cause,
            score: found.score,
            harm,
            surely_more,
            evidence,
            rival: found.rival,
            cells: found.cells.iter().map(|(cell, _)| *cell).collect(),
        }
    }
}

/// Share of connection requests that fail, above which no state of affairs is anybody's usual one.
const NEVER_USUAL: f64 = 0.05;

impl Finding {
    /// The size of a harm that may become the usual state of affairs, if it can. Retransmissions of a workload or a
    /// remote, and round-trip times, are judged by their own past alone, so a lasting change can become usual. A path's
    /// loss can't, since the same services' flows elsewhere still do better; nor can it become usual that nobody
    /// answers.
    pub(crate) fn level(&self) -> Option<f64> {
        let evidence = &self.evidence;
        let failed = evidence.attempts_failed as f64 > NEVER_USUAL * evidence.attempts as f64;
        match (self.cause, self.component.class()) {
            (Cause::Latency, _) => Some(evidence.rtt_min_us? as f64),
            (Cause::PacketLoss | Cause::Overload, Class::Workload | Class::External) if !failed => {
                Some(evidence.retransmission_ratio)
            }
            _ => None,
        }
    }
}

/// Of a path within a zone at fault: so many times worse than the zone it must be to be at fault on its own.
const WORSE_THAN_ZONE: f64 = 2.0;

impl Finding {
    /// True if this zone pair only shows the remainder of a whole zone's fault. Sizes of loss are tried in steps, so
    /// that a zone that loses 4% may be taken to lose 3%, and some of its paths to lose another 1%.
    pub(crate) fn is_part_of(&self, zone: &Self) -> bool {
        let inside = match (zone.component, self.component) {
            (Component::Zone(zone), Component::ZonePair(a, b)) => zone == a || zone == b,
            _ => false,
        };
        let size = |finding: &Self| match finding.cause {
            Cause::Latency => finding.evidence.added_us().unwrap_or(0) as f64,
            _ => finding.evidence.retransmission_ratio,
        };
        inside && self.cause == zone.cause && size(self) < WORSE_THAN_ZONE * size(zone)
    }
}

impl Context<'_> {
    fn is_others(&self, cell: usize) -> bool {
        self.others.get(cell).copied().unwrap_or(false)
    }
}

/// Delay that comes as rarely as a blip that loses [`blips::COMMON_LOSS`]: a queue fills for some seconds, a route flaps. More
/// delay is rarer, in the same measure as more loss is.
const COMMON_DELAY_US: f64 = 2_000.0;

fn delay_as_loss(evidence: &Evidence) -> f64 {
    blips::COMMON_LOSS * evidence.added_us().unwrap_or(0) as f64 / COMMON_DELAY_US
}

/// Share of segments lost at the component beyond the usual, on the flows for which no other component is at fault.
fn harm(found: &Explanation, context: &Context<'_>) -> f64 {
    let own = found.cells.iter().filter(|(cell, _)| !context.is_others(*cell));
    let (mut sent, mut lost) = (0.0, 0.0);
    for (number, _) in own {
        let (Some(cell), Some(expected)) = (context.cells.get(*number), context.expected.get(*number)) else {
            continue;
        };
        let segments = cell.data.segments as f64;
        sent += segments;
        lost += cell.data.retransmissions as f64 - segments * (expected.ratio + context.everywhere);
    }
    if sent > 0.0 { (lost / sent).max(0.0) } else { 0.0 }
}

/// True if it is a pod whose own connection requests go unanswered.
fn is_dialler(found: &Explanation) -> bool {
    matches!(found.component, Component::Pod(_))
        && found.column.is_handshake()
        && found.ways == Directions::One(Direction::First)
}

fn cause(found: &Explanation, by: EvidenceKind, sums: &Sums) -> Cause {
    match by {
        EvidenceKind::Refusal => Cause::Refused,
        EvidenceKind::Delay => Cause::Latency,
        EvidenceKind::Loss if found.component.class() == Class::Infrastructure => {
            let passes = sums.data_passes();
            if found.column.is_handshake() && passes {
                Cause::ConnectionFailures
            } else if sums.unanswered_of_affected() >= NOTHING_PASSES {
                if passes { Cause::ConnectionFailures } else { Cause::Unreachable }
            } else if found.column.is_handshake() {
                Cause::ConnectionFailures
            } else {
                Cause::PacketLoss
            }
        }
        EvidenceKind::Loss if is_dialler(found) => Cause::ConnectionFailures,
        EvidenceKind::Loss => {
            let decided = sums.handshakes.decided();
            let unanswered = sums.handshakes.unanswered as f64 / decided.max(1) as f64;
            let is_service = matches!(found.component, Component::Service(_));
            let is_workload = found.component.class() == Class::Workload;
            let is_busy = (is_workload && found.column.is_handshake())
                || (is_service
                    && (unanswered > BACKLOG_FULL || found.ways == Directions::One(Direction::First)));
            // Nobody was turned away: packets are lost, whoever drops them.
            let is_overload = is_busy && sums.handshakes.unanswered > 0;
            if decided > 0 && 1.0 - unanswered < STILL_ANSWERED {
                Cause::Unreachable
            } else if is_overload {
                Cause::Overload
            } else {
                Cause::PacketLoss
            }
        }
    }
}

#[derive(Debug, Default)]
struct Sums {
    segments: f64,
    retransmissions: f64,
    expected: f64,
    handshakes: Handshakes,
    affected: Handshakes,
    trips: Trips,
    flows: u64,
    flows_affected: u64,
    services_affected: BTreeSet<Option<Subject>>,
}

impl Sums {
    fn of(found: &Explanation, by: EvidenceKind, context: &Context<'_>) -> Self {
        let mut sums = Self::default();
        for (number, hurt) in &found.cells {
            let (Some(cell), Some(expected)) = (context.cells.get(*number), context.expected.get(*number))
            else {
                continue;
            };
            sums.add(cell, expected);
            let sample = Sample::of(cell, context.baselines);
            let is_slower = sample.is_some_and(|sample| sample.is_slower());
            let affected =
                *hurt && if by == EvidenceKind::Delay { is_slower } else { shows(cell, expected, by) };
            // What is told of a delay is told of the flows that show it.
            if let Some(sample) = sample.filter(|_| affected || by != EvidenceKind::Delay) {
                sums.trips.add(&sample);
            }
            if affected {
                sums.flows_affected += 1;
                // That a service on it is cut off doesn't cut off a node.
                let is_others =
                    found.component.class() == Class::Infrastructure && context.is_others(*number);
                if !is_others {
                    sums.affected.add(cell.handshakes);
                }
                sums.services_affected.insert(cell.flow.subject.service());
            }
        }
        sums
    }

    fn add(&mut self, cell: &Cell, expected: &Expected) {
        self.flows += 1;
        self.segments += cell.data.segments as f64;
        self.retransmissions += cell.data.retransmissions as f64;
        self.expected += cell.data.segments as f64 * expected.ratio;
        self.handshakes.add(cell.handshakes);
    }

    /// True if open connections carry data as they should.
    fn data_passes(&self) -> bool {
        let arrived = self.segments - self.retransmissions;
        arrived >= CARRIES_DATA && self.retransmissions < MOSTLY_ARRIVES * self.segments
    }

    fn unanswered_of_affected(&self) -> f64 {
        self.affected.unanswered as f64 / self.affected.decided().max(1) as f64
    }

    fn evidence(&self, by: EvidenceKind) -> Evidence {
        let mut evidence = Evidence {
            retransmission_ratio: ratio(self.retransmissions, self.segments),
            baseline_ratio: ratio(self.expected, self.segments),
            flows: self.flows,
            flows_affected: self.flows_affected,
            services_affected: self.services_affected.len() as u64,
            attempts: self.handshakes.decided(),
            attempts_failed: match by {
                EvidenceKind::Refusal => self.handshakes.refused,
                EvidenceKind::Loss | EvidenceKind::Delay => self.handshakes.unanswered,
            },
            ..Evidence::default()
        };
        self.trips.tell(&mut evidence);
        evidence
    }
}

/// True if the flow itself did worse than usual.
pub(crate) fn shows(cell: &Cell, expected: &Expected, by: EvidenceKind) -> bool {
    let lost = cell.data.retransmissions as f64 > 2.0 * cell.data.segments as f64 * expected.ratio;
    match by {
        EvidenceKind::Refusal => cell.handshakes.refused > 0,
        EvidenceKind::Loss => (cell.data.retransmissions > 0 && lost) || cell.handshakes.unanswered > 0,
        // Told by its round trips alone.
        EvidenceKind::Delay => false,
    }
}

/// To millionths, so that a figure in a status doesn't change for nothing.
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    if whole <= 0.0 { 0.0 } else { (part / whole * 1e6).round() / 1e6 }
}
