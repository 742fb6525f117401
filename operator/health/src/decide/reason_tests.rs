#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test, as it should")]

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::verdict::Class;

const CAUSES: [Cause; 9] = [
    Cause::PacketLoss,
    Cause::Latency,
    Cause::Unreachable,
    Cause::Refused,
    Cause::Overload,
    Cause::ConnectionFailures,
    Cause::ConntrackFull,
    Cause::AllowanceExceeded,
    Cause::Unknown,
];

const LIMITS: [Limit; 5] = [
    Limit::ConntrackTable,
    Limit::ConntrackAllowance,
    Limit::PacketRateAllowance,
    Limit::BandwidthInAllowance,
    Limit::BandwidthOutAllowance,
];

fn components() -> Vec<ComponentId> {
    let (namespace, name) = ("shop".to_owned(), "cart".to_owned());
    vec![
        ComponentId::Node("node-a".to_owned()),
        ComponentId::Zone("zone-1".to_owned()),
        ComponentId::zone_pair("zone-1", "zone-2"),
        ComponentId::Service { namespace: namespace.clone(), name: name.clone() },
        ComponentId::Pod { namespace, name },
        ComponentId::AwsService("dynamodb".to_owned()),
        ComponentId::Internet("203.0.113.7".to_owned()),
    ]
}

fn fault(component: ComponentId, cause: Cause, evidence: Evidence) -> ComponentFault {
    ComponentFault {
        class: component.class(),
        component,
        cause,
        since: Timestamp::UNIX_EPOCH,
        confidence: 0.9,
        showing: Showing::Now,
        evidence,
    }
}

fn told<'a>(
    components: &'a [ComponentFault],
    shortages: &'a [NodeShortage],
    nodes: usize,
) -> ReasonInput<'a> {
    let degraded = components.iter().any(|fault| fault.class == Class::Infrastructure);
    ReasonInput {
        nhi: if degraded { HealthIndicator::Degraded } else { HealthIndicator::Healthy },
        attribution: Attribution::None,
        components,
        shortages,
        nodes,
        traffic: Traffic::default(),
    }
}

/// Small counts, among them none, and any ratios and times: what any window may bring.
fn evidence() -> impl Strategy<Value = Evidence> {
    let ratio = || prop_oneof![Just(0.0), 1e-6..0.6];
    let times = || proptest::option::of((1_u64..200_000, 1_u64..200_000));
    let limit = (0..LIMITS.len(), 1_u64..5_000, proptest::option::of(1_u64..300_000));
    let counts = (0_u64..30, 0_u64..30, 0_u64..5, 0_u64..30, 0_u64..30);
    (ratio(), ratio(), times(), times(), counts, proptest::option::of(limit)).prop_map(
        |(now, usual, median, quickest, counts, limit)| {
            let (flows, affected, services, attempts, failed) = counts;
            Evidence {
                retransmission_ratio: crate::locate::finding::ratio(now, 1.0),
                baseline_ratio: crate::locate::finding::ratio(usual, 1.0),
                rtt_p50_us: median.map(|(now, _)| now),
                baseline_rtt_p50_us: median.map(|(_, usual)| usual),
                rtt_min_us: quickest.map(|(now, _)| now),
                baseline_rtt_min_us: quickest.map(|(_, usual)| usual),
                flows,
                flows_affected: affected.min(flows),
                services_affected: if affected.min(flows) > 0 { services.max(1) } else { 0 },
                attempts: attempts.max(failed),
                attempts_failed: failed,
                attempts_seconds: None,
                untested_path: false,
                limit: limit.map(|(number, turned_away, entries)| LimitReached {
                    limit: *LIMITS.get(number).unwrap_or(&Limit::ConntrackTable),
                    turned_away,
                    entries,
                    most_entries: entries,
                }),
            }
        },
    )
}

/// The two figures around each "instead of", in one unit.
fn compared(sentence: &str) -> Vec<(f64, f64)> {
    let number = |words: &[&str]| -> f64 {
        let [figure, unit] = words else { return f64::NAN };
        if *figure == "none" {
            return 0.0;
        }
        if let Some(percent) = figure.strip_suffix('%') {
            return percent.parse().unwrap_or(f64::NAN);
        }
        let figure: f64 = figure.parse().unwrap_or(f64::NAN);
        if *unit == "ms" { figure * 1_000.0 } else { figure }
    };
    let words: Vec<&str> = sentence.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
    let mut pairs = Vec::new();
    for at in
        (0..words.len()).filter(|at| words.get(at + 1) == Some(&"of") && words.get(*at) == Some(&"instead"))
    {
        let mut before = words.get(at.saturating_sub(2)..at).unwrap_or_default().to_vec();
        if before == ["segments", "retransmitted"] {
            before = words.get(at.saturating_sub(4)..at.saturating_sub(2)).unwrap_or_default().to_vec();
        }
        let mut after = words.get(at + 2..(at + 4).min(words.len())).unwrap_or_default().to_vec();
        after.resize(2, "");
        pairs.push((number(&before), number(&after)));
    }
    pairs
}

#[test]
fn figures_are_read_from_the_sentences_that_have_them() {
    let delay =
        "round trips at node a take 11.2 ms instead of 1.3 ms, even the quickest 10.9 ms instead of 800 µs";
    assert_eq!(compared(delay), [(11_200.0, 1_300.0), (10_900.0, 800.0)]);
    let loss = "packets are lost at node a: 2.13% of segments retransmitted instead of 0.050%, 1 of 2 flows, 1 service";
    assert_eq!(compared(loss), [(2.13, 0.05)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn no_sentence_contradicts_itself(evidence in evidence(), component in 0_usize..7, cause in 0_usize..9, showing in 0_usize..3) {
        let cause = CAUSES[cause];
        // Only such findings become faults.
        prop_assume!(evidence.is_worse(cause));
        let showing = [Showing::Now, Showing::Elsewhere, Showing::Passing][showing];
        let component = components().swap_remove(component);
        let name = component.to_string();
        let fault = ComponentFault { showing, ..fault(component, cause, evidence) };
        let sentence = sentence(&told(&[fault], &[], 0));
        for (now, usual) in compared(&sentence) {
            prop_assert!(now > usual, "{sentence}");
        }
        if cause == Cause::PacketLoss || cause == Cause::Latency {
            prop_assert!(!compared(&sentence).is_empty(), "{sentence}");
        }
        for nonsense in [" 0 of ", "(0 of ", " 0 services", " 0 flows", " 0.00%", "NaN", "inf"] {
            prop_assert!(!sentence.contains(nonsense), "{nonsense:?} in: {sentence}");
        }
        let failed = evidence.attempts_failed as f64 / evidence.attempts.max(1) as f64;
        let of_part = sentence.contains(" flow");
        for all in ["nothing gets through", "nothing listens there", "doesn't answer connection requests"] {
            prop_assert!(of_part || !sentence.contains(all) || failed >= 0.9, "{failed} failed: {sentence}");
        }
        let loses = evidence.loses_more() && evidence.retransmission_ratio >= 0.01;
        prop_assert!(!(loses && sentence.contains("connections are fine")), "{sentence}");
        let (_, own_name) = name.rsplit_once('/').unwrap();
        prop_assert!(own_name.split('~').all(|part| sentence.contains(part)), "{sentence}");
    }

    #[test]
    fn what_is_no_worse_than_usual_is_no_finding(now in 0.0..0.1, usual in 0.1..0.2, failed in 0_u64..1) {
        let better = Evidence {
            retransmission_ratio: now,
            baseline_ratio: usual,
            rtt_p50_us: Some(1_300),
            baseline_rtt_p50_us: Some(1_800),
            rtt_min_us: Some(900),
            baseline_rtt_min_us: Some(1_000),
            flows: 12,
            flows_affected: 3,
            services_affected: 1,
            attempts: 18,
            attempts_failed: failed,
            untested_path: false,
            attempts_seconds: None,
            limit: None,
        };
        for cause in CAUSES.into_iter().filter(|cause| *cause != Cause::Unknown) {
            prop_assert!(!better.is_worse(cause), "{cause:?}");
        }
    }
}

#[test]
fn a_full_table_is_told_with_its_figures() {
    let evidence = Evidence {
        attempts: 40,
        attempts_failed: 31,
        flows: 12,
        flows_affected: 9,
        services_affected: 3,
        limit: Some(LimitReached {
            limit: Limit::ConntrackTable,
            turned_away: 412,
            entries: Some(262_144),
            most_entries: Some(262_144),
        }),
        ..Evidence::default()
    };
    let fault = fault(ComponentId::Node("node-a".to_owned()), Cause::ConntrackFull, evidence);
    assert_eq!(
        sentence(&told(&[fault], &[], 0)),
        "the connection-tracking table of node node-a is full (262144 of 262144 entries): 412 packets turned away, \
         31 of 40 connection attempts failed"
    );
}

fn short(node: &str, pressure_ratio: f64, steal_ratio: Option<f64>) -> NodeShortage {
    NodeShortage { node: node.to_owned(), resource: Resource::Cpu, pressure_ratio, steal_ratio }
}

#[test]
fn who_is_short_of_cpu_is_told_beside_a_healthy_network() {
    let (a, b) = (short("a", 0.62, None), short("b", 0.55, None));
    let steals = short("c", 0.0, Some(0.22));
    let memory = NodeShortage { resource: Resource::Memory, ..short("d", 0.3, None) };
    let cases: [(&[NodeShortage], usize, &str); 5] = [
        (
            &[a.clone(), b.clone()],
            2,
            "all 2 nodes are short of CPU (tasks wait for it up to 62% of the time)",
        ),
        (&[a.clone(), b], 6, "2 of 6 nodes are short of CPU (tasks wait for it up to 62% of the time)"),
        (&[a], 6, "node a is short of CPU (tasks wait for it 62% of the time)"),
        (&[steals], 6, "node c is short of CPU (the hypervisor takes 22% of its time)"),
        (&[memory], 6, "node d is short of memory (tasks wait for it 30% of the time)"),
    ];
    for (shortages, nodes, expected) in cases {
        assert_eq!(
            sentence(&told(&[], shortages, nodes)),
            format!(
                "nothing is out of the ordinary in the network; {expected}: slow round trips there are caused by the nodes themselves"
            )
        );
    }
}

#[test]
fn the_longest_wait_is_told_whatever_comes_first() {
    let shortages = [short("a", 0.05, Some(0.5)), short("b", 0.45, None)];
    assert_eq!(
        sentence(&told(&[], &shortages, 3)),
        "nothing is out of the ordinary in the network; 2 of 3 nodes are short of CPU (tasks wait for it up to 45% of the \
         time, the hypervisor takes up to 50% of its time): slow round trips there are caused by the nodes themselves"
    );
}

#[test]
fn the_network_is_called_fine_only_where_that_is_known() {
    let evidence =
        Evidence { flows: 3, flows_affected: 3, attempts: 4, attempts_failed: 4, ..Evidence::default() };
    let service = ComponentId::Service { namespace: "shop".to_owned(), name: "cart".to_owned() };
    let faults = [fault(service, Cause::Refused, evidence)];
    let known = ReasonInput { attribution: Attribution::Workload, ..told(&faults, &[], 0) };
    let fault = "service shop/cart refuses connections (4 of 4 attempts): nothing listens there";
    assert_eq!(sentence(&known), format!("the network is fine, but {fault}"));
    assert_eq!(
        sentence(&ReasonInput { nhi: HealthIndicator::InsufficientData, ..known }),
        format!("there is too little traffic to tell how the network is, but {fault}")
    );
    assert_eq!(
        without_all_clear(&sentence(&known)),
        format!("too few nodes reported to tell how the network is, but {fault}")
    );
    let nothing = sentence(&told(&[], &[], 0));
    assert_eq!(without_all_clear(&nothing), "too few nodes reported to tell how the network is");
}

#[test]
fn a_service_that_nothing_tells_from_the_way_there_doesn_t_make_the_network_fine() {
    let evidence = Evidence {
        flows: 1,
        flows_affected: 1,
        attempts: 3,
        attempts_failed: 3,
        attempts_seconds: Some(135),
        untested_path: true,
        ..Evidence::default()
    };
    let service = ComponentId::Service { namespace: "shop".to_owned(), name: "cart".to_owned() };
    let faults = [fault(service, Cause::Unreachable, evidence)];
    let fault = "service shop/cart doesn't answer connection requests (3 of 3 failed within 135 s), and too little else goes \
                 the same way to tell whether the network carries it: look for a NetworkPolicy or security group that blocks \
                 it, or a process that hangs, or a broken path";
    let known = ReasonInput {
        attribution: Attribution::Undetermined,
        nhi: HealthIndicator::Healthy,
        ..told(&faults, &[], 0)
    };
    assert_eq!(sentence(&known), format!("the network is fine elsewhere, but {fault}"));
    assert_eq!(
        without_all_clear(&sentence(&known)),
        format!("too few nodes reported to tell how the network is, but {fault}")
    );
    let unknown = ReasonInput { nhi: HealthIndicator::InsufficientData, ..known };
    assert_eq!(
        sentence(&unknown),
        format!("there is too little traffic to tell how the network is, but {fault}")
    );
}

#[test]
fn too_little_traffic_is_told_with_how_much_it_takes() {
    let traffic = Traffic { segments: 210, attempts: 1, needed: 670, seconds: 120 };
    let too_little = ReasonInput { nhi: HealthIndicator::InsufficientData, traffic, ..told(&[], &[], 0) };
    assert_eq!(
        sentence(&too_little),
        "too little traffic to tell: 210 data segments and 1 connection attempt in 120 s, and it takes about 670 segments \
         to see a loss of 1%"
    );
    let none = ReasonInput { traffic: Traffic { segments: 0, attempts: 0, ..traffic }, ..too_little };
    assert!(sentence(&none).starts_with("too little traffic to tell: no traffic in 120 s"));
}

#[test]
fn the_worst_comes_first() {
    let loss = |ratio| Evidence { retransmission_ratio: ratio, ..Evidence::default() };
    let failing = Evidence { attempts: 10, attempts_failed: 10, ..Evidence::default() };
    let node = |name: &str, ratio| fault(ComponentId::Node(name.to_owned()), Cause::PacketLoss, loss(ratio));
    let pod = ComponentId::Pod { namespace: "shop".to_owned(), name: "cart-1".to_owned() };
    let outside = ComponentId::AwsService("s3".to_owned());
    let mut faults = vec![
        fault(pod, Cause::Unreachable, failing),
        fault(outside, Cause::PacketLoss, loss(0.05)),
        ComponentFault { showing: Showing::Passing, ..node("passing", 0.09) },
        node("mild", 0.006),
        node("bad", 0.05),
    ];
    crate::decide::severity::sort_worst_first(&mut faults);
    let order: Vec<String> = faults.iter().map(|fault| fault.component.to_string()).collect();
    assert_eq!(order, ["node/bad", "node/mild", "node/passing", "service/aws/s3", "pod/shop/cart-1"]);
}
