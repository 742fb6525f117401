//! The two ends of a connection: role, pod, node, family, backend.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tidewatch_kernel_tests::cgroup::POD_UID;
use tidewatch_kernel_tests::{Agent, Cgroup, Network, Traffic};
use tidewatch_records::Role;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_role_is_known_though_the_client_binds_its_port_and_the_sockets_are_older_than_the_agent() {
    let (network, cgroup) = (Network::new("role").unwrap(), Cgroup::new("role").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    // The client listens on the very port that it then connects from.
    client.tell("connect x 198.18.2.2:8080 from 198.18.1.2:9090").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("request x 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    let (clients, servers) = (said.of(Role::Client), said.of(Role::Server));
    assert_eq!((clients.len(), servers.len()), (1, 1), "{:#?}", said.flows);
    assert_eq!((clients[0].remote.port, clients[0].local.port), (Some(8080), None));
    assert_eq!((servers[0].local.port, servers[0].remote.port), (Some(8080), None));
    assert_eq!(servers[0].remote.ip, ip("198.18.1.2"));
}

#[test]
fn a_pod_below_a_kubelets_own_cgroup_root_is_known() {
    let (network, cgroup) = (Network::new("root").unwrap(), Cgroup::new("root").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let pod = cgroup.systemd_pod_below_a_root().unwrap();
    let mut client = Traffic::start(&network, "client", &pod).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("many 1 198.18.2.2:8080 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    assert_eq!(said.of(Role::Client)[0].local.pod_uid.as_deref(), Some(POD_UID));
    assert_eq!(said.of(Role::Server)[0].local.pod_uid, None);
}

#[test]
fn a_pods_uid_is_read_from_its_cgroup_by_either_driver_and_also_after_the_pod_is_gone() {
    let (network, cgroup) = (Network::new("pod").unwrap(), Cgroup::new("pod").unwrap());
    let (pod, systemd_pod) = (cgroup.pod().unwrap(), cgroup.systemd_pod().unwrap());
    let mut server = Traffic::start(&network, "server", &pod).unwrap();
    let mut client = Traffic::start(&network, "client", &systemd_pod).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("many 3 198.18.2.2:8080 100 100").unwrap();
    network.settle().unwrap();
    drop((client, server));
    for directory in [&pod, &systemd_pod] {
        let limit = Instant::now() + Duration::from_secs(10);
        while std::fs::remove_dir(directory).is_err() && directory.exists() {
            assert!(Instant::now() < limit, "{} can't be removed", directory.display());
        }
    }
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    for role in [Role::Client, Role::Server] {
        let flows = said.of(role);
        assert_eq!(flows.len(), 1, "{flows:#?}");
        assert_eq!(flows[0].local.pod_uid.as_deref(), Some(POD_UID), "{role:?}");
    }
}

#[test]
fn only_sockets_of_the_nodes_cgroups_are_seen_and_those_outside_a_pod_are_the_nodes() {
    let (network, cgroup) = (Network::new("filter").unwrap(), Cgroup::new("filter").unwrap());
    let other = Cgroup::new("filter2").unwrap();
    let mut server = Traffic::start(&network, "server", &other.pod().unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("kubelet").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("many 5 198.18.2.2:8080 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    assert!(said.of(Role::Server).is_empty(), "another node's: {:#?}", said.of(Role::Server));
    assert_eq!(said.of(Role::Client).len(), 1);
    assert_eq!(said.of(Role::Client)[0].local.pod_uid, None);
    assert_eq!(said.accounting[0].seen, 5);
}

#[test]
fn ipv6_is_reported_as_ipv6_and_v4_mapped_as_ipv4() {
    let (network, cgroup) = (Network::new("six").unwrap(), Cgroup::new("six").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen [::]:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("many 2 [fd00:2::2]:8080 100 100").unwrap();
    client.tell("many 3 198.18.2.2:8080 100 100").unwrap();
    client.tell("many 4 [::ffff:198.18.2.2]:8080 100 100").unwrap();
    drop(client);
    drop(server);
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    let count = |role, at: &str| -> u64 {
        let is = |ip: IpAddr, other: IpAddr| {
            (if role == Role::Client { other } else { ip }) == at.parse::<IpAddr>().unwrap()
        };
        let flows = said.of(role);
        let of_them = flows.iter().filter(|f| is(f.local.ip, f.remote.ip));
        of_them.map(|f| f.connections.established).sum()
    };
    for role in [Role::Client, Role::Server] {
        assert_eq!(count(role, "fd00:2::2"), 2, "{role:?} {:#?}", said.flows);
        assert_eq!(count(role, "198.18.2.2"), 7, "{role:?} {:#?}", said.flows);
    }
    assert_eq!(said.flows.len(), 4, "{:#?}", said.flows);
}

#[test]
fn a_services_address_is_resolved_to_the_backend_for_open_and_for_ended_connections() {
    let (network, cgroup) = (Network::new("nat").unwrap(), Cgroup::new("nat").unwrap());
    let rule = "ip daddr 198.18.3.3 tcp dport 80 dnat ip to 198.18.2.2:8080";
    network.rule("services", "nat hook prerouting priority -100", rule).unwrap();
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    client.tell("connect old 198.18.3.3:80").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("request old 100 100").unwrap();
    client.tell("many 5 198.18.3.3:80 100 100").unwrap();
    client.tell("many 2 198.18.2.2:8080 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    let flows = said.of(Role::Client);
    assert_eq!(flows.len(), 2, "{flows:#?}");
    assert!(
        flows.iter().all(|f| f.remote.ip == ip("198.18.2.2") && f.remote.port == Some(8080)),
        "{flows:#?}"
    );
    let dialled = flows.iter().find(|f| f.remote.cluster_ip == Some(ip("198.18.3.3"))).unwrap();
    assert_eq!(dialled.remote.cluster_port, Some(80));
    assert_eq!((dialled.connections.established, dialled.connections.open), (5, 1));
    let direct = flows.iter().find(|f| f.remote.cluster_ip.is_none()).unwrap();
    assert_eq!(direct.connections.established, 2);
}

#[test]
fn a_socket_shared_by_two_processes_counts_once() {
    let (network, cgroup) = (Network::new("shared").unwrap(), Cgroup::new("shared").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("connect x 198.18.2.2:8080").unwrap();
    client.tell("request x 1000 1000").unwrap();
    client.tell("share x").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    assert_eq!(said.sum(Role::Client, |flow| flow.connections.open), 1);
    assert_eq!(said.sum(Role::Client, |flow| flow.bytes_out), 1000);
    assert_eq!(said.accounting[0].seen, 2);
}

#[test]
fn an_agent_that_was_killed_leaves_nothing_and_the_next_goes_on_from_its_own_start() {
    let (network, cgroup) = (Network::new("killed").unwrap(), Cgroup::new("killed").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8080").unwrap();
    let first = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("connect x 198.18.2.2:8080").unwrap();
    client.tell("request x 7000 100").unwrap();
    first.kill().unwrap();
    client.tell("request x 5000 100").unwrap();
    let second = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("request x 3000 100").unwrap();
    let said = second.finish().unwrap();
    assert_eq!(said.sum(Role::Client, |flow| flow.bytes_out), 3000);
    assert_eq!(said.sum(Role::Client, |flow| flow.connections.attempted), 0);
    assert_eq!(said.sum(Role::Client, |flow| flow.connections.open), 1);
}
