//! Owners of ports (a Service, a pod, a node or nobody), of addresses that two objects list, and of kubelet's probes.

use super::tests::{at, client, index, ip, node, pod, remote_of, resolved, service, slice, uid_text};
use super::*;
use crate::{Fact, NodeFact, PodPhase, ServiceFact};

/// `resolve_tests`' cluster, with IPv6, and with Services that are dialled from outside: `web` by a NodePort, a load
/// balancer and an external address that is node-a's, behind it the pod cart; `web` and `mail` share a load balancer's
/// address; `gone` has no endpoints. On node-c a host-network pod without a Service; on node-a a pod with a hostPort.
fn exposed() -> Index {
    let mut index = index();
    let Fact::Node(node_c) = node("node-c", "zone-1", "lab", "198.18.201.3", "198.18.3.0/24") else {
        unreachable!("it makes a node");
    };
    let web = ServiceFact {
        key: "shop/web".into(),
        ips: ["198.19.0.40", "fd00:9::40", "203.0.113.7", "198.18.201.1"].map(ip).to_vec(),
        ports: vec![80, 443],
        target_ports: vec!["8080".into(), "8443".into()],
        node_ports: vec![30080, 30443, 32000],
        ..ServiceFact::default()
    };
    let mail = ServiceFact {
        key: "shop/mail".into(),
        ips: vec![ip("203.0.113.7")],
        ports: vec![25],
        target_ports: vec!["25".into()],
        ..ServiceFact::default()
    };
    let gone = ServiceFact {
        key: "shop/gone".into(),
        ips: vec![ip("198.19.0.41")],
        ports: vec![80],
        target_ports: vec!["8080".into()],
        node_ports: vec![30081],
        ..ServiceFact::default()
    };
    let monitor = PodFact {
        host_network: true,
        host_ports: vec![9100],
        ..pod(6, "exporter", "node-c", &["198.18.201.3", "fd00:c::1"])
    };
    let ingress = PodFact { host_ports: vec![8081], ..pod(7, "ingress", "node-a", &["198.18.1.12"]) };
    for fact in [
        Fact::Node(NodeFact { ips: vec![ip("198.18.201.3"), ip("fd00:c::1")], ..node_c }),
        Fact::Service(web),
        Fact::Service(mail),
        Fact::Service(gone),
        slice("web", &[8080, 8443], &[("198.18.1.11", Some(4))]),
        Fact::Pod(monitor),
        Fact::Pod(ingress),
    ] {
        index.apply(fact, at(0));
    }
    index
}

#[test]
fn a_port_is_the_service_s_only_where_the_service_has_it() {
    let index = exposed();
    for (remote, port, expected, why) in [
        ("198.18.1.11", 8080, "pod shop/cart shop/web node-a zone-1 INTRA_NODE", "a target port"),
        ("198.18.1.11", 80, "pod shop/cart - node-a zone-1 INTRA_NODE", "the Service's, but not the pod's"),
        ("198.18.1.11", 9999, "pod shop/cart - node-a zone-1 INTRA_NODE", "a dead port of a pod"),
        ("198.18.2.20", 15020, "pod shop/payments - node-b zone-2 INTER_AZ", "one that only the pod has"),
        ("198.19.0.40", 80, "service - shop/web - - UNCLASSIFIED", "a ClusterIP, not translated"),
        ("198.19.0.40", 8080, "service - - - - UNCLASSIFIED", "a ClusterIP at the target port"),
        ("fd00:9::40", 443, "service - shop/web - - UNCLASSIFIED", "IPv6"),
        ("203.0.113.7", 443, "service - shop/web - - UNCLASSIFIED", "a load balancer's address"),
        ("203.0.113.7", 25, "service - shop/mail - - UNCLASSIFIED", "the other Service that shares it"),
        ("203.0.113.7", 22, "service - - - - UNCLASSIFIED", "a port of it that neither has"),
        ("10.50.0.5", 5432, "service - shop/db - - UNCLASSIFIED", "a backend outside"),
        ("10.50.0.5", 22, "unknown - - - - UNCLASSIFIED", "another port there"),
    ] {
        assert_eq!(remote_of(&resolved(&index, client(remote, port))), expected, "{remote}:{port}, {why}");
    }
}

#[test]
fn a_port_of_a_node_is_a_service_s_a_pod_s_or_the_node_s() {
    let index = exposed();
    for (remote, port, expected, why) in [
        ("198.18.202.1", 30080, "node - shop/web node-b zone-2 INTER_AZ", "a NodePort"),
        ("198.18.202.1", 32000, "node - shop/web node-b zone-2 INTER_AZ", "the health check's NodePort"),
        ("198.18.202.1", 30081, "node - shop/gone node-b zone-2 INTER_AZ", "of a Service without endpoints"),
        ("fd00:c::1", 30443, "node - shop/web node-c zone-1 INTRA_AZ", "IPv6"),
        ("198.18.202.1", 30999, "node - - node-b zone-2 INTER_AZ", "nobody's NodePort"),
        ("198.18.201.1", 80, "node - shop/web node-a zone-1 INTRA_NODE", "an external address of a Service"),
        ("198.18.202.1", 80, "node - - node-b zone-2 INTER_AZ", "that address is another node's"),
        ("198.18.201.3", 10250, "node - - node-c zone-1 INTRA_AZ", "the kubelet's"),
        ("198.18.201.3", 4444, "node - - node-c zone-1 INTRA_AZ", "closed"),
        ("198.18.201.3", 9100, "pod shop/exporter - node-c zone-1 INTRA_AZ", "a host-network pod's"),
        ("fd00:c::1", 9100, "pod shop/exporter - node-c zone-1 INTRA_AZ", "by its other address"),
        ("198.18.202.1", 9100, "node - - node-b zone-2 INTER_AZ", "no such pod on that node"),
        ("198.18.201.3", 3128, "pod shop/proxy shop/proxy node-c zone-1 INTRA_AZ", "of a Service's backend"),
        ("198.18.201.1", 8081, "pod shop/ingress - node-a zone-1 INTRA_NODE", "a hostPort"),
    ] {
        assert_eq!(remote_of(&resolved(&index, client(remote, port))), expected, "{remote}:{port}, {why}");
    }
}

#[test]
fn what_was_dialled_is_named_with_the_port_that_was_dialled() {
    let index = exposed();
    for (dialled, port, expected, why) in [
        ("198.19.0.40", 80, "shop/web", "a ClusterIP"),
        ("198.18.202.1", 30080, "shop/web", "a NodePort"),
        ("203.0.113.7", 25, "shop/mail", "a shared address"),
        ("198.18.201.1", 8081, "shop/web", "a hostPort is no Service's: the backend's port tells"),
    ] {
        let mut flow = client("198.18.1.11", 8080);
        (flow.remote.cluster_ip, flow.remote.cluster_port) = (Some(ip(dialled)), Some(port));
        assert_eq!(resolved(&index, flow).remote.service.as_deref(), Some(expected), "{dialled}: {why}");
    }
}

#[test]
fn who_connects_from_a_node_s_address_is_no_service() {
    let mut flow = client("198.18.201.3", 1);
    flow.reporter = "node-b".into();
    flow.role = Role::Server;
    flow.local =
        Endpoint { port: Some(8080), pod_uid: Some(uid_text(2).into()), ..Endpoint::of(ip("198.18.2.20")) };
    flow.remote.port = None;
    assert_eq!(remote_of(&resolved(&exposed(), flow)), "node - - node-c zone-1 INTER_AZ");
}

#[test]
fn a_sidecar_that_accepts_for_its_pod_is_the_pod_s_service() {
    let accepted = |port: u16| {
        let mut flow = client("198.18.1.10", 1);
        flow.reporter = "node-b".into();
        flow.role = Role::Server;
        flow.local = Endpoint {
            port: Some(port),
            pod_uid: Some(uid_text(2).into()),
            ..Endpoint::of(ip("198.18.2.20"))
        };
        flow.remote.port = None;
        resolved(&index(), flow).local.service.map(|name| name.to_string())
    };
    for port in [15006, 15008, 4143] {
        assert_eq!(accepted(port).as_deref(), Some("shop/admin"), "{port}: the first by name");
    }
    assert_eq!(accepted(8080).as_deref(), Some("shop/payments"));
    assert_eq!(accepted(9999), None);
    assert_eq!(resolved(&index(), client("198.18.2.20", 15006)).remote.service, None, "dialled by somebody");
}

#[test]
fn of_two_pods_with_one_address_the_later_has_it() {
    let old = PodFact { started: Some(at(-500)), ..pod(20, "old", "node-b", &["198.18.2.30"]) };
    let new = PodFact { started: Some(at(10)), ..pod(21, "new", "node-a", &["198.18.2.30"]) };
    let named = |index: &Index, start: i64| {
        let flow = FlowWindow { window_start: at(start), ..client("198.18.2.30", 80) };
        resolved(index, flow).remote.pod.map(|name| name.to_string())
    };
    for order in [[&old, &new], [&new, &old]] {
        let mut index = index();
        for pod in order {
            index.apply(Fact::Pod(pod.clone()), at(50));
        }
        assert_eq!(named(&index, 60).as_deref(), Some("shop/new"));
        assert_eq!(named(&index, -100).as_deref(), Some("shop/old"), "before the new one began");
        // The old one's deletion, its end and its disappearance don't touch the new one.
        let deleted = crate::Deletion { requested: at(70), due: at(100) };
        index.apply(Fact::Pod(PodFact { deletion: Some(deleted), ready: false, ..old.clone() }), at(70));
        assert_eq!(named(&index, 75).as_deref(), Some("shop/new"));
        index.apply(Fact::Pod(PodFact { phase: PodPhase::Ended, ..old.clone() }), at(80));
        index.depart(&Fact::Pod(old.clone()), at(90));
        assert_eq!(named(&index, 120).as_deref(), Some("shop/new"));
    }
}

#[test]
fn of_two_nodes_with_one_address_the_later_has_it() {
    let make = |name: &str, created: i64| {
        let Fact::Node(fact) = node(name, "zone-1", "lab", "198.18.209.1", "198.18.9.0/24") else {
            unreachable!("it makes a node");
        };
        Fact::Node(NodeFact { created: Some(at(created)), ..fact })
    };
    for order in [[("lost", -500), ("new", 10)], [("new", 10), ("lost", -500)]] {
        let mut index = index();
        for (name, created) in order {
            index.apply(make(name, created), at(50));
        }
        assert_eq!(
            resolved(&index, client("198.18.209.1", 10250)).remote.node.as_deref(),
            Some("new"),
            "{order:?}"
        );
        index.depart(&make("lost", -500), at(55));
        assert_eq!(resolved(&index, client("198.18.209.1", 10250)).remote.node.as_deref(), Some("new"));
    }
}

#[test]
fn a_host_port_is_the_pod_s_that_has_it_now() {
    let mut index = exposed();
    let next = PodFact {
        host_network: true,
        host_ports: vec![9100],
        started: Some(at(100)),
        ..pod(30, "exporter-2", "node-c", &["198.18.201.3"])
    };
    index.depart(&Fact::Pod(pod(6, "exporter", "node-c", &[])), at(99));
    index.apply(Fact::Pod(next), at(101));
    for (start, expected) in [(60, "shop/exporter"), (120, "shop/exporter-2")] {
        let flow = FlowWindow { window_start: at(start), ..client("198.18.201.3", 9100) };
        assert_eq!(resolved(&index, flow).remote.pod.as_deref(), Some(expected), "window at {start}");
    }
}

#[test]
fn a_kubelet_s_probe_is_the_node_s_own_traffic() {
    let index = exposed();
    for from in ["198.18.201.1", "198.18.1.1"] {
        let mut flow = client("198.18.1.11", 8080);
        flow.local = Endpoint::of(ip(from));
        let flow = resolved(&index, flow);
        assert_eq!(flow.local.kind, Some(EndpointKind::Node), "{from}");
        assert_eq!(flow.local.node, flow.remote.node, "{from}");
        assert_eq!(flow.category, Some(Category::IntraNode), "{from}");
        assert_eq!((flow.local.pod, flow.local.service), (None, None), "{from}");
    }
}

#[test]
fn a_service_whose_port_went_is_named_for_it_a_little_longer() {
    let mut index = exposed();
    let Fact::Service(before) = service("db", "198.19.0.30") else { unreachable!("it makes a Service") };
    index.apply(Fact::Service(ServiceFact { ports: vec![81], ..before }), at(100));
    for (start, expected) in [(60, Some("shop/db")), (120, Some("shop/db")), (400, None)] {
        let flow = FlowWindow { window_start: at(start), ..client("198.19.0.30", 80) };
        assert_eq!(resolved(&index, flow).remote.service.as_deref(), expected, "window at {start}");
    }
}
