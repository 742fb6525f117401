//! What is done under every fault: two objects with all kinds of resources are created, one is changed and deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bed::{Bed, cpu, everything};

/// What a scenario leaves behind, at its two points of rest.
pub(super) type End = (BTreeMap<String, String>, BTreeMap<String, String>);

/// How all gets to rest after a change.
pub(super) trait Way {
    async fn rest(&self, bed: &mut Bed);
}

/// By passes of one process.
pub(super) struct Passes;

impl Way for Passes {
    async fn rest(&self, bed: &mut Bed) {
        bed.settle().await;
    }
}

/// How often each operation was called.
pub(super) type Calls = BTreeMap<String, usize>;

/// What a run without faults comes to.
pub(super) struct Faultless {
    pub end: End,
    pub calls: Calls,
    pub writes: Calls,
    pub kube_writes: usize,
}

impl Faultless {
    pub(super) async fn run(way: &impl Way) -> Self {
        let mut bed = Bed::start().await;
        let end = scenario(&mut bed, way).await;
        assert_eq!(end.1.len(), 2, "the other object's alarm and detector: {:?}", end.1);
        Self { end, calls: bed.calls(|_| true), writes: bed.calls(is_write), kube_writes: bed.kube_writes() }
    }

    /// Each call, as its operation and how many of the same go before it. The first calls of an operation and the last
    /// differ; those between are like one of them.
    pub(super) fn each(calls: &Calls) -> impl Iterator<Item = (String, u32)> {
        calls.iter().flat_map(|(operation, count)| {
            let count = u32::try_from(*count).unwrap();
            let skips = if count <= 3 { (0..count).collect() } else { vec![0, 1, count - 1] };
            skips.into_iter().map(|skip| (operation.clone(), skip))
        })
    }
}

fn is_write(operation: &str) -> bool {
    !["Describe", "List", "Get"].iter().any(|verb| operation.starts_with(verb))
}

fn changed() -> Value {
    let mut spec = everything();
    spec["metric"]["cloudWatch"]["statistic"] = json!("p99");
    spec["when"] = Value::Null;
    spec["tags"] = json!({"cost": "1"});
    spec
}

/// Creates, changes and deletes, beside an object that shares a detector and stays.
pub(super) async fn scenario(bed: &mut Bed, way: &impl Way) -> End {
    bed.apply("other", &json!({"metric": cpu(), "condition": {"band": {"breach": "Above"}}}));
    bed.apply("cpu", &everything());
    way.rest(bed).await;
    bed.apply("cpu", &changed());
    way.rest(bed).await;
    let middle = bed.there();
    bed.delete("cpu");
    way.rest(bed).await;
    assert!(bed.get("cpu").is_none());
    // Whatever happened, nothing more is written once all is at rest.
    bed.keep_calls();
    let kube_writes = bed.kube_writes();
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.kube_writes(), kube_writes);
    (middle, bed.there())
}

impl Bed {
    /// How often each operation was called, of those that `wanted` names.
    pub(super) fn calls(&self, wanted: impl Fn(&str) -> bool) -> Calls {
        let mut calls = Calls::new();
        for operation in self.all_calls() {
            if wanted(&operation) {
                *calls.entry(operation).or_insert(0) += 1;
            }
        }
        calls
    }

    pub(super) fn write_calls(&self) -> Calls {
        self.calls(is_write)
    }
}
