//! The whole controller between a real API server and the AWS double: a canary of AWS and one of our own side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tidewatch_aws::CallMetrics;
use tidewatch_aws_double::synthetics::CanaryState;
use tidewatch_aws_double::{Double, Options};
use tidewatch_embedded::ProbeMetrics;
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::passes::PassMetrics;
use tidewatch_kube::watch_health::WatchHealth;
use tidewatch_managed::AwsPolicy;
use tidewatch_testing::{ControlPlane, client, describe, install, kubectl, sdk_config};
use tokio_util::sync::CancellationToken;

use super::bed::{ACCOUNT, REGION};
use crate::{Dependencies, Policy, run};

const LIMIT: Duration = Duration::from_secs(120);
/// How long AWS works on a change: long enough to be seen by a resync, as at AWS.
const WORKING: SignedDuration = SignedDuration::from_secs(2);
const ROLE: &str = "arn:aws:iam::123456789012:role/canary-run";
const CANARIES: &str = r#"
apiVersion: tidewatch.dev/v1alpha1
kind: Canary
metadata: {name: website}
spec:
  provider: AWS
  schedule: {every: 1m}
  checks: [{name: home, http: {url: "https://shop.example.com/"}}]
  aws: {executionRoleArn: "arn:aws:iam::123456789012:role/canary-run", artifacts: "s3://shop-canaries/website"}
---
apiVersion: tidewatch.dev/v1alpha1
kind: Canary
metadata: {name: within}
spec:
  provider: Embedded
  schedule: {every: 1m}
  checks: [{name: name, dns: {name: localhost.invalid}}]
"#;

async fn start(
    server: &ControlPlane,
    double: &Double,
    cancel: &CancellationToken,
) -> tokio::task::JoinHandle<anyhow::Result<()>> {
    let roles = BTreeMap::from([("default".to_owned(), BTreeSet::from([ROLE.to_owned()]))]);
    let dependencies = Dependencies {
        client: client(server).await,
        policy: Policy::default(),
        leadership: Leadership { lost: cancel.clone() },
        passes: PassMetrics::default(),
        instance: "test".to_owned(),
        metrics: ProbeMetrics::default(),
        aws_policy: AwsPolicy {
            enabled: true,
            resync: std::time::Duration::from_secs(1),
            roles,
            ..AwsPolicy::default()
        },
        calls: CallMetrics::default(),
        config: sdk_config(double, REGION).await,
        watches: WatchHealth::default(),
    };
    tokio::spawn(run(dependencies, cancel.child_token()))
}

async fn until(server: &ControlPlane, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}\n{}", describe(server));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_applied_runs_in_aws_beside_one_of_ours_and_goes_with_its_object() {
    let server = ControlPlane::start();
    install(&server, &["canaries"]);
    let double = Double::start(Options::default()).await.unwrap();
    double.with(ACCOUNT, REGION, |region| {
        let delays = &mut region.synthetics.delays;
        for delay in [&mut delays.create, &mut delays.start, &mut delays.stop, &mut delays.delete] {
            *delay = WORKING;
        }
    });
    let cancel = CancellationToken::new();
    let running = start(&server, &double, &cancel).await;

    kubectl(&server, &["apply", "-f", "-"], Some(CANARIES));
    kubectl(&server, &["wait", "--for=condition=Ready", "syncanary/website", "--timeout=120s"], None);
    // Its first run, by the clock of AWS.
    double.advance(SignedDuration::from_mins(1));
    kubectl(&server, &["wait", "--for=condition=Passing", "syncanary/website", "--timeout=120s"], None);
    let row = kubectl(&server, &["get", "syncanary", "website", "--no-headers"], None);
    for column in ["Passed", "AWS", "RUNNING", "True"] {
        assert!(row.contains(column), "{column} isn't in {row}");
    }
    kubectl(&server, &["wait", "--for=condition=Passing=False", "syncanary/within", "--timeout=120s"], None);
    let row = kubectl(&server, &["get", "syncanary", "within", "--no-headers"], None);
    for column in ["Failed", "Embedded", "Running", "True"] {
        assert!(row.contains(column), "{column} isn't in {row}");
    }

    let patch = r#"{"spec":{"suspend":true}}"#;
    kubectl(&server, &["patch", "syncanary", "website", "--type=merge", "-p", patch], None);
    let stopped = || {
        double.with(ACCOUNT, REGION, |region| {
            region.synthetics.canaries.values().all(|canary| canary.status.state == CanaryState::Stopped)
        })
    };
    until(&server, "the canary is stopped", stopped).await;
    kubectl(&server, &["delete", "syncanary", "website", "within", "--timeout=120s"], None);
    double.with(ACCOUNT, REGION, |region| {
        let around = &region.synthetics.surroundings;
        let left = (region.synthetics.canaries.len(), around.functions.len(), around.log_groups.len());
        assert_eq!(left, (0, 0, 0));
    });
    cancel.cancel();
    running.await.unwrap().unwrap();
}
