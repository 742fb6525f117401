//! The lab's address plan and names: pure arithmetic on [`Options`](crate::Options).
//!
//! | What | Addresses |
//! |---|---|
//! | pods of node number N (1 to 81, counted over all zones) | 198.18.N.0/24 |
//! | control plane | 198.18.200.2, its gateway 198.18.200.1 |
//! | nodes of zone Z | 198.18.(200+Z).11, .12, …, gateway .1 |
//! | Services | 198.19.0.0/17: the apiserver .0.1, DNS .0.10 |
//! | outside world | 198.19.255.0/24, gateway .1 |
//!
//! The outside world lies outside the Service range on purpose: kube-proxy drops what goes to an address of that range
//! that is no Service's.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::{LabName, Options};

/// The Services' range.
pub const SERVICE_CIDR: &str = "198.19.0.0/17";
/// All pods of all nodes (node numbers up to 127).
pub const POD_CIDR: &str = "198.18.0.0/17";
/// ClusterIP of `kubernetes.default`.
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
/// ClusterIP of the cluster's DNS.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 10);
/// The control plane's address.
pub const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(198, 18, 200, 2);
/// The router's address towards the control plane.
pub const CONTROL_PLANE_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 200, 1);
/// The router's address towards the outside world.
pub const WORLD_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 1);
/// The port of the apiserver.
pub const API_PORT: u16 = 6443;

/// A host outside the cluster, standing for an AWS service or the internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its name, as in `fault remote NAME`: up to 11 lower-case letters, digits and dashes.
    pub name: String,
    /// Its address, in 198.19.255.0/24.
    pub address: Ipv4Addr,
}

/// A worker node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `zone-1-a`.
    pub name: String,
    /// `zone-1`, also the value of its label `topology.kubernetes.io/zone`.
    pub zone: String,
    /// The zone's number, from 1.
    pub zone_number: u8,
    /// The node's number over all zones, from 1.
    pub number: u8,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Node {
    /// The range of its pods.
    #[must_use]
    pub fn pod_cidr(&self) -> String {
        format!("198.18.{}.0/24", self.number)
    }

    /// The router's address in the node's zone.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        zone_gateway(self.zone_number)
    }
}

/// The router's address in a zone.
#[must_use]
pub fn zone_gateway(zone_number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 200 + zone_number, 1)
}

/// Everything that has a name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lab's name.
    pub lab: String,
    /// Number of zones.
    pub zones: u8,
    /// The worker nodes, zone by zone; none with `--control-plane-only`.
    pub nodes: Vec<Node>,
    /// The outside hosts.
    pub remotes: Vec<Remote>,
}

impl Plan {
    /// Checks the options and lays the addresses out.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a sentence that says what to write instead.
    pub fn of(options: &Options) -> Result<Self> {
        let lab: LabName = options.name.parse()?;
        for (what, count) in [("zones", options.zones), ("nodes per zone", options.nodes_per_zone)] {
            if !(1..=9).contains(&count) {
                return Err(Error::Invalid(format!("{count} {what}: write a number from 1 to 9")));
            }
        }
        check_remotes(&options.remotes)?;
        let zones = if options.control_plane_only { 0 } else { options.zones };
        let nodes = (1..=zones)
            .flat_map(|zone| (0..options.nodes_per_zone).map(move |index| (zone, index)))
            .map(|(zone, index)| node(zone, index, options.nodes_per_zone))
            .collect();
        Ok(Self { lab: lab.as_str().to_owned(), zones, nodes, remotes: options.remotes.clone() })
    }

    /// The zones' names in order.
    pub fn zone_names(&self) -> impl Iterator<Item = String> {
        (1..=self.zones).map(zone_name)
    }

    /// A node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// An outside host by its name.
    #[must_use]
    pub fn remote(&self, name: &str) -> Option<&Remote> {
        self.remotes.iter().find(|r| r.name == name)
    }

    /// The number of a zone by its name.
    #[must_use]
    pub fn zone_number(&self, name: &str) -> Option<u8> {
        (1..=self.zones).find(|z| zone_name(*z) == name)
    }

    /// The name of a network namespace of this lab: of a node (its name), of `router`, of `cp` or of a remote (`remote-NAME`).
    #[must_use]
    pub fn netns(&self, what: &str) -> String {
        format!("{}{what}", netns_prefix(&self.lab))
    }

    /// The lab's cgroup, relative to a hierarchy's root.
    #[must_use]
    pub fn cgroup(&self) -> String {
        format!("tw-{}", self.lab)
    }

    /// The unordered pairs of different zones, each with the lower number first.
    pub fn zone_pairs(&self) -> impl Iterator<Item = (u8, u8)> {
        let zones = self.zones;
        (1..=zones).flat_map(move |a| (a + 1..=zones).map(move |b| (a, b)))
    }
}

/// The beginning of the name of an outside host's part of a lab.
pub(crate) const REMOTE_PART: &str = "remote-";

/// An outside host's part of a lab: the end of its namespace's name, its cgroup, its component.
pub(crate) fn remote_part(remote: &str) -> String {
    format!("{REMOTE_PART}{remote}")
}

/// What the names of the lab's network namespaces begin with.
#[must_use]
pub fn netns_prefix(lab: &str) -> String {
    format!("tw-{lab}-")
}

fn zone_name(number: u8) -> String {
    format!("zone-{number}")
}

fn node(zone: u8, index: u8, per_zone: u8) -> Node {
    let zone_name = zone_name(zone);
    let letter = char::from(b'a' + index);
    Node {
        name: format!("{zone_name}-{letter}"),
        zone: zone_name,
        zone_number: zone,
        number: (zone - 1) * per_zone + index + 1,
        address: Ipv4Addr::new(198, 18, 200 + zone, 11 + index),
    }
}

fn check_remotes(remotes: &[Remote]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for Remote { name, address } in remotes {
        let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if name.is_empty() || name.len() > 11 || !letters || name.starts_with('-') || name.ends_with('-') {
            return Err(Error::Invalid(format!(
                "remote {name:?}: write 1 to 11 lower-case letters, digits and inner dashes"
            )));
        }
        let [a, b, c, d] = address.octets();
        if (a, b, c) != (198, 19, 255) || !(2..=254).contains(&d) {
            return Err(Error::Invalid(format!(
                "remote {name}={address}: write an address from 198.19.255.2 to 198.19.255.254"
            )));
        }
        if !seen.insert(name.clone()) || !seen.insert(address.to_string()) {
            return Err(Error::Invalid(format!(
                "remote {name}={address}: its name or its address is given twice"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_zones_of_two_nodes_have_distinct_names_and_addresses() {
        let plan = Plan::of(&Options::named("t")).unwrap();
        let names: Vec<_> = plan.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["zone-1-a", "zone-1-b", "zone-2-a", "zone-2-b", "zone-3-a", "zone-3-b"]);
        let third = &plan.nodes[2];
        assert_eq!(third.pod_cidr(), "198.18.3.0/24");
        assert_eq!(third.address.to_string(), "198.18.202.11");
        assert_eq!(third.gateway().to_string(), "198.18.202.1");
        assert_eq!(plan.zone_pairs().collect::<Vec<_>>(), [(1, 2), (1, 3), (2, 3)]);
        assert_eq!(plan.netns("router"), "tw-t-router");
    }

    #[test]
    fn even_the_largest_lab_keeps_pods_below_the_nodes_and_within_the_pod_range() {
        let plan = Plan::of(&Options::named("t").zones(9).nodes_per_zone(9)).unwrap();
        let ranges: BTreeSet<_> = plan.nodes.iter().map(Node::pod_cidr).collect();
        assert_eq!(ranges.len(), 81);
        assert!(plan.nodes.iter().all(|n| n.number < 128));
        assert!(
            plan.nodes.iter().all(|n| n.name.len() <= 15),
            "a link in the router carries the node's name"
        );
    }

    #[test]
    fn the_control_plane_alone_has_no_nodes() {
        let plan = Plan::of(&Options { control_plane_only: true, ..Options::named("t") }).unwrap();
        assert!(plan.nodes.is_empty());
        assert_eq!(plan.zone_pairs().count(), 0);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        let at = |address: [u8; 4]| Ipv4Addr::from(address);
        for (options, says) in [
            (Options::named("t").zones(0), "1 to 9"),
            (Options::named("t").nodes_per_zone(10), "1 to 9"),
            (Options::named("T"), "lower-case"),
            (Options::named("t").remote("x", at([198, 19, 0, 10])), "198.19.255.2"),
            (Options::named("t").remote("x", at([198, 19, 255, 1])), "198.19.255.2"),
            (Options::named("t").remote("x", at([198, 19, 255, 10])), "twice"),
            (Options::named("t").remote("a-name-too-long", at([198, 19, 255, 30])), "1 to 11"),
        ] {
            let error = Plan::of(&options).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
