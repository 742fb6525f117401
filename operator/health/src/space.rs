//! The components that each cell's data crosses.
//!
//! A component has two *ways* that can fail on their own: out of a node and into it, from one zone to the other and
//! back, towards a service and from it. A half is one way of one component; a cell lists the halves it crosses.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidewatch_records::Role;

use crate::names::{Id, Names};
use crate::project::ANYWHERE;
use crate::reduce::{Cell, Flow, Reach, Subject};
use crate::verdict::{Class, ComponentId};

/// A component, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Component {
    Node(Id),
    /// The lesser number first.
    ZonePair(Id, Id),
    Zone(Id),
    Service(Id),
    Pod(Id),
    Aws(Id),
    /// One address outside.
    Address(Id),
    /// The way to the internet as a whole.
    Internet,
}

impl Component {
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Node(_) | Self::ZonePair(..) | Self::Zone(_) => Class::Infrastructure,
            Self::Service(_) | Self::Pod(_) => Class::Workload,
            Self::Aws(_) | Self::Address(_) | Self::Internet => Class::External,
        }
    }

    pub(crate) fn renumbered(self, number: &mut impl FnMut(Id) -> Id) -> Self {
        match self {
            Self::Node(id) => Self::Node(number(id)),
            Self::ZonePair(a, b) => {
                let (a, b) = (number(a), number(b));
                Self::ZonePair(a.min(b), a.max(b))
            }
            Self::Zone(id) => Self::Zone(number(id)),
            Self::Service(id) => Self::Service(number(id)),
            Self::Pod(id) => Self::Pod(number(id)),
            Self::Aws(id) => Self::Aws(number(id)),
            Self::Address(id) => Self::Address(number(id)),
            Self::Internet => Self::Internet,
        }
    }

    pub(crate) fn id(self, names: &Names) -> ComponentId {
        match self {
            Self::Node(id) => ComponentId::Node(names.name(id).to_owned()),
            Self::ZonePair(a, b) => ComponentId::zone_pair(names.name(a), names.name(b)),
            Self::Zone(id) => ComponentId::Zone(names.name(id).to_owned()),
            Self::Service(id) => {
                let (namespace, name) = namespaced(names.name(id));
                ComponentId::Service { namespace, name }
            }
            Self::Pod(id) => {
                let (namespace, name) = namespaced(names.name(id));
                ComponentId::Pod { namespace, name }
            }
            Self::Aws(id) => {
                let name = names.name(id);
                ComponentId::AwsService(name.strip_prefix("aws/").unwrap_or(name).to_owned())
            }
            Self::Address(id) => ComponentId::Internet(names.name(id).to_owned()),
            Self::Internet => ComponentId::Internet(ANYWHERE.to_owned()),
        }
    }
}

fn namespaced(name: &str) -> (String, String) {
    name.split_once('/')
        .map_or_else(|| (String::new(), name.to_owned()), |(ns, name)| (ns.into(), name.into()))
}

/// One of a component's two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Out of a node, zone or pod; towards a service; from the lesser zone to the greater.
    First,
    Second,
}

const MEMBERSHIPS: usize = 9;
const NONE: u32 = u32::MAX;

/// The halves a cell crosses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crossings {
    halves: [u32; MEMBERSHIPS],
}

impl Crossings {
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.halves.iter().filter(|half| **half != NONE).map(|half| *half as usize)
    }
}

/// The components of some windows, and what crosses them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Space {
    pub(crate) components: Vec<Component>,
    pub(crate) crossings: Vec<Crossings>,
    /// Cells by half: `members[starts[h]..starts[h + 1]]`.
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Space {
    pub(crate) fn build<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let mut space = Self::default();
        let mut index = HashMap::new();
        for cell in cells {
            let mut halves = [NONE; MEMBERSHIPS];
            for (slot, (component, way)) in halves.iter_mut().zip(crossed(&cell.flow)) {
                let number = *index.entry(component).or_insert_with(|| {
                    space.components.push(component);
                    space.components.len() - 1
                });
                *slot = half(number, way) as u32;
            }
            space.crossings.push(Crossings { halves });
        }
        space.index_members();
        space
    }

    pub(crate) fn halves(&self) -> usize {
        self.components.len() * 2
    }

    pub(crate) fn component_of(&self, half: usize) -> Option<Component> {
        self.components.get(half / 2).copied()
    }

    /// Indices of the cells that cross `half`.
    pub(crate) fn members(&self, half: usize) -> impl Iterator<Item = usize> + '_ {
        let bound = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        let range = bound(half)..bound(half + 1);
        self.members.get(range).unwrap_or_default().iter().map(|cell| *cell as usize)
    }

    fn index_members(&mut self) {
        let mut starts = vec![0_u32; self.halves() + 1];
        for half in self.crossings.iter().flat_map(Crossings::iter) {
            if let Some(count) = starts.get_mut(half + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut members = vec![0_u32; sum as usize];
        for (cell, crossings) in self.crossings.iter().enumerate() {
            for half in crossings.iter() {
                let Some(slot) = next.get_mut(half) else { continue };
                if let Some(member) = members.get_mut(*slot as usize) {
                    *member = cell as u32;
                }
                *slot += 1;
            }
        }
        self.starts = starts;
        self.members = members;
    }
}

/// The number of a component's half.
pub(crate) fn half(component: usize, way: Way) -> usize {
    component * 2 + usize::from(way == Way::Second)
}

/// The components that the data of `flow` crosses from its local end to its remote end.
fn crossed(flow: &Flow) -> impl Iterator<Item = (Component, Way)> {
    let leaves = flow.leaves_node();
    let towards = if flow.role == Role::Client { Way::First } else { Way::Second };
    let external = flow.reach == Reach::External;
    let across = flow.local_zone.zip(flow.remote_zone).filter(|(from, to)| from != to);
    let pair = across.map(|(from, to)| {
        if from < to {
            (Component::ZonePair(from, to), Way::First)
        } else {
            (Component::ZonePair(to, from), Way::Second)
        }
    });
    let into_zone = flow.remote_zone.filter(|_| flow.local_zone != flow.remote_zone);
    let served = match flow.subject {
        // What the internet's clients suffer is no service's doing.
        Subject::Service(id) => (!external || flow.role == Role::Client).then_some(Component::Service(id)),
        Subject::Aws(id) => Some(Component::Aws(id)),
        Subject::Address(id) if external => Some(Component::Address(id)),
        Subject::Address(_)
        | Subject::Workload(_)
        | Subject::Pod(_)
        | Subject::WorkloadPort(..)
        | Subject::PodPort(..)
        | Subject::Node(_)
        | Subject::Hosts(_) => None,
    };
    let internet = external && !matches!(flow.subject, Subject::Aws(_));
    [
        flow.local_node.filter(|_| leaves).map(|node| (Component::Node(node), Way::First)),
        flow.remote_node.filter(|_| leaves).map(|node| (Component::Node(node), Way::Second)),
        pair,
        flow.local_zone.filter(|_| leaves).map(|zone| (Component::Zone(zone), Way::First)),
        into_zone.filter(|_| leaves).map(|zone| (Component::Zone(zone), Way::Second)),
        served.map(|component| (component, towards)),
        flow.local_pod.map(|pod| (Component::Pod(pod), Way::First)),
        flow.remote_pod.map(|pod| (Component::Pod(pod), Way::Second)),
        internet.then_some((Component::Internet, towards)),
    ]
    .into_iter()
    .flatten()
}
