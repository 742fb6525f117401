//! Passes over canaries that are run in the cluster, with an API server that the test plays.

mod bed;

use jiff::Timestamp;
use serde_json::json;
use tidewatch_crds::canary::RunResult;

use self::bed::Bed;

/// A port of loopback where nothing listens.
fn checks() -> serde_json::Value {
    json!([{"name": "port", "tcp": {"host": "127.0.0.1", "port": 9}}])
}

/// What a status says after runs in AWS.
fn of_aws() -> serde_json::Value {
    let run = json!({"at": "2026-11-25T10:00:00Z", "result": "Passed", "durationMs": 900});
    json!({
        "observedGeneration": 1, "provider": "AWS", "state": "RUNNING", "result": "Passed",
        "since": "2026-11-20T10:00:00Z",
        "lastRun": {"at": "2026-11-25T10:00:00Z", "result": "Passed", "durationMs": 900, "attempts": 1},
        "lastFailure": {"at": "2026-11-20T09:00:00Z", "check": "port", "message": "of AWS"},
        "runs": [run], "hours": [{"from": "2026-11-25T10:00:00Z", "runs": 12, "failed": 0}],
        "success": {"day": "100"},
    })
}

#[tokio::test]
async fn runs_of_another_provider_are_not_this_one_s() {
    let bed = Bed::new(&json!({"provider": "Embedded", "checks": checks(), "schedule": {"every": "24h"}}));
    bed.stands(of_aws());
    bed.pass().await.unwrap();
    let status = bed.status();
    assert_eq!((status.result, &status.last_run, &status.last_failure), (None, &None, &None));
    assert!(status.runs.is_empty() && status.hours.is_empty() && status.success.is_none(), "{status:?}");
    assert_eq!(bed.condition("Passing"), ("Unknown".to_owned(), "NoRunYet".to_owned()));
    let told = bed.told();
    assert!(
        told.iter().any(|(reason, note)| reason == "ProviderChanged" && note.contains("AWS")),
        "{told:?}"
    );

    // It runs at once, and what that finds is the first of its history.
    bed.woken().await;
    bed.pass().await.unwrap();
    let status = bed.status();
    assert_eq!((status.result, status.runs.len()), (Some(RunResult::Failed), 1), "{status:?}");
    assert_eq!(status.hours.iter().map(|hour| hour.runs).sum::<u32>(), 1);
}

#[tokio::test]
async fn a_restart_of_the_operator_forgets_no_runs() {
    let bed = Bed::new(&json!({"provider": "Embedded", "checks": checks(), "schedule": {"every": "24h"}}));
    let mut before = of_aws();
    before["provider"] = json!("Embedded");
    bed.stands(before);
    bed.pass().await.unwrap();
    let status = bed.status();
    assert_eq!((status.result, status.runs.len()), (Some(RunResult::Passed), 1));
    assert!(status.last_failure.is_some() && bed.told().is_empty(), "{:?}", bed.told());
}

#[tokio::test]
async fn an_operator_that_ends_leaves_the_figures_of_its_last_runs() {
    let bed = Bed::new(&json!({"provider": "Embedded", "checks": checks(), "schedule": {"every": "24h"}}));
    bed.pass().await.unwrap();
    bed.woken().await;
    bed.pass().await.unwrap();
    let behind = bed.canary();
    for (ask, runs) in [("a", 2), ("b", 3)] {
        bed.asks(ask);
        bed.pass().await.unwrap();
        bed.until_runs(runs).await;
    }
    let runs = |bed: &Bed| bed.status().hours.iter().map(|hour| hour.runs).sum::<u32>();
    assert!(runs(&bed) < 3, "the last run was written at once: {:?}", bed.status());
    // Also where the watch hadn't seen the last write.
    bed.ends(behind).await;
    assert_eq!((runs(&bed), bed.status().runs.len()), (3, 3), "{:?}", bed.status());

    let written = bed.canary();
    bed.ends(bed.canary()).await;
    assert_eq!(bed.canary(), written, "there was nothing new to write");
}

fn with_secret() -> serde_json::Value {
    json!({
        "provider": "Embedded", "schedule": {"every": "24h"},
        "checks": [{"name": "home", "http": {
            "url": "http://127.0.0.1:9/",
            "authentication": {"bearer": {"secretRef": {"name": "login", "key": "token"}}},
        }}],
    })
}

#[tokio::test]
async fn an_api_server_that_doesn_t_answer_stops_no_canary() {
    let bed = Bed::new(&with_secret());
    bed.has_secret("login", &[("token", "t")]);
    bed.pass().await.unwrap();
    assert_eq!(bed.status().state.as_deref(), Some("Running"));
    bed.woken().await;

    bed.secrets_answer(503);
    let error = bed.pass().await.unwrap_err();
    assert!(error.to_string().contains("login"), "{error}");
    assert_eq!(bed.status().state.as_deref(), Some("Running"));
    bed.asks("again");
    let _ = bed.pass().await;
    bed.secrets_answer(200);
    bed.pass().await.unwrap();
    // It was never without a job: it runs when asked.
    bed.until_runs(2).await;

    // A right that is taken away is no passing trouble.
    bed.secrets_answer(403);
    bed.pass().await.unwrap();
    assert_eq!(bed.condition("Ready"), ("False".to_owned(), "SecretUnreadable".to_owned()));
}

#[tokio::test]
async fn what_was_missing_is_tried_at_once_when_it_is_there() {
    let bed = Bed::new(&with_secret());
    let mut before = of_aws();
    before["provider"] = json!("Embedded");
    bed.stands(before);
    bed.pass().await.unwrap();
    assert_eq!(bed.condition("Ready"), ("False".to_owned(), "SecretNotFound".to_owned()));
    assert_eq!(bed.status().state.as_deref(), Some("Stopped"));
    bed.asks("now");
    bed.pass().await.unwrap();
    assert_eq!(bed.status().run_now, None, "it wasn't heeded");

    bed.has_secret("login", &[("token", "t")]);
    bed.pass().await.unwrap();
    assert_eq!(bed.status().run_now.as_deref(), Some("now"));
    bed.woken().await;
    bed.pass().await.unwrap();
    assert_eq!(bed.status().result, Some(RunResult::Failed));
}

#[tokio::test]
async fn a_secret_with_a_wrong_value_is_looked_at_again() {
    let bed = Bed::new(&with_secret());
    bed.has_secret("login", &[("token", "")]);
    assert!(bed.pass().await.unwrap().is_some(), "nothing else tells that it was mended");
    assert_eq!(bed.condition("Ready"), ("False".to_owned(), "InvalidSpec".to_owned()));
    bed.has_secret("login", &[("token", "t")]);
    bed.pass().await.unwrap();
    assert_eq!(bed.status().state.as_deref(), Some("Running"));
}

#[tokio::test]
async fn a_wish_to_run_now_is_heeded_once_though_the_status_that_says_so_is_seen_late() {
    let bed = Bed::new(&json!({"provider": "Embedded", "checks": checks(), "schedule": {"every": "24h"}}));
    let mut before = of_aws();
    before["provider"] = json!("Embedded");
    bed.stands(before);
    bed.pass().await.unwrap();
    bed.asks("now");
    let seen = bed.canary();
    bed.pass_over(&seen).await.unwrap();
    bed.until_runs(2).await;
    // The watch is behind: this pass sees the object as it was, and its write is refused.
    bed.pass_over(&seen).await.unwrap_err();
    bed.pass().await.unwrap();
    let before = Timestamp::now();
    bed.asks("once more");
    bed.pass().await.unwrap();
    bed.until_runs(3).await;
    assert!(bed.history().last_at().unwrap() >= before, "it ran before it was asked again");
}
