//! One window of traffic: each flow's records, under the weather and the fault of that window.

use jiff::Timestamp;
use tidewatch_records::{Category, Connections, Endpoint, FlowWindow, Latency, Name, Role};

use crate::build::Shape;
use crate::cluster::{Cluster, Flow, Peer, Route};
use crate::fault::{Effect, Fault};
use crate::mess::{BURST_CEILING, Weather};
use crate::random::Dice;

/// Share of lost acknowledgements that make the sender retransmit: most are made good by the next one.
const ACK_LOSS_COUNTS: f64 = 0.1;
/// Share of retransmissions that needed a time-out rather than duplicate acknowledgements.
const BY_TIMEOUT: f64 = 0.15;
/// The highest ratio that a cluster without a fault shows a flow on average.
const BENIGN_CEILING: f64 = 0.03;

/// When a window is, and what is going on in it.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub start: Timestamp,
    pub seconds: u32,
    /// Minutes since the simulation began, for drifts.
    pub minute: f64,
    pub weather: &'a Weather,
    pub fault: &'a Fault,
    pub intensity: f64,
}

/// Appends the window's records to `records`; returns how many flows the fault touched.
pub(crate) fn generate(
    cluster: &Cluster,
    shape: &Shape,
    moment: &Moment<'_>,
    dice: &mut Dice,
    records: &mut Vec<FlowWindow>,
) -> usize {
    let benign: Vec<f64> = cluster.services.iter().map(|s| s.benign_at(moment.minute)).collect();
    let mut touched = 0;
    for flow in &cluster.flows {
        if !cluster.is_active(flow.client) || !cluster.is_active(flow.server) {
            continue;
        }
        let route = cluster.route(flow);
        let effect = moment.fault.effect(cluster, flow, &route, moment.intensity);
        touched += usize::from(!effect.is_none());
        let draw = FlowDraw { cluster, shape, moment, flow, route, effect, benign: &benign };
        draw.records(dice, records);
    }
    touched
}

/// One flow in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowDraw<'a> {
    pub cluster: &'a Cluster,
    pub shape: &'a Shape,
    pub moment: &'a Moment<'a>,
    pub flow: &'a Flow,
    pub route: Route,
    pub effect: Effect,
    pub benign: &'a [f64],
}

/// The counters of a socket's sending side.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    pub segments: u64,
    pub retransmissions: u64,
    pub timeouts: u64,
    /// Of the retransmissions, those that the other end had no need of.
    pub spurious: u64,
    /// Of the retransmissions, connection requests.
    pub syn_again: u64,
}

/// The reporter of one side of a flow, and the two ends as it names them.
#[derive(Debug)]
pub(crate) struct Ends {
    pub reporter: Name,
    pub local: Endpoint,
    pub remote: Endpoint,
}

impl FlowDraw<'_> {
    fn records(&self, dice: &mut Dice, records: &mut Vec<FlowWindow>) {
        let volume = self.volume(dice);
        let leaving = self.is(&self.moment.weather.leaving);
        let arriving = self.is(&self.moment.weather.arriving);
        let (client_side, server_side) = self.connections(volume, leaving, arriving, dice);
        // Data flows only where a connection is up.
        let carries = !self.effect.refused
            && !(self.effect.blocked && (self.effect.cuts_open || self.flow.connects > 1.0));
        let (mut out, mut back) = (Sent::default(), Sent::default());
        if carries {
            let ratio = self.benign_ratio();
            let (loss_out, loss_back) = self.effect.loss;
            out =
                self.sent(self.flow.segments.0 * volume, ratio, loss_out + ACK_LOSS_COUNTS * loss_back, dice);
            back =
                self.sent(self.flow.segments.1 * volume, ratio, loss_back + ACK_LOSS_COUNTS * loss_out, dice);
        }
        if leaving {
            // Segments to a pod that is gone are sent again until the connection is given up.
            out.retransmissions += dice.poisson(1.0);
            out.segments = out.segments.max(out.retransmissions);
        }
        // A SYN sent again counts among retransmissions, though it is no data segment.
        out.retransmissions += client_side.syn_again;
        out.timeouts += client_side.syn_again;
        let rtt = self.rtt_us(dice);
        if let Peer::Pod(_) = self.flow.client {
            self.push(Role::Client, out, back, client_side, rtt, dice, records);
        }
        let told = self.shape.both_report || matches!(self.flow.client, Peer::Remote(_));
        if let (Peer::Pod(_), true) = (self.flow.server, told) {
            self.push(Role::Server, back, out, server_side, rtt, dice, records);
        }
    }

    /// The ends as this side's agent names them; none where no agent reports.
    pub(crate) fn ends(&self, role: Role) -> Option<Ends> {
        let node = match role {
            Role::Client => self.route.client_node,
            Role::Server => self.route.server_node,
        };
        let reporter = node.filter(|node| !self.moment.weather.silent.contains(node))?;
        let reporter = self.cluster.nodes.get(reporter)?.name.clone();
        let port = self.cluster.server_port(self.flow.server);
        let (local, remote) = match role {
            Role::Client => (
                self.cluster.endpoint(self.flow.client, true, None),
                self.cluster.endpoint(self.flow.server, false, port),
            ),
            Role::Server => (
                self.cluster.endpoint(self.flow.server, true, port),
                self.cluster.endpoint(self.flow.client, false, None),
            ),
        };
        Some(Ends { reporter, local, remote })
    }

    fn is(&self, pods: &std::collections::BTreeSet<usize>) -> bool {
        [self.flow.client, self.flow.server]
            .iter()
            .any(|peer| matches!(peer, Peer::Pod(pod) if pods.contains(pod)))
    }

    /// The flow's volume in this window, as a factor on its mean.
    pub(crate) fn volume(&self, dice: &mut Dice) -> f64 {
        let weather = self.moment.weather;
        let service = |peer| self.cluster.service_of(peer);
        let spike = service(self.flow.server)
            .and_then(|s| weather.towards.get(&s))
            .map_or(1.0, |(_, volume)| *volume);
        let batch = service(self.flow.client).and_then(|s| weather.from.get(&s)).copied().unwrap_or(1.0);
        // Busiest at three in the afternoon; simulations begin at noon.
        let hour = 0.85 + 0.35 * (std::f64::consts::TAU * (self.moment.minute / 1_440.0 - 0.125)).cos();
        // Congestion control gives way to loss, and an overloaded server answers less.
        let loss = self.effect.loss.0.max(self.effect.loss.1);
        let yielding = 1.0 / (1.0 + 10.0 * loss) / self.effect.rtt_factor.sqrt();
        hour * spike * batch * yielding * dice.gamma_factor(6.0)
    }

    /// The ratio of retransmissions that this flow has without any fault.
    pub(crate) fn benign_ratio(&self) -> f64 {
        let weather = self.moment.weather;
        let of_remote = |peer| match peer {
            Peer::Remote(remote) => self.cluster.remotes.get(remote).map(|remote| {
                let (size, phase) = remote.drift;
                remote.benign
                    * (size * (std::f64::consts::TAU * self.moment.minute / 60.0 + phase).sin()).exp()
            }),
            Peer::Pod(_) => None,
        };
        let server = self.cluster.service_of(self.flow.server);
        let mut ratio = of_remote(self.flow.server)
            .or_else(|| of_remote(self.flow.client))
            .or_else(|| server.and_then(|s| self.benign.get(s)).copied())
            .unwrap_or(1e-4);
        ratio *= self.flow.benign_factor;
        if self.route.category == Category::InterAz {
            ratio += 5e-5;
        }
        if let Some((burst, _)) = server.and_then(|s| weather.towards.get(&s)) {
            ratio = (ratio * burst).min(ratio.max(BURST_CEILING));
        }
        if self.cluster.service_of(self.flow.client).is_some_and(|s| weather.from.contains_key(&s)) {
            ratio *= 1.5;
        }
        if self.route.uses_network() {
            let node =
                |node: Option<usize>| node.and_then(|node| weather.blips.get(&node)).copied().unwrap_or(0.0);
            ratio += node(self.route.client_node) + node(self.route.server_node);
        }
        ratio.min(BENIGN_CEILING)
    }

    fn sent(&self, mean: f64, benign: f64, loss: f64, dice: &mut Dice) -> Sent {
        let fresh = dice.poisson(mean);
        let spurious = dice.beta_binomial(fresh, benign, self.shape.benign_shape);
        let lost = dice.beta_binomial(fresh, loss, self.shape.fault_shape);
        let retransmissions = spurious + lost;
        let timeouts = dice.binomial(retransmissions, BY_TIMEOUT);
        Sent { segments: fresh + retransmissions, retransmissions, timeouts, spurious: 0, syn_again: 0 }
    }

    fn rtt_us(&self, dice: &mut Dice) -> f64 {
        let base = self.cluster.base_rtt_us(self.flow, &self.route) * self.flow.rtt_factor;
        let busy = self
            .cluster
            .service_of(self.flow.server)
            .and_then(|s| self.moment.weather.towards.get(&s))
            .map_or(1.0, |(_, volume)| volume.powf(0.15));
        base * busy * self.effect.rtt_factor * dice.log_normal(1.0, 0.06) + self.effect.delay_us
    }
}

/// One side's connections, and what their SYNs met.
#[derive(Debug, Clone, Copy, Default)]
struct Handshakes {
    counts: Connections,
    /// SYNs sent again.
    syn_again: u64,
    /// Connections that came up only after a second or more.
    late: u64,
}

impl FlowDraw<'_> {
    fn connections(
        &self,
        volume: f64,
        leaving: bool,
        arriving: bool,
        dice: &mut Dice,
    ) -> (Handshakes, Handshakes) {
        let effect = &self.effect;
        let mut wanted = dice.poisson(self.flow.connects * volume.min(4.0));
        if effect.blocked || effect.refused {
            // What keeps connections alive has to open new ones once they are cut; clients try again.
            let cut = if effect.cuts_open { self.flow.open } else { 0 };
            wanted += dice.poisson(0.5 * cut as f64 + 0.3 * wanted as f64);
        }
        let mut client = Handshakes::default();
        client.counts.attempted = wanted;
        if effect.refused {
            client.counts.refused = wanted;
            client.counts.closed = wanted;
            client.counts.reset = dice.binomial(self.flow.open, 0.2);
            return (client, Handshakes::default());
        }
        if effect.blocked {
            // Attempts of the last three seconds haven't timed out yet.
            client.counts.timed_out = dice.binomial(wanted, 0.9);
            client.counts.closed = dice.binomial(client.counts.timed_out, 0.5);
            client.counts.open =
                if effect.cuts_open { wanted - client.counts.closed } else { self.flow.open };
            client.syn_again = (0..wanted).map(|_| 1 + dice.poisson(1.5)).sum();
            let mut server = Handshakes::default();
            server.counts.open = if effect.cuts_open { 0 } else { self.flow.open };
            return (client, server);
        }
        self.answered(wanted, leaving, arriving, client, dice)
    }

    /// The SYNs get through, at worst at the second or third try.
    fn answered(
        &self,
        wanted: u64,
        leaving: bool,
        arriving: bool,
        mut client: Handshakes,
        dice: &mut Dice,
    ) -> (Handshakes, Handshakes) {
        let effect = &self.effect;
        let gets_through = (1.0 - effect.loss.0) * (1.0 - effect.loss.1) * (1.0 - effect.syn_loss);
        let lost_once = dice.binomial(wanted, 1.0 - gets_through);
        let lost_twice = dice.binomial(lost_once, 1.0 - gets_through);
        client.syn_again = lost_once + lost_twice;
        client.late = lost_once - lost_twice;
        client.counts.timed_out = lost_twice;
        let mut reached = wanted - lost_twice;
        if arriving {
            // Endpoints know the new pod a moment before it listens.
            client.counts.refused = dice.binomial(reached, 0.05);
            reached -= client.counts.refused;
        }
        if leaving {
            let unanswered = dice.binomial(reached, 0.05);
            client.counts.timed_out += unanswered;
            reached -= unanswered;
            client.counts.reset = dice.binomial(self.flow.open, 0.5);
        }
        client.counts.established = reached;
        client.counts.closed = reached + client.counts.refused + client.counts.reset;
        client.counts.open = self.flow.open;
        let counts = Connections {
            established: reached,
            closed: reached,
            open: self.flow.open,
            ..Connections::default()
        };
        let server = Handshakes { counts, ..Handshakes::default() };
        (client, server)
    }

    #[expect(clippy::too_many_arguments, reason = "the two sides differ in each of them")]
    fn push(
        &self,
        role: Role,
        sent: Sent,
        other: Sent,
        handshakes: Handshakes,
        rtt_us: f64,
        dice: &mut Dice,
        records: &mut Vec<FlowWindow>,
    ) {
        let idle = sent.segments == 0 && other.segments == 0 && handshakes.counts == Connections::default();
        if idle {
            return;
        }
        let Some(Ends { reporter, local, remote }) = self.ends(role) else { return };
        let samples = if sent.segments > 0 { handshakes.counts.closed + handshakes.counts.open } else { 0 };
        records.push(FlowWindow {
            window_start: self.moment.start,
            window_seconds: self.moment.seconds,
            reporter,
            role,
            local,
            remote,
            category: Some(self.route.category),
            connections: handshakes.counts,
            data_segments_out: sent.segments,
            retransmissions: sent.retransmissions,
            spurious_retransmissions: 0,
            syn_retransmissions: 0,
            timeouts: sent.timeouts,
            bytes_out: sent.segments * 900,
            bytes_in: other.segments * 900,
            rtt_us: self.rtt(samples, rtt_us, sent, dice),
            handshake_us: self.handshake(role, &handshakes, rtt_us),
        });
    }

    fn rtt(&self, samples: u64, rtt_us: f64, sent: Sent, dice: &mut Dice) -> Option<Latency> {
        if samples == 0 {
            return None;
        }
        let p50 = rtt_us * dice.log_normal(1.0, 0.04);
        let spread = dice.log_normal(1.0, 0.25) * if sent.retransmissions > 0 { 1.3 } else { 1.0 };
        // The shortest round trip knows no queue: an overloaded server hardly moves it, a longer path does.
        let floor =
            (p50 - self.effect.delay_us) / self.effect.rtt_factor.powf(0.7) * 0.85 + self.effect.delay_us;
        Some(Latency {
            count: samples,
            min: Some(floor as u64),
            p50: p50 as u64,
            p90: Some((p50 * (1.0 + 0.35 * spread)) as u64),
            p99: (p50 * (1.0 + 1.2 * spread)) as u64,
            max: Some((p50 * (1.0 + 2.0 * spread)) as u64),
            buckets: Vec::new(),
        })
    }

    fn handshake(&self, role: Role, handshakes: &Handshakes, rtt_us: f64) -> Option<Latency> {
        let count = handshakes.counts.established;
        if role == Role::Server || count == 0 {
            return None;
        }
        let late = handshakes.late as f64 / count as f64;
        let at = |quantile: f64| {
            let slow = if late > 1.0 - quantile { 1_000_000.0 } else { 0.0 };
            (rtt_us * 1.1 + slow) as u64
        };
        Some(Latency {
            count,
            min: Some(at(0.0)),
            p50: at(0.5),
            p90: Some(at(0.9)),
            p99: at(0.99),
            max: Some(at(0.9999)),
            buckets: Vec::new(),
        })
    }
}
