//! Records as paths: which components a flow crosses, how many trials it made, and how many went wrong.

use std::collections::HashMap;

use tidewatch_health::ComponentId;
use tidewatch_records::{Category, Endpoint, EndpointKind, FlowWindow, Name, Role};

/// Index of a component in the [`Atlas`].
pub(super) type Spot = u32;

/// A value for each component, in a table: looking one up costs nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally<T>(Vec<T>);

impl<T: Clone + Default> Tally<T> {
    /// The value of `spot`, for changing; `None` never happens.
    pub(super) fn at(&mut self, spot: Spot) -> Option<&mut T> {
        let index = spot as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, T::default());
        }
        self.0.get_mut(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Spot, &T)> {
        self.0.iter().enumerate().map(|(index, value)| (index as Spot, value))
    }
}

/// The most components that one flow crosses: 2 nodes, 2 zones, their pair, 2 pods, a service, and a remote at each end.
const LONGEST: usize = 10;

/// One record, reduced to what localisation from loss needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crossing {
    spots: [Spot; LONGEST],
    length: u8,
    /// The end that reports.
    pub reporter: Spot,
    /// The server's service, or the remote: whose benign ratio to expect.
    pub subject: Spot,
    /// Data segments sent and connections attempted.
    pub tried: u64,
    /// Segments retransmitted and connections that failed, at most `tried`.
    pub bad: u64,
}

impl Crossing {
    pub fn spots(&self) -> &[Spot] {
        self.spots.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub fn crosses(&self, spot: Spot) -> bool {
        self.spots().contains(&spot)
    }

    pub fn ratio(&self) -> f64 {
        self.bad as f64 / self.tried.max(1) as f64
    }

    fn add(&mut self, spot: Spot) {
        if let Some(free) = self.spots.get_mut(usize::from(self.length)) {
            *free = spot;
            self.length += 1;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Node(Name),
    Zone(Name),
    ZonePair(Name, Name),
    Service(Name),
    Pod(Name),
    Remote(Name),
    Internet(std::net::IpAddr),
    Nowhere,
}

/// The tier of a component. Methods that compare components within one tier only use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    Node,
    Zone,
    ZonePair,
    Service,
    Pod,
    Remote,
}

/// The components seen so far, numbered.
#[derive(Debug, Default)]
pub struct Atlas {
    numbers: HashMap<Key, Spot>,
    components: Vec<Option<ComponentId>>,
}

impl Atlas {
    pub fn component(&self, spot: Spot) -> Option<&ComponentId> {
        self.components.get(spot as usize).and_then(Option::as_ref)
    }

    pub fn len(&self) -> usize {
        self.components.len()
    }

    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    pub fn tier(&self, spot: Spot) -> Option<Tier> {
        Some(match self.component(spot)? {
            ComponentId::Node(_) => Tier::Node,
            ComponentId::Zone(_) => Tier::Zone,
            ComponentId::ZonePair(..) => Tier::ZonePair,
            ComponentId::Service { .. } => Tier::Service,
            ComponentId::Pod { .. } => Tier::Pod,
            ComponentId::AwsService(_) | ComponentId::Internet(_) => Tier::Remote,
        })
    }

    fn number(&mut self, key: Key) -> Spot {
        if let Some(spot) = self.numbers.get(&key) {
            return *spot;
        }
        let spot = self.components.len() as Spot;
        self.components.push(component(&key));
        self.numbers.insert(key, spot);
        spot
    }

    /// The crossings of a window's records.
    pub fn crossings(&mut self, flows: &[FlowWindow]) -> Vec<Crossing> {
        flows.iter().map(|flow| self.crossing(flow)).collect()
    }

    fn crossing(&mut self, flow: &FlowWindow) -> Crossing {
        let (client, server) = match flow.role {
            Role::Client => (&flow.local, &flow.remote),
            Role::Server => (&flow.remote, &flow.local),
        };
        let failed = flow.connections.refused + flow.connections.timed_out;
        let tried = flow.data_segments_out + flow.connections.attempted;
        let mut crossing = Crossing {
            reporter: self.number(Key::Node(flow.reporter.clone())),
            tried,
            bad: (flow.retransmissions + failed).min(tried),
            ..Crossing::default()
        };
        if flow.category != Some(Category::IntraNode) {
            self.infrastructure(client, server, &mut crossing);
        }
        for end in [client, server] {
            if let Some(key) = remote(end) {
                crossing.subject = self.number(key);
                crossing.add(crossing.subject);
            }
            if let Some(pod) = &end.pod {
                let spot = self.number(Key::Pod(pod.clone()));
                crossing.add(spot);
            }
        }
        if let Some(service) = server.service.as_ref().filter(|_| server.kind == Some(EndpointKind::Pod)) {
            let spot = self.number(Key::Service(service.clone()));
            crossing.add(spot);
            // A visitor from the internet is expected to be as lossy as it is, whatever service it visits.
            crossing.subject = remote(client).map_or(spot, |key| self.number(key));
        } else if remote(server).is_none() {
            crossing.subject = self.number(Key::Nowhere);
        }
        crossing
    }

    fn infrastructure(&mut self, client: &Endpoint, server: &Endpoint, crossing: &mut Crossing) {
        for end in [client, server] {
            if let Some(node) = &end.node {
                let spot = self.number(Key::Node(node.clone()));
                crossing.add(spot);
            }
        }
        match (&client.zone, &server.zone) {
            (Some(a), Some(b)) if a == b => {
                let spot = self.number(Key::Zone(a.clone()));
                crossing.add(spot);
            }
            (Some(a), Some(b)) => {
                let (low, high) = if a < b { (a, b) } else { (b, a) };
                for key in
                    [Key::Zone(a.clone()), Key::Zone(b.clone()), Key::ZonePair(low.clone(), high.clone())]
                {
                    let spot = self.number(key);
                    crossing.add(spot);
                }
            }
            (Some(zone), None) | (None, Some(zone)) => {
                let spot = self.number(Key::Zone(zone.clone()));
                crossing.add(spot);
            }
            (None, None) => {}
        }
    }
}

fn remote(end: &Endpoint) -> Option<Key> {
    match (end.kind, &end.service) {
        (Some(EndpointKind::Aws), Some(service)) => Some(Key::Remote(service.clone())),
        (Some(EndpointKind::Internet), _) => Some(Key::Internet(end.ip)),
        _ => None,
    }
}

fn component(key: &Key) -> Option<ComponentId> {
    let split = |name: &Name| name.split_once('/').map(|(left, right)| (left.to_owned(), right.to_owned()));
    match key {
        Key::Node(name) => Some(ComponentId::Node(name.to_string())),
        Key::Zone(name) => Some(ComponentId::Zone(name.to_string())),
        Key::ZonePair(a, b) => Some(ComponentId::zone_pair(a, b)),
        Key::Service(name) => split(name).map(|(namespace, name)| ComponentId::Service { namespace, name }),
        Key::Pod(name) => split(name).map(|(namespace, name)| ComponentId::Pod { namespace, name }),
        Key::Remote(name) => split(name).map(|(_, name)| ComponentId::AwsService(name)),
        Key::Internet(ip) => Some(ComponentId::Internet(ip.to_string())),
        Key::Nowhere => None,
    }
}
