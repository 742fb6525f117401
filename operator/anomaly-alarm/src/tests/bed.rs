//! The alarms' controller on its bed, and what tests declare.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidewatch_aws_double::Region;
use tidewatch_crds::AnomalyAlarm;
use tidewatch_managed::{AwsPolicy, Memories};
use tidewatch_testing::managed::sweeps::{End, Way};
use tidewatch_testing::managed::{self, Cluster, Controller, Parts, with};

use super::world::Around;
use crate::facts::{MonitorFact, Published};
use crate::metrics::AlarmMetrics;
use crate::names::Names;
use crate::pass::Alarms;

pub(super) use tidewatch_testing::KEY;
pub(super) use tidewatch_testing::managed::{ACCOUNT, REGION};

pub(super) const ROLE: &str = "arn:aws:iam::210987654321:role/alarms";

pub(super) type Tested = Alarms<Cluster<AnomalyAlarm>, Around>;
pub(super) type Bed = managed::Bed<Tested>;

impl Controller for Tested {
    type Kind = AnomalyAlarm;
    type Extra = Around;
    const AWS_TAKES: SignedDuration = SignedDuration::ZERO;
    const UNTOLD: usize = 0;

    fn policy() -> AwsPolicy {
        AwsPolicy {
            enabled: true,
            roles: BTreeMap::from([("shop".to_owned(), BTreeSet::from([ROLE.to_owned()]))]),
            adoptable: BTreeMap::from([("shop".to_owned(), BTreeSet::from(["legacy-".to_owned()]))]),
            ..AwsPolicy::default()
        }
    }

    /// With a NetworkMonitor that publishes.
    fn extra() -> Around {
        let around = Around::default();
        let published = Published { namespace: "Tidewatch".to_owned(), region: None };
        let monitor = MonitorFact { publishes: Some(published) };
        around.lock().monitors.insert("shop/net".to_owned(), monitor);
        around
    }

    fn new(parts: Parts<AnomalyAlarm>, extra: &Around) -> Self {
        let Parts { objects, aws, policy, lost, wake, clock } = parts;
        Self {
            world: extra.of(objects.clone()),
            objects,
            aws,
            policy,
            metrics: AlarmMetrics::default(),
            lost,
            wake,
            watches: extra.watches.clone(),
            memories: Memories::default(),
            clock,
        }
    }

    async fn pass(&self, alarm: &AnomalyAlarm) -> bool {
        Self::pass(self, alarm).await.is_ok()
    }

    /// Two objects with all kinds of resources, of which one shares a detector with the other and stays.
    async fn scenario(bed: &mut Bed, way: &impl Way<Self>) -> End {
        bed.apply("other", &json!({"metric": cpu(), "condition": {"band": {"breach": "Above"}}}));
        bed.apply("cpu", &everything());
        way.rest(bed).await;
        bed.apply("cpu", &changed());
        way.rest(bed).await;
        let middle = bed.all();
        bed.delete("cpu");
        way.rest(bed).await;
        assert!(bed.get("cpu").is_none());
        (middle, bed.all())
    }

    fn there(region: &Region) -> BTreeMap<String, String> {
        let alarms = region
            .alarms
            .iter()
            .map(|(name, alarm)| (format!("alarm {name}"), format!("{:#?} {:#?}", alarm.config, alarm.tags)));
        let detectors = region.detectors.values().map(|detector| {
            let learns = (&detector.configuration, &detector.metric_characteristics);
            (format!("detector {:?}", detector.subject), format!("{learns:#?}"))
        });
        let rules = region.mute_rules.values().map(|rule| {
            (format!("mute {}", rule.name), format!("{:?} {:?}", rule.schedule, rule.alarm_names))
        });
        alarms.chain(detectors).chain(rules).collect()
    }
}

/// Operations of tests on alarms.
pub(super) trait AlarmBed {
    /// With the annotation that adopts this alarm.
    fn apply_annotated(&self, name: &str, spec: &Value, adopt: &str);

    /// A Canary with this status, as its own controller would leave it.
    fn set_canary(&self, name: &str, spec: &Value, status: &Value);

    /// The full name in AWS of an object's alarm.
    fn name_of(&self, name: &str) -> String;
}

impl AlarmBed for Bed {
    fn apply_annotated(&self, name: &str, spec: &Value, adopt: &str) {
        self.cluster.apply(name, spec, &json!({"tidewatch.dev/adopt-alarm": adopt}));
    }

    fn set_canary(&self, name: &str, spec: &Value, status: &Value) {
        let canary = json!({
            "apiVersion": "tidewatch.dev/v1alpha1", "kind": "Canary",
            "metadata": {"namespace": "shop", "name": name}, "spec": spec, "status": status,
        });
        let canary = serde_json::from_value(canary).unwrap();
        self.extra.lock().canaries.insert(format!("shop/{name}"), canary);
    }

    fn name_of(&self, name: &str) -> String {
        Names::new(&self.policy, "shop", name).metric
    }
}

fn changed() -> Value {
    let spec = with(everything(), "/metric/cloudWatch/statistic", json!("p99"));
    with(with(spec, "/when", Value::Null), "/tags", json!({"cost": "1"}))
}

pub(super) fn cpu() -> Value {
    json!({"cloudWatch": {"namespace": "AWS/EC2", "metricName": "CPUUtilization", "dimensions": {"InstanceId": "i-1"}, "statistic": "Average", "period": "60s"}})
}

/// A spec that uses every kind of resource.
pub(super) fn everything() -> Value {
    json!({
        "metric": cpu(),
        "condition": {"band": {"width": 2, "breach": "Above"}},
        "evaluation": {"periods": 3, "datapointsToAlarm": 2},
        "when": {"networkHealth": {"monitor": "net"}},
        "actions": {"alarm": ["arn:aws:sns:eu-west-1:123456789012:on-call"]},
        "mute": {"schedule": "0 2 * * SUN", "duration": "2h"},
        "tags": {"team": "a"},
    })
}
