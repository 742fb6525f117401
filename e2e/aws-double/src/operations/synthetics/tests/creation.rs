//! What CreateCanary takes and refuses, and what comes of it.

use super::*;

#[test]
fn a_new_canary_is_ready_after_a_while_and_does_not_run() {
    let mut bed = Bed::new();
    let created = bed.create(json!({"Tags": {"owner": "tidewatch"}}));
    assert_eq!(
        created["Status"],
        json!({
            "State": "CREATING", "StateReason": null, "StateReasonCode": "CREATE_PENDING",
        })
    );
    assert_eq!(created["EngineArn"], Value::Null);
    bed.wait(1);
    assert_eq!(bed.state(), ("READY".into(), String::new()));
    bed.wait(120);
    assert!(bed.runs().is_empty());
    let surroundings = &bed.region.synthetics.surroundings;
    assert!(surroundings.log_groups.is_empty());
    let engine = format!("cwsyn-a-{}", created["Id"].as_str().unwrap());
    assert_eq!(surroundings.functions.iter().collect::<Vec<_>>(), [&engine]);
    assert_eq!(surroundings.layers.iter().collect::<Vec<_>>(), [&engine]);
}

#[test]
fn what_aws_keeps_to_itself_is_not_shown() {
    let mut bed = Bed::new();
    bed.create(json!({
        "Code": {"S3Bucket": "code", "S3Key": "a.zip", "S3Version": "7", "Handler": "index.handler"},
        "RunConfig": {"EnvironmentVariables": {"SECRET": "x"}},
        "Tags": {"owner": "tidewatch"},
        "ResourcesToReplicateTags": ["lambda-function"],
    }));
    bed.wait(1);
    let shown = bed.get();
    let text = shown.to_string();
    for hidden in ["SECRET", "a.zip", "S3Version", "ResourcesToReplicateTags", ":canary:"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    assert_eq!(shown["Tags"], json!({"owner": "tidewatch"}));
    assert_eq!(shown["Code"]["Handler"], "index.handler");
    assert_eq!(shown["SuccessRetentionPeriodInDays"], 31);
    assert_eq!(shown["Schedule"]["DurationInSeconds"], 0);
    assert_eq!(shown["RunConfig"]["TimeoutInSeconds"], 60);
    assert!(shown["Code"]["SourceLocationArn"].as_str().unwrap().ends_with(":1"));
}

#[test]
fn a_role_that_cannot_be_assumed_yet_is_found_after_the_call_and_not_healed_by_waiting() {
    let mut bed = Bed::new();
    let soon = bed.region.now + SignedDuration::from_secs(30);
    bed.region.synthetics.surroundings.unassumable_roles.insert(ROLE.into(), Some(soon));
    bed.create(json!({}));
    bed.wait(60);
    assert_eq!(bed.state(), ("ERROR".into(), "CREATE_FAILED".into()));
    let reason = bed.get()["Status"]["StateReason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("The role defined for the function cannot be assumed by Lambda."), "{reason}");
    assert!(bed.region.synthetics.surroundings.functions.is_empty());
    assert_eq!(bed.code("StartCanary", json!({"Name": "a"})), "ConflictException");
    bed.named("DeleteCanary").unwrap();
    bed.wait(1);
    bed.create(json!({}));
    bed.wait(1);
    assert_eq!(bed.state().0, "READY");
}

#[test]
fn a_canary_in_error_can_be_updated_into_being() {
    let mut bed = in_state(CanaryState::Error);
    bed.update(json!({})).unwrap();
    bed.wait(1);
    assert_eq!(bed.state(), ("ERROR".into(), "ROLLBACK_FAILED".into()));
    bed.update(json!({"ExecutionRoleArn": "arn:aws:iam::123456789012:role/other"})).unwrap();
    bed.wait(1);
    assert_eq!(bed.state(), ("READY".into(), "UPDATE_COMPLETE".into()));
    assert_eq!(bed.region.synthetics.surroundings.functions.len(), 1);
}

#[test]
fn networks_archives_and_objects_that_are_not_there_fail_the_creation() {
    let vpc = json!({"VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}});
    let other_key = json!({"Code": {"S3Bucket": "code", "S3Key": "b.zip", "Handler": "index.handler"}});
    let other_version = json!({"Code": {"S3Bucket": "code", "S3Key": "a.zip", "S3Version": "v9", "Handler": "index.handler"}});
    let rubbish = json!({"Code": {"ZipFile": BASE64.encode(b"rubbish"), "Handler": "index.handler"}});
    for (changes, said) in [
        (vpc, "subnet-2"),
        (other_key, "NoSuchKey"),
        (other_version, "NoSuchKey"),
        (rubbish, "Could not unzip"),
    ] {
        let mut bed = Bed::new();
        bed.region.synthetics.surroundings.unusable_networks.insert("subnet-2".into());
        bed.region.synthetics.surroundings.put_object("code", "a.zip", zipped(&[("index.js", "")]));
        bed.create(changes);
        bed.wait(1);
        assert_eq!(bed.state(), ("ERROR".into(), "CREATE_FAILED".into()));
        assert!(bed.get()["Status"]["StateReason"].as_str().unwrap().contains(said));
    }
}

/// Changes that AWS refuses at once, one rule each.
fn refused() -> Vec<(Value, &'static str)> {
    const VALIDATION: &str = "ValidationException";
    let schedule = |expression: &str| json!({"Schedule": {"Expression": expression}});
    let code = |code: Value| json!({"Code": code});
    let run = |run: Value| json!({"RunConfig": run});
    let zip = package(&[("index.js", "")]);
    let large = BASE64.encode(&vec![0; 225 * 1024]);
    let mut cases: Vec<(Value, &str)> = [
        json!({"Name": null}),
        json!({"Name": "A"}),
        json!({"Name": "a.b"}),
        json!({"Name": "a".repeat(256)}),
        json!({"Code": null}),
        json!({"ArtifactS3Location": null}),
        json!({"ArtifactS3Location": "s3://my.bucket"}),
        json!({"ArtifactS3Location": "s3://"}),
        json!({"ExecutionRoleArn": "role"}),
        json!({"Schedule": {}}),
        schedule("rate(2 hours)"),
        schedule("every minute"),
        schedule("cron(0 8 * * ?)"),
        json!({"Schedule": {"Expression": "rate(5 minutes)", "DurationInSeconds": 31_622_401}}),
        json!({"Schedule": {"Expression": "rate(5 minutes)", "RetryConfig": {"MaxRetries": 3}}}),
        run(json!({"TimeoutInSeconds": 2})),
        run(json!({"TimeoutInSeconds": 61})),
        run(json!({"TimeoutInSeconds": 841})),
        run(json!({"MemoryInMB": 1000})),
        run(json!({"MemoryInMB": 896})),
        run(json!({"EphemeralStorage": 512})),
        run(json!({"EnvironmentVariables": {"1A": "x"}})),
        run(json!({"EnvironmentVariables": {"AB": "x".repeat(4096)}})),
        json!({"RuntimeVersion": "syn-nodejs-puppeteer-99.0"}),
        json!({"RuntimeVersion": "syn-nodejs-puppeteer-5.2"}),
        json!({"RuntimeVersion": "syn-nodejs-playwright-8.0", "RunConfig": {"ActiveTracing": true}}),
        json!({"BrowserConfigs": [{"BrowserType": "FIREFOX"}], "RunConfig": {"ActiveTracing": true}}),
        json!({"BrowserConfigs": [{"BrowserType": "CHROME"}, {"BrowserType": "CHROME"}]}),
        json!({"BrowserConfigs": [{"BrowserType": "SAFARI"}]}),
        code(json!({"Handler": "index.handler"})),
        code(json!({"S3Bucket": "code", "Handler": "index.handler"})),
        code(json!({"S3Version": "1", "ZipFile": zip, "Handler": "index.handler"})),
        code(json!({"S3Bucket": "code", "S3Key": "a", "ZipFile": zip, "Handler": "index.handler"})),
        code(json!({"ZipFile": zip})),
        code(json!({"ZipFile": zip, "Handler": "handler"})),
        code(json!({"ZipFile": zip, "BlueprintTypes": ["multi-checks"]})),
        json!({"Code": {"ZipFile": zip, "BlueprintTypes": ["heartbeat"]}, "RuntimeVersion": "syn-nodejs-5.2"}),
        json!({
            "Code": {"ZipFile": zip, "BlueprintTypes": ["multi-checks"], "Handler": "index.handler"},
            "RuntimeVersion": "syn-nodejs-5.2",
        }),
        json!({"VpcConfig": {"SubnetIds": ["subnet-1"]}}),
        json!({"SuccessRetentionPeriodInDays": 456}),
        json!({"FailureRetentionPeriodInDays": 0}),
        json!({"ProvisionedResourceCleanup": "SOMETIMES"}),
        json!({"ArtifactConfig": {"S3Encryption": {
            "EncryptionMode": "SSE_S3", "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/a",
        }}}),
        json!({"ResourcesToReplicateTags": ["lambda-function"]}),
        json!({"Tags": {"aws:owner": "x"}}),
        json!({"AddReplicaLocations": [{"Location": "us-east-1"}]}),
        json!({"RuntimeVersion": "syn-nodejs-puppeteer-17.0", "AddReplicaLocations": [{"Location": "eu-west-1"}]}),
    ]
    .into_iter()
    .map(|changes| (changes, VALIDATION))
    .collect();
    cases.push((
        code(json!({"ZipFile": large, "Handler": "index.handler"})),
        "RequestEntityTooLargeException",
    ));
    cases
}

#[test]
fn what_aws_finds_wrong_at_once_is_refused_and_makes_nothing() {
    for (changes, code) in refused() {
        let mut bed = Bed::new();
        assert_eq!(bed.code("CreateCanary", request(changes.clone())), code, "{changes}");
        assert!(bed.region.synthetics.canaries.is_empty());
    }
}

#[test]
fn a_name_is_taken_once_and_a_region_has_its_quota() {
    let mut bed = Bed::new();
    bed.region.synthetics.quota = Some(2);
    bed.create(json!({}));
    assert_eq!(bed.code("CreateCanary", request(json!({}))), "ConflictException");
    bed.create(json!({"Name": "b"}));
    assert_eq!(bed.code("CreateCanary", request(json!({"Name": "c"}))), "ServiceQuotaExceededException");
    assert_eq!(Bed::new().region.canary_quota(), 500);
}

#[test]
fn a_second_canary_of_a_name_is_another_one() {
    let mut bed = Bed::new();
    let first = bed.create(json!({}))["Id"].clone();
    bed.wait(1);
    bed.named("DeleteCanary").unwrap();
    bed.wait(1);
    assert_ne!(bed.create(json!({}))["Id"], first);
}
