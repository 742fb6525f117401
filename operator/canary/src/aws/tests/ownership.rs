//! Whose a canary is, and what is said of it: while it is taken over, refused, made again, and deleted.

use std::time::Duration;

use serde_json::json;
use tidewatch_aws_double::synthetics::CanaryState;
use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::{Bed, CanaryBed as _, RUN_AS_TOO, SOON, checks, with};

const UID: &str = "tidewatch.dev/owner-uid";

/// The canary as somebody else's.
fn give_away(bed: &Bed, keys: &[&str]) {
    let name = bed.name_of("home");
    bed.region(|region| {
        let tags = &mut region.synthetics.canaries.get_mut(&name).unwrap().tags;
        tags.retain(|key, _| !keys.is_empty() && !keys.contains(&key.as_str()));
    });
}

#[tokio::test]
async fn a_canary_that_is_adopted_is_marked_before_it_is_changed() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    give_away(&bed, &[]);
    bed.cluster.forget("home");
    bed.restart().await;
    bed.double.clear_calls();
    let changed = with(checks(), "/timeout", json!("40s"));
    let adopt = json!({"tidewatch.dev/adopt-canary": bed.name_of("home")});
    bed.apply_annotated("home", &changed, &adopt);
    bed.sweep().await;
    assert_eq!(bed.writes(), ["TagResource", "UpdateCanary"]);
    assert_eq!(bed.there("home").unwrap().tags[UID], "uid-home");
    // Another provider in between: it is the object's, and goes.
    bed.double.advance(SOON);
    for _ in 0..8 {
        if bed.leave("home").await {
            break;
        }
        bed.double.advance(SOON);
    }
    assert!(bed.there("home").is_none(), "a canary without an owner is left");
}

#[tokio::test]
async fn a_canary_that_is_suspended_while_it_is_adopted_is_marked_before_it_is_stopped() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    give_away(&bed, &[]);
    bed.cluster.forget("home");
    bed.restart().await;
    bed.double.clear_calls();
    let adopt = json!({"tidewatch.dev/adopt-canary": bed.name_of("home")});
    bed.apply_annotated("home", &with(checks(), "/suspend", json!(true)), &adopt);
    bed.sweep().await;
    assert_eq!(bed.writes(), ["TagResource", "StopCanary"]);
}

#[tokio::test]
async fn a_canary_whose_owner_tag_was_removed_is_still_the_objects_and_gets_it_back() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let before = bed.all();
    give_away(&bed, &[UID]);
    bed.restart().await;
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    assert_eq!(bed.all(), before);
    let told = bed.events("home").join("\n");
    assert!(told.contains(&format!("changed by hand (tags {UID})")), "{told}");
    give_away(&bed, &[UID]);
    bed.restart().await;
    bed.delete("home");
    bed.settle().await;
    assert!(bed.there("home").is_none());
}

#[tokio::test]
async fn a_canary_that_nothing_says_is_ours_stays_when_its_object_goes_and_that_is_told() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    give_away(&bed, &[]);
    bed.restart().await;
    bed.delete("home");
    bed.settle().await;
    assert!(bed.get("home").is_none() && bed.there("home").is_some());
    let told = bed.events("home").join("\n");
    let stays =
        format!("canary {} in eu-west-1 stays in AWS: it isn't this object's any more", bed.name_of("home"));
    assert!(told.contains(&format!("LeftBehind: {stays}")), "{told}");
}

#[tokio::test]
async fn a_canary_that_is_being_deleted_says_how_far_that_is() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    assert_eq!(bed.status("home").state.as_deref(), Some("RUNNING"));
    bed.delete("home");
    let mut states = Vec::new();
    for _ in 0..8 {
        bed.sweep().await;
        if bed.get("home").is_none() {
            break;
        }
        states.extend(bed.status("home").state);
        assert_eq!(bed.ready("home").1, "Deleting", "{:?}", bed.ready("home"));
        bed.double.advance(SOON);
    }
    states.dedup();
    assert_eq!(states, ["STOPPING", "DELETING"]);
}

#[tokio::test]
async fn a_canary_in_error_is_written_anew_and_that_is_told() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| {
        let status = &mut region.synthetics.canaries.get_mut(&name).unwrap().status;
        status.state = CanaryState::Error;
    });
    bed.restart().await;
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    let told = bed.events("home").join("\n");
    assert!(told.contains("is ERROR") && told.contains("written anew"), "{told}");
}

#[tokio::test]
async fn a_part_that_aws_refuses_holds_up_no_other_and_is_named() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    // Refused as a whole, and then the first part of it alone.
    let operation = Some("UpdateCanary".to_owned());
    bed.double.inject(Fault { operation, skip: 0, times: 2, kind: FaultKind::Invalid });
    let spec = with(checks(), "/aws/runtimeVersion", json!("syn-nodejs-4.0"));
    let spec = with(spec, "/checks/0/http/url", json!("https://other.example.com/"));
    let spec = with(spec, "/tags", json!({"cost": "1"}));
    bed.apply("home", &with(spec.clone(), "/schedule", json!({"every": "5m"})));
    for _ in 0..6 {
        bed.sweep().await;
        bed.double.advance(SOON);
    }
    let there = bed.there("home").unwrap();
    assert_eq!(there.config.runtime_version, "syn-nodejs-5.2");
    assert_eq!(there.config.schedule.expression, "rate(5 minutes)");
    assert_eq!((there.status.state, there.tags["cost"].as_str()), (CanaryState::Running, "1"));
    let (ready, reason, message) = bed.ready("home");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "Rejected"), "{message}");
    assert!(message.contains("the runtime version: UpdateCanary"), "{message}");
    // A later edit doesn't wait behind it, and tries it once more.
    bed.apply("home", &with(spec, "/schedule", json!({"every": "10m"})));
    bed.settle().await;
    let there = bed.there("home").unwrap();
    assert_eq!(there.config.schedule.expression, "rate(10 minutes)");
    assert_eq!(there.config.runtime_version, "syn-nodejs-4.0");
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
}

#[tokio::test]
async fn refused_parts_do_not_hold_up_the_others() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    // Refused as a whole, and then the first three alone: the role, the artifacts' place and the schedule.
    let operation = Some("UpdateCanary".to_owned());
    bed.double.inject(Fault { operation, skip: 0, times: 4, kind: FaultKind::Invalid });
    let spec = with(checks(), "/aws/executionRoleArn", json!(RUN_AS_TOO));
    let spec = with(spec, "/aws/artifacts", json!("s3://other-canaries"));
    let spec = with(spec, "/schedule", json!({"every": "5m"}));
    bed.apply("home", &with(spec, "/timeout", json!("45s")));
    for _ in 0..4 {
        let next = bed.controller().pass(&bed.get("home").unwrap()).await.unwrap();
        if bed.ready("home").1 == "Rejected" && next >= Some(Duration::from_secs(600)) {
            break;
        }
        assert!(next <= Some(Duration::from_secs(60)), "{next:?}: {:?}", bed.ready("home"));
        bed.double.advance(SOON);
    }
    let there = bed.there("home").unwrap();
    assert_eq!(there.config.run_config.timeout_in_seconds, Some(45));
    let (ready, reason, message) = bed.ready("home");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "Rejected"), "{message}");
    assert_eq!(message.matches("UpdateCanary").count(), 3, "{message}");
}

#[tokio::test]
async fn a_creation_that_failed_and_is_tried_again_is_told() {
    let bed = Bed::start().await;
    let vpc = json!({"subnetIds": ["subnet-bad"], "securityGroupIds": ["sg-1"]});
    bed.region(|region| {
        region.synthetics.surroundings.unusable_networks.insert("subnet-bad".to_owned());
    });
    bed.apply("home", &with(checks(), "/aws/vpc", vpc));
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "CreationFailed");
    let vpc = json!({"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]});
    bed.apply("home", &with(checks(), "/aws/vpc", vpc));
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    let told: Vec<_> = bed.events("home").into_iter().filter(|said| said.starts_with("MadeAgain")).collect();
    let because = "is deleted and made again, because it is in state ERROR: ";
    assert!(told.len() == 1 && told[0].contains(because), "{told:?}");
}
