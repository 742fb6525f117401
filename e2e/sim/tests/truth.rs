//! What the simulator says is the truth is what its records show.

use tidewatch_health::Cause;
use tidewatch_records::{Category, FlowWindow, Role};
use tidewatch_sim::fault::{FaultKind, Harm, Place};
use tidewatch_sim::mode::{DEVELOPMENT_SEEDS, HELD_OUT_SEEDS, HISTORY_WINDOWS, Mode};
use tidewatch_sim::{Phase, Trial, Truth};

/// All windows of a trial.
fn windows(trial: &mut Trial) -> Vec<(Truth, Vec<FlowWindow>)> {
    let mut all = Vec::new();
    let mut records = Vec::new();
    while let Some(truth) = trial.step(&mut records) {
        all.push((truth, records.clone()));
    }
    all
}

fn flows(windows: &[(Truth, Vec<FlowWindow>)], phase: Phase) -> impl Iterator<Item = &FlowWindow> {
    windows.iter().filter(move |(truth, _)| truth.phase == phase).flat_map(|(_, records)| records)
}

fn ratio<'a>(flows: impl Iterator<Item = &'a FlowWindow>) -> f64 {
    let (bad, sent) =
        flows.fold((0, 0), |(bad, sent), f| (bad + f.retransmissions, sent + f.data_segments_out));
    bad as f64 / sent.max(1) as f64
}

fn crosses_node(flow: &FlowWindow, node: &str) -> bool {
    let at = |end: &tidewatch_records::Endpoint| end.node.as_deref() == Some(node);
    flow.category != Some(Category::IntraNode) && (at(&flow.local) || at(&flow.remote))
}

#[test]
fn the_same_seed_gives_the_same_records_and_another_seed_others() {
    let first_windows = |seed| {
        let mut trial = Trial::new(Mode::Hard, seed);
        let mut records = Vec::new();
        let mut all = String::new();
        for _ in 0..HISTORY_WINDOWS + 2 {
            let truth = trial.step(&mut records).unwrap();
            all += &serde_json::to_string(&(truth, &records)).unwrap();
        }
        all
    };
    assert_eq!(first_windows(8), first_windows(8));
    assert_ne!(first_windows(8), first_windows(9));
}

#[test]
fn records_survive_json_lines() {
    let mut records = Vec::new();
    let mut trial = Trial::new(Mode::Easy, 3);
    trial.step(&mut records).unwrap();
    assert!(records.len() > 300);
    for record in &records {
        let line = serde_json::to_string(record).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(&serde_json::from_str::<FlowWindow>(&line).unwrap(), record);
    }
}

#[test]
fn every_kind_of_fault_has_its_turn_in_both_ranges_of_seeds() {
    for first in [DEVELOPMENT_SEEDS, HELD_OUT_SEEDS] {
        for kind in FaultKind::TABLE {
            assert!(
                (first..first + FaultKind::TABLE.len() as u64).any(|seed| FaultKind::of_seed(seed) == kind)
            );
        }
    }
}

#[test]
fn loss_on_a_node_shows_on_the_flows_that_cross_it_and_on_no_others() {
    let (mut injected, mut seen, mut elsewhere) = (0.0, 0.0, Vec::new());
    for seed in 1..=12 {
        let mut trial = Trial::with_kind(Mode::Easy, seed, FaultKind::Node);
        let windows = windows(&mut trial);
        let [injection] = trial.fault().injections.as_slice() else { panic!("one injection") };
        let (Place::Node(node), Harm::Loss { ratio: loss, .. }) = (injection.place, injection.harm) else {
            panic!("loss on a node")
        };
        let node = trial.cluster().nodes[node].name.clone();
        let before = ratio(flows(&windows, Phase::History).filter(|f| crosses_node(f, &node)));
        let during = ratio(flows(&windows, Phase::Fault).filter(|f| crosses_node(f, &node)));
        // A lost acknowledgement counts for a tenth of a lost segment.
        injected += loss * 1.1;
        seen += during - before;
        let others = |phase| ratio(flows(&windows, phase).filter(|f| !crosses_node(f, &node)));
        elsewhere.push(others(Phase::Fault) / others(Phase::History));
        assert_eq!(windows[HISTORY_WINDOWS].0.components.len(), 1);
        assert_eq!(windows[HISTORY_WINDOWS].0.components[0].component.to_string(), format!("node/{node}"));
    }
    assert!((seen / injected - 1.0).abs() < 0.25, "{seen} seen, {injected} injected");
    elsewhere.sort_by(f64::total_cmp);
    assert!((0.4..2.5).contains(&elsewhere[6]), "other flows stay what they were: {elsewhere:?}");
}

#[test]
fn one_way_loss_hurts_the_senders_of_one_zone_only() {
    let (mut forward, mut backward) = (0.0, 0.0);
    for seed in 1..=6 {
        let mut trial = Trial::with_kind(Mode::Easy, seed, FaultKind::ZonePairOneWay);
        let windows = windows(&mut trial);
        let Place::ZonePair(a, b) = trial.fault().injections[0].place else { panic!("a zone pair") };
        let zone = |index: usize| trial.cluster().zones[index].clone();
        let sent = |from: usize, to: usize, phase| {
            ratio(
                flows(&windows, phase)
                    .filter(|f| f.local.zone == Some(zone(from)) && f.remote.zone == Some(zone(to))),
            )
        };
        forward += sent(a, b, Phase::Fault) - sent(a, b, Phase::History);
        backward += sent(b, a, Phase::Fault) - sent(b, a, Phase::History);
    }
    assert!(forward > 5.0 * backward.abs(), "{forward} forward, {backward} back");
}

#[test]
fn a_blocked_or_refusing_service_accepts_no_connection_and_others_do() {
    for kind in [FaultKind::Blocked, FaultKind::Refused] {
        let mut trial = Trial::with_kind(Mode::Hard, 4, kind);
        let windows = windows(&mut trial);
        let Place::Service(service) = trial.fault().injections[0].place else { panic!("a service") };
        let service = trial.cluster().services[service].id.clone();
        let towards = |hit: bool| {
            flows(&windows, Phase::Fault)
                .filter(|f| f.role == Role::Client && (f.remote.service.as_ref() == Some(&service)) == hit)
                .fold((0, 0, 0), |(a, e, f), flow| {
                    let c = flow.connections;
                    (a + c.attempted, e + c.established, f + c.refused + c.timed_out)
                })
        };
        let (attempted, established, failed) = towards(true);
        assert!(attempted > 0 && established == 0, "{attempted} attempts, {established} established");
        assert!(failed * 10 >= attempted * 7, "{failed} of {attempted} failed");
        let (attempted, established, _) = towards(false);
        assert!(established * 100 >= attempted * 95, "others connect");
        assert_eq!(
            trial.culprits()[0].cause,
            if kind == FaultKind::Blocked { Cause::Unreachable } else { Cause::Refused }
        );
    }
}

#[test]
fn latency_lengthens_round_trips_and_loses_nothing() {
    let mut trial = Trial::with_kind(Mode::Easy, 2, FaultKind::Latency);
    let windows = windows(&mut trial);
    let Harm::Delay { add_us } = trial.fault().injections[0].harm else { panic!("delay") };
    let longest = |phase| {
        let within = [Some(Category::IntraAz), Some(Category::InterAz)];
        let mins = flows(&windows, phase).filter(|f| within.contains(&f.category));
        mins.filter_map(|f| f.rtt_us.as_ref()?.min).max().unwrap() as f64
    };
    assert!(longest(Phase::Fault) - longest(Phase::History) > 0.8 * add_us);
    let loss = ratio(flows(&windows, Phase::Fault)) / ratio(flows(&windows, Phase::History));
    assert!((0.3..3.0).contains(&loss), "retransmissions changed by {loss}");
}

#[test]
fn nothing_is_at_fault_before_the_onset_nor_after_the_end() {
    for seed in 1..=FaultKind::TABLE.len() as u64 {
        let mut trial = Trial::new(Mode::Hard, seed);
        for (truth, records) in windows(&mut trial) {
            assert!(!records.is_empty());
            let faulty =
                truth.phase == Phase::Fault && truth.intensity > 0.0 && truth.kind != FaultKind::Healthy;
            assert_eq!(!truth.components.is_empty(), faulty, "seed {seed} {truth:?}");
            assert_eq!(truth.flows_touched > 0, faulty, "seed {seed} {truth:?}");
        }
    }
}
