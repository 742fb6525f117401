//! Runs on the clock, what they come to, and what they leave.

use super::*;

#[test]
fn a_running_canary_runs_on_its_schedule_and_its_metrics_say_so() {
    let mut bed = Bed::running(json!({}));
    bed.wait(1);
    assert_eq!(bed.runs()[0]["Status"]["State"], "RUNNING");
    bed.wait(124);
    let runs = bed.runs();
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| run["Status"]["State"] == "PASSED"));
    assert!(runs[0]["Timeline"]["Started"].as_str() > runs[1]["Timeline"]["Started"].as_str());
    let percent = bed.metric("SuccessPercent", &[]);
    let minutes: Vec<_> = percent.keys().map(String::as_str).collect();
    assert_eq!(minutes, ["02:00:02", "02:01:02", "02:02:02"]);
    assert!(percent.values().all(|value| (value - 100.0).abs() < 1e-9));
    assert!(bed.metric("Duration", &[]).values().all(|value| (value - 2_500.0).abs() < 1e-9));
    assert_eq!(bed.region.synthetics.surroundings.log_groups.len(), 1);
}

#[test]
fn runs_fail_as_planned_and_then_pass_again() {
    let mut bed = Bed::running(json!({}));
    let failing = Outcome::Fail { reason: "no answer".into(), step: Some("login".into()) };
    bed.region.plan_runs("a", plan(failing, Some(2))).unwrap();
    bed.wait(185);
    let runs = bed.runs();
    let states: Vec<_> = runs.iter().rev().map(|run| run["Status"]["State"].as_str().unwrap()).collect();
    assert_eq!(states, ["PASSED", "FAILED", "FAILED", "PASSED"]);
    let status = &runs[1]["Status"];
    assert_eq!(status["StateReason"], "Step login: no answer");
    assert_eq!(
        (&status["StateReasonCode"], &status["TestResult"]),
        (&json!("CANARY_FAILURE"), &json!("FAILED"))
    );
    assert_eq!(bed.metric("SuccessPercent", &[]).into_values().collect::<Vec<_>>(), [100.0, 0.0, 0.0, 100.0]);
    assert_eq!(bed.metric("Failed", &[]).into_values().collect::<Vec<_>>(), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(bed.metric("SuccessPercent", &[("StepName", "login")]).len(), 2);
}

#[test]
fn a_run_that_times_out_takes_its_timeout_and_leaves_no_datapoint() {
    let mut bed = Bed::running(json!({}));
    bed.wait(10);
    bed.region.plan_runs("a", plan(Outcome::TimeOut, None)).unwrap();
    bed.wait(79);
    assert_eq!(bed.runs()[0]["Status"]["State"], "RUNNING");
    bed.wait(1);
    let status = bed.runs()[0]["Status"].clone();
    assert_eq!(
        (&status["State"], &status["StateReasonCode"]),
        (&json!("FAILED"), &json!("EXECUTION_FAILURE"))
    );
    assert_eq!(status["StateReason"], "Canary timed out after 30 seconds");
    assert_eq!(bed.metric("SuccessPercent", &[]).len(), 1);
}

#[test]
fn a_failed_run_is_tried_again_as_often_as_the_schedule_says() {
    let mut bed = Bed::running(json!({
        "Schedule": {"Expression": "rate(5 minutes)", "RetryConfig": {"MaxRetries": 2}},
    }));
    bed.wait(10);
    bed.region.plan_runs("a", plan(failing("no"), Some(5))).unwrap();
    bed.wait(600);
    let runs = bed.runs();
    let attempts: Vec<_> = runs.iter().rev().map(|run| run["RetryAttempt"].as_i64().unwrap_or(0)).collect();
    assert_eq!(attempts, [0, 0, 1, 2, 0, 1, 2]);
    assert_eq!(runs[3]["ScheduledRunId"], runs[5]["ScheduledRunId"]);
    assert_eq!(bed.metric("SuccessPercent", &[]).into_values().collect::<Vec<_>>(), [100.0, 0.0, 100.0]);
    assert_eq!(bed.metric("RetryCount", &[]).into_values().collect::<Vec<_>>(), [0.0, 2.0, 2.0]);
}

#[test]
fn rate_zero_runs_once_and_a_duration_ends() {
    let mut bed = Bed::running(json!({"Schedule": {"Expression": "rate(0 minute)"}}));
    bed.wait(5);
    assert_eq!(bed.state().0, "STOPPED");
    bed.wait(600);
    assert_eq!(bed.runs().len(), 1);
    let schedule = json!({"Expression": "rate(1 minute)", "DurationInSeconds": 150});
    let mut bed = Bed::running(json!({"Schedule": schedule}));
    bed.wait(149);
    assert_eq!(bed.state().0, "RUNNING");
    bed.wait(1);
    assert_eq!(bed.state().0, "STOPPED");
    bed.wait(600);
    assert_eq!(bed.runs().len(), 3);
    assert!(bed.get()["Timeline"]["LastStopped"].is_string());
}

#[test]
fn a_leap_of_the_clock_misses_no_run() {
    let mut bed = Bed::running(json!({}));
    let later = bed.region.now + SignedDuration::from_hours(2);
    bed.region.tick(later);
    assert_eq!(bed.metric("SuccessPercent", &[]).len(), 120);
    let first = bed.call("GetCanaryRuns", json!({"Name": "a"})).unwrap();
    assert_eq!(first["CanaryRuns"].as_array().unwrap().len(), 100);
    let rest = bed.call("GetCanaryRuns", json!({"Name": "a", "NextToken": first["NextToken"]})).unwrap();
    assert_eq!((rest["CanaryRuns"].as_array().unwrap().len(), &rest["NextToken"]), (21, &Value::Null));
}

#[test]
fn a_package_that_its_runtime_cannot_run_passes_the_creation_and_fails_the_first_run() {
    let mut bed = Bed::running(json!({
        "Code": {"ZipFile": package(&[("nodejs/node_modules/index.js", "")]), "Handler": "index.handler"},
    }));
    bed.wait(5);
    let status = bed.runs()[0]["Status"].clone();
    assert_eq!(status["State"], "FAILED");
    assert!(status["StateReason"].as_str().unwrap().contains("Cannot find module"), "{status}");
}

#[test]
fn a_bad_blueprint_passes_the_creation_and_fails_the_first_run() {
    let step = |port: i64| json!({"stepName": "a", "checkerType": "TCP", "hostname": "h", "port": port});
    for (port, state) in [(22, "PASSED"), (0, "FAILED")] {
        let document = json!({"steps": {"1": step(port)}}).to_string();
        let zip = package(&[("blueprint-config.json", &document)]);
        let mut bed = Bed::running(json!({
            "Code": {"ZipFile": zip, "BlueprintTypes": ["multi-checks"]}, "RuntimeVersion": "syn-nodejs-5.2",
        }));
        assert_eq!(bed.get()["Code"]["BlueprintTypes"], json!(["multi-checks"]));
        bed.wait(5);
        let status = bed.runs()[0]["Status"].clone();
        assert_eq!(status["State"], state, "{status}");
        let reason = status["StateReason"].as_str().unwrap_or_default();
        assert_eq!(reason.contains("steps.1.port"), state == "FAILED", "{reason}");
    }
}

#[test]
fn canaries_and_their_last_runs_come_in_pages() {
    let mut bed = Bed::new();
    let long = "b".repeat(200);
    for n in 0..25 {
        bed.create(json!({"Name": format!("{}{n:02}", if n < 12 { "a" } else { &long })}));
    }
    bed.wait(1);
    bed.call("StartCanary", json!({"Name": "a03"})).unwrap();
    bed.wait(10);
    let mut names = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut input = json!({"MaxResults": 10, "NextToken": token});
        input.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let page = bed.call("DescribeCanaries", input).unwrap();
        names.extend(
            page["Canaries"].as_array().unwrap().iter().map(|it| it["Name"].as_str().unwrap().to_owned()),
        );
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(names.len(), 25);
    assert!(names.is_sorted());
    let last = bed.call("DescribeCanariesLastRun", json!({})).unwrap();
    assert_eq!(last["CanariesLastRun"][0]["CanaryName"], "a03");
    assert_eq!(last["CanariesLastRun"].as_array().unwrap().len(), 1);
    let some = bed.call("DescribeCanaries", json!({"Names": ["a03", "unknown"]})).unwrap();
    assert_eq!(some["Canaries"].as_array().unwrap().len(), 1);
    let many = json!({"Names": ["a", "b", "c", "d", "e", "f"]});
    assert_eq!(bed.code("DescribeCanaries", many), "ValidationException");
    assert_eq!(bed.code("DescribeCanaries", json!({"MaxResults": 21})), "ValidationException");
    assert_eq!(bed.code("DescribeCanaries", json!({"NextToken": "rubbish"})), "InvalidNextToken");
}
