//! Every state in which the object may be changed, suspended or deleted; and what people and AWS do to a canary meanwhile.

use serde_json::{Value, json};
use tidewatch_aws_double::synthetics::{CanaryState, Runtime};

use super::bed::{Bed, CanaryBed as _, RUN_AS, SOON, checks, with};

/// The states that a canary goes through on its way from nothing to its end, each reached and then left alone.
async fn at(state: CanaryState) -> Bed {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    match state {
        CanaryState::Creating => drop(bed.sweep().await),
        CanaryState::Ready => {
            bed.sweep().await;
            bed.double.advance(SOON);
        }
        CanaryState::Starting => {
            bed.sweep().await;
            bed.double.advance(SOON);
            bed.sweep().await;
        }
        CanaryState::Running => bed.settle().await,
        CanaryState::Updating => {
            bed.settle().await;
            bed.apply("home", &with(checks(), "/timeout", json!("31s")));
            bed.sweep().await;
        }
        CanaryState::Stopping | CanaryState::Stopped => {
            bed.settle().await;
            bed.apply("home", &with(checks(), "/suspend", json!(true)));
            bed.sweep().await;
            if state == CanaryState::Stopped {
                bed.settle().await;
            }
        }
        CanaryState::Error => {
            unassumable(&bed, true);
            bed.sweep().await;
            bed.double.advance(SOON);
        }
        CanaryState::Deleting => {
            bed.settle().await;
            bed.delete("home");
            bed.sweep().await;
            bed.double.advance(SOON);
            bed.sweep().await;
        }
    }
    let found = bed.there("home").unwrap().status.state;
    assert_eq!(found, state, "not brought there: {:?}", bed.ready("home"));
    bed
}

fn unassumable(bed: &Bed, is: bool) {
    bed.region(|region| {
        let roles = &mut region.synthetics.surroundings.unassumable_roles;
        if is {
            roles.insert(RUN_AS.to_owned(), None);
        } else {
            roles.remove(RUN_AS);
        }
    });
}

const LIVING: [CanaryState; 8] = [
    CanaryState::Creating,
    CanaryState::Ready,
    CanaryState::Starting,
    CanaryState::Running,
    CanaryState::Updating,
    CanaryState::Stopping,
    CanaryState::Stopped,
    CanaryState::Error,
];

/// No call was refused: what AWS works on is waited for.
fn fought(bed: &Bed) -> Vec<String> {
    bed.double
        .calls()
        .iter()
        // One that never ran has no logs.
        .filter(|call| call.is_write() && !call.succeeded() && call.operation != "DeleteLogGroup")
        .map(|call| format!("{} {:?}", call.operation, call.outcome))
        .collect()
}

#[tokio::test]
async fn in_every_state_a_change_is_waited_out_and_made() {
    for state in LIVING {
        for restarts in [false, true] {
            let mut bed = at(state).await;
            unassumable(&bed, false);
            if restarts {
                bed.restart().await;
            }
            let spec = with(checks(), "/schedule", json!({"every": "5m"}));
            bed.apply("home", &spec);
            bed.settle().await;
            let there = bed.there("home").unwrap();
            assert_eq!(there.config.schedule.expression, "rate(5 minutes)", "{state:?}");
            assert_eq!(there.status.state, CanaryState::Running, "{state:?}");
            assert_eq!(bed.ready("home").1, "Running", "{state:?}: {:?}", bed.ready("home"));
            assert_eq!(fought(&bed), [""; 0], "{state:?}");
        }
    }
}

#[tokio::test]
async fn in_every_state_it_can_be_suspended() {
    for state in LIVING {
        let mut bed = at(state).await;
        unassumable(&bed, false);
        if state == CanaryState::Error {
            // What failed for its role waits for its time, but not in another process.
            bed.restart().await;
        }
        bed.apply("home", &with(checks(), "/suspend", json!(true)));
        bed.settle().await;
        let there = bed.there("home").unwrap().status.state;
        assert!(matches!(there, CanaryState::Ready | CanaryState::Stopped), "{state:?}: {there:?}");
        assert_eq!(fought(&bed), [""; 0], "{state:?}");
    }
}

#[tokio::test]
async fn in_every_state_it_can_be_deleted_and_nothing_is_left() {
    for state in LIVING.into_iter().chain([CanaryState::Deleting]) {
        for restarts in [false, true] {
            let mut bed = at(state).await;
            if restarts {
                bed.restart().await;
            }
            if state != CanaryState::Deleting {
                bed.delete("home");
            }
            bed.settle().await;
            assert!(bed.get("home").is_none() && bed.there("home").is_none(), "{state:?}");
            assert_eq!(bed.around(), (0, 0, 0), "{state:?}");
            assert_eq!(fought(&bed), [""; 0], "{state:?}");
        }
    }
}

#[tokio::test]
async fn a_role_that_lambda_doesn_t_see_yet_is_tried_again() {
    let mut bed = at(CanaryState::Error).await;
    bed.sweep().await;
    let (ready, reason, message) = bed.ready("home");
    assert_eq!((ready.as_str(), reason.as_str()), ("Unknown", "RoleNotAssumable"));
    assert!(
        message.contains("cannot be assumed by Lambda") && message.contains("lambda.amazonaws.com"),
        "{message}"
    );
    assert_eq!(bed.writes(), ["CreateCanary"], "not at once");
    unassumable(&bed, false);
    // What waits for its time waits no longer in another process.
    bed.restart().await;
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    assert_eq!(bed.writes(), ["CreateCanary", "DeleteCanary", "CreateCanary", "StartCanary"]);
    assert_eq!(bed.around().0, 1);
}

#[tokio::test]
async fn a_creation_that_failed_says_why_and_a_changed_spec_tries_again() {
    let bed = Bed::start().await;
    let vpc = json!({"subnetIds": ["subnet-bad"], "securityGroupIds": ["sg-1"]});
    bed.region(|region| {
        region.synthetics.surroundings.unusable_networks.insert("subnet-bad".to_owned());
    });
    bed.apply("home", &with(checks(), "/aws/vpc", vpc));
    bed.settle().await;
    let (ready, reason, message) = bed.ready("home");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "CreationFailed"));
    assert!(message.contains("subnet-bad"), "{message}");
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.writes(), ["CreateCanary"]);
    let vpc = json!({"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]});
    bed.apply("home", &with(checks(), "/aws/vpc", vpc));
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    assert_eq!(bed.writes(), ["CreateCanary", "DeleteCanary", "CreateCanary", "StartCanary"]);
}

#[tokio::test]
async fn a_failed_update_that_reads_running_again_is_told() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| region.fail_next_update(&name, "Lambda said no", true)).unwrap();
    bed.apply("home", &with(checks(), "/timeout", json!("40s")));
    bed.settle().await;
    let (ready, reason, message) = bed.ready("home");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "UpdateFailed"));
    assert!(message.contains("Lambda said no") && message.contains("ROLLBACK_COMPLETE"), "{message}");
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Running);
    let aws = bed.status("home").aws.unwrap();
    assert_eq!(aws.state_reason_code.as_deref(), Some("ROLLBACK_COMPLETE"));
    bed.sweep().await;
    assert_eq!(bed.writes().iter().filter(|write| *write == "UpdateCanary").count(), 1, "not at once again");
    // Another change is tried at once.
    bed.apply("home", &with(checks(), "/timeout", json!("41s")));
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    assert_eq!(bed.there("home").unwrap().config.run_config.timeout_in_seconds, Some(41));
}

#[tokio::test]
async fn an_update_that_failed_before_anybody_looked_is_tried_again_ever_more_rarely() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| region.synthetics.delays.update = jiff::SignedDuration::ZERO);
    bed.apply("home", &with(checks(), "/timeout", json!("40s")));
    for _ in 0..12 {
        bed.region(|region| region.fail_next_update(&name, "Lambda said no", true)).unwrap();
        bed.sweep().await;
        bed.double.advance(SOON);
    }
    assert_eq!(bed.ready("home").1, "UpdateFailed", "{:?}", bed.ready("home"));
    // In five minutes: at once, and after one, two and four.
    let updates = bed.writes().iter().filter(|write| *write == "UpdateCanary").count();
    assert!((2..=4).contains(&updates), "{updates}");
}

#[tokio::test]
async fn changes_made_by_hand_are_put_back_and_told() {
    let mut bed = Bed::start().await;
    bed.apply("home", &with(checks(), "/tags", json!({"team": "a"})));
    bed.settle().await;
    let (name, before) = (bed.name_of("home"), bed.all());
    bed.region(|region| {
        let canary = region.synthetics.canaries.get_mut(&name).unwrap();
        canary.config.schedule.expression = "rate(10 minutes)".to_owned();
        canary.config.success_retention_period_in_days = Some(3);
        canary.tags.remove("team");
    });
    bed.restart().await;
    bed.double.clear_calls();
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.all(), before);
    let told = bed.events("home").join("\n");
    assert!(
        told.contains("DriftRepaired") && told.contains("changed by hand (retention, schedule)"),
        "{told}"
    );
    assert_eq!(bed.writes(), ["UpdateCanary", "TagResource"]);
}

#[tokio::test]
async fn one_that_was_stopped_or_deleted_by_hand_runs_again() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| {
        let canary = region.synthetics.canaries.get_mut(&name).unwrap();
        canary.status.state = CanaryState::Stopped;
    });
    bed.restart().await;
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Running);
    assert!(bed.events("home").join("\n").contains("was stopped by hand"), "{:?}", bed.events("home"));
    bed.region(|region| drop(region.synthetics.canaries.remove(&name)));
    bed.restart().await;
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Running);
    assert!(bed.events("home").join("\n").contains("was deleted by hand"), "{:?}", bed.events("home"));
}

#[tokio::test]
async fn a_canary_of_the_same_name_that_isn_t_ours_is_left_alone_unless_it_is_adopted() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| region.synthetics.canaries.get_mut(&name).unwrap().tags.clear());
    let changed = with(checks(), "/timeout", json!("40s"));
    bed.apply("home", &changed);
    let foreign = bed.all();
    let mut bed = bed;
    bed.restart().await;
    bed.settle().await;
    let (ready, reason, message) = bed.ready("home");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "NotOurs"));
    assert!(message.contains("tidewatch.dev/adopt-canary"), "{message}");
    assert!(bed.status("home").aws.unwrap().foreign);
    assert_eq!(bed.all(), foreign);
    bed.apply_annotated("home", &changed, &json!({"tidewatch.dev/adopt-canary": name}));
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    let there = bed.there("home").unwrap();
    assert_eq!(there.config.run_config.timeout_in_seconds, Some(40));
    assert_eq!(there.tags["tidewatch.dev/owner-uid"], "uid-home");
    // And one that isn't ours outlives the object.
    bed.region(|region| region.synthetics.canaries.get_mut(&name).unwrap().tags.clear());
    bed.apply("home", &changed);
    bed.restart().await;
    bed.sweep().await;
    bed.delete("home");
    bed.settle().await;
    assert!(bed.get("home").is_none() && bed.there("home").is_some());
}

fn runtime(bed: &Bed, name: &str, deprecated: Option<&str>) {
    let runtime = Runtime {
        version_name: name.to_owned(),
        description: "test".to_owned(),
        release_date: "2026-01-01T00:00:00Z".parse().unwrap(),
        deprecation_date: deprecated.map(|date| date.parse().unwrap()),
    };
    bed.region(|region| region.set_runtime(runtime));
}

#[tokio::test]
async fn a_newer_runtime_waits_for_a_change_or_for_the_end_of_the_old_one() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    runtime(&bed, "syn-nodejs-9.0", None);
    bed.restart().await;
    bed.sweep().await;
    assert_eq!(bed.there("home").unwrap().config.runtime_version, "syn-nodejs-5.2", "it runs on");
    bed.apply("home", &with(checks(), "/timeout", json!("31s")));
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().config.runtime_version, "syn-nodejs-9.0");
    runtime(&bed, "syn-nodejs-9.0", Some("2027-01-01T00:00:00Z"));
    runtime(&bed, "syn-nodejs-9.1", None);
    bed.restart().await;
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().config.runtime_version, "syn-nodejs-9.1");
    assert_eq!(bed.ready("home").1, "Running");
}

#[tokio::test]
async fn the_end_of_a_runtime_that_was_named_is_told_ninety_days_before() {
    let mut bed = Bed::start().await;
    let spec: Value = with(checks(), "/aws/runtimeVersion", json!("syn-nodejs-4.0"));
    bed.apply("home", &spec);
    bed.settle().await;
    assert_eq!(bed.cluster.condition("home", "RuntimeCurrent").0, "True");
    runtime(&bed, "syn-nodejs-4.0", Some("2027-02-01T00:00:00Z"));
    bed.restart().await;
    bed.sweep().await;
    let (status, reason, message) = bed.cluster.condition("home", "RuntimeCurrent");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "DeprecationNear"));
    assert!(message.contains("syn-nodejs-4.0") && message.contains("2027-02-01"), "{message}");
    assert_eq!(bed.ready("home").0, "True");
    assert!(bed.events("home").iter().any(|event| event.starts_with("RuntimeDeprecation")));
    // Past it the canary goes on as it is; only a new one can't be made.
    runtime(&bed, "syn-nodejs-4.0", Some("2026-11-01T00:00:00Z"));
    bed.restart().await;
    bed.double.clear_calls();
    bed.sweep().await;
    assert_eq!(bed.cluster.condition("home", "RuntimeCurrent").1, "Deprecated");
    assert_eq!((bed.ready("home").0.as_str(), bed.writes().len()), ("True", 0));
    bed.apply("other", &spec);
    bed.sweep().await;
    assert!(bed.ready("other").2.contains("syn-nodejs-5.2"), "{:?}", bed.ready("other"));
}

#[tokio::test]
async fn replicas_of_others_are_left_alone_and_go_with_the_canary() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| {
        let wanted = tidewatch_aws_double::synthetics::ReplicaLocation {
            location: "us-east-1".to_owned(),
            vpc_config: None,
            kms_key_arn: None,
        };
        let now = region.synthetics.canaries[&name].timeline.created;
        let replica = tidewatch_aws_double::synthetics::Replica { wanted, in_sync: true, last_modified: now };
        region.synthetics.canaries.get_mut(&name).unwrap().replicas.push(replica);
    });
    bed.restart().await;
    bed.double.clear_calls();
    bed.sweep().await;
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.there("home").unwrap().replicas.len(), 1);
    bed.delete("home");
    bed.settle().await;
    assert!(bed.there("home").is_none());
    assert!(bed.events("home").join("\n").contains("us-east-1"), "{:?}", bed.events("home"));
}
