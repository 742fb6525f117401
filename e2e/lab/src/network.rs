//! The network: a namespace for each node, each outside host, the control plane and the router that joins them.
//!
//! The router holds a bridge for each zone, one for the outside world and a link to the control plane. What comes from one
//! zone's bridge and goes to another zone is routed, by incoming interface, into a TUN device; the relay carries it to the
//! TUN device of the opposite direction, from where it is routed to the other zone's bridge. Within a zone, nodes reach
//! each other's pods over the bridge.
//!
//! Links segment what they carry (`gso_max_segs 1`): otherwise a lost "packet" would be up to 64 KiB of a stream at once.

use std::fmt::Write as _;

use crate::command::Cmd;
use crate::error::Result;
use crate::netns;
use crate::plan::{
    CONTROL_PLANE, CONTROL_PLANE_GATEWAY, Node, Plan, WORLD_GATEWAY, remote_part, zone_gateway,
};

/// The router's link that carries packets from one zone to another.
pub(crate) fn tun_name(from: u8, to: u8) -> String {
    format!("t{from}-{to}")
}

/// The router's end of an outside host's link.
pub(crate) fn remote_link(remote: &str) -> String {
    format!("r-{remote}")
}

/// Makes all namespaces, links, addresses and routes.
pub(crate) fn build(plan: &Plan) -> Result<()> {
    batch(None, namespaces_and_links(plan))?;
    let router = plan.netns("router");
    for netns in all_namespaces(plan) {
        let forwards = netns == router || plan.nodes.iter().any(|n| netns == plan.netns(&n.name));
        netns::within(&netns::path(&netns), || set_sysctls(forwards))??;
    }
    batch(Some(&router), router_setup(plan))?;
    batch(Some(&plan.netns("cp")), host_setup(&format!("{CONTROL_PLANE}/24"), CONTROL_PLANE_GATEWAY))?;
    for remote in &plan.remotes {
        let netns = plan.netns(&remote_part(&remote.name));
        batch(Some(&netns), host_setup(&format!("{}/24", remote.address), WORLD_GATEWAY))?;
    }
    for node in &plan.nodes {
        batch(Some(&plan.netns(&node.name)), node_setup(plan, node))?;
    }
    Ok(())
}

/// The names of the lab's namespaces.
pub(crate) fn all_namespaces(plan: &Plan) -> Vec<String> {
    let fixed = ["router", "cp"].into_iter().map(|n| plan.netns(n));
    let nodes = plan.nodes.iter().map(|n| plan.netns(&n.name));
    let remotes = plan.remotes.iter().map(|r| plan.netns(&remote_part(&r.name)));
    fixed.chain(nodes).chain(remotes).collect()
}

fn batch(netns: Option<&str>, lines: String) -> Result<()> {
    let mut arguments = vec![];
    if let Some(netns) = netns {
        arguments.extend(["-n", netns]);
    }
    arguments.extend(["-batch", "-"]);
    Cmd::new("ip").args(arguments).input(lines).run().map(drop)
}

fn set_sysctls(forwards: bool) -> Result<()> {
    for scope in ["all", "default"] {
        netns::sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "0")?;
        netns::sysctl(&format!("ipv4/conf/{scope}/send_redirects"), "0")?;
        netns::sysctl(&format!("ipv4/conf/{scope}/accept_redirects"), "0")?;
    }
    netns::sysctl("ipv4/ip_forward", if forwards { "1" } else { "0" })
}

fn namespaces_and_links(plan: &Plan) -> String {
    let mut lines = String::new();
    for netns in all_namespaces(plan) {
        let _ = writeln!(lines, "netns add {netns}");
    }
    let router = plan.netns("router");
    let mut link = |netns: &str, router_side: &str| {
        let _ = writeln!(
            lines,
            "link add name eth0 netns {netns} gso_max_segs 1 type veth peer name {router_side} netns {router} gso_max_segs 1"
        );
    };
    link(&plan.netns("cp"), "cp");
    for node in &plan.nodes {
        link(&plan.netns(&node.name), &node.name);
    }
    for remote in &plan.remotes {
        link(&plan.netns(&remote_part(&remote.name)), &remote_link(&remote.name));
    }
    lines
}

fn router_setup(plan: &Plan) -> String {
    let mut lines = String::new();
    let mut say = |line: String| {
        let _ = writeln!(lines, "{line}");
    };
    say("link set dev lo up".into());
    say(format!("address add {CONTROL_PLANE_GATEWAY}/24 dev cp"));
    say("link set dev cp up".into());
    let mut bridge = |name: &str, gateway: std::net::Ipv4Addr, links: Vec<String>| {
        say(format!("link add name {name} type bridge"));
        say(format!("address add {gateway}/24 dev {name}"));
        say(format!("link set dev {name} up"));
        for link in links {
            say(format!("link set dev {link} master {name} up"));
        }
    };
    bridge("world", WORLD_GATEWAY, plan.remotes.iter().map(|r| remote_link(&r.name)).collect());
    for zone in 1..=plan.zones {
        let nodes = plan.nodes.iter().filter(|n| n.zone_number == zone);
        bridge(&format!("z{zone}"), zone_gateway(zone), nodes.map(|n| n.name.clone()).collect());
    }
    for node in &plan.nodes {
        say(format!("route add {} via {} dev z{}", node.pod_cidr(), node.address, node.zone_number));
    }
    for (a, b) in plan.zone_pairs() {
        for (from, to) in [(a, b), (b, a)] {
            let tun = tun_name(from, to);
            // The queue holds what arrives while the relay isn't scheduled; a loss there would be one nobody asked for.
            say(format!("tuntap add dev {tun} mode tun"));
            say(format!("link set dev {tun} txqueuelen 10000 up"));
        }
    }
    for from in 1..=plan.zones {
        let table = 100 + u32::from(from);
        say(format!("rule add iif z{from} lookup {table} priority {}", 1000 + table));
        for to in (1..=plan.zones).filter(|to| *to != from) {
            let tun = tun_name(from, to);
            say(format!("route add 198.18.{}.0/24 dev {tun} table {table}", 200 + to));
            for node in plan.nodes.iter().filter(|n| n.zone_number == to) {
                say(format!("route add {} dev {tun} table {table}", node.pod_cidr()));
            }
        }
    }
    lines
}

fn host_setup(address: &str, gateway: std::net::Ipv4Addr) -> String {
    format!(
        "link set dev lo up\naddress add {address} dev eth0\nlink set dev eth0 up\nroute add default via {gateway}\n"
    )
}

fn node_setup(plan: &Plan, node: &Node) -> String {
    let mut lines = host_setup(&format!("{}/24", node.address), node.gateway());
    for peer in plan.nodes.iter().filter(|p| p.zone == node.zone && p.name != node.name) {
        let _ = writeln!(lines, "route add {} via {}", peer.pod_cidr(), peer.address);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn traffic_between_zones_leaves_the_router_by_the_relay_and_within_a_zone_it_does_not() {
        let plan = Plan::of(&Options::named("t").zones(2)).unwrap();
        let router = router_setup(&plan);
        assert!(router.contains("rule add iif z1 lookup 101"));
        assert!(router.contains("route add 198.18.3.0/24 dev t1-2 table 101"));
        assert!(router.contains("route add 198.18.202.0/24 dev t1-2 table 101"));
        assert!(!router.contains("route add 198.18.1.0/24 dev t1-2"));
        let node = node_setup(&plan, &plan.nodes[0]);
        assert!(node.contains("route add 198.18.2.0/24 via 198.18.201.12"), "{node}");
        assert!(!node.contains("198.18.3.0/24"), "another zone is reached by the default route");
    }

    #[test]
    fn every_namespace_carries_the_labs_name() {
        let plan = Plan::of(&Options::named("t")).unwrap();
        let all = all_namespaces(&plan);
        assert_eq!(all.len(), 2 + 6 + 2);
        assert!(all.iter().all(|n| n.starts_with("tw-t-")));
    }
}
