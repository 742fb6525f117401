//! The components that each cell's data crosses.
//!
//! A component has two *ways* that can fail on their own: out of a node and into it, from one zone to the other and
//! back, towards a service and from it. A half is one way of one component; a cell lists the halves it crosses.

use std::collections::HashMap;

use tidewatch_records::Role;

use crate::input::cell::{Cell, Flow, Reach, Subject};
use crate::input::component::{Component, Direction};

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
pub(crate) struct Topology {
    pub(crate) components: Vec<Component>,
    pub(crate) crossings: Vec<Crossings>,
    /// Cells by half: `members[starts[h]..starts[h + 1]]`.
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Topology {
    pub(crate) fn build<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let mut topology = Self::default();
        let mut index = HashMap::new();
        for cell in cells {
            let mut halves = [NONE; MEMBERSHIPS];
            for (slot, (component, way)) in halves.iter_mut().zip(crossed(&cell.flow)) {
                let number = *index.entry(component).or_insert_with(|| {
                    topology.components.push(component);
                    topology.components.len() - 1
                });
                *slot = half(number, way) as u32;
            }
            topology.crossings.push(Crossings { halves });
        }
        topology.index_members();
        topology
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
pub(crate) fn half(component: usize, way: Direction) -> usize {
    component * 2 + usize::from(way == Direction::Second)
}

/// The components that the data of `flow` crosses from its local end to its remote end.
fn crossed(flow: &Flow) -> impl Iterator<Item = (Component, Direction)> {
    let leaves = flow.leaves_node();
    let towards = if flow.role == Role::Client { Direction::First } else { Direction::Second };
    let external = flow.reach == Reach::External;
    let across = flow.local_zone.zip(flow.remote_zone).filter(|(from, to)| from != to);
    let pair = across.map(|(from, to)| {
        if from < to {
            (Component::ZonePair(from, to), Direction::First)
        } else {
            (Component::ZonePair(to, from), Direction::Second)
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
        flow.local_node.filter(|_| leaves).map(|node| (Component::Node(node), Direction::First)),
        flow.remote_node.filter(|_| leaves).map(|node| (Component::Node(node), Direction::Second)),
        pair,
        flow.local_zone.filter(|_| leaves).map(|zone| (Component::Zone(zone), Direction::First)),
        into_zone.filter(|_| leaves).map(|zone| (Component::Zone(zone), Direction::Second)),
        served.map(|component| (component, towards)),
        flow.local_pod.map(|pod| (Component::Pod(pod), Direction::First)),
        flow.remote_pod.map(|pod| (Component::Pod(pod), Direction::Second)),
        internet.then_some((Component::Internet, towards)),
    ]
    .into_iter()
    .flatten()
}
