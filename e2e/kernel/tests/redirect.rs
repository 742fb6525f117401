//! Connections that rules of their own network namespace redirect, as a service mesh's sidecar does.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::IpAddr;

use tidewatch_kernel_tests::{Agent, Cgroup, Network, Traffic};
use tidewatch_records::Role;

/// Redirects connections that `side` opens or gets (`hook`) at `port` to port `to` of its own addresses.
fn redirect(network: &Network, side: &str, hook: &str, port: u16, to: u16) {
    for line in [
        "nft add table inet mesh".to_owned(),
        format!("nft add chain inet mesh {hook} {{ type nat hook {hook} priority -100 ; }}"),
        format!("nft add rule inet mesh {hook} tcp dport {port} redirect to :{to}"),
    ] {
        network.run_in(side, &line).unwrap();
    }
}

#[test]
fn what_a_pod_dials_and_its_own_sidecar_answers_is_left_out() {
    let (network, cgroup) = (Network::new("sidecar").unwrap(), Cgroup::new("sidecar").unwrap());
    let mut server = Traffic::start(&network, "server", &cgroup.make("s").unwrap()).unwrap();
    let mut sidecar = Traffic::start(&network, "client", &cgroup.make("sidecar").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.2.2:8081").unwrap();
    sidecar.tell("listen [::]:15001").unwrap();
    redirect(&network, "client", "output", 8080, 15001);
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    // Nothing listens on 8080 over there: the sidecar answers, also for IPv6; it is the sidecar that dials 8081.
    for target in ["198.18.2.2:8080", "[fd00:2::2]:8080"] {
        client.tell(&format!("many 5 {target} 100 100")).unwrap();
    }
    client.tell("connect held 198.18.2.2:8080").unwrap();
    sidecar.tell("many 3 198.18.2.2:8081 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    let (clients, servers) = (said.of(Role::Client), said.of(Role::Server));
    assert_eq!((clients.len(), servers.len()), (1, 1), "{:#?}", said.flows);
    assert_eq!(clients[0].remote.port, Some(8081));
    assert_eq!(clients[0].connections.established, 3);
    assert_eq!(servers[0].connections.established, 3);
    assert!(said.all_reported(), "{:?}", said.accounting);
}

#[test]
fn what_a_sidecar_accepts_for_its_pod_has_the_sidecars_port() {
    let (network, cgroup) = (Network::new("inbound").unwrap(), Cgroup::new("inbound").unwrap());
    let mut sidecar = Traffic::start(&network, "server", &cgroup.make("sidecar").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    sidecar.tell("listen 198.18.2.2:15006").unwrap();
    redirect(&network, "server", "prerouting", 8080, 15006);
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("many 4 198.18.2.2:8080 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    let (clients, servers) = (said.of(Role::Client), said.of(Role::Server));
    assert_eq!((clients.len(), servers.len()), (1, 1), "{:#?}", said.flows);
    assert_eq!((clients[0].remote.port, clients[0].connections.established), (Some(8080), 4));
    assert_eq!((servers[0].local.port, servers[0].connections.established), (Some(15006), 4));
    assert_eq!(servers[0].remote.ip, "198.18.1.2".parse::<IpAddr>().unwrap());
}

#[test]
fn what_a_node_dials_at_an_address_of_its_own_is_left_out() {
    let (network, cgroup) = (Network::new("own").unwrap(), Cgroup::new("own").unwrap());
    let mut server = Traffic::start(&network, "client", &cgroup.make("s").unwrap()).unwrap();
    let mut client = Traffic::start(&network, "client", &cgroup.make("c").unwrap()).unwrap();
    server.tell("listen 198.18.1.2:8080").unwrap();
    let agent = Agent::start(&network, &cgroup, &[]).unwrap();
    client.tell("many 5 198.18.1.2:8080 100 100").unwrap();
    network.settle().unwrap();
    let said = agent.finish().unwrap();
    assert!(said.flows.is_empty(), "{:#?}", said.flows);
    assert_eq!(said.accounting[0].seen, 0);
}
