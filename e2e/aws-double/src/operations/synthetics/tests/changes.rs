//! UpdateCanary, deletion and what stays, tags, groups, dry runs.

use super::*;

#[test]
fn an_update_of_a_running_canary_starts_its_schedule_anew_and_runs_at_once() {
    let mut bed = Bed::running(json!({"Schedule": {"Expression": "rate(5 minutes)"}}));
    bed.wait(100);
    let before = bed.region.synthetics.canaries["a"].clone();
    assert_eq!(before.runs.len(), 1);
    bed.update(json!({"SuccessRetentionPeriodInDays": 7})).unwrap();
    assert_eq!(bed.state(), ("UPDATING".into(), "UPDATE_PENDING".into()));
    bed.wait(5);
    assert_eq!(bed.state(), ("RUNNING".into(), "UPDATE_COMPLETE".into()));
    let after = &bed.region.synthetics.canaries["a"];
    assert_eq!(after.runs.len(), 2);
    assert!(after.schedule_began > before.schedule_began);
    assert!(after.timeline.last_modified > before.timeline.last_modified);
    assert_eq!(after.timeline.last_started, before.timeline.last_started);
    assert_eq!(after.version, 2);
}

#[test]
fn a_failed_update_of_a_running_canary_reads_running_with_what_it_was() {
    for (rolled_back, code) in [(true, "ROLLBACK_COMPLETE"), (false, "ROLLBACK_FAILED")] {
        let mut bed = Bed::running(json!({}));
        bed.region.fail_next_update("a", "Lambda is out of sorts", rolled_back).unwrap();
        bed.update(json!({"SuccessRetentionPeriodInDays": 7})).unwrap();
        bed.wait(1);
        assert_eq!(bed.state(), ("RUNNING".into(), code.into()));
        let shown = bed.get();
        assert_eq!(shown["SuccessRetentionPeriodInDays"], 31);
        assert_eq!(shown["Status"]["StateReason"], "Lambda is out of sorts");
        bed.update(json!({"SuccessRetentionPeriodInDays": 7})).unwrap();
        bed.wait(1);
        assert_eq!(bed.state().1, "UPDATE_COMPLETE");
        assert_eq!(bed.get()["SuccessRetentionPeriodInDays"], 7);
    }
}

#[test]
fn variables_are_replaced_as_a_whole_and_stay_if_they_are_not_named() {
    let mut bed = Bed::new();
    bed.create(
        json!({"RunConfig": {"TimeoutInSeconds": 30, "EnvironmentVariables": {"AA": "1", "BB": "2"}}}),
    );
    bed.wait(1);
    let mut variables = |change: Value| {
        bed.update(change).unwrap();
        bed.wait(1);
        let config = &bed.region.synthetics.canaries["a"].config.run_config;
        (config.environment_variables.clone().unwrap(), config.timeout_in_seconds)
    };
    let (kept, _) = variables(json!({"RunConfig": {"MemoryInMB": 1024}}));
    assert_eq!(kept.len(), 2);
    let (replaced, timeout) = variables(json!({"RunConfig": {"EnvironmentVariables": {"CC": "3"}}}));
    assert_eq!(replaced, BTreeMap::from([("CC".to_owned(), "3".to_owned())]));
    assert_eq!(timeout, Some(30));
}

#[test]
fn empty_lists_detach_from_a_vpc() {
    let mut bed = Bed::new();
    bed.create(json!({"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}));
    bed.wait(1);
    assert_eq!(bed.get()["VpcConfig"]["SubnetIds"], json!(["subnet-1"]));
    assert_eq!(
        bed.code("UpdateCanary", json!({"Name": "a", "VpcConfig": {"SubnetIds": ["subnet-1"]}})),
        "ValidationException"
    );
    bed.update(json!({"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}})).unwrap();
    bed.wait(1);
    assert_eq!(bed.get()["VpcConfig"], Value::Null);
}

#[test]
fn a_key_without_version_is_not_read_again_and_one_with_is() {
    let mut bed = Bed::new();
    let code = |version: Value| {
        let code =
            json!({"S3Bucket": "code", "S3Key": "a.zip", "S3Version": version, "Handler": "index.handler"});
        let mut code = json!({"Code": code});
        code["Code"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        code
    };
    bed.region.synthetics.surroundings.put_object("code", "a.zip", zipped(&[("other.js", "")]));
    bed.create(code(Value::Null));
    bed.wait(1);
    assert!(bed.region.synthetics.canaries["a"].defect.is_some());
    let fixed = bed.region.synthetics.surroundings.put_object("code", "a.zip", zipped(&[("index.js", "")]));
    bed.update(code(Value::Null)).unwrap();
    bed.wait(1);
    assert!(bed.region.synthetics.canaries["a"].defect.is_some());
    bed.update(code(fixed.into())).unwrap();
    bed.wait(1);
    assert_eq!(bed.region.synthetics.canaries["a"].defect, None);
}

#[test]
fn a_deprecated_runtime_must_be_changed_by_an_update() {
    let mut bed = Bed::new();
    bed.create(json!({}));
    bed.wait(1);
    let mut runtime = bed.region.runtime("syn-nodejs-puppeteer-11.0").unwrap().clone();
    runtime.deprecation_date = Some(bed.region.now);
    bed.region.set_runtime(runtime);
    let change = json!({"Name": "a", "SuccessRetentionPeriodInDays": 7});
    assert_eq!(bed.code("UpdateCanary", change), "ValidationException");
    // AWS is reported to want the code with it.
    let alone = json!({"Name": "a", "RuntimeVersion": "syn-nodejs-puppeteer-17.0"});
    assert_eq!(bed.code("UpdateCanary", alone), "ValidationException");
    let code = json!({"ZipFile": package(&[("index.js", "")]), "Handler": "index.handler"});
    bed.update(json!({"RuntimeVersion": "syn-nodejs-puppeteer-17.0", "Code": code})).unwrap();
    bed.wait(1);
    assert_eq!(bed.get()["RuntimeVersion"], "syn-nodejs-puppeteer-17.0");
}

#[test]
fn deletion_leaves_the_log_group_and_function_and_layer_if_told_to() {
    for (cleanup, delete_lambda, left) in
        [("AUTOMATIC", false, 0), ("AUTOMATIC", true, 0), ("OFF", false, 1), ("OFF", true, 0)]
    {
        let mut bed = Bed::running(json!({"ProvisionedResourceCleanup": cleanup}));
        bed.wait(5);
        bed.named("StopCanary").unwrap();
        bed.wait(1);
        bed.call("DeleteCanary", json!({"Name": "a", "DeleteLambda": delete_lambda})).unwrap();
        bed.wait(1);
        let surroundings = &bed.region.synthetics.surroundings;
        assert_eq!(surroundings.functions.len(), left, "{cleanup} {delete_lambda}");
        assert_eq!(surroundings.layers.len(), left);
        let group = surroundings.log_groups.keys().next().unwrap().clone();
        assert!(group.starts_with("/aws/lambda/cwsyn-a-"));
        let delete = json!({"logGroupName": group});
        crate::operations::run("logs", "DeleteLogGroup", &mut bed.region, delete.clone()).unwrap();
        let again = crate::operations::run("logs", "DeleteLogGroup", &mut bed.region, delete).unwrap_err();
        assert_eq!(again.shape, "ResourceNotFoundException");
    }
}

#[test]
fn replicas_are_shown_and_removed_before_the_canary() {
    let mut bed = Bed::new();
    let replicas = json!([{"Location": "us-east-1"}, {"Location": "eu-north-1"}]);
    bed.create(json!({"RuntimeVersion": "syn-nodejs-puppeteer-17.0", "AddReplicaLocations": replicas}));
    assert_eq!(bed.get()["MultiLocationConfig"]["ReplicationState"], "InProgress");
    bed.wait(1);
    let shown = bed.get()["MultiLocationConfig"].clone();
    assert_eq!(
        (&shown["ReplicationState"], &shown["Replicas"][1]["Location"]),
        (&json!("InSync"), &json!("eu-north-1"))
    );
    assert_eq!(bed.code("DeleteCanary", json!({"Name": "a"})), "ConflictException");
    let again = json!({"Name": "a", "AddReplicaLocations": [{"Location": "ap-south-1"}]});
    assert_eq!(bed.code("UpdateCanary", again), "ValidationException");
    let unknown = json!({"Name": "a", "RemoveReplicaLocations": ["ap-south-1"]});
    assert_eq!(bed.code("UpdateCanary", unknown), "ValidationException");
    bed.update(json!({"RemoveReplicaLocations": ["us-east-1", "eu-north-1"]})).unwrap();
    bed.wait(1);
    assert_eq!(bed.get()["MultiLocationConfig"], Value::Null);
    bed.named("DeleteCanary").unwrap();
}

#[test]
fn tags_are_changed_by_their_own_operations_alone() {
    let mut bed = Bed::new();
    bed.create(json!({"Tags": {"owner": "tidewatch"}}));
    bed.wait(1);
    let before = bed.get()["Timeline"].clone();
    let arn = bed.region.canary_arn("a");
    bed.call("TagResource", json!({"ResourceArn": arn, "Tags": {"hash": "1", "owner": "me"}})).unwrap();
    bed.call("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["owner", "unknown"]})).unwrap();
    assert_eq!(bed.get()["Tags"], json!({"hash": "1"}));
    assert_eq!(bed.get()["Timeline"], before);
    let many: BTreeMap<String, String> =
        ('a'..='z').chain('A'..='X').map(|letter| (letter.to_string(), String::new())).collect();
    assert_eq!(bed.code("TagResource", json!({"ResourceArn": arn, "Tags": many})), "BadRequestException");
}

#[test]
fn groups_take_canaries_once_and_lose_those_that_are_deleted() {
    let mut bed = Bed::new();
    bed.create(json!({}));
    bed.wait(1);
    let arn = bed.region.canary_arn("a");
    let group = bed.call("CreateGroup", json!({"Name": "g"})).unwrap()["Group"].clone();
    assert_eq!(bed.code("CreateGroup", json!({"Name": "g"})), "ConflictException");
    for identifier in ["Id", "Arn", "Name"] {
        let membership = json!({"GroupIdentifier": group[identifier], "ResourceArn": arn});
        bed.call("AssociateResource", membership.clone()).unwrap();
        assert_eq!(bed.code("AssociateResource", membership.clone()), "ConflictException");
        bed.call("DisassociateResource", membership.clone()).unwrap();
        assert_eq!(bed.code("DisassociateResource", membership), "ResourceNotFoundException");
    }
    bed.call("AssociateResource", json!({"GroupIdentifier": "g", "ResourceArn": arn})).unwrap();
    let groups = bed.call("ListAssociatedGroups", json!({"ResourceArn": arn})).unwrap();
    assert_eq!(groups["Groups"][0]["Name"], "g");
    bed.named("DeleteCanary").unwrap();
    bed.wait(1);
    let resources = bed.call("ListGroupResources", json!({"GroupIdentifier": "g"})).unwrap();
    assert_eq!(resources["Resources"], json!([]));
    bed.call("DeleteGroup", json!({"GroupIdentifier": "g"})).unwrap();
    assert_eq!(bed.code("GetGroup", json!({"GroupIdentifier": "g"})), "ResourceNotFoundException");
}

#[test]
fn a_dry_run_tries_a_change_beside_the_canary_and_an_update_can_take_it_over() {
    let mut bed = Bed::running(json!({}));
    let broken = json!({"ZipFile": package(&[("other.js", "")]), "Handler": "index.handler"});
    let started = bed.call("StartCanaryDryRun", json!({"Name": "a", "Code": broken})).unwrap();
    let id = started["DryRunConfig"]["DryRunId"].clone();
    assert_eq!(bed.code("StartCanaryDryRun", json!({"Name": "a"})), "ConflictException");
    assert_eq!(bed.code("UpdateCanary", json!({"Name": "a", "DryRunId": id})), "ConflictException");
    bed.wait(30);
    let trial = bed.call("GetCanary", json!({"Name": "a", "DryRunId": id})).unwrap();
    assert_eq!(trial["Canary"]["DryRunConfig"]["LastDryRunExecutionStatus"], "FAILED");
    let runs = bed.call("GetCanaryRuns", json!({"Name": "a", "RunType": "DRY_RUN"})).unwrap();
    assert_eq!(runs["CanaryRuns"][0]["DryRunConfig"]["DryRunId"], id);
    assert!(bed.runs().iter().all(|run| run["Status"]["State"] == "PASSED"));

    let started =
        bed.call("StartCanaryDryRun", json!({"Name": "a", "SuccessRetentionPeriodInDays": 7})).unwrap();
    let id = started["DryRunConfig"]["DryRunId"].clone();
    bed.wait(30);
    let more = json!({"Name": "a", "DryRunId": id, "RuntimeVersion": "syn-nodejs-puppeteer-17.0"});
    assert_eq!(bed.code("UpdateCanary", more), "ValidationException");
    bed.update(json!({"DryRunId": id, "Schedule": {"Expression": "rate(2 minutes)"}})).unwrap();
    bed.wait(1);
    let shown = bed.get();
    assert_eq!(shown["SuccessRetentionPeriodInDays"], 7);
    assert_eq!(shown["Schedule"]["Expression"], "rate(2 minutes)");
}
