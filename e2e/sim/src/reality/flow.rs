//! One flow in one window: its connections, its segments and its round trips, at both ends.

use tidewatch_records::{Connections, FlowWindow, Latency, Role};

use super::callers::{Caller, Manner, Odds, Tally};
use super::round_trip::RoundTrips;
use super::shortage::NodeState;
use super::sky::Conditions;
use crate::cluster::Peer;
use crate::fault::Effect;
use crate::mode::WINDOW_SECONDS;
use crate::random::Dice;
use crate::traffic::{FlowDraw, Sent};

/// A flow whose connections carry more than a window's traffic keeps them alive.
const KEEPS_ALIVE: f64 = 1.0;
/// Retransmissions of a connection that is cut without a word: in its first seconds, and then each minute.
const CUT_AT_ONCE: f64 = 4.0;
const CUT_A_MINUTE: f64 = 2.0;
/// Share of segments sent again too early that are answered by a DSACK (2,729 of 2,730 on real software), and of lost ones.
const FIRED_FOR_NOTHING: f64 = 0.99;
const LOST_FOR_NOTHING: f64 = 0.03;
/// Segments that a connection sends again for a machine that stands still for a second or two.
const STALL: f64 = 1.2;
/// Of those who dial a pod that is gone, the share that is refused; the others meet silence.
const GONE_REFUSED: f64 = 0.5;

/// A part of a window in which the fault is what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub from: f64,
    pub until: f64,
    pub intensity: f64,
}

/// A flow in one window.
#[derive(Debug)]
pub(crate) struct RealFlow<'a> {
    pub draw: FlowDraw<'a>,
    pub conditions: &'a Conditions,
    pub manner: Manner,
}

/// The counters of both ends.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    out: Sent,
    back: Sent,
    tally: Tally,
    reset: u64,
    /// Connections that were closed in order.
    closed: u64,
    server_established: u64,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.segments += other.segments;
        self.retransmissions += other.retransmissions;
        self.timeouts += other.timeouts;
        self.spurious += other.spurious;
        self.syn_again += other.syn_again;
    }

    /// Segments sent again on top, since a timer fired.
    fn again(&mut self, count: u64) {
        self.segments += count;
        self.retransmissions += count;
        self.timeouts += count;
    }

    /// The same, of segments that the other end had already.
    fn again_for_nothing(&mut self, count: u64) {
        self.again(count);
        self.spurious += count;
    }
}

impl RealFlow<'_> {
    fn keeps_alive(&self) -> bool {
        self.draw.flow.connects <= KEEPS_ALIVE
    }

    fn nodes(&self) -> impl Iterator<Item = &NodeState> {
        let ends = [self.draw.route.client_node, self.draw.route.server_node];
        let second = if ends[0] == ends[1] { None } else { ends[1] };
        [ends[0], second].into_iter().flatten().filter_map(|node| self.conditions.nodes.get(node))
    }

    /// Both ends' records of the window. Each of its parts has the fault's effect on this flow there.
    pub(crate) fn records(
        &self,
        parts: &[(Part, Effect)],
        caller: &mut Caller,
        dice: &mut Dice,
        records: &mut Vec<FlowWindow>,
    ) {
        let mut counted = Counted::default();
        let mut last = Effect::default();
        for (part, effect) in parts {
            self.part(*part, effect, caller, &mut counted, dice);
            last = *effect;
        }
        if let Some((part, _)) = parts.last() {
            caller.edge(part.until, &mut counted.tally);
        }
        if let Peer::Pod(_) = self.draw.flow.client {
            records.extend(self.client(&counted, &last, caller, dice));
        }
        let told = self.draw.shape.both_report || matches!(self.draw.flow.client, Peer::Remote(_));
        if let (Peer::Pod(_), true) = (self.draw.flow.server, told) {
            records.extend(self.server(&counted, &last, caller, dice));
        }
    }

    fn seconds(&self) -> f64 {
        f64::from(self.draw.moment.seconds)
    }

    fn part(&self, part: Part, effect: &Effect, caller: &mut Caller, counted: &mut Counted, dice: &mut Dice) {
        let share = (part.until - part.from) / f64::from(WINDOW_SECONDS);
        let load: f64 = self.nodes().filter_map(|node| node.shortage).map(|short| short.load).product();
        let draw = FlowDraw { effect: *effect, ..self.draw };
        let volume = draw.volume(dice) * load.clamp(0.3, 4.0);
        let benign = draw.benign_ratio();
        self.cut(part, effect, caller, counted, dice);
        let before = counted.tally;
        let fresh = dice.poisson(self.draw.flow.connects * volume.min(4.0) * share).min(2_000);
        let fresh = self.without_slots(fresh, caller);
        let odds = self.odds(effect);
        caller.dial(fresh, (part.from, part.until), odds, self.manner, &mut counted.tally, dice);
        let established = counted.tally.established - before.established;
        let attempted = counted.tally.attempted - before.attempted;
        counted.server_established += established;
        counted.closed += if self.keeps_alive() { dice.binomial(established, 0.5) } else { established };
        let carried = self.carried(established, attempted, caller) * volume * share;
        if carried > 0.0 {
            let (out_loss, back_loss) = effect.loss;
            counted.out.add(self.sent(
                self.draw.flow.segments.0 * carried,
                benign,
                (out_loss, back_loss),
                dice,
            ));
            counted.back.add(self.sent(
                self.draw.flow.segments.1 * carried,
                benign,
                (back_loss, out_loss),
                dice,
            ));
        }
        self.stalls(part, counted, dice);
    }

    /// A client that waits for a connection doesn't open another for the same purpose.
    fn without_slots(&self, fresh: u64, caller: &Caller) -> u64 {
        let slots = (4 * self.draw.flow.open + 4).saturating_sub(caller.open());
        fresh.min(slots.max(if caller.is_idle() { fresh } else { 0 }))
    }

    /// The connections that are open when the fault begins die with it, where it cuts them.
    fn cut(&self, part: Part, effect: &Effect, caller: &mut Caller, counted: &mut Counted, dice: &mut Dice) {
        let seconds = part.until - part.from;
        if !effect.cuts_open {
            return;
        }
        let standing = self.draw.flow.open.saturating_sub(caller.broken);
        if standing > 0 {
            let notices = if effect.refused { 2.0 } else { 12.0 };
            caller.cut(standing, part.from, notices, dice);
            if effect.refused {
                counted.reset += dice.binomial(standing, 0.6);
            } else {
                counted.out.again(dice.poisson(CUT_AT_ONCE * standing as f64));
                counted.back.again(dice.poisson(0.3 * CUT_AT_ONCE * standing as f64));
            }
        } else if !effect.refused {
            counted.out.again(dice.poisson(CUT_A_MINUTE * seconds / 60.0 * self.draw.flow.open as f64));
        }
    }

    fn odds(&self, effect: &Effect) -> Odds {
        let through = (1.0 - effect.loss.0) * (1.0 - effect.loss.1) * (1.0 - effect.syn_loss);
        let late: f64 = self.nodes().map(|node| self.late(node)).sum();
        let mut odds = Odds {
            refused: if effect.refused { 1.0 } else { 0.0 },
            unanswered: if effect.blocked { 1.0 } else { effect.unanswered },
            loss: 1.0 - through,
            late,
        };
        if let Peer::Pod(pod) = self.draw.flow.server {
            let gone = self.conditions.gone.get(&pod).copied().unwrap_or(0.0);
            let leaving = self.conditions.weather.leaving.contains(&pod);
            let gone = if gone > 0.0 {
                gone
            } else if leaving {
                0.1
            } else {
                0.0
            };
            odds.refused = odds.refused.max(GONE_REFUSED * gone);
            odds.unanswered = odds.unanswered.max((1.0 - GONE_REFUSED) * gone);
            if self.conditions.weather.arriving.contains(&pod) {
                // Endpoints know the new pod a moment before it listens.
                odds.refused = odds.refused.max(0.05);
            }
        }
        odds
    }

    fn late(&self, node: &NodeState) -> f64 {
        let stalled = if node.stalled_s >= 1.0 { node.stalled_s / self.seconds() } else { 0.0 };
        node.shortage.map_or(0.0, |short| short.late) + stalled
    }

    /// The part of the usual traffic that there are connections for.
    fn carried(&self, established: u64, attempted: u64, caller: &Caller) -> f64 {
        if self.keeps_alive() {
            let open = self.draw.flow.open.max(1) as f64;
            return 1.0 - (caller.broken as f64 / open).min(1.0);
        }
        if attempted == 0 { 1.0 } else { established as f64 / attempted as f64 }
    }

    fn sent(&self, mean: f64, benign: f64, loss: (f64, f64), dice: &mut Dice) -> Sent {
        let fresh = dice.poisson(mean);
        let spurious: f64 = self.nodes().filter_map(|node| node.shortage).map(|short| short.spurious).sum();
        let usual = dice.beta_binomial(fresh, benign, self.draw.shape.benign_shape);
        let lost = dice.beta_binomial(fresh, loss.0 + 0.1 * loss.1, self.draw.shape.fault_shape);
        // What is sent again may be lost again.
        let lost = lost + dice.poisson(lost as f64 * loss.0 / (1.0 - loss.0).max(0.2));
        let fired = dice.beta_binomial(fresh, spurious, 0.7);
        let retransmissions = usual + lost + fired;
        // What fires for nothing are tail-loss probes mostly, which aren't time-outs.
        let timeouts = dice.binomial(usual + lost, 0.15 + 0.5 * loss.0) + dice.binomial(fired, 0.1);
        // Nearly all of those are answered by a DSACK; of what was lost hardly any, where its acknowledgement was.
        let spurious = dice.binomial(fired, FIRED_FOR_NOTHING) + dice.binomial(lost, LOST_FOR_NOTHING);
        Sent { segments: fresh + retransmissions, retransmissions, timeouts, spurious, syn_again: 0 }
    }

    /// Segments that were under way when a machine stood still are sent again until it moves.
    fn stalls(&self, part: Part, counted: &mut Counted, dice: &mut Dice) {
        let stalled: f64 = self.nodes().map(|node| node.stalled_s).fold(0.0, f64::max);
        if stalled <= 0.0 {
            return;
        }
        let share = (part.until - part.from) / self.seconds();
        let busy = (self.draw.flow.segments.0 / 60.0).min(1.0) * self.draw.flow.open as f64;
        let again = STALL * stalled.min(2.0) * busy * share;
        counted.out.again_for_nothing(dice.poisson(again));
        counted.back.again_for_nothing(dice.poisson(0.6 * again));
    }

    fn round_trips(&self, effect: &Effect) -> RoundTrips {
        let base =
            self.draw.cluster.base_rtt_us(self.draw.flow, &self.draw.route) * self.draw.flow.rtt_factor;
        RoundTrips {
            floor_us: base * 0.85 + effect.delay_us,
            factor: effect.rtt_factor,
            shortages: self.nodes().filter_map(|node| node.shortage).collect(),
        }
    }

    fn leaves(&self) -> bool {
        [self.draw.flow.client, self.draw.flow.server]
            .iter()
            .any(|peer| matches!(peer, Peer::Pod(pod) if self.conditions.weather.leaving.contains(pod)))
    }

    fn client(
        &self,
        counted: &Counted,
        effect: &Effect,
        caller: &Caller,
        dice: &mut Dice,
    ) -> Option<FlowWindow> {
        let tally = counted.tally;
        let standing = self.draw.flow.open.saturating_sub(caller.broken);
        let mut out = counted.out;
        let mut reset = counted.reset;
        if self.leaves() {
            reset += dice.binomial(standing, 0.5);
            out.again(dice.poisson(1.0));
        }
        // A SYN sent again counts among retransmissions, though it is no data segment.
        out.retransmissions += tally.syn_again;
        out.timeouts += tally.syn_again;
        out.syn_again += tally.syn_again;
        let connections = Connections {
            attempted: tally.attempted,
            established: tally.established,
            refused: tally.refused,
            timed_out: tally.timed_out,
            waiting: tally.waiting,
            reset,
            aborted: 0,
            closed: counted.closed + tally.ended + reset,
            open: standing + caller.open(),
        };
        let trips = self.round_trips(effect);
        let packets = self.draw.flow.segments.0 / self.draw.flow.connects.max(0.05);
        let rtt = trips.sockets(counted.closed, standing, packets, dice).filter(|_| out.segments > 0);
        let handshake = trips.handshakes(tally.established, tally.late.min(tally.established), dice);
        self.record(Role::Client, (out, counted.back), connections, (rtt, handshake))
    }

    fn server(
        &self,
        counted: &Counted,
        effect: &Effect,
        caller: &Caller,
        dice: &mut Dice,
    ) -> Option<FlowWindow> {
        let standing = self.draw.flow.open.saturating_sub(caller.broken);
        let connections = Connections {
            established: counted.server_established,
            closed: counted.closed,
            open: standing,
            ..Connections::default()
        };
        let packets = self.draw.flow.segments.1 / self.draw.flow.connects.max(0.05);
        let rtt = self.round_trips(effect).sockets(counted.closed, standing, packets, dice);
        let rtt = rtt.filter(|_| counted.back.segments > 0);
        self.record(Role::Server, (counted.back, counted.out), connections, (rtt, None))
    }

    /// The record, if an agent tells it and there is anything to tell.
    fn record(
        &self,
        role: Role,
        (sent, received): (Sent, Sent),
        connections: Connections,
        (rtt_us, handshake_us): (Option<Latency>, Option<Latency>),
    ) -> Option<FlowWindow> {
        if sent.segments == 0 && received.segments == 0 && connections == Connections::default() {
            return None;
        }
        let ends = self.draw.ends(role)?;
        Some(FlowWindow {
            window_start: self.draw.moment.start,
            window_seconds: self.draw.moment.seconds,
            reporter: ends.reporter,
            role,
            local: ends.local,
            remote: ends.remote,
            category: Some(self.draw.route.category),
            connections,
            data_segments_out: sent.segments,
            retransmissions: sent.retransmissions,
            spurious_retransmissions: sent.spurious.min(sent.retransmissions),
            syn_retransmissions: sent.syn_again,
            timeouts: sent.timeouts,
            bytes_out: sent.segments * 900,
            bytes_in: received.segments * 900,
            rtt_us,
            handshake_us,
        })
    }
}
