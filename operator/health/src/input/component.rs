//! The components of a cluster that can be at fault, and the two directions of each.

use serde::{Deserialize, Serialize};

use crate::input::names::{Id, Names};
use crate::verdict::{Class, ComponentId, WHOLE_INTERNET};

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
            Self::Internet => ComponentId::Internet(WHOLE_INTERNET.to_owned()),
        }
    }
}

fn namespaced(name: &str) -> (String, String) {
    name.split_once('/')
        .map_or_else(|| (String::new(), name.to_owned()), |(ns, name)| (ns.into(), name.into()))
}

/// One of a component's two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// Out of a node, zone or pod; towards a service; from the lesser zone to the greater.
    First,
    Second,
}
