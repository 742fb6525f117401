//! Monitors that can't be meant: refused by the API with a sentence, or accepted with a condition that has one.

use std::time::Duration;

use anyhow::{Context, bail};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tidewatch_crds::network_monitor::NetworkMonitor;

use crate::bed::{Bed, SHOP};
use crate::wait::{Look, wait_for};

const CONDITION_LIMIT: Duration = Duration::from_secs(30);

pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    refused(bed)?;
    told_by_a_condition(bed)
}

/// Checks the objects that the API server itself refuses, with a word that the answer must contain.
pub(super) fn refused(bed: &Bed) -> anyhow::Result<()> {
    let cases = [
        ("an empty selector", json!({"local": [{"pods": {"selector": {}}}]}), "at least one label"),
        ("no local endpoint", json!({"local": []}), "nothing is selected"),
        (
            "a CIDR typo",
            json!({"local": [{"namespace": "shop"}], "remote": [{"cidr": "10.20.0.0/33"}]}),
            "not a CIDR",
        ),
        (
            "a CIDR with host bits",
            json!({"local": [{"namespace": "shop"}], "remote": [{"cidr": "10.20.3.4/16"}]}),
            "bits set beyond its prefix",
        ),
        (
            "two selections in one",
            json!({"local": [{"namespace": "shop", "zone": "zone-1"}]}),
            "exactly one way",
        ),
        ("an AWS service as local", json!({"local": [{"awsService": "S3"}]}), "move awsService"),
        (
            "a window of a second",
            json!({"local": [{"namespace": "shop"}], "evaluation": {"window": "1s"}}),
            "10s to 10m",
        ),
    ];
    let count = cases.len();
    for (what, spec, word) in cases {
        let Err(error) = create(bed, "mistake", spec) else {
            delete(bed, "mistake");
            bail!("a monitor with {what} was accepted");
        };
        let text = format!("{error:#}");
        if !text.contains(word) {
            bail!("a monitor with {what} was refused without a hint (no {word:?}): {text}");
        }
    }
    bed.report.note(&format!("{count} mistakes were refused at apply, each with what to write instead"));
    Ok(())
}

/// Checks the mistakes that only the operator can know of.
fn told_by_a_condition(bed: &Bed) -> anyhow::Result<()> {
    let cases = [
        ("unknown-zone", json!({"local": [{"zone": "zone-9"}]}), "zone-9"),
        (
            "foreign-pods",
            json!({"local": [{"pods": {"selector": {"matchLabels": {"k8s-app": "kube-dns"}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}}]}),
            "namespace",
        ),
    ];
    for (name, spec, _) in &cases {
        create(bed, name, spec.clone()).with_context(|| format!("creating monitor {name}"))?;
    }
    let outcome = cases.iter().try_for_each(|(name, _, word)| says_so(bed, name, word));
    for (name, _, _) in &cases {
        delete(bed, name);
    }
    outcome
}

fn says_so(bed: &Bed, name: &str, word: &str) -> anyhow::Result<()> {
    let (message, took) =
        wait_for(CONDITION_LIMIT, format!("monitor {name} isn't Ready, and says why"), || {
            let Ok(status) = bed.cluster.status(SHOP, name) else {
                return Look::NotYet("no answer".to_owned());
            };
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            match ready {
                Some(ready) if ready.status != "True" && ready.message.contains(word) => {
                    Look::Done(format!("{}: {}", ready.reason, ready.message))
                }
                Some(ready) => {
                    Look::NotYet(format!("Ready={} {}: {}", ready.status, ready.reason, ready.message))
                }
                None => Look::NotYet("no Ready condition".to_owned()),
            }
        })?;
    bed.report.right(&format!("{name}: {message}"), took);
    Ok(())
}

fn monitors(bed: &Bed) -> Api<NetworkMonitor> {
    Api::namespaced(bed.cluster.client(), SHOP)
}

fn create(bed: &Bed, name: &str, spec: Value) -> anyhow::Result<()> {
    // Untyped, since a mistake needn't fit the type.
    let resource = kube::api::ApiResource::erase::<NetworkMonitor>(&());
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(bed.cluster.client(), SHOP, &resource);
    let object = serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "NetworkMonitor", "metadata": {"name": name}, "spec": spec,
    }))?;
    bed.cluster.call(&format!("creating monitor {name}"), api.create(&PostParams::default(), &object))?;
    Ok(())
}

fn delete(bed: &Bed, name: &str) {
    if let Err(error) = bed.cluster.call("deleting", monitors(bed).delete(name, &DeleteParams::default())) {
        bed.report.note(&format!("monitor {name} was not deleted: {error:#}"));
    }
}
