//! New connections that fail while established ones are fine: whose fault it is.

#![allow(clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Fault, Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{Attribution, Cause, HealthIndicator, Verdict, Window};
use tidewatch_records::{Connections, Endpoint, FlowWindow, Lifecycle, NodeFigures, NodeWindow, Role};

/// Healthy windows before anything happens.
const HISTORY: usize = 8;
/// Windows of 15 s that a fault lasts.
const WINDOWS: usize = 12;

fn fails(share: f64) -> Harm {
    Harm { unanswered: share, spares_open: true, ..Harm::default() }
}

fn when(condition: bool, harm: Harm) -> Harm {
    if condition { harm } else { Harm::default() }
}

/// A connection request from or to a pod of the node, over the network.
fn opens_at(hop: &Hop, node: &str) -> bool {
    hop.to_service && hop.touches_node(node)
}

fn is_into(hop: &Hop, node: &str) -> bool {
    opens_at(hop, node) && hop.to.node.as_deref() == Some(node)
}

fn is_out_of(hop: &Hop, node: &str) -> bool {
    opens_at(hop, node) && hop.from.node.as_deref() == Some(node)
}

/// Checks that from the second window on exactly `components` are named, with this cause.
fn stays(lab: Lab, components: &[&str], cause: Cause, fault: Fault<'_>) {
    let mut watch = Watch::learned(lab, HISTORY);
    watch.window(fault);
    for window in 1..WINDOWS {
        let verdict = watch.window(fault);
        let mut names = named(&verdict);
        names.sort();
        assert_eq!(names, components, "in window {window}: {verdict:#?}");
        for component in &verdict.components {
            assert_eq!(component.cause, cause, "in window {window}: {verdict:#?}");
        }
        let is_infrastructure = components.iter().all(|name| !name.starts_with("service/"));
        let expected = if is_infrastructure { Attribution::Infrastructure } else { Attribution::Workload };
        assert_eq!(verdict.attribution, expected, "{verdict:#?}");
    }
    for window in 0..8 {
        let verdict = watch.window(&nothing);
        let fresh: Vec<String> =
            named(&verdict).into_iter().filter(|name| !components.contains(&name.as_str())).collect();
        assert_eq!(fresh, Vec::<String>::new(), "{window} windows after: {verdict:#?}");
        if window >= 4 {
            assert_eq!(verdict.nhi, HealthIndicator::Healthy, "{verdict:#?}");
        }
    }
}

/// Labs of many new connections, and of few beside many segments.
fn labs() -> [Lab; 3] {
    [
        Lab::default(),
        Lab { opens: 0.2, ..Lab::default() },
        Lab { opens: 10.0, nodes_per_zone: 3, ..Lab::default() },
    ]
}

#[test]
fn a_node_that_opens_no_connections_is_that_node() {
    for lab in labs() {
        for share in [1.0, 0.9, 0.3] {
            stays(lab.clone(), &["node/zone-2-b"], Cause::ConnectionFailures, &|hop| {
                when(opens_at(hop, "zone-2-b"), fails(share))
            });
        }
    }
}

#[test]
fn a_node_that_opens_none_one_way_is_that_node() {
    for lab in labs() {
        for share in [1.0, 0.4] {
            stays(lab.clone(), &["node/zone-2-b"], Cause::ConnectionFailures, &|hop| {
                when(is_into(hop, "zone-2-b"), fails(share))
            });
            stays(lab.clone(), &["node/zone-2-b"], Cause::ConnectionFailures, &|hop| {
                when(is_out_of(hop, "zone-2-b"), fails(share))
            });
        }
    }
}

#[test]
fn a_node_that_opens_none_to_other_zones_is_that_node() {
    for lab in labs() {
        stays(lab.clone(), &["node/zone-2-b"], Cause::ConnectionFailures, &|hop| {
            when(opens_at(hop, "zone-2-b") && hop.from.zone != hop.to.zone, fails(1.0))
        });
    }
}

#[test]
fn two_nodes_that_open_no_connections_are_both_named() {
    for lab in labs() {
        stays(lab.clone(), &["node/zone-1-a", "node/zone-2-b"], Cause::ConnectionFailures, &|hop| {
            when(opens_at(hop, "zone-1-a") || opens_at(hop, "zone-2-b"), fails(1.0))
        });
    }
}

#[test]
fn two_zones_that_open_no_connections_are_that_pair() {
    for lab in labs() {
        stays(lab.clone(), &["zone-pair/zone-1~zone-2"], Cause::ConnectionFailures, &|hop| {
            when(hop.to_service && hop.between("zone-1", "zone-2"), fails(1.0))
        });
    }
}

#[test]
fn services_that_are_blocked_at_once_are_theirs() {
    for lab in labs() {
        for blocked in
            [&["payments"][..], &["cart", "stock", "search"], &["cart", "catalog", "stock", "ledger"]]
        {
            let names: Vec<String> = blocked.iter().map(|name| format!("service/shop/{name}")).collect();
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.sort_unstable();
            stays(lab.clone(), &names, Cause::Unreachable, &|hop| {
                let is_blocked = blocked.iter().any(|name| hop.calls(&format!("shop/{name}")));
                when(hop.to_service && is_blocked, fails(1.0))
            });
        }
    }
}

/// Half of the services are in another namespace, and call into the first too.
fn of_two_namespaces() -> Lab {
    let mut lab = Lab::default();
    lab.calls.extend([
        ("report", "stock"),
        ("report", "ledger"),
        ("report", "cart"),
        ("mail", "stock"),
        ("mail", "report"),
        ("audit", "ledger"),
        ("audit", "mail"),
    ]);
    lab.namespaces = ["report", "mail", "audit"].map(|name| (name, "office")).to_vec();
    lab
}

fn is_in(namespace: &str, name: Option<&str>) -> bool {
    name.is_some_and(|name| name.split('/').next() == Some(namespace))
}

#[test]
fn a_policy_on_one_namespace_is_no_nodes_fault() {
    let mut watch = Watch::learned(of_two_namespaces(), HISTORY);
    for window in 0..WINDOWS {
        let verdict =
            watch.window(&|hop| when(hop.to_service && is_in("office", hop.from.pod.as_deref()), fails(1.0)));
        let expected = if window == 0 { Attribution::None } else { Attribution::Workload };
        assert_eq!(verdict.attribution, expected, "{verdict:#?}");
        assert_ne!(verdict.nhi, HealthIndicator::Degraded, "{verdict:#?}");
    }
    let mut watch = Watch::learned(of_two_namespaces(), HISTORY);
    for _ in 0..WINDOWS {
        let verdict =
            watch.window(&|hop| when(hop.to_service && is_in("office", Some(&hop.service)), fails(1.0)));
        assert!(named(&verdict).iter().all(|name| name.starts_with("service/office/")), "{verdict:#?}");
        assert_ne!(verdict.nhi, HealthIndicator::Degraded, "{verdict:#?}");
    }
}

#[test]
fn a_node_whose_table_is_full_is_told_with_its_figures_and_without_hurt_traffic_is_not() {
    let full = NodeFigures {
        conntrack_entries: Some(65_536),
        conntrack_limit: Some(65_536),
        conntrack_insert_failed: Some(900),
        ..NodeFigures::default()
    };
    let figures = |node: &str| if node == "zone-2-b" { full } else { NodeFigures::default() };
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for _ in 0..WINDOWS {
        let verdict = watch.window_of(&figures, &nothing);
        assert_eq!(named(&verdict), Vec::<String>::new(), "{verdict:#?}");
    }
    let fault = |hop: &Hop| when(opens_at(hop, "zone-2-b"), fails(0.9));
    watch.window_of(&figures, &fault);
    for _ in 1..WINDOWS {
        let verdict = watch.window_of(&figures, &fault);
        assert_eq!(named(&verdict), ["node/zone-2-b"], "{verdict:#?}");
        assert_eq!(verdict.components[0].cause, Cause::ConntrackFull);
        let told = "the connection-tracking table of node zone-2-b is full (65536 of 65536 entries): 900 packets turned away, ";
        assert!(verdict.reason.starts_with(told), "{}", verdict.reason);
    }
}

/// Of the requests of these flows a share is lost, and all are answered at a later try.
fn answered_later(flows: &mut [FlowWindow], share: f64, of: &dyn Fn(&FlowWindow) -> bool) {
    for flow in flows.iter_mut().filter(|flow| flow.role == Role::Client && of(flow)) {
        let lost = (flow.connections.established as f64 * share / (1.0 - share)).ceil() as u64;
        flow.syn_retransmissions = lost;
        flow.retransmissions += lost;
        flow.timeouts += lost;
    }
}

/// The verdict on the next window, whose records are changed so, and in which a node tells such figures.
fn window_of(
    watch: &mut Watch,
    (node, figures): (&str, NodeFigures),
    change: &dyn Fn(&mut [FlowWindow]),
) -> Verdict {
    let (window_start, window_seconds) = (watch.lab.start(), watch.lab.seconds);
    let mut flows = watch.lab.records(&nothing);
    change(&mut flows);
    let nodes = [NodeWindow { window_start, window_seconds, reporter: node.into(), node: figures }];
    let window = Window { start: window_start, seconds: window_seconds, flows: &flows, nodes: &nodes };
    watch.engine.evaluate(&window)
}

fn crosses(flow: &FlowWindow, node: &str) -> bool {
    let is = |end: &Endpoint| end.node.as_deref() == Some(node);
    is(&flow.local) != is(&flow.remote)
}

#[test]
fn a_node_that_opens_connections_at_a_later_try_only_is_named() {
    let told = ("zone-2-b", NodeFigures::default());
    let at_node = |flow: &FlowWindow| crosses(flow, "zone-2-b");
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for window in 0..WINDOWS {
        let verdict = window_of(&mut watch, told, &|flows| answered_later(flows, 0.3, &at_node));
        if window > 0 {
            assert_eq!(named(&verdict), ["node/zone-2-b"], "{verdict:#?}");
            assert_eq!(verdict.components[0].cause, Cause::ConnectionFailures);
            assert!(verdict.reason.contains("requests sent again for"), "{}", verdict.reason);
        }
    }
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for _ in 0..WINDOWS {
        let verdict = window_of(&mut watch, told, &|flows| answered_later(flows, 0.01, &at_node));
        assert_eq!(named(&verdict), Vec::<String>::new(), "so many are lost anyway: {verdict:#?}");
    }
}

#[test]
fn a_service_that_answers_at_a_later_try_only_cant_keep_up() {
    let told = ("zone-2-b", NodeFigures::default());
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for window in 0..WINDOWS {
        let calls = |flow: &FlowWindow| flow.remote.service.as_deref() == Some("shop/payments");
        let verdict = window_of(&mut watch, told, &|flows| answered_later(flows, 0.4, &calls));
        if window > 1 {
            assert_eq!(named(&verdict), ["service/shop/payments"], "{verdict:#?}");
            assert_eq!(verdict.components[0].cause, Cause::Overload);
        }
    }
}

/// Nobody opens connections but three clients at the node, one each, and all are answered at the second try.
fn three_open_late(flows: &mut [FlowWindow], node: &str) {
    for flow in flows.iter_mut() {
        flow.connections = Connections { open: 1, ..Connections::default() };
    }
    let late = |flow: &&mut FlowWindow| flow.role == Role::Client && crosses(flow, node);
    for flow in flows.iter_mut().filter(late).take(3) {
        flow.connections = Connections { attempted: 1, established: 1, open: 1, ..Connections::default() };
        flow.syn_retransmissions = 1;
        flow.retransmissions += 1;
        flow.timeouts += 1;
    }
}

#[test]
fn a_full_table_is_named_by_little_harm_since_the_node_says_so() {
    let full = NodeFigures {
        conntrack_entries: Some(65_536),
        conntrack_limit: Some(65_536),
        conntrack_dropped: Some(70),
        ..NodeFigures::default()
    };
    for (figures, expected) in [(full, &["node/zone-2-b"][..]), (NodeFigures::default(), &[][..])] {
        let mut watch = Watch::learned(Lab::default(), HISTORY);
        for window in 0..WINDOWS {
            let told = ("zone-2-b", figures);
            let verdict = window_of(&mut watch, told, &|flows| three_open_late(flows, "zone-2-b"));
            if window > 2 {
                assert_eq!(named(&verdict), expected, "in window {window}: {verdict:#?}");
            }
        }
    }
}

#[test]
fn requests_of_pods_that_are_starting_say_nothing_of_their_node() {
    // After a reboot all pods of a node start, and the network plugin lets none of them out for some time.
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let starts = |end: &Endpoint| end.node.as_deref() == Some("zone-2-b");
    for window in 0..WINDOWS {
        let (start, seconds) = (watch.lab.start(), watch.lab.seconds);
        let mut flows = watch.lab.records(&nothing);
        let is_starting = window < 4;
        for flow in flows.iter_mut().filter(|_| is_starting) {
            let is_client = flow.role == Role::Client;
            let client = if is_client { &mut flow.local } else { &mut flow.remote };
            if starts(client) {
                client.lifecycle = Some(Lifecycle::Starting);
                let attempted = flow.connections.established;
                flow.connections = if is_client {
                    Connections { attempted, timed_out: attempted, ..Connections::default() }
                } else {
                    Connections::default()
                };
            }
        }
        let verdict = watch.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &[] });
        assert_eq!(named(&verdict), Vec::<String>::new(), "in window {window}: {verdict:#?}");
    }
}
