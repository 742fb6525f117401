//! A change of each field: the call that carries it has that field and no other, and an edit that changes nothing sends
//! nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::bed::{Bed, CanaryBed as _, RUN_AS_TOO, checks, script, with};

/// Each change, by JSON pointers into the spec of checks, and the members of UpdateCanary that carry it.
fn changes() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        ("/schedule", json!({"every": "5m"}), &["Schedule"]),
        ("/schedule", json!({"cron": "0 9 * * 1-5"}), &["Schedule"]),
        ("/retries", json!(2), &["Schedule"]),
        ("/timeout", json!("45s"), &["RunConfig"]),
        ("/checks/0/http/url", json!("https://other.example.com/"), &["Code"]),
        ("/variables", json!({"path": "cart"}), &["Code"]),
        ("/aws/executionRoleArn", json!(RUN_AS_TOO), &["ExecutionRoleArn"]),
        ("/aws/artifacts", json!("s3://other-canaries"), &["ArtifactS3Location"]),
        ("/aws/runtimeVersion", json!("syn-nodejs-4.0"), &["RuntimeVersion", "Code"]),
        ("/aws/memory", json!(2048), &["RunConfig"]),
        ("/aws/ephemeralStorage", json!(2048), &["RunConfig"]),
        ("/aws/env", json!({"STAGE": "prod"}), &["RunConfig"]),
        ("/aws/vpc", json!({"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]}), &["VpcConfig"]),
        ("/aws/encryption", json!({}), &["ArtifactConfig"]),
        (
            "/aws/encryption",
            json!({"kmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1a"}),
            &["ArtifactConfig"],
        ),
        ("/aws/retention", json!({"successDays": 7, "failureDays": 31}), &["SuccessRetentionPeriodInDays"]),
        ("/aws/retention", json!({"successDays": 31, "failureDays": 90}), &["FailureRetentionPeriodInDays"]),
    ]
}

/// The members of the only UpdateCanary, beside the name.
fn updated(bed: &Bed, case: &str) -> BTreeSet<String> {
    let calls = bed.double.calls_of("UpdateCanary");
    assert_eq!(calls.len(), 1, "{case}: {calls:?}");
    let members = calls[0].request.as_object().unwrap();
    members.keys().filter(|key| *key != "Name").cloned().collect()
}

#[tokio::test]
async fn a_change_of_each_field_is_carried_by_that_field_alone_there_and_back() {
    for (pointer, value, members) in changes() {
        let case = format!("{pointer} {value}");
        let changed = with(checks(), pointer, value.clone());
        let fresh = Bed::start().await;
        fresh.apply("home", &changed);
        fresh.settle().await;
        let bed = Bed::start().await;
        bed.apply("home", &checks());
        bed.settle().await;
        let before = bed.all();
        bed.double.clear_calls();
        bed.apply("home", &changed);
        bed.settle().await;
        assert_eq!(bed.ready("home").1, "Running", "{case}: {:?}", bed.ready("home"));
        let members: BTreeSet<String> = members.iter().map(|member| (*member).to_owned()).collect();
        assert_eq!(updated(&bed, &case), members, "{case}");
        assert_eq!(bed.writes(), ["UpdateCanary", "TagResource"], "{case}");
        assert_eq!(of(&bed), of(&fresh), "{case}");
        bed.double.clear_calls();
        bed.apply("home", &checks());
        bed.settle().await;
        if pointer == "/aws/runtimeVersion" {
            // Where the newest is asked for, one that lasts is good enough.
            assert_eq!(bed.writes(), [""; 0]);
            continue;
        }
        assert_eq!(updated(&bed, &case), members, "back from {case}");
        if !members.contains("VpcConfig") && !members.contains("ArtifactConfig") {
            assert_eq!(bed.all(), before, "back from {case}");
        }
    }
}

/// The canary, without how often and when it ran.
fn of(bed: &Bed) -> (String, std::collections::BTreeMap<String, String>) {
    let there = bed.there("home").unwrap();
    let mut config = there.config.clone();
    config.artifact_config = config.artifact_config.filter(|config| config.s3_encryption.is_some());
    (format!("{config:?}"), there.tags)
}

#[tokio::test]
async fn tags_change_without_an_update() {
    let bed = Bed::start().await;
    bed.apply("home", &with(checks(), "/tags", json!({"team": "a", "cost": "1"})));
    bed.settle().await;
    let name = bed.name_of("home");
    bed.region(|region| {
        let tags = &mut region.synthetics.canaries.get_mut(&name).unwrap().tags;
        tags.insert("somebody".to_owned(), "else".to_owned());
    });
    bed.double.clear_calls();
    let mut bed = bed;
    bed.restart().await;
    bed.apply("home", &with(checks(), "/tags", json!({"team": "b"})));
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(bed.writes(), ["TagResource", "UntagResource"]);
    let tags = bed.there("home").unwrap().tags;
    assert_eq!((tags["team"].as_str(), tags["somebody"].as_str()), ("b", "else"));
    assert!(!tags.contains_key("cost"));
}

#[tokio::test]
async fn an_edit_that_means_the_same_sends_nothing() {
    let bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    bed.double.clear_calls();
    let same = [
        with(checks(), "/schedule", json!({"every": "60s"})),
        with(checks(), "/aws/artifacts", json!("s3://shop-canaries/checkout/")),
        with(checks(), "/aws/memory", json!(1024)),
        with(checks(), "/aws/region", json!("eu-west-1")),
        with(checks(), "/deletionPolicy", json!("Retain")),
    ];
    for spec in same {
        bed.apply("home", &spec);
        bed.settle().await;
        assert_eq!(bed.writes(), [""; 0], "{spec}");
        assert_eq!(bed.ready("home").1, "Running");
    }
}

#[tokio::test]
async fn another_script_in_the_config_map_is_an_update_of_the_code() {
    let bed = Bed::start().await;
    bed.apply("page", &script());
    bed.sweep().await;
    assert_eq!(bed.ready("page").1, "ScriptNotFound", "{:?}", bed.ready("page"));
    bed.config_map("script", "index.js", "exports.handler = async () => 1;");
    bed.settle().await;
    assert_eq!(bed.ready("page").1, "Running", "{:?}", bed.ready("page"));
    bed.double.clear_calls();
    bed.config_map("script", "index.js", "exports.handler = async () => 2;");
    bed.sweep().await;
    bed.settle().await;
    assert_eq!(updated(&bed, "script"), BTreeSet::from(["Code".to_owned()]));
    assert_eq!(bed.writes(), ["UpdateCanary", "TagResource"]);
}
