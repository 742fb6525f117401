//! What holds for any records.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test, as it should")]

mod lab;

use std::sync::Arc;

use lab::{Harm, Hop, Lab, named, nothing};
use proptest::prelude::*;
use tidewatch_health::{Config, Engine, HealthIndicator, Memory, Verdict, Window};
use tidewatch_records::{Connections, FlowWindow};

/// A fault of some kind, chosen by numbers.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    kind: u8,
    loss: f64,
}

impl Chosen {
    fn harm(self, hop: &Hop) -> Harm {
        let here = match self.kind {
            0 => false,
            1 => hop.between("zone-1", "zone-2"),
            2 => hop.touches_node("zone-3-a"),
            3 => hop.calls("shop/stock") && hop.to_service,
            _ => hop.touches_pod("shop/cart-1"),
        };
        let unanswered = if self.kind == 3 { 0.9 } else { 0.0 };
        if here { Harm { loss: self.loss, unanswered, ..Harm::default() } } else { Harm::default() }
    }
}

fn chosen() -> impl Strategy<Value = Chosen> {
    (0_u8..5, 0.002..0.2).prop_map(|(kind, loss)| Chosen { kind, loss })
}

/// Healthy windows, then windows with the fault.
fn recorded(seed: u64, fault: Chosen) -> Vec<(Lab, Vec<FlowWindow>)> {
    let mut lab = Lab { dice: lab::Dice(seed | 1), segments: 300, ..Lab::default() };
    (0..7)
        .map(|window| {
            let at = lab.clone();
            let flows = lab.records(&|hop| if window < 4 { nothing(hop) } else { fault.harm(hop) });
            (at, flows)
        })
        .collect()
}

fn judge(windows: &[(Lab, Vec<FlowWindow>)]) -> Vec<Verdict> {
    let mut engine = Engine::new(Config::default());
    windows
        .iter()
        .map(|(lab, flows)| {
            engine.evaluate(&Window { start: lab.start(), seconds: lab.seconds, flows, nodes: &[] })
        })
        .collect()
}

/// Cuts a record in two whose counters add up to its own.
fn split(flow: &FlowWindow, share: f64) -> [FlowWindow; 2] {
    let part = |n: u64| (n as f64 * share) as u64;
    let (mut one, mut other) = (flow.clone(), flow.clone());
    macro_rules! divide {
        ($($field:ident).+) => {
            one.$($field).+ = part(flow.$($field).+);
            other.$($field).+ = flow.$($field).+ - one.$($field).+;
        };
    }
    divide!(data_segments_out);
    divide!(retransmissions);
    divide!(timeouts);
    divide!(connections.attempted);
    divide!(connections.established);
    divide!(connections.refused);
    divide!(connections.timed_out);
    if let (Some(one), Some(other), Some(whole)) = (&mut one.rtt_us, &mut other.rtt_us, &flow.rtt_us) {
        one.count = part(whole.count);
        other.count = whole.count - one.count;
    }
    [one, other]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_records_does_not_matter(seed: u64, fault in chosen(), shuffle: u64) {
        let windows = recorded(seed, fault);
        let mut shuffled = windows.clone();
        let mut dice = lab::Dice(shuffle | 1);
        for (_, flows) in &mut shuffled {
            for at in (1..flows.len()).rev() {
                flows.swap(at, (dice.unit() * (at + 1) as f64) as usize);
            }
        }
        prop_assert_eq!(judge(&windows), judge(&shuffled));
    }

    #[test]
    fn splitting_records_does_not_matter(seed: u64, fault in chosen(), share in 0.0..1.0) {
        let windows = recorded(seed, fault);
        let mut cut = windows.clone();
        for (_, flows) in &mut cut {
            *flows = flows.iter().flat_map(|flow| split(flow, share)).collect();
        }
        let (mut whole, mut parts) = (judge(&windows), judge(&cut));
        for verdict in whole.iter_mut().chain(&mut parts) {
            verdict.coverage.records = 0;
        }
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn a_renamed_node_gives_the_renamed_verdict(seed: u64, fault in chosen(), name in "[a-z]{1,8}") {
        let windows = recorded(seed, fault);
        let mut renamed = windows.clone();
        let new: Arc<str> = name.as_str().into();
        for end in renamed.iter_mut().flat_map(|(_, flows)| flows).flat_map(|f| [&mut f.local, &mut f.remote]) {
            if end.node.as_deref() == Some("zone-3-a") {
                end.node = Some(new.clone());
            }
        }
        for (verdict, after) in judge(&windows).iter().zip(judge(&renamed)) {
            prop_assert_eq!(verdict.nhi, after.nhi);
            let mut expected: Vec<String> =
                named(verdict).iter().map(|n| n.replace("node/zone-3-a", &format!("node/{name}"))).collect();
            let mut found = named(&after);
            expected.sort();
            found.sort();
            prop_assert_eq!(expected, found);
        }
    }

    #[test]
    fn no_traffic_is_never_healthy(seed: u64, fault in chosen(), keep in any::<bool>()) {
        let mut engine = Engine::new(Config::default());
        let windows = recorded(seed, fault);
        for (lab, flows) in &windows {
            engine.evaluate(&Window { start: lab.start(), seconds: lab.seconds, flows, nodes: &[] });
        }
        let idle: Vec<FlowWindow> = windows[0]
            .1
            .iter()
            .filter(|_| keep)
            .map(|flow| FlowWindow {
                connections: Connections { open: 1, ..Connections::default() },
                data_segments_out: 0,
                retransmissions: 0,
                spurious_retransmissions: 0,
                syn_retransmissions: 0,
                rtt_us: None,
                ..flow.clone()
            })
            .collect();
        let mut lab = windows[windows.len() - 1].0.clone();
        lab.window += 1;
        let verdict = engine.evaluate(&Window { start: lab.start(), seconds: lab.seconds, flows: &idle, nodes: &[] });
        prop_assert_ne!(verdict.nhi, HealthIndicator::Healthy);
        let told = format!("no traffic in {} s", lab.seconds);
        // Where a fault still stands, the sentence is about that.
        prop_assert!(!verdict.components.is_empty() || verdict.reason.contains(&told), "{}", verdict.reason);
    }

    #[test]
    fn more_evidence_of_the_same_fault_never_lowers_its_confidence(seed: u64, kind in 1_u8..5, loss in 0.03..0.1) {
        // Below that, more evidence may tell that a pod loses less than what a pod is blamed for.
        let windows = recorded(seed, Chosen { kind, loss });
        let mut more = windows.clone();
        for (_, flows) in more.iter_mut().skip(4) {
            for flow in flows {
                flow.data_segments_out *= 3;
                flow.retransmissions *= 3;
                flow.connections.established *= 3;
                flow.connections.timed_out *= 3;
            }
        }
        let (less, more) = (judge(&windows).pop().unwrap(), judge(&more).pop().unwrap());
        if let [only] = less.components.as_slice() {
            let same = more.components.iter().find(|fault| fault.component == only.component);
            // More evidence may tell that it was another component all the time; it never silences.
            prop_assert!(!more.components.is_empty(), "{:#?}\n{:#?}", less, more);
            prop_assert!(same.is_none_or(|fault| fault.confidence >= only.confidence), "{:#?}\n{:#?}", less, more);
        }
    }

    #[test]
    fn a_restart_changes_nothing(seed: u64, fault in chosen(), at in 1_usize..7) {
        let windows = recorded(seed, fault);
        let through = judge(&windows);
        let mut engine = Engine::new(Config::default());
        for (number, (lab, flows)) in windows.iter().enumerate() {
            if number == at {
                let saved = serde_json::to_string(&engine.memory()).unwrap();
                let memory: Memory = serde_json::from_str(&saved).unwrap();
                engine = Engine::resume(Config::default(), &memory);
            }
            let verdict = engine.evaluate(&Window { start: lab.start(), seconds: lab.seconds, flows, nodes: &[] });
            prop_assert_eq!(verdict.nhi, through[number].nhi);
            prop_assert_eq!(named(&verdict), named(&through[number]));
        }
    }
}
