use std::collections::BTreeMap;

use super::*;
use crate::{Backend, Fact, Labels, PodPhase, RemoteSpec, ServiceFact, SliceFact};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn uid(n: u8) -> Uid {
    Uid::parse(&uid_text(n)).unwrap()
}

pub(super) fn uid_text(n: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{n:02x}")
}

fn no_labels() -> Labels {
    Arc::new(BTreeMap::new())
}

pub(super) fn pod(n: u8, name: &str, node: &str, ips: &[&str]) -> PodFact {
    PodFact {
        uid: uid(n),
        static_uid: None,
        key: format!("shop/{name}").into(),
        node: Some(node.into()),
        workload: format!("shop/Deployment/{name}").into(),
        labels: no_labels(),
        ips: ips.iter().map(|text| ip(text)).collect(),
        host_network: false,
        phase: PodPhase::Running,
        ready: true,
        agent: false,
        started: Some(at(0)),
        ..PodFact::default()
    }
}

pub(super) fn node(name: &str, zone: &str, region: &str, address: &str, cidr: &str) -> Fact {
    Fact::Node(NodeFact {
        name: name.into(),
        zone: Some(zone.into()),
        region: Some(region.into()),
        labels: no_labels(),
        ips: vec![ip(address)],
        pod_cidrs: vec![cidr.parse().unwrap()],
        unschedulable: false,
        ..NodeFact::default()
    })
}

pub(super) fn service(name: &str, cluster_ip: &str) -> Fact {
    Fact::Service(ServiceFact {
        key: format!("shop/{name}").into(),
        ips: vec![ip(cluster_ip)],
        ports: vec![80],
        target_ports: vec!["80".into()],
        node_ports: vec![],
        selector: no_labels(),
        labels: no_labels(),
    })
}

pub(super) fn slice(name: &str, ports: &[u16], backends: &[(&str, Option<u8>)]) -> Fact {
    Fact::EndpointSlice(SliceFact {
        key: format!("shop/{name}-x").into(),
        service: format!("shop/{name}").into(),
        ports: ports.into(),
        backends: backends
            .iter()
            .map(|(address, pod)| Backend { ip: ip(address), pod: pod.map(uid) })
            .collect(),
        ready: backends.len(),
    })
}

/// Three nodes in two zones of one region and one in another; checkout on node-a, payments on node-b behind two
/// Services, a host-network pod on node-c, a database outside behind a Service.
pub(super) fn index() -> Index {
    let mut index = Index::default();
    let host = PodFact { host_network: true, ..pod(3, "proxy", "node-c", &["198.18.201.3"]) };
    for fact in [
        node("node-a", "zone-1", "lab", "198.18.201.1", "198.18.1.0/24"),
        node("node-b", "zone-2", "lab", "198.18.202.1", "198.18.2.0/24"),
        node("node-c", "zone-1", "lab", "198.18.201.3", "198.18.3.0/24"),
        node("node-d", "zone-1", "far", "198.18.203.1", "198.18.4.0/24"),
        Fact::Pod(pod(1, "checkout", "node-a", &["198.18.1.10", "fd00:1::10"])),
        Fact::Pod(pod(2, "payments", "node-b", &["198.18.2.20"])),
        Fact::Pod(host),
        Fact::Pod(pod(4, "cart", "node-a", &["198.18.1.11"])),
        Fact::Pod(pod(5, "search", "node-d", &["198.18.4.9"])),
        service("payments", "198.19.0.20"),
        service("admin", "198.19.0.21"),
        service("db", "198.19.0.30"),
        slice("payments", &[8080], &[("198.18.2.20", Some(2))]),
        slice("admin", &[9090], &[("198.18.2.20", Some(2))]),
        slice("proxy", &[3128], &[("198.18.201.3", Some(3))]),
        slice("db", &[5432], &[("10.50.0.5", None), ("93.184.216.40", None)]),
    ] {
        index.apply(fact, at(0));
    }
    index
}

fn remotes() -> Remotes {
    let aws = RemoteSpec {
        aws_service: Some("dynamodb".to_owned()),
        vpc: None,
        zone: None,
        cidrs: vec!["198.19.255.0/24".parse().unwrap()],
    };
    let vpc = |name: &str, zone: Option<&str>, cidr: &str| RemoteSpec {
        aws_service: None,
        vpc: Some(name.to_owned()),
        zone: zone.map(str::to_owned),
        cidrs: vec![cidr.parse().unwrap()],
    };
    Remotes::new(&[aws, vpc("peer", None, "10.20.0.0/16"), vpc("own", Some("zone-2"), "10.30.0.0/16")])
        .unwrap()
}

pub(super) fn client(remote: &str, port: u16) -> FlowWindow {
    FlowWindow {
        window_start: at(60),
        window_seconds: 30,
        reporter: "node-a".into(),
        role: Role::Client,
        local: Endpoint { pod_uid: Some(uid_text(1).into()), ..Endpoint::of(ip("198.18.1.10")) },
        remote: Endpoint { port: Some(port), ..Endpoint::of(ip(remote)) },
        category: None,
        connections: Default::default(),
        data_segments_out: 0,
        retransmissions: 0,
        spurious_retransmissions: 0,
        syn_retransmissions: 0,
        timeouts: 0,
        bytes_out: 0,
        bytes_in: 0,
        rtt_us: None,
        handshake_us: None,
    }
}

pub(super) fn resolved(index: &Index, mut flow: FlowWindow) -> FlowWindow {
    resolve(index, &remotes(), &mut flow);
    flow
}

/// `kind pod service node zone category`, `-` for what isn't known.
pub(super) fn remote_of(flow: &FlowWindow) -> String {
    let or = |name: &Option<Name>| name.as_deref().unwrap_or("-").to_owned();
    let remote = &flow.remote;
    let kind = serde_json::to_value(remote.kind).unwrap();
    let category = serde_json::to_value(flow.category).unwrap();
    format!(
        "{} {} {} {} {} {}",
        kind.as_str().unwrap(),
        or(&remote.pod),
        or(&remote.service),
        or(&remote.node),
        or(&remote.zone),
        category.as_str().unwrap()
    )
}

#[test]
fn every_kind_of_remote_is_named() {
    let index = index();
    for (remote, port, expected) in [
        ("198.18.2.20", 8080, "pod shop/payments shop/payments node-b zone-2 INTER_AZ"),
        ("198.18.2.20", 9090, "pod shop/payments shop/admin node-b zone-2 INTER_AZ"),
        ("198.18.2.20", 22, "pod shop/payments - node-b zone-2 INTER_AZ"),
        ("::ffff:198.18.2.20", 8080, "pod shop/payments shop/payments node-b zone-2 INTER_AZ"),
        ("198.18.1.11", 80, "pod shop/cart - node-a zone-1 INTRA_NODE"),
        ("198.18.4.9", 80, "pod shop/search - node-d zone-1 INTER_REGION"),
        ("198.18.201.3", 22, "node - - node-c zone-1 INTRA_AZ"),
        ("198.18.201.3", 3128, "pod shop/proxy shop/proxy node-c zone-1 INTRA_AZ"),
        ("198.18.202.1", 10250, "node - - node-b zone-2 INTER_AZ"),
        ("198.18.201.1", 10250, "node - - node-a zone-1 INTRA_NODE"),
        ("198.19.0.20", 80, "service - shop/payments - - UNCLASSIFIED"),
        ("10.50.0.5", 5432, "service - shop/db - - UNCLASSIFIED"),
        ("93.184.216.40", 5432, "service - shop/db - - UNCLASSIFIED"),
        ("198.19.255.7", 443, "aws - aws/dynamodb - - AWS_SERVICE"),
        ("10.20.1.1", 443, "vpc - - - - INTER_VPC"),
        ("10.30.1.1", 443, "vpc - - - zone-2 INTER_AZ"),
        ("10.99.1.1", 443, "unknown - - - - UNCLASSIFIED"),
        ("198.18.2.77", 443, "unknown - - - - UNCLASSIFIED"),
        ("fd77::1", 443, "unknown - - - - UNCLASSIFIED"),
        ("169.254.169.254", 80, "unknown - - - - UNCLASSIFIED"),
        ("93.184.216.34", 443, "internet - - - - INTERNET"),
        ("2001:db8::1", 443, "internet - - - - INTERNET"),
    ] {
        assert_eq!(remote_of(&resolved(&index, client(remote, port))), expected, "{remote}:{port}");
    }
}

#[test]
fn a_dialled_service_is_named_with_its_backend_and_without() {
    let index = index();
    let mut flow = client("198.18.2.20", 8080);
    flow.remote.cluster_ip = Some(ip("198.19.0.21"));
    assert_eq!(
        remote_of(&resolved(&index, flow)),
        "pod shop/payments shop/admin node-b zone-2 INTER_AZ",
        "what was dialled goes before what the port says"
    );
    let mut flow = client("10.99.1.1", 5432);
    flow.remote.cluster_ip = Some(ip("198.19.0.30"));
    assert_eq!(remote_of(&resolved(&index, flow)), "service - shop/db - - UNCLASSIFIED");
}

#[test]
fn the_local_end_is_the_pod_of_the_cgroup_else_of_the_address_and_always_on_the_reporter() {
    let index = index();
    let local = |uid: Option<u8>, address: &str, reporter: &str| {
        let mut flow = client("198.18.2.20", 8080);
        flow.reporter = reporter.into();
        flow.local = Endpoint { pod_uid: uid.map(|n| uid_text(n).into()), ..Endpoint::of(ip(address)) };
        let flow = resolved(&index, flow);
        let or = |name: Option<Name>| name.as_deref().unwrap_or("-").to_owned();
        let kind = serde_json::to_value(flow.local.kind).unwrap().as_str().unwrap().to_owned();
        format!("{kind} {} {} {}", or(flow.local.pod), or(flow.local.node), or(flow.local.zone))
    };
    for (uid, address, reporter, expected) in [
        (Some(1), "198.18.1.10", "node-a", "pod shop/checkout node-a zone-1"),
        (Some(1), "fd00:1::10", "node-a", "pod shop/checkout node-a zone-1"),
        (None, "198.18.1.10", "node-a", "pod shop/checkout node-a zone-1"),
        (Some(3), "198.18.201.3", "node-c", "pod shop/proxy node-c zone-1"),
        (None, "198.18.201.3", "node-c", "node - node-c zone-1"),
        (Some(99), "198.18.201.3", "node-c", "unknown - node-c zone-1"),
        // The kubelet's, from an address of its bridge.
        (None, "198.18.3.1", "node-c", "node - node-c zone-1"),
        (None, "198.18.1.10", "node-c", "unknown - node-c zone-1"),
        (None, "198.18.1.10", "node-new", "unknown - node-new -"),
        (None, "198.18.201.1", "node-c", "unknown - node-c zone-1"),
    ] {
        assert_eq!(local(uid, address, reporter), expected, "{uid:?} {address} {reporter}");
    }
}

#[test]
fn the_accepting_side_is_named_by_its_own_port_and_its_peer_by_the_first_service() {
    let index = index();
    let mut flow = client("198.18.1.10", 1);
    flow.reporter = "node-b".into();
    flow.role = Role::Server;
    flow.local =
        Endpoint { port: Some(8080), pod_uid: Some(uid_text(2).into()), ..Endpoint::of(ip("198.18.2.20")) };
    flow.remote.port = None;
    let flow = resolved(&index, flow);
    assert_eq!(flow.local.service.as_deref(), Some("shop/payments"));
    assert_eq!(remote_of(&flow), "pod shop/checkout - node-a zone-1 INTER_AZ");
}

#[test]
fn a_reused_address_does_not_rewrite_the_past() {
    let mut index = index();
    index.depart(&Fact::Pod(pod(2, "payments", "node-b", &["198.18.2.20"])), at(100));
    index.apply(slice("payments", &[8080], &[("198.18.2.20", Some(9))]), at(111));
    let newcomer = PodFact { started: Some(at(110)), ..pod(9, "newcomer", "node-b", &["198.18.2.20"]) };
    index.apply(Fact::Pod(newcomer), at(111));
    for (start, expected) in [
        (60, "pod shop/payments shop/payments node-b zone-2 INTER_AZ"),
        (120, "pod shop/newcomer shop/payments node-b zone-2 INTER_AZ"),
    ] {
        let flow = FlowWindow { window_start: at(start), ..client("198.18.2.20", 8080) };
        assert_eq!(remote_of(&resolved(&index, flow)), expected, "window at {start}");
    }
    index.forget(at(111 + 3600));
    let flow = FlowWindow { window_start: at(60), ..client("198.18.2.20", 8080) };
    assert_eq!(resolved(&index, flow).remote.pod, None, "the history is bounded");
}

#[test]
fn an_ended_pod_gives_its_address_back_though_its_object_stays() {
    let mut index = index();
    index.apply(
        Fact::Pod(PodFact { phase: PodPhase::Ended, ..pod(4, "cart", "node-a", &["198.18.1.11"]) }),
        at(100),
    );
    index.apply(
        Fact::Pod(PodFact { started: Some(at(101)), ..pod(8, "next", "node-a", &["198.18.1.11"]) }),
        at(102),
    );
    let flow = FlowWindow { window_start: at(120), ..client("198.18.1.11", 80) };
    assert_eq!(resolved(&index, flow).remote.pod.as_deref(), Some("shop/next"));
}

#[test]
fn a_pod_missing_from_a_new_list_has_departed() {
    use crate::Kind;
    let mut index = index();
    index.begin_list(Kind::Pod);
    index.apply(Fact::Pod(pod(1, "checkout", "node-a", &["198.18.1.10", "fd00:1::10"])), at(100));
    index.end_list(Kind::Pod, at(100));
    assert_eq!(index.pods().count(), 1);
    assert_eq!(index.pods_and_departed().count(), 5);
    let flow = FlowWindow { window_start: at(400), ..client("198.18.2.20", 8080) };
    assert_eq!(resolved(&index, flow).remote.pod, None);
}

#[test]
fn names_that_the_sender_gave_are_not_believed() {
    let index = index();
    let mut flow = client("93.184.216.34", 443);
    flow.remote.pod = Some("kube-system/admin".into());
    flow.remote.node = Some("node-a".into());
    flow.local.workload = Some("x/y/z".into());
    let flow = resolved(&index, flow);
    assert_eq!((flow.remote.pod, flow.remote.node), (None, None));
    assert_eq!(flow.local.workload.as_deref(), Some("shop/Deployment/checkout"));
}

#[test]
fn whether_both_ends_are_known_is_told() {
    let index = index();
    for (remote, known) in [("198.18.2.20", true), ("93.184.216.34", true), ("198.18.2.77", false)] {
        assert_eq!(resolve(&index, &remotes(), &mut client(remote, 80)), known, "{remote}");
    }
}
