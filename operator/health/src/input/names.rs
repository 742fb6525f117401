//! Names and addresses as small numbers, so that a window of records becomes flat vectors of integers.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use tidewatch_records::{Endpoint, FlowWindow, Name};

/// A name or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Id(NonZeroU32);

impl Id {
    fn nth(index: usize) -> Self {
        let number = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// All names seen, in both directions. Numbers are given out in the order of the names within a window, never in the
/// order of its records, so that the same windows give the same numbers whatever their records' order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    texts: HashMap<Name, Id>,
    addresses: HashMap<IpAddr, Id>,
    names: Vec<Name>,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn text(&self, text: &str) -> Option<Id> {
        self.texts.get(text).copied()
    }

    pub(crate) fn address(&self, address: IpAddr) -> Option<Id> {
        self.addresses.get(&address).copied()
    }

    pub(crate) fn name(&self, id: Id) -> &str {
        self.names.get(id.index()).map_or("", |name| name)
    }

    /// The number of `text`, which gets one if it has none.
    pub(crate) fn intern(&mut self, text: &Name) -> Id {
        if let Some(id) = self.texts.get(text) {
            return *id;
        }
        let id = Id::nth(self.names.len());
        self.names.push(text.clone());
        self.texts.insert(text.clone(), id);
        id
    }

    fn intern_address(&mut self, address: IpAddr) {
        if self.addresses.contains_key(&address) {
            return;
        }
        let id = Id::nth(self.names.len());
        self.names.push(address.to_string().into());
        self.addresses.insert(address, id);
    }

    /// Takes over `id`, a number of `other`.
    pub(crate) fn adopt(&mut self, other: &Self, id: Id) -> Id {
        let Some(name) = other.names.get(id.index()) else { return id };
        match name.parse().ok().filter(|address| other.addresses.get(address) == Some(&id)) {
            Some(address) => {
                self.intern_address(address);
                self.address(address).unwrap_or(id)
            }
            None => self.intern(name),
        }
    }

    /// All names, in the order of their numbers; true for an address.
    pub(crate) fn listed(&self) -> Vec<(Name, bool)> {
        let is_address = |number: usize, name: &Name| {
            let address: Option<IpAddr> = name.parse().ok();
            address.is_some_and(|address| self.addresses.get(&address) == Some(&Id::nth(number)))
        };
        self.names.iter().enumerate().map(|(number, name)| (name.clone(), is_address(number, name))).collect()
    }

    /// The inverse of [`Names::listed`].
    pub(crate) fn of_list(list: &[(Name, bool)]) -> Self {
        let mut names = Self::default();
        for (name, is_address) in list {
            match name.parse().ok().filter(|_| *is_address) {
                Some(address) => names.intern_address(address),
                None => {
                    names.intern(name);
                }
            }
        }
        names
    }

    /// Numbers every name and address of `flows`.
    pub(crate) fn learn(&mut self, flows: &[FlowWindow]) {
        let mut fresh_texts = BTreeSet::new();
        let mut fresh_addresses = BTreeSet::new();
        let mut last_reporter: Option<&Name> = None;
        for flow in flows {
            if last_reporter != Some(&flow.reporter) && !self.texts.contains_key(&flow.reporter) {
                fresh_texts.insert(flow.reporter.clone());
            }
            last_reporter = Some(&flow.reporter);
        }
        for endpoint in flows.iter().flat_map(|flow| [&flow.local, &flow.remote]) {
            for text in texts_of(endpoint) {
                if !self.texts.contains_key(text) {
                    fresh_texts.insert(text.clone());
                    fresh_texts.extend(namespace_of(text).map(Name::from));
                }
            }
            if endpoint.pod.is_none() && !self.addresses.contains_key(&endpoint.ip) {
                fresh_addresses.insert(endpoint.ip);
            }
        }
        for text in &fresh_texts {
            self.intern(text);
        }
        for address in fresh_addresses {
            self.intern_address(address);
        }
    }
}

/// The namespace in `namespace/name`, if there is one.
pub(crate) fn namespace_of(name: &str) -> Option<&str> {
    name.split_once('/').map(|(namespace, _)| namespace)
}

fn texts_of(endpoint: &Endpoint) -> impl Iterator<Item = &Name> {
    [&endpoint.pod, &endpoint.workload, &endpoint.service, &endpoint.node, &endpoint.zone]
        .into_iter()
        .filter_map(Option::as_ref)
}
