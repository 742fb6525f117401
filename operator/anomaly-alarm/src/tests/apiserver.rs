//! The whole controller between a real API server and the AWS double: watches, finalizer, status, events, wake-ups.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tidewatch_aws::CallMetrics;
use tidewatch_aws_double::{AlarmState, Double, Options};
use tidewatch_kube::backoff::Backoff;
use tidewatch_kube::leader::Leadership;
use tidewatch_kube::watch_health::{Timing, WatchHealth};
use tidewatch_managed::AwsPolicy;
use tidewatch_testing::{
    ControlPlane, client, client_as, describe, install, kubectl, repository, sdk_config,
};
use tokio_util::sync::CancellationToken;

use super::bed::{ACCOUNT, REGION};
use crate::{AlarmMetrics, Dependencies, run};

async fn start(
    server: &ControlPlane,
    double: &Double,
    metrics: &AlarmMetrics,
    cancel: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    start_as(client(server).await, double, metrics, WatchHealth::default(), cancel).await
}

async fn start_as(
    client: kube::Client,
    double: &Double,
    metrics: &AlarmMetrics,
    watches: WatchHealth,
    cancel: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let dependencies = Dependencies {
        client,
        policy: AwsPolicy {
            enabled: true,
            resync: std::time::Duration::from_secs(1),
            ..AwsPolicy::default()
        },
        leadership: Leadership { lost: cancel.clone() },
        passes: tidewatch_kube::passes::PassMetrics::default(),
        instance: "test".to_owned(),
        metrics: metrics.clone(),
        calls: CallMetrics::default(),
        config: sdk_config(double, REGION).await,
        watches,
    };
    tokio::spawn(run(dependencies, cancel.child_token()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_that_is_applied_is_in_cloudwatch_fires_and_goes_with_its_object() {
    let server = ControlPlane::start();
    install(&server, &["networkmonitors", "anomalyalarms", "canaries"]);
    let double = Double::start(Options::default()).await.unwrap();
    let cancel = CancellationToken::new();
    let running = start(&server, &double, &AlarmMetrics::default(), &cancel).await;

    let sample = repository().join("docs/samples/anomalyalarm.yaml");
    kubectl(&server, &["apply", "-f", sample.to_str().unwrap()], None);
    kubectl(&server, &["wait", "--for=condition=Ready", "anomalarm/cpu", "--timeout=60s"], None);
    let name = double.with(ACCOUNT, REGION, |region| region.alarms.keys().next().cloned().unwrap());
    let data = r#"{"recentDatapoints":[91.5],"recentLowerThresholds":[10.0],"recentUpperThresholds":[40.0]}"#;
    double.with(ACCOUNT, REGION, |region| {
        region.set_state(&name, AlarmState::Alarm, "91.5 is above the band", Some(data)).unwrap();
    });
    kubectl(&server, &["wait", "--for=condition=Firing", "anomalarm/cpu", "--timeout=60s"], None);
    let row = kubectl(&server, &["get", "anomalarm", "cpu", "--no-headers"], None);
    for column in ["ALARM", "91.5", "10–40", "PendingTraining", "True"] {
        assert!(row.contains(column), "{column} isn't in {row}");
    }
    let begun = Instant::now();
    loop {
        let events = kubectl(&server, &["get", "events.events.k8s.io", "-o", "yaml"], None);
        if events.contains("reason: Alarm") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no event: {events}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // An object at rest isn't written: its version stays through several resyncs.
    let version =
        || kubectl(&server, &["get", "anomalarm", "cpu", "-o", "jsonpath={.metadata.resourceVersion}"], None);
    let (before, reads) = (version(), double.calls_of("DescribeAlarms").len());
    while double.calls_of("DescribeAlarms").len() < reads + 4 {
        assert!(begun.elapsed() < Duration::from_secs(120), "no resync");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(version(), before);

    let patch = r#"{"spec":{"condition":{"band":{"width":4}},"suspend":true}}"#;
    kubectl(&server, &["patch", "anomalarm", "cpu", "--type=merge", "-p", patch], None);
    let suspended = || double.with(ACCOUNT, REGION, |region| !region.alarms[&name].actions_enabled());
    while !suspended() {
        assert!(begun.elapsed() < Duration::from_secs(180), "{}", describe(&server));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    kubectl(&server, &["delete", "anomalarm", "cpu", "--timeout=60s"], None);
    double.with(ACCOUNT, REGION, |region| {
        assert!(region.alarms.is_empty() && region.detectors.is_empty(), "{:?}", region.alarms);
    });
    cancel.cancel();
    running.await.unwrap();
}

/// Names of the alarms that the metrics show.
fn shown(metrics: &AlarmMetrics) -> BTreeSet<String> {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let names = text.lines().filter_map(|line| line.split("name=\"").nth(1)?.split('"').next());
    names.map(str::to_owned).collect()
}

const MONITOR_AND_ALARMS: &str = r#"
apiVersion: tidewatch.dev/v1alpha1
kind: NetworkMonitor
metadata: {name: net}
spec: {local: [{pods: {selector: {matchLabels: {app: shop}}}}], publish: {cloudWatch: {}}}
---
apiVersion: tidewatch.dev/v1alpha1
kind: AnomalyAlarm
metadata: {name: gated}
spec:
  metric: {cloudWatch: {namespace: AWS/EC2, metricName: CPUUtilization}}
  condition: {band: {}}
  when: {networkHealth: {monitor: net}}
---
apiVersion: tidewatch.dev/v1alpha1
kind: AnomalyAlarm
metadata: {name: refused}
spec:
  metric: {cloudWatch: {namespace: AWS/EC2, metricName: CPUUtilization}}
  condition: {band: {}}
  roleArn: arn:aws:iam::123456789012:role/admin
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_leader_writes_nothing_anew_and_metrics_are_of_what_is_there_and_of_who_leads() {
    let server = ControlPlane::start();
    install(&server, &["networkmonitors", "anomalyalarms", "canaries"]);
    let double = Double::start(Options::default()).await.unwrap();
    let (metrics, cancel) = (AlarmMetrics::default(), CancellationToken::new());
    let running = start(&server, &double, &metrics, &cancel).await;
    kubectl(&server, &["apply", "-f", "-"], Some(MONITOR_AND_ALARMS));
    kubectl(&server, &["wait", "--for=condition=Ready", "anomalarm/gated", "--timeout=60s"], None);
    kubectl(&server, &["wait", "--for=condition=Ready=False", "anomalarm/refused", "--timeout=60s"], None);
    assert_eq!(shown(&metrics), ["gated", "refused"].map(str::to_owned).into());
    // It has no finalizer: nothing was made for it.
    kubectl(&server, &["delete", "anomalarm", "refused", "--timeout=60s"], None);
    let begun = Instant::now();
    while shown(&metrics).len() > 1 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", shown(&metrics));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let version = || {
        kubectl(&server, &["get", "anomalarm", "gated", "-o", "jsonpath={.metadata.resourceVersion}"], None)
    };
    cancel.cancel();
    running.await.unwrap();
    assert_eq!(shown(&metrics), BTreeSet::new());
    let before = version();
    let (other, cancel) = (AlarmMetrics::default(), CancellationToken::new());
    let running = start(&server, &double, &other, &cancel).await;
    let reads = double.calls_of("DescribeAlarms").len();
    while double.calls_of("DescribeAlarms").len() < reads + 4 {
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing is read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(version(), before, "{}", describe(&server));
    cancel.cancel();
    running.await.unwrap();
}

/// All that the alarms' controller needs, with these of Tidewatch's kinds.
fn rights(kinds: &str) -> String {
    format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: operator}}
rules:
  - {{apiGroups: [tidewatch.dev], resources: [{kinds}], verbs: [list, watch]}}
  - {{apiGroups: [tidewatch.dev], resources: [anomalyalarms, anomalyalarms/status], verbs: [patch]}}
  - {{apiGroups: [events.k8s.io], resources: [events], verbs: [create]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: operator}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: operator}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: operator}}]
"#
    )
}

const PLAIN_AND_OF_A_CANARY: &str = r#"
apiVersion: tidewatch.dev/v1alpha1
kind: AnomalyAlarm
metadata: {name: plain}
spec:
  metric: {cloudWatch: {namespace: AWS/EC2, metricName: CPUUtilization}}
  condition: {band: {}}
---
apiVersion: tidewatch.dev/v1alpha1
kind: AnomalyAlarm
metadata: {name: of-a-canary}
spec:
  metric: {canary: {name: home, metric: SuccessPercent}}
  condition: {threshold: {operator: LessThan, value: 90}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_says_which_right_is_missing_for_it_and_others_go_on() {
    let server = ControlPlane::start();
    install(&server, &["networkmonitors", "anomalyalarms", "canaries"]);
    kubectl(&server, &["apply", "-f", "-"], Some(&rights("anomalyalarms, networkmonitors")));
    kubectl(&server, &["apply", "-f", "-"], Some(PLAIN_AND_OF_A_CANARY));
    let double = Double::start(Options::default()).await.unwrap();
    let cancel = CancellationToken::new();
    let watches = WatchHealth::with(Timing {
        backoff: Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(500) },
        patience: Duration::from_millis(500),
        ..Timing::default()
    });
    let client = client_as(&server, "operator").await;
    let running = start_as(client, &double, &AlarmMetrics::default(), watches, &cancel).await;
    kubectl(&server, &["wait", "--for=condition=Ready", "anomalarm/plain", "--timeout=60s"], None);
    let ready = || {
        let path =
            "jsonpath={range .status.conditions[?(@.type==\"Ready\")]}{.status} {.reason}: {.message}{end}";
        kubectl(&server, &["get", "anomalarm", "of-a-canary", "-o", path], None)
    };
    let begun = Instant::now();
    let until = async |says: &str| {
        while !ready().starts_with(says) {
            assert!(begun.elapsed() < Duration::from_secs(180), "not {says}: {}", ready());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until("Unknown WatchFailing: the operator isn't allowed to list and watch canaries.tidewatch.dev").await;
    kubectl(&server, &["apply", "-f", "-"], Some(&rights("anomalyalarms, networkmonitors, canaries")));
    until("Unknown WaitingForCanary: there is no Canary home").await;
    cancel.cancel();
    running.await.unwrap();
}
