//! What a shortage of CPU does to round trips, and how it is told apart from what the network adds.

#![allow(clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

mod lab;

use std::cell::RefCell;

use lab::{Dice, Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{Attribution, Cause, HealthIndicator, Limit, Resource, Verdict};
use tidewatch_records::{AllowanceExceeded, NodeFigures};

const HISTORY: usize = 12;
/// Windows of 10 s: five minutes.
const LONG: usize = 30;

fn when(condition: bool, harm: Harm) -> Harm {
    if condition { harm } else { Harm::default() }
}

fn touches(hop: &Hop, node: &str) -> bool {
    [&hop.from, &hop.to].iter().any(|end| end.node.as_deref() == Some(node))
}

fn busy() -> NodeFigures {
    NodeFigures { cpu_pressure_ratio: Some(0.62), cpu_busy_ratio: Some(0.99), ..NodeFigures::default() }
}

fn at_ease() -> NodeFigures {
    NodeFigures { cpu_pressure_ratio: Some(0.01), cpu_busy_ratio: Some(0.2), ..NodeFigures::default() }
}

/// Waiting for a CPU, as it was seen on busy machines: many trips wait, in each flow's window even the quickest a little,
/// by chance some much longer than others.
struct Waits(RefCell<Dice>);

impl Waits {
    fn new() -> Self {
        Self(RefCell::new(Dice(0x1234_5678_9ABC_DEF1)))
    }

    fn draw(&self, mean_us: f64) -> Harm {
        let unit = self.0.borrow_mut().unit();
        Harm { waits_us: (-mean_us * (1.0 - unit).ln()) as u64, ..Harm::default() }
    }
}

#[test]
fn a_stretch_that_spares_the_quickest_is_no_nodes_fault() {
    for stretched in [1.5, 3.0, 10.0] {
        let mut watch = Watch::learned(Lab::default(), HISTORY);
        for _ in 0..LONG {
            let verdict =
                watch.window(&|hop| when(touches(hop, "zone-2-b"), Harm { stretched, ..Harm::default() }));
            assert_eq!(named(&verdict), Vec::<String>::new(), "{stretched}: {verdict:#?}");
        }
    }
}

#[test]
fn a_stretch_at_all_nodes_is_no_zone_pairs_fault() {
    for stretched in [2.0, 3.0, 30.0] {
        let mut watch = Watch::learned(Lab::default(), HISTORY);
        for _ in 0..LONG {
            let verdict = watch.window(&|_| Harm { stretched, ..Harm::default() });
            assert_eq!(named(&verdict), Vec::<String>::new(), "{stretched}: {verdict:#?}");
        }
    }
}

#[test]
fn waiting_for_a_cpu_is_nobodys_fault_with_figures_or_without() {
    for (name, at) in [("one node", Some("zone-2-b")), ("all nodes", None)] {
        for mean_us in [500.0, 2_000.0, 8_000.0] {
            for tells in [true, false] {
                let waits = Waits::new();
                let mut watch = Watch::learned(Lab::default(), HISTORY);
                for window in 0..LONG {
                    let figures = |node: &str| match at {
                        _ if !tells => NodeFigures::default(),
                        Some(at) if at != node => at_ease(),
                        _ => busy(),
                    };
                    let verdict = watch.window_of(&figures, &|hop| {
                        when(at.is_none_or(|at| touches(hop, at)), waits.draw(mean_us))
                    });
                    let told = (name, mean_us, tells, window);
                    assert_eq!(named(&verdict), Vec::<String>::new(), "{told:?}: {verdict:#?}");
                    assert_eq!(verdict.nhi, HealthIndicator::Healthy, "{told:?}");
                    assert_eq!(verdict.attribution, Attribution::None, "{told:?}");
                    let short = if !tells { 0 } else { at.map_or(6, |_| 1) };
                    assert_eq!(verdict.shortages.len(), short, "{told:?}: {verdict:#?}");
                }
            }
        }
    }
}

#[test]
fn a_true_delay_is_named_alone_while_all_nodes_wait_for_cpus() {
    for tells in [true, false] {
        let waits = Waits::new();
        let mut watch = Watch::learned(Lab::default(), HISTORY);
        let figures = |_: &str| if tells { busy() } else { NodeFigures::default() };
        let fault = |hop: &Hop| {
            let delay_us = if hop.between("zone-1", "zone-2") { 10_000 } else { 0 };
            Harm { delay_us, ..waits.draw(1_000.0) }
        };
        for _ in 0..HISTORY {
            watch.window_of(&figures, &|_| waits.draw(1_000.0));
        }
        let verdicts: Vec<_> = (0..9).map(|_| watch.window_of(&figures, &fault)).collect();
        let last = &verdicts[8];
        assert_eq!(named(last), ["zone-pair/zone-1~zone-2"], "{last:#?}");
        assert_eq!(last.components[0].cause, Cause::Latency);
        assert_eq!(last.attribution, Attribution::Infrastructure);
        let others: Vec<String> =
            verdicts.iter().flat_map(named).filter(|name| name != "zone-pair/zone-1~zone-2").collect();
        assert_eq!(others, Vec::<String>::new());
    }
}

#[test]
fn true_loss_is_named_alone_while_all_nodes_wait_for_cpus() {
    let waits = Waits::new();
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for window in 0..12 {
        let verdict = watch.window_of(&|_| busy(), &|hop| {
            let loss = if hop.between("zone-1", "zone-2") { 0.02 } else { 0.0 };
            Harm { loss, ..waits.draw(2_000.0) }
        });
        if window >= 3 {
            assert_eq!(named(&verdict), ["zone-pair/zone-1~zone-2"], "{verdict:#?}");
        }
    }
}

#[test]
fn round_trips_within_a_node_that_rose_as_much_are_the_nodes_own() {
    // Every trip of the node takes 4 ms more, the quickest too: no figures tell why, but its own pods suffer it as well.
    let mut watch = Watch::learned(Lab { pods: 6, ..Lab::default() }, HISTORY);
    for _ in 0..LONG {
        let verdict =
            watch.window(&|hop| when(touches(hop, "zone-2-b"), Harm { delay_us: 2_000, ..Harm::default() }));
        assert_eq!(named(&verdict), Vec::<String>::new(), "{verdict:#?}");
    }
    let verdict = (0..LONG)
        .map(|_| {
            watch.window(&|hop| {
                when(hop.touches_node("zone-2-b"), Harm { delay_us: 2_000, ..Harm::default() })
            })
        })
        .last();
    assert_eq!(verdict.iter().flat_map(named).collect::<Vec<_>>(), ["node/zone-2-b"], "{verdict:#?}");
}

#[test]
fn who_is_short_is_told_beside_the_verdict_until_it_is_over() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = last(&mut watch, busy());
    assert_eq!(verdict.shortages.len(), 6);
    assert!(verdict.shortages.iter().all(|shortage| shortage.resource == Resource::Cpu));
    assert_eq!(
        verdict.reason,
        "nothing is out of the ordinary in the network; all 6 nodes are short of CPU (tasks wait for it up to 62% of the \
         time): slow round trips there are caused by the nodes themselves"
    );
    let verdict = last(&mut watch, at_ease());
    assert_eq!((verdict.shortages, verdict.reason.as_str()), (vec![], "nothing is out of the ordinary"));
}

/// The verdict after a minute in which all nodes are like this.
fn last(watch: &mut Watch, figures: NodeFigures) -> Verdict {
    for _ in 0..5 {
        watch.window_of(&|_| figures, &nothing);
    }
    watch.window_of(&|_| figures, &nothing)
}

#[test]
fn a_slow_service_that_spares_the_quickest_is_no_fault() {
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for _ in 0..LONG {
        let verdict =
            watch.window(&|hop| when(hop.calls("shop/stock"), Harm { stretched: 20.0, ..Harm::default() }));
        assert_eq!(named(&verdict), Vec::<String>::new(), "{verdict:#?}");
    }
}

#[test]
fn a_service_all_of_whose_trips_take_much_longer_is_named_unless_its_node_is() {
    let slow = |hop: &Hop| when(hop.calls("shop/stock"), Harm { delay_us: 10_000, ..Harm::default() });
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = (0..6).map(|_| watch.window_of(&|_| at_ease(), &slow)).last();
    assert_eq!(verdict.iter().flat_map(named).collect::<Vec<_>>(), ["service/shop/stock"], "{verdict:#?}");
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = (0..6).map(|_| watch.window_of(&|_| busy(), &slow)).last();
    assert_eq!(verdict.iter().flat_map(named).collect::<Vec<_>>(), Vec::<String>::new(), "{verdict:#?}");
}

#[test]
fn an_allowance_that_costs_packets_is_told_as_the_nodes() {
    let exceeded = AllowanceExceeded { packets_per_second: 9_000, ..AllowanceExceeded::default() };
    let figures = |node: &str| NodeFigures {
        allowance_exceeded: (node == "zone-2-b").then_some(exceeded),
        ..NodeFigures::default()
    };
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for _ in 0..LONG {
        let verdict = watch.window_of(&figures, &nothing);
        assert_eq!(named(&verdict), Vec::<String>::new(), "nobody suffers: {verdict:#?}");
    }
    let lossy = |hop: &Hop| when(hop.touches_node("zone-2-b"), Harm { loss: 0.02, ..Harm::default() });
    let verdict = (0..6).map(|_| watch.window_of(&figures, &lossy)).last();
    let faults = verdict.iter().flat_map(|verdict| &verdict.components);
    let told: Vec<_> = faults
        .map(|fault| {
            (fault.component.to_string(), fault.cause, fault.evidence.limit.map(|limit| limit.limit))
        })
        .collect();
    let expected = ("node/zone-2-b".to_owned(), Cause::AllowanceExceeded, Some(Limit::PacketRateAllowance));
    assert_eq!(told, [expected], "{verdict:#?}");
}

#[test]
fn what_the_other_end_had_already_was_not_lost() {
    let needless = |hop: &Hop| when(touches(hop, "zone-2-b"), Harm { needless: 0.03, ..Harm::default() });
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    for _ in 0..LONG {
        let verdict = watch.window(&needless);
        assert_eq!(named(&verdict), Vec::<String>::new(), "{verdict:#?}");
    }
}

#[test]
fn a_loss_beside_needless_retransmissions_is_named_alone() {
    let everywhere = Harm { needless: 0.03, ..Harm::default() };
    let lossy = |hop: &Hop| match hop.touches_node("zone-2-b") {
        true => Harm { loss: 0.03, ..everywhere },
        false => everywhere,
    };
    let mut watch = Watch::learned(Lab::default(), HISTORY);
    let verdict = (0..6).map(|_| watch.window_of(&|_| busy(), &lossy)).last();
    assert_eq!(verdict.iter().flat_map(named).collect::<Vec<_>>(), ["node/zone-2-b"], "{verdict:#?}");
}
