//! Every operation in every state, and what time does to canaries.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::model::Model;
use crate::state::synthetics::testing::zipped;
use crate::state::synthetics::{CanaryState, Delays, Outcome, RunPlan};
use crate::state::{MetricKey, Region};

mod changes;
mod creation;
mod running;

const ROLE: &str = "arn:aws:iam::123456789012:role/canary";

/// A Region whose clock the test moves, and which takes a second for everything.
struct Bed {
    region: Region,
    model: Model,
}

impl Bed {
    fn new() -> Self {
        let now: Timestamp = "2026-11-23T02:00:00Z".parse().unwrap();
        let mut region = Region::new("123456789012", "eu-west-1", SignedDuration::from_hours(3), now);
        region.synthetics.delays = Delays::all(SignedDuration::from_secs(1));
        Self { region, model: Model::synthetics().unwrap() }
    }

    /// A call as it comes from the wire: checked by the model, and answered as the model has it.
    fn call(&mut self, operation: &str, input: Value) -> Result<Value, ApiError> {
        crate::validate::check(&self.model, self.model.operation(operation).unwrap(), &input)?;
        super::run(operation, &mut self.region, input)
    }

    fn code(&mut self, operation: &str, input: Value) -> &'static str {
        let error = self.call(operation, input).unwrap_err();
        if error.shape == "ValidationError" { "ValidationException" } else { error.shape }
    }

    fn wait(&mut self, seconds: i64) {
        for _ in 0..seconds {
            let now = self.region.now + SignedDuration::from_secs(1);
            self.region.tick(now);
        }
    }

    fn create(&mut self, changes: Value) -> Value {
        self.call("CreateCanary", request(changes)).unwrap()["Canary"].clone()
    }

    fn get(&mut self) -> Value {
        self.call("GetCanary", json!({"Name": "a"})).unwrap()["Canary"].clone()
    }

    fn state(&mut self) -> (String, String) {
        let status = self.get()["Status"].clone();
        let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
        (text("State"), text("StateReasonCode"))
    }

    fn named(&mut self, operation: &str) -> Result<Value, ApiError> {
        self.call(operation, json!({"Name": "a"}))
    }

    fn update(&mut self, mut change: Value) -> Result<Value, ApiError> {
        change["Name"] = "a".into();
        self.call("UpdateCanary", change)
    }

    /// A canary that runs.
    fn running(changes: Value) -> Self {
        let mut bed = Self::new();
        bed.create(changes);
        bed.wait(1);
        bed.named("StartCanary").unwrap();
        bed.wait(1);
        bed
    }

    fn runs(&mut self) -> Vec<Value> {
        self.named("GetCanaryRuns").unwrap()["CanaryRuns"].as_array().unwrap().clone()
    }

    /// The values of a metric of the canary, by the time of each.
    fn metric(&self, name: &str, further: &[(&str, &str)]) -> BTreeMap<String, f64> {
        let dimensions = [("CanaryName", "a")].into_iter().chain(further.iter().copied());
        let key = MetricKey::new("CloudWatchSynthetics", name, dimensions);
        let points =
            self.region.metrics.series.get(&key).map(|series| series.points.clone()).unwrap_or_default();
        points.iter().map(|(at, data)| (at.strftime("%H:%M:%S").to_string(), data[0].sum)).collect()
    }
}

fn package(files: &[(&str, &str)]) -> String {
    BASE64.encode(&zipped(files))
}

/// CreateCanary's members, some of them changed; null takes one away.
fn request(changes: Value) -> Value {
    let mut request = json!({
        "Name": "a",
        "Code": {"ZipFile": package(&[("index.js", "")]), "Handler": "index.handler"},
        "ArtifactS3Location": "s3://artifacts/canaries",
        "ExecutionRoleArn": ROLE,
        "Schedule": {"Expression": "rate(1 minute)"},
        "RunConfig": {"TimeoutInSeconds": 30},
        "RuntimeVersion": "syn-nodejs-puppeteer-11.0",
    });
    let members = request.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        members.insert(key.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    request
}

/// A canary in each state, in which it still is when asked.
fn in_state(state: CanaryState) -> Bed {
    let mut bed = Bed::new();
    bed.create(json!({}));
    if state == CanaryState::Error {
        bed.region.synthetics.surroundings.unassumable_roles.insert(ROLE.into(), None);
    }
    if state != CanaryState::Creating {
        bed.wait(1);
    }
    let steps: &[&str] = match state {
        CanaryState::Creating | CanaryState::Ready | CanaryState::Error => &[],
        CanaryState::Starting => &["StartCanary"],
        CanaryState::Running => &["StartCanary", ""],
        CanaryState::Updating => &["UpdateCanary"],
        CanaryState::Stopping => &["StartCanary", "", "StopCanary"],
        CanaryState::Stopped => &["StartCanary", "", "StopCanary", ""],
        CanaryState::Deleting => &["DeleteCanary"],
    };
    for step in steps {
        if step.is_empty() {
            bed.wait(1);
        } else {
            bed.named(step).unwrap();
        }
    }
    assert_eq!(bed.region.synthetics.canaries["a"].state(), state);
    bed
}

#[test]
fn each_operation_is_taken_in_its_states_and_conflicts_in_every_other() {
    use CanaryState::{Error, Ready, Running, Stopped};
    let table: [(&str, &[CanaryState], &str); 4] = [
        ("StartCanary", &[Ready, Stopped], "STARTING"),
        ("StopCanary", &[Running], "STOPPING"),
        ("UpdateCanary", &[Ready, Stopped, Running, Error], "UPDATING"),
        ("DeleteCanary", &[Ready, Stopped, Error], "DELETING"),
    ];
    for (operation, allowed, next) in table {
        for state in CanaryState::ALL {
            let mut bed = in_state(state);
            let before = bed.state();
            match bed.named(operation) {
                Ok(_) => {
                    assert!(allowed.contains(&state), "{operation} in {state:?}");
                    assert_eq!(bed.state().0, next, "{operation} in {state:?}");
                }
                Err(error) => {
                    assert!(!allowed.contains(&state), "{operation} in {state:?}: {error}");
                    assert_eq!(error.shape, "ConflictException", "{operation} in {state:?}");
                    assert_eq!(bed.state(), before, "{operation} in {state:?}");
                }
            }
        }
    }
}

#[test]
fn what_does_not_exist_is_not_found_by_any_operation() {
    let mut bed = Bed::new();
    for operation in
        ["GetCanary", "StartCanary", "StopCanary", "UpdateCanary", "DeleteCanary", "GetCanaryRuns"]
    {
        assert_eq!(bed.code(operation, json!({"Name": "a"})), "ResourceNotFoundException", "{operation}");
    }
    let arn = "arn:aws:synthetics:eu-west-1:123456789012:canary:a";
    assert_eq!(bed.code("ListTagsForResource", json!({"ResourceArn": arn})), "NotFoundException");
}

#[test]
fn every_passing_state_ends_after_its_delay() {
    for (state, end, code) in [
        (CanaryState::Creating, "READY", ""),
        (CanaryState::Starting, "RUNNING", ""),
        (CanaryState::Updating, "READY", "UPDATE_COMPLETE"),
        (CanaryState::Stopping, "STOPPED", ""),
    ] {
        let mut bed = in_state(state);
        bed.wait(1);
        assert_eq!(bed.state(), (end.into(), code.into()), "{state:?}");
    }
    let mut bed = in_state(CanaryState::Deleting);
    bed.wait(1);
    assert_eq!(bed.code("GetCanary", json!({"Name": "a"})), "ResourceNotFoundException");
}

#[test]
fn the_answers_are_what_the_model_says() {
    let mut bed = Bed::running(json!({
        "Tags": {"owner": "tidewatch"},
        "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "ArtifactConfig": {"S3Encryption": {"EncryptionMode": "SSE_S3"}},
    }));
    bed.wait(70);
    for (operation, input) in [
        ("GetCanary", json!({"Name": "a"})),
        ("DescribeCanaries", json!({})),
        ("DescribeCanariesLastRun", json!({})),
        ("GetCanaryRuns", json!({"Name": "a"})),
        ("DescribeRuntimeVersions", json!({})),
        ("CreateGroup", json!({"Name": "g"})),
        ("ListGroups", json!({})),
    ] {
        let output = bed.call(operation, input).unwrap();
        let shape = &bed.model.operation(operation).unwrap().output.as_ref().unwrap().shape;
        assert_eq!(crate::wire::answerable(&bed.model, shape, &output), Ok(()), "{operation}");
    }
}

fn plan(outcome: Outcome, times: Option<u32>) -> RunPlan {
    RunPlan { outcome, duration: None, times }
}

fn failing(reason: &str) -> Outcome {
    Outcome::Fail { reason: reason.to_owned(), step: None }
}
