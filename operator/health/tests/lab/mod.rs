//! A small cluster whose records are made up: as many zones, nodes and services as the lab has.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's own data")]

use std::net::{IpAddr, Ipv4Addr};

use jiff::{SignedDuration, Timestamp};
use tidewatch_health::{Config, Engine, Sensitivity, Verdict, Window};
use tidewatch_records::{
    Connections, Endpoint, EndpointKind, FlowWindow, Latency, Name, NodeFigures, NodeWindow, Role,
};

pub const SECONDS: u32 = 15;

/// xorshift64*, so that a test is the same each time.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many of `n` come true with probability `p`.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        (0..n).filter(|_| self.unit() < p).count() as u64
    }
}

/// What a packet from one end to the other meets, and a connection request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Harm {
    pub loss: f64,
    /// Sent again without need: nothing was lost, an acknowledgement was late.
    pub needless: f64,
    /// Added to every round trip.
    pub delay_us: u64,
    /// Added to the quickest round trip and, as much again three times, to the median: a busy end's.
    pub waits_us: u64,
    /// The median and all above it take so many times longer, the quickest doesn't.
    pub stretched: f64,
    pub unanswered: f64,
    pub refused: f64,
    /// Connections that are open live on.
    pub spares_open: bool,
}

/// One way of one flow, as a fault sees it.
#[derive(Debug, Clone)]
pub struct Hop {
    pub from: Endpoint,
    pub to: Endpoint,
    /// The service that is called.
    pub service: String,
    pub to_service: bool,
}

impl Hop {
    pub fn touches_node(&self, node: &str) -> bool {
        self.from.node != self.to.node
            && [&self.from, &self.to].iter().any(|end| end.node.as_deref() == Some(node))
    }

    pub fn goes(&self, from: &str, to: &str) -> bool {
        self.from.zone.as_deref() == Some(from) && self.to.zone.as_deref() == Some(to)
    }

    pub fn between(&self, a: &str, b: &str) -> bool {
        self.goes(a, b) || self.goes(b, a)
    }

    pub fn touches_pod(&self, pod: &str) -> bool {
        [&self.from, &self.to].iter().any(|end| end.pod.as_deref() == Some(pod))
    }

    pub fn calls(&self, service: &str) -> bool {
        self.service == service
    }
}

pub type Fault<'a> = &'a dyn Fn(&Hop) -> Harm;

pub fn nothing(_: &Hop) -> Harm {
    Harm::default()
}

#[derive(Debug, Clone)]
pub struct Lab {
    pub zones: usize,
    pub nodes_per_zone: usize,
    /// Caller, callee; each service has `pods` pods.
    pub calls: Vec<(&'static str, &'static str)>,
    pub pods: usize,
    pub segments: u64,
    pub base_loss: f64,
    /// Services that always retransmit this much more.
    pub always_lossy: Vec<(&'static str, f64)>,
    /// Services that aren't in the namespace `shop`.
    pub namespaces: Vec<(&'static str, &'static str)>,
    /// Connections that a client opens in a window, for each hundred segments.
    pub opens: f64,
    /// Loss falls on some flows more than on others, by a factor between 0.2 and 1.8.
    pub uneven: bool,
    pub dice: Dice,
    pub window: i64,
    pub seconds: u32,
}

impl Default for Lab {
    fn default() -> Self {
        Self {
            zones: 3,
            nodes_per_zone: 2,
            calls: vec![
                ("web", "cart"),
                ("web", "catalog"),
                ("cart", "payments"),
                ("cart", "stock"),
                ("catalog", "stock"),
                ("catalog", "search"),
                ("payments", "ledger"),
                ("payments", "aws/dynamodb"),
                ("search", "aws/dynamodb"),
                ("cart", "aws/dynamodb"),
            ],
            pods: 3,
            segments: 1_000,
            base_loss: 0.000_05,
            always_lossy: Vec::new(),
            namespaces: Vec::new(),
            opens: 1.0,
            uneven: false,
            dice: Dice(0x9E37_79B9_7F4A_7C15),
            window: 0,
            seconds: SECONDS,
        }
    }
}

impl Lab {
    pub fn start(&self) -> Timestamp {
        let first = Timestamp::from_second(1_795_348_800).unwrap();
        first + SignedDuration::from_secs(self.window * i64::from(self.seconds))
    }

    /// A pod's endpoint; services' pods are spread over nodes. What begins with `host/` listens on each node's own address.
    pub fn pod(&self, service: &str, number: usize) -> Endpoint {
        if let Some(name) = service.strip_prefix("aws/") {
            return Endpoint {
                service: Some(service.into()),
                kind: Some(EndpointKind::Aws),
                ..Endpoint::of(IpAddr::V4(Ipv4Addr::new(52, 94, 0, name.len() as u8)))
            };
        }
        if let Some(name) = service.strip_prefix("internet/") {
            return Endpoint {
                kind: Some(EndpointKind::Internet),
                ..Endpoint::of(IpAddr::V4(Ipv4Addr::new(93, 184, 216, name.len() as u8)))
            };
        }
        if service.starts_with("host/") {
            return self.node(number, 0, EndpointKind::Node);
        }
        let index = service.bytes().map(usize::from).sum::<usize>() + number * 5;
        let node = index % self.nodes();
        let mut ip = self.node(node, (index % 250) as u8, EndpointKind::Pod);
        let namespace =
            self.namespaces.iter().find(|(name, _)| *name == service).map_or("shop", |(_, ns)| *ns);
        ip.pod = Some(format!("{namespace}/{service}-{number}").into());
        ip.workload = Some(format!("{namespace}/Deployment/{service}").into());
        ip.service = Some(format!("{namespace}/{service}").into());
        ip
    }

    pub fn node_names(&self) -> impl Iterator<Item = Name> + use<> {
        let zones = self.zones;
        (0..self.nodes()).map(move |node| node_name(node, zones).into())
    }

    fn nodes(&self) -> usize {
        self.zones * self.nodes_per_zone
    }

    /// An address at a node: its own, or a pod's.
    fn node(&self, node: usize, host: u8, kind: EndpointKind) -> Endpoint {
        let zone = node % self.zones;
        Endpoint {
            node: Some(node_name(node, self.zones).into()),
            zone: Some(format!("zone-{}", zone + 1).into()),
            kind: Some(kind),
            ..Endpoint::of(IpAddr::V4(Ipv4Addr::new(198, 18, node as u8, host)))
        }
    }

    /// The records of the next window.
    pub fn records(&mut self, fault: Fault<'_>) -> Vec<FlowWindow> {
        let mut records = Vec::new();
        let calls = self.calls.clone();
        for (caller, callee) in calls {
            let is_outside = callee.starts_with("aws/") || callee.starts_with("internet/");
            let servers = match callee {
                _ if is_outside => 1,
                _ if callee.starts_with("host/") => self.nodes(),
                _ => self.pods,
            };
            for client in 0..self.pods {
                for server in 0..servers {
                    self.flow(caller, client, callee, server, fault, &mut records);
                }
            }
        }
        self.window += 1;
        records
    }

    fn flow(
        &mut self,
        caller: &str,
        client: usize,
        callee: &str,
        server: usize,
        fault: Fault<'_>,
        records: &mut Vec<FlowWindow>,
    ) {
        let (near, far) = (self.pod(caller, client), self.pod(callee, server));
        let service = far.service.as_deref().unwrap_or(callee).to_owned();
        let there = Hop { from: near.clone(), to: far.clone(), service: service.clone(), to_service: true };
        let back = Hop { from: far.clone(), to: near.clone(), service, to_service: false };
        let (mut out, mut home) = (fault(&there), fault(&back));
        if self.uneven {
            out.loss *= 0.2 + 1.6 * self.dice.unit();
            home.loss *= 0.2 + 1.6 * self.dice.unit();
        }
        let attempts = (self.opens * (1 + self.segments / 100) as f64) as u64;
        let refused = self.dice.binomial(attempts, out.refused);
        let syn_lost = (1.0 - (1.0 - out.loss) * (1.0 - home.loss)).powi(2);
        let timed_out =
            self.dice.binomial(attempts - refused, 1.0 - (1.0 - out.unanswered) * (1.0 - syn_lost));
        let established = attempts - refused - timed_out;
        let share = if out.spares_open { 1.0 } else { established as f64 / attempts.max(1) as f64 };
        let segments = (self.segments as f64 * share * (0.5 + self.dice.unit())) as u64;
        let base = self.base_loss
            + self.always_lossy.iter().find(|(name, _)| *name == callee).map_or(0.0, |(_, more)| *more);
        let rtt = if near.node == far.node {
            80
        } else if near.zone == far.zone {
            250
        } else {
            800
        };
        let rtt = rtt + out.delay_us + home.delay_us + (self.dice.unit() * 100.0) as u64;
        let waits = out.waits_us.max(home.waits_us);
        let stretched = (rtt as f64 * out.stretched.max(home.stretched).max(1.0)) as u64;
        let rtt = Trips { quickest: rtt * 9 / 10 + waits, median: stretched + 4 * waits };
        let mut client = self.record(near.clone(), far.clone(), Role::Client, segments, base + out.loss, rtt);
        client.connections =
            Connections { attempted: attempts, established, refused, timed_out, ..Connections::default() };
        // As the kernel counts: a request is sent again after one second, and after three.
        client.retransmissions += 2 * timed_out;
        client.timeouts += 2 * timed_out;
        self.send_needlessly(&mut client, out.needless);
        records.push(client);
        if far.pod.is_some() {
            let mut server = self.record(far, near, Role::Server, segments, base + home.loss, rtt);
            self.send_needlessly(&mut server, home.needless);
            server.connections = Connections { established, ..Connections::default() };
            records.push(server);
        }
    }

    fn send_needlessly(&mut self, record: &mut FlowWindow, share: f64) {
        let again = self.dice.binomial(record.data_segments_out, share);
        record.data_segments_out += again;
        record.retransmissions += again;
        record.spurious_retransmissions = again;
    }

    fn record(
        &mut self,
        mut local: Endpoint,
        mut remote: Endpoint,
        role: Role,
        segments: u64,
        loss: f64,
        rtt: Trips,
    ) -> FlowWindow {
        let port = Some(8080);
        match role {
            Role::Client => remote.port = port,
            Role::Server => local.port = port,
        }
        let retransmissions = self.dice.binomial(segments, loss);
        FlowWindow {
            window_start: self.start(),
            window_seconds: self.seconds,
            reporter: local.node.clone().unwrap(),
            role,
            local,
            remote,
            category: None,
            connections: Connections::default(),
            data_segments_out: segments + retransmissions,
            retransmissions,
            spurious_retransmissions: 0,
            syn_retransmissions: 0,
            timeouts: 0,
            bytes_out: segments * 900,
            bytes_in: segments * 900,
            rtt_us: (segments > 0).then(|| Latency {
                count: 5,
                min: Some(rtt.quickest),
                p50: rtt.median,
                p99: rtt.median * 2,
                ..Latency::default()
            }),
            handshake_us: None,
        }
    }
}

fn node_name(node: usize, zones: usize) -> String {
    format!("zone-{}-{}", node % zones + 1, (b'a' + (node / zones) as u8) as char)
}

#[derive(Debug, Clone, Copy)]
struct Trips {
    quickest: u64,
    median: u64,
}

/// An engine that watches a lab.
#[derive(Debug, Clone)]
pub struct Watch {
    pub lab: Lab,
    pub engine: Engine,
}

impl Watch {
    /// After `windows` healthy ones.
    pub fn learned(lab: Lab, windows: usize) -> Self {
        Self::with_sensitivity(lab, windows, Sensitivity::Standard)
    }

    pub fn with_sensitivity(lab: Lab, windows: usize, sensitivity: Sensitivity) -> Self {
        let mut watch = Self { lab, engine: Engine::new(Config { sensitivity }) };
        for _ in 0..windows {
            watch.window(&nothing);
        }
        watch
    }

    pub fn window(&mut self, fault: Fault<'_>) -> Verdict {
        self.window_of(&|_| NodeFigures::default(), fault)
    }

    /// As [`Watch::window`], where each node tells its figures.
    pub fn window_of(&mut self, figures: &dyn Fn(&str) -> NodeFigures, fault: Fault<'_>) -> Verdict {
        let (start, seconds) = (self.lab.start(), self.lab.seconds);
        let nodes: Vec<NodeWindow> = self
            .lab
            .node_names()
            .map(|reporter| NodeWindow {
                window_start: start,
                window_seconds: seconds,
                node: figures(&reporter),
                reporter,
            })
            .collect();
        let flows = self.lab.records(fault);
        self.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &nodes })
    }

    /// The verdict of the last of `windows`.
    pub fn windows(&mut self, windows: usize, fault: Fault<'_>) -> Verdict {
        (0..windows).map(|_| self.window(fault)).last().unwrap()
    }
}

pub fn named(verdict: &Verdict) -> Vec<String> {
    verdict.components.iter().map(|fault| fault.component.to_string()).collect()
}
