//! Roles: assumed over STS's own wire, refused in words, their credentials renewed in time.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidewatch_aws_double::{Call, Fault, FaultKind};

use super::bed::{Bed, KEY, REGION, ROLE, cpu};

const ROLES_ACCOUNT: &str = "210987654321";

fn spec(width: f64) -> Value {
    json!({"metric": cpu(), "condition": {"band": {"width": width}}, "roleArn": ROLE})
}

/// Calls to CloudWatch.
fn monitoring(bed: &Bed) -> Vec<Call> {
    bed.double.calls().into_iter().filter(|call| call.service == "monitoring").collect()
}

#[tokio::test]
async fn an_alarm_with_a_role_is_made_in_the_roles_account_with_what_sts_gave() {
    let bed = Bed::start().await;
    bed.apply("cpu", &spec(2.0));
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
    assert!(bed.all().is_empty(), "in the operator's own account: {:?}", bed.all());
    assert_eq!(bed.all_in(ROLES_ACCOUNT, REGION).len(), 2);
    let assumed = bed.double.calls_of("AssumeRole");
    assert_eq!(assumed.len(), 1, "{assumed:?}");
    assert_eq!((assumed[0].service.as_str(), assumed[0].access_key.as_str()), ("sts", KEY));
    assert_eq!(assumed[0].request["RoleArn"], ROLE);
    assert_eq!(assumed[0].request["RoleSessionName"], "tidewatch");
    for call in monitoring(&bed) {
        assert_eq!((call.role.as_deref(), call.account.as_str()), (Some(ROLE), ROLES_ACCOUNT), "{call:?}");
    }
    let arn = bed.status("cpu").resources.into_iter().find_map(|resource| resource.arn).unwrap();
    assert!(arn.contains(ROLES_ACCOUNT), "{arn}");
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_denied_by_its_name_until_it_may() {
    let bed = Bed::start().await;
    let operation = Some("sts:AssumeRole".to_owned());
    bed.double.inject(Fault { operation, skip: 0, times: 1_000, kind: FaultKind::Denied });
    bed.apply("cpu", &spec(2.0));
    bed.sweep().await;
    bed.sweep().await;
    let (ready, reason, message) = bed.ready("cpu");
    assert_eq!((ready.as_str(), reason.as_str()), ("Unknown", "Denied"), "{message}");
    for part in [ROLE, "can't be assumed", "not authorized to perform: sts:AssumeRole", "docs/iam.md"] {
        assert!(message.contains(part), "{part} isn't in: {message}");
    }
    assert!(monitoring(&bed).is_empty(), "nothing is called as anyone else: {:?}", monitoring(&bed));
    let told = bed.events("cpu");
    assert_eq!(told.iter().filter(|said| said.starts_with("AWSRefused")).count(), 1, "{told:?}");
    bed.double.clear_faults();
    bed.settle().await;
    assert_eq!(bed.ready("cpu").1, "InPlace", "{:?}", bed.ready("cpu"));
}

#[tokio::test]
async fn a_roles_credentials_are_renewed_before_they_expire() {
    let bed = Bed::start().await;
    bed.apply("cpu", &spec(2.0));
    bed.settle().await;
    // They hold for an hour. Halfway there is no need of new ones.
    bed.double.advance(SignedDuration::from_mins(30));
    bed.apply("cpu", &spec(3.0));
    bed.settle().await;
    assert_eq!(bed.double.calls_of("AssumeRole").len(), 1);
    // Four seconds before they end they wouldn't last for the call.
    bed.double.advance(SignedDuration::from_secs(30 * 60 - 4));
    bed.apply("cpu", &spec(4.0));
    bed.settle().await;
    assert_eq!(bed.double.calls_of("AssumeRole").len(), 2);
    // And long after.
    bed.double.advance(SignedDuration::from_hours(5));
    bed.apply("cpu", &spec(5.0));
    bed.settle().await;
    assert_eq!(bed.double.calls_of("AssumeRole").len(), 3);
    let calls = monitoring(&bed);
    assert!(calls.iter().all(Call::succeeded), "one was made with what had expired: {calls:?}");
    let keys: BTreeSet<&str> = calls.iter().map(|call| call.access_key.as_str()).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
}
