//! Groups of canaries are the user's.

use serde_json::json;

use super::bed::{Bed, CanaryBed as _, checks, with};

/// Names of the groups, and ARNs of what is in them.
fn groups(bed: &Bed) -> Vec<(String, Vec<String>)> {
    bed.region(|region| {
        let groups = region.synthetics.groups.values();
        groups.map(|group| (group.name.clone(), group.resources.to_vec())).collect()
    })
}

#[tokio::test]
async fn a_group_that_somebody_made_is_left_alone_through_all_that_is_done_to_its_canary() {
    let mut bed = Bed::start().await;
    bed.apply("home", &checks());
    bed.settle().await;
    let arn = format!("arn:aws:synthetics:eu-west-1:123456789012:canary:{}", bed.name_of("home"));
    let client = aws_sdk_synthetics::Client::new(&bed.sdk_config().await);
    client.create_group().name("theirs").send().await.unwrap();
    client.associate_resource().group_identifier("theirs").resource_arn(&arn).send().await.unwrap();
    let before = groups(&bed);
    assert_eq!(before, [("theirs".to_owned(), vec![arn])]);
    bed.double.clear_calls();
    bed.restart().await;
    for spec in [
        with(checks(), "/timeout", json!("40s")),
        with(checks(), "/tags", json!({"team": "a"})),
        with(checks(), "/suspend", json!(true)),
        checks(),
    ] {
        bed.apply("home", &spec);
        bed.settle().await;
        assert_eq!(groups(&bed), before, "{spec}");
    }
    bed.delete("home");
    bed.settle().await;
    assert!(bed.there("home").is_none());
    // AWS takes what is gone out of its group, and the group stays.
    assert_eq!(groups(&bed), [("theirs".to_owned(), Vec::new())]);
    let calls = bed.double.calls();
    let of_groups = |operation: &str| operation.contains("Group") && operation != "DeleteLogGroup";
    assert!(calls.iter().all(|call| !of_groups(&call.operation)), "{calls:?}");
}
