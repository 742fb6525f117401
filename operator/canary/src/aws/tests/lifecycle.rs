//! Create, run, suspend, delete: the end state compared with what was declared.

use serde_json::json;
use tidewatch_aws_double::synthetics::{CanaryState, Outcome, RunPlan};
use tidewatch_crds::canary::RunResult;

use super::bed::{ACCOUNT, Bed, CanaryBed as _, REGION, ROLE, SOON, checks, set, with};

#[tokio::test]
async fn what_is_declared_is_in_synthetics_and_runs() {
    let bed = Bed::start().await;
    bed.apply("home", &with(checks(), "/tags", json!({"team": "a"})));
    bed.settle().await;
    assert_eq!(bed.ready("home").1, "Running", "{:?}", bed.ready("home"));
    let there = bed.there("home").unwrap();
    assert_eq!(there.status.state, CanaryState::Running);
    assert_eq!(there.config.runtime_version, "syn-nodejs-5.2");
    assert_eq!(there.config.code.blueprint_types, ["multi-checks"]);
    assert_eq!(there.config.schedule.expression, "rate(1 minute)");
    assert_eq!(there.tags["tidewatch.dev/owner-uid"], "uid-home");
    assert_eq!((there.tags["tidewatch.dev/namespace"].as_str(), there.tags["team"].as_str()), ("shop", "a"));
    let status = bed.status("home");
    let aws = status.aws.unwrap();
    assert_eq!((aws.name, aws.region.as_str()), (bed.name_of("home"), REGION));
    assert_eq!(
        (status.state.as_deref(), aws.runtime_version.as_deref()),
        (Some("RUNNING"), Some("syn-nodejs-5.2"))
    );
    assert_eq!(bed.writes(), ["CreateCanary", "StartCanary"]);
    assert_eq!(bed.cluster.condition("home", "RuntimeCurrent").0, "True");
}

#[tokio::test]
async fn nothing_is_written_once_it_is_in_place_nor_after_a_restart() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    // Its first run is read.
    bed.double.advance(SOON);
    bed.restart().await;
    bed.sweep().await;
    let (status, kube_writes) = (bed.status("home"), bed.cluster.writes());
    bed.double.clear_calls();
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert!(bed.double.calls().is_empty(), "{:?}", bed.double.calls());
    bed.restart().await;
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!((bed.status("home"), bed.cluster.writes()), (status, kube_writes));
}

#[tokio::test]
async fn runs_are_in_the_status_each_once_and_a_failure_says_why() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let name = bed.name_of("home");
    bed.double.advance(jiff::SignedDuration::from_mins(5));
    bed.restart().await;
    bed.sweep().await;
    let ended = bed.region(|region| {
        let runs = &region.synthetics.canaries[&name].runs;
        runs.iter().filter(|run| run.completed.is_some()).count()
    });
    let counted = |bed: &Bed| bed.status("home").hours.iter().map(|hour| hour.runs).sum::<u32>();
    // Figures that tell nothing new are written some minutes later.
    bed.double.advance(jiff::SignedDuration::from_mins(6));
    bed.sweep().await;
    assert_eq!(bed.status("home").result, Some(RunResult::Passed));
    assert_eq!(usize::try_from(counted(&bed)).unwrap(), ended);
    assert_eq!(bed.cluster.condition("home", "Passing").0, "True");

    let outcome = Outcome::Fail { reason: "Step home: status 500".to_owned(), step: None };
    bed.region(|region| region.plan_runs(&name, RunPlan { outcome, duration: None, times: None })).unwrap();
    bed.double.advance(jiff::SignedDuration::from_mins(2));
    bed.restart().await;
    bed.sweep().await;
    let status = bed.status("home");
    assert_eq!(status.result, Some(RunResult::Failed));
    let failure = status.last_failure.unwrap();
    assert_eq!((failure.check.as_str(), failure.message.as_str()), ("home", "Step home: status 500"));
    assert_eq!(bed.cluster.condition("home", "Passing").0, "False");
    assert_eq!(bed.ready("home").0, "True", "a failing canary is in place");
    assert!(status.aws.unwrap().failure_artifacts.unwrap().starts_with("s3://shop-canaries/"));
    let events = bed.events("home").join("\n");
    assert!(events.contains("Failing: home: Step home: status 500"), "{events}");
    // Read again, nothing counts twice; and of the time in between nothing is missing.
    let total = counted(&bed);
    bed.restart().await;
    bed.sweep().await;
    assert_eq!(counted(&bed), total);
    let ended = bed.region(|region| {
        let runs = &region.synthetics.canaries[&name].runs;
        runs.iter().filter(|run| run.completed.is_some()).count()
    });
    assert_eq!(usize::try_from(total).unwrap(), ended);
}

#[tokio::test]
async fn suspend_stops_it_and_resume_starts_it_again() {
    let bed = Bed::start().await;
    bed.apply("home", &with(checks(), "/suspend", json!(true)));
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Ready);
    assert_eq!(bed.ready("home").1, "Suspended");
    bed.apply("home", &checks());
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Running);
    bed.apply("home", &with(checks(), "/suspend", json!(true)));
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Stopped);
    assert_eq!(bed.writes(), ["CreateCanary", "StartCanary", "StopCanary"]);
    // A change while it is suspended doesn't run it; and to resume with a change makes both.
    let changed = with(checks(), "/timeout", json!("40s"));
    bed.apply("home", &with(changed.clone(), "/suspend", json!(true)));
    bed.settle().await;
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Stopped);
    bed.apply("home", &with(changed, "/timeout", json!("50s")));
    bed.settle().await;
    let there = bed.there("home").unwrap();
    assert_eq!(
        (there.status.state, there.config.run_config.timeout_in_seconds),
        (CanaryState::Running, Some(50))
    );
    assert!(!bed.events("home").iter().any(|event| event.contains("by hand")), "{:?}", bed.events("home"));
}

#[tokio::test]
async fn everything_goes_with_the_object_and_what_aws_keeps_is_told() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    bed.double.advance(jiff::SignedDuration::from_mins(3));
    assert_eq!(bed.around(), (1, 1, 1));
    bed.delete("home");
    bed.settle().await;
    assert!(bed.get("home").is_none() && bed.there("home").is_none());
    assert_eq!(bed.around(), (0, 0, 0), "neither function nor layer nor log group is left");
    let events = bed.events("home").join("\n");
    assert!(events.contains("LeftBehind") && events.contains("s3://shop-canaries/checkout"), "{events}");

    bed.apply("home", &with(checks(), "/deletionPolicy", json!("Retain")));
    bed.settle().await;
    bed.delete("home");
    bed.settle().await;
    assert!(bed.get("home").is_none());
    assert_eq!(bed.there("home").unwrap().status.state, CanaryState::Running);
}

#[tokio::test]
async fn another_region_or_role_leaves_nothing_behind() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    bed.double.advance(SOON);
    let elsewhere = with(checks(), "/aws/region", json!("us-east-1"));
    bed.apply("home", &elsewhere);
    bed.settle().await;
    assert!(bed.there("home").is_none());
    assert_eq!(bed.around(), (0, 0, 0));
    assert_eq!(bed.all_in(ACCOUNT, "us-east-1").len(), 2);
    bed.apply("home", &with(checks(), "/aws/roleArn", json!(ROLE)));
    bed.settle().await;
    assert_eq!(bed.all_in(ACCOUNT, "us-east-1")["around"], "(0, 0, 0)");
    assert_eq!(bed.all_in("210987654321", REGION).len(), 2);
    assert!(bed.double.calls().iter().any(|call| call.role.as_deref() == Some(ROLE)));
    assert!(bed.status("home").aws.unwrap().leaving.is_empty());
    bed.delete("home");
    bed.settle().await;
    assert_eq!(bed.all_in("210987654321", REGION)["around"], "(0, 0, 0)");
}

#[tokio::test]
async fn a_canary_that_the_cluster_runs_now_is_gone_from_aws() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    while !bed.leave("home").await {
        bed.double.advance(SOON);
    }
    assert!(bed.there("home").is_none());
    assert_eq!(bed.around(), (0, 0, 0));
    assert_eq!(bed.get("home").unwrap().metadata.finalizers, Some(vec![]));
}

#[tokio::test]
async fn what_cannot_be_is_never_sent_to_aws() {
    let bed = Bed::start().await;
    let mut specs = vec![
        with(checks(), "/schedule", json!({"every": "90s"})),
        with(checks(), "/schedule", json!({"cron": "0 9 1 * 1"})),
        with(checks(), "/schedule", json!({"cron": "0 9 * * *", "timeZone": "Asia/Tokyo"})),
        with(checks(), "/aws/roleArn", json!("arn:aws:iam::123456789012:role/admin")),
        with(checks(), "/aws/executionRoleArn", json!("arn:aws:iam::123456789012:role/admin")),
        with(checks(), "/aws/runtimeVersion", json!("syn-nodejs-2.0")),
        with(checks(), "/aws/runtimeVersion", json!("syn-nodejs-9.9")),
        with(checks(), "/tracing", json!("Active")),
        with(checks(), "/checks/0/ipFamily", json!("IPv6")),
        with(checks(), "/aws", serde_json::Value::Null),
    ];
    let secret = json!({"basic": {"username": "a", "password": {"secretRef": {"name": "s", "key": "k"}}}});
    specs.push(with(checks(), "/checks/0/http/authentication", secret));
    for spec in specs {
        bed.apply("self", &spec);
        bed.sweep().await;
        let (ready, _, message) = bed.ready("self");
        assert!(ready == "False" && message.contains(' '), "{spec}: {:?}", bed.ready("self"));
    }
    assert_eq!(bed.writes(), [""; 0]);
    let mut off = Bed::start().await;
    off.policy.enabled = false;
    off.restart().await;
    off.apply("self", &checks());
    off.sweep().await;
    assert_eq!((off.ready("self").0.as_str(), off.ready("self").1.as_str()), ("Unknown", "AWSDisabled"));
    assert!(off.double.calls().is_empty());
}

#[tokio::test]
async fn all_that_aws_can_t_run_is_told_at_once() {
    let bed = Bed::start().await;
    let secret = json!({"basic": {"username": "a", "password": {"secretRef": {"name": "s", "key": "k"}}}});
    let spec = with(checks(), "/checks/0/http/authentication", secret);
    let spec = with(spec, "/checks/0/ipFamily", json!("IPv6"));
    let spec = with(spec, "/schedule", json!({"cron": "0 9 1 * 1"}));
    let spec = with(spec, "/aws/env", json!({"AWS_REGION": "eu-west-1"}));
    bed.apply("self", &with(spec, "/tracing", json!("Active")));
    bed.sweep().await;
    let (ready, reason, message) = bed.ready("self");
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "InvalidSpec"), "{message}");
    for field in [
        "spec.schedule.cron: ",
        "spec.tracing: ",
        "spec.checks[home].ipFamily: ",
        "spec.checks[home].http.authentication.basic.password.secretRef: ",
        "spec.aws.env[AWS_REGION]: ",
    ] {
        assert!(message.contains(field), "{field} isn't in {message}");
    }
    assert_eq!(bed.writes(), [""; 0]);
}

#[tokio::test]
async fn a_rename_leaves_no_orphan_and_run_now_says_that_aws_has_none() {
    let bed = Bed::start().await;
    bed.apply("old", &checks());
    bed.settle().await;
    bed.delete("old");
    let mut spec = checks();
    set(&mut spec, "/timeout", json!("20s"));
    bed.apply_annotated("new", &spec, &json!({"tidewatch.dev/run-now": "1"}));
    bed.settle().await;
    assert!(bed.there("old").is_none() && bed.there("new").is_some());
    assert_eq!(bed.around().0, 1);
    bed.settle().await;
    let told = bed.events("new").iter().filter(|event| event.starts_with("RunNowIgnored")).count();
    assert_eq!(told, 1);
}
