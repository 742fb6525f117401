use proptest::prelude::*;

use super::super::spec::SpecReason;
use super::super::testing::{at, healthy, payments_blocked, zone_pair_down};
use super::tests::{condition, flows, observed, window_at};
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Healthy { rtt: u64, lost: u64 },
    Degraded,
    Blocked,
    NoData,
    Waiting,
    WrongSpec,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (100_u64..100_000, 0_u64..5).prop_map(|(rtt, lost)| Step::Healthy { rtt, lost }),
        Just(Step::Degraded),
        Just(Step::Blocked),
        Just(Step::NoData),
        Just(Step::Waiting),
        Just(Step::WrongSpec),
    ]
}

fn observe_step(step: &Step, start: i64) -> Observed {
    match step {
        Step::Healthy { rtt, lost } => window_at(start, healthy(at(start)), &flows(*rtt, *lost)),
        Step::Degraded => window_at(start, zone_pair_down(at(start)), &flows(900, 2)),
        Step::Blocked => window_at(start, payments_blocked(at(start)), &flows(500, 0)),
        Step::NoData => observed(start, View::NoData { last: None }),
        Step::Waiting => observed(start, View::Waiting),
        Step::WrongSpec => Observed {
            monitor: Err(vec![SpecError {
                path: "spec".to_owned(),
                reason: SpecReason::InvalidSpec,
                message: "wrong".to_owned(),
            }]),
            ..observed(start, View::Waiting)
        },
    }
}

proptest! {
    /// Whatever came before, and however late the second look is: the same observation writes nothing twice.
    #[test]
    fn folding_the_same_observation_twice_writes_nothing(steps in prop::collection::vec(step(), 1..25)) {
        let mut memory = Memory::default();
        let mut status = NetworkMonitorStatus::default();
        for (n, step) in (0_i64..).zip(&steps) {
            let observed = observe_step(step, n * 60);
            status = fold(&status, &observed, &mut memory);
            let later = Observed { now: at(n * 60 + 90), ..observed };
            let again = fold(&status, &later, &mut memory);
            prop_assert_eq!(&again, &status);
        }
    }

    /// What is written survives the API server: serialised and read back it is the same, so no difference is imagined.
    #[test]
    fn a_status_reads_back_as_it_was_written(steps in prop::collection::vec(step(), 1..6)) {
        let mut memory = Memory::default();
        let mut status = NetworkMonitorStatus::default();
        for (n, step) in (0_i64..).zip(&steps) {
            status = fold(&status, &observe_step(step, n * 60), &mut memory);
            let read: NetworkMonitorStatus = serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap();
            prop_assert_eq!(&read, &status);
        }
    }

    /// Degraded is said only of the infrastructure, and never without data.
    #[test]
    fn the_indicator_and_the_conditions_agree(steps in prop::collection::vec(step(), 1..25)) {
        let mut memory = Memory::default();
        let mut status = NetworkMonitorStatus::default();
        for (n, step) in (0_i64..).zip(&steps) {
            status = fold(&status, &observe_step(step, n * 60), &mut memory);
            let degraded = condition(&status, "Degraded").0;
            let expected = match status.network_health_indicator {
                Some(NetworkHealthIndicator::Degraded) => "True",
                Some(NetworkHealthIndicator::Healthy) => "False",
                _ => "Unknown",
            };
            prop_assert_eq!(degraded, expected);
        }
    }
}
