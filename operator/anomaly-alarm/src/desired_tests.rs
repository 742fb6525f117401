use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidewatch_aws::types::{Limit, Source, Watched};

use super::*;
use crate::facts::{CanaryFact, CanaryInAws, ChildFact, MonitorFact, Published};

fn alarm(spec: &Value) -> AnomalyAlarm {
    serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1",
        "kind": "AnomalyAlarm",
        "metadata": {"namespace": "shop", "name": "cpu", "uid": "u1"},
        "spec": spec,
    }))
    .unwrap()
}

fn policy() -> AwsPolicy {
    let roles = BTreeMap::from([("shop".to_owned(), BTreeSet::from([ROLE.to_owned()]))]);
    let adoptable = BTreeMap::from([("shop".to_owned(), BTreeSet::from(["legacy-".to_owned()]))]);
    AwsPolicy { enabled: true, roles, adoptable, ..AwsPolicy::default() }
}

const ROLE: &str = "arn:aws:iam::123456789012:role/a";

fn monitors(region: Option<&str>) -> Facts {
    let published = Published { namespace: "Tidewatch".to_owned(), region: region.map(str::to_owned) };
    let fact = MonitorFact { publishes: Some(published) };
    Facts { monitors: BTreeMap::from([("net".to_owned(), fact)]), ..Facts::default() }
}

fn desired(spec: &Value, facts: &Facts) -> Result<Desired, Problem> {
    Desired::new(&alarm(spec), facts, &policy(), Some("eu-west-1"))
}

fn cpu() -> Value {
    json!({"cloudWatch": {"namespace": "AWS/EC2", "metricName": "CPUUtilization", "dimensions": {"InstanceId": "i-1"}, "period": "1m"}})
}

fn refused(spec: &Value, facts: &Facts) -> (Reason, String) {
    let problem = desired(spec, facts).unwrap_err();
    (problem.reason, problem.message)
}

#[test]
fn a_band_becomes_a_detector_and_an_alarm_whose_metric_and_band_return_data() {
    let training = json!({"timezone": "Asia/Tokyo", "periodicSpikes": true, "adaptationSpeed": "Slow"});
    let spec = json!({"metric": cpu(), "condition": {"band": {"width": 2.5, "breach": "Above", "training": training}},
        "evaluation": {"periods": 3, "datapointsToAlarm": 2, "missingData": "NotBreaching"}});
    let desired = desired(&spec, &Facts::default()).unwrap();
    let metric = desired.metric.unwrap();
    let Watched::Queries { queries, limit } = &metric.watched else { panic!("{metric:?}") };
    assert_eq!(*limit, Limit::Band("tidewatch_band".to_owned()));
    assert!(queries.iter().all(|query| query.return_data) && queries.len() == 2, "{queries:?}");
    let band = &queries.iter().find(|query| query.id == "tidewatch_band").unwrap().source;
    assert!(
        matches!(band, Source::Expression { expression, .. } if expression == "ANOMALY_DETECTION_BAND(m1, 2.5)")
    );
    assert_eq!(metric.comparison, "GreaterThanUpperThreshold");
    assert_eq!((metric.evaluation_periods, metric.datapoints_to_alarm), (3, 2));
    assert_eq!(metric.missing_data, "notBreaching");
    let (id, config) = desired.detector.unwrap();
    assert!(
        matches!(id, DetectorId::Metric { ref metric, ref statistic } if metric.name == "CPUUtilization" && statistic == "Average")
    );
    assert_eq!((config.timezone.as_str(), config.adaptation_speed.as_str()), ("Asia/Tokyo", "SLOW"));
    assert!(config.periodic_spikes && desired.composite.is_none());
}

#[test]
fn a_threshold_on_one_metric_is_an_alarm_without_queries_or_detector() {
    let spec =
        json!({"metric": cpu(), "condition": {"threshold": {"operator": "GreaterThanOrEqual", "value": 80}}});
    let desired = desired(&spec, &Facts::default()).unwrap();
    let metric = desired.metric.unwrap();
    assert!(
        matches!(&metric.watched, Watched::Metric { threshold, period_seconds: 60, .. } if *threshold == 80.0)
    );
    assert_eq!(metric.comparison, "GreaterThanOrEqualToThreshold");
    assert!(desired.detector.is_none() && desired.network.is_none() && desired.mute.is_none());
}

#[test]
fn a_band_on_an_expression_has_a_detector_of_the_queries_without_the_band() {
    let queries = json!([
        {"id": "r", "expression": "100 * e / n"},
        {"id": "e", "metric": {"namespace": "A", "metricName": "Errors", "statistic": "Sum"}},
        {"id": "n", "metric": {"namespace": "A", "metricName": "Requests", "statistic": "Sum"}}]);
    let spec = json!({"metric": {"expression": {"queries": queries, "returns": "r", "period": "1m"}}, "condition": {"band": {}}});
    let desired = desired(&spec, &Facts::default()).unwrap();
    let (id, _) = desired.detector.unwrap();
    let DetectorId::Math { queries } = id else { panic!("{id:?}") };
    let returns: Vec<_> = queries.iter().map(|query| (query.id.as_str(), query.return_data)).collect();
    assert_eq!(returns, [("e", false), ("n", false), ("r", true)]);
}

#[test]
fn an_alarm_that_asks_for_a_healthy_network_calls_by_a_composite() {
    let spec = json!({"metric": cpu(), "condition": {"band": {}}, "evaluation": {"periods": 5},
        "when": {"networkHealth": {"monitor": "net"}}, "actions": {"alarm": ["arn:aws:sns:eu-west-1:123456789012:t"]}});
    let desired = desired(&spec, &monitors(None)).unwrap();
    let (metric, network) = (desired.metric.unwrap(), desired.network.unwrap());
    let composite = desired.composite.unwrap();
    assert_eq!(composite.rule, format!("ALARM(\"{}\") AND OK(\"{}\")", metric.name, network.name));
    assert!(!metric.actions.enabled && metric.actions.alarm.is_empty() && !network.actions.enabled);
    assert_eq!(composite.actions.alarm.len(), 1);
    // Five minutes are looked at: the network must have been well for all of them, and one more.
    assert_eq!((network.evaluation_periods, network.datapoints_to_alarm), (6, 1));
    let dimensions = [("ClusterName", "kubernetes"), ("MonitorName", "net"), ("Namespace", "shop")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert!(
        matches!(&network.watched, Watched::Metric { metric, .. } if metric.dimensions == BTreeMap::from(dimensions))
    );
}

#[test]
fn an_alarm_of_alarms_names_what_calls_for_each() {
    let scope = Scope { region: "eu-west-1".to_owned(), role: None };
    let child = |name: &str| ChildFact {
        alarm: Some((scope.clone(), name.to_owned())),
        looks_back: 300,
        deleting: false,
    };
    let alarms = BTreeMap::from([("a".to_owned(), child("A")), ("b".to_owned(), child("B"))]);
    let facts = Facts { alarms, ..monitors(None) };
    let spec = json!({"alarms": {"anyOf": ["a", "b"]}, "when": {"networkHealth": {"monitor": "net"}}});
    let desired = desired(&spec, &facts).unwrap();
    let network = desired.network.unwrap();
    assert_eq!(
        desired.composite.unwrap().rule,
        format!("(ALARM(\"A\") OR ALARM(\"B\")) AND OK(\"{}\")", network.name)
    );
    assert!(desired.metric.is_none() && desired.detector.is_none());
    let waits = json!({"alarms": {"anyOf": ["a", "c"]}});
    assert_eq!(refused(&waits, &facts).0, Reason::WaitingForAlarms);
    let elsewhere = json!({"alarms": {"anyOf": ["a"]}, "region": "us-east-1"});
    assert_eq!(refused(&elsewhere, &facts).0, Reason::Shared(Shared::InvalidSpec));
}

#[test]
fn what_cel_cannot_see_is_a_reason_and_a_sentence() {
    let band = json!({"band": {}});
    let network = json!({"networkMonitor": {"name": "net", "metric": "RoundTripTime"}});
    let unpublished =
        Facts { monitors: BTreeMap::from([("net".to_owned(), MonitorFact::default())]), ..Facts::default() };
    let none = Facts::default();
    let cases = [
        (
            json!({"provider": "Embedded", "metric": cpu(), "condition": band}),
            &none,
            Reason::NotSupported,
            "provider: AWS",
        ),
        (
            json!({"metric": cpu(), "condition": band, "roleArn": "arn:aws:iam::123456789012:role/b"}),
            &none,
            Reason::Shared(Shared::RoleNotAllowed),
            "aws.roles.shop",
        ),
        (
            json!({"metric": cpu(), "condition": band, "actions": {"ok": ["arn:aws:sns:us-east-1:1:t"]}}),
            &none,
            Reason::Shared(Shared::InvalidSpec),
            "the alarm's own Region",
        ),
        (json!({"metric": network, "condition": band}), &none, Reason::WaitingForMonitor, "create it"),
        (
            json!({"metric": network, "condition": band}),
            &unpublished,
            Reason::WaitingForMonitor,
            "publish: {cloudWatch: {}}",
        ),
        (
            json!({"metric": network, "condition": band, "region": "us-east-1"}),
            &monitors(Some("eu-west-1")),
            Reason::Shared(Shared::InvalidSpec),
            "the same Region in both",
        ),
        (
            json!({"metric": {"networkMonitor": {"name": "net", "metric": "HealthIndicator", "category": "InterAZ"}}, "condition": band}),
            &monitors(None),
            Reason::Shared(Shared::InvalidSpec),
            "has no categories",
        ),
        (
            json!({"alarms": {"anyOf": ["cpu"]}}),
            &none,
            Reason::Shared(Shared::InvalidSpec),
            "can't combine itself",
        ),
        (
            json!({"metric": {"expression": {"queries": [{"id": "a", "metric": {"namespace": "A", "metricName": "B"}}, {"id": "b", "expression": "a / c"}], "returns": "b", "period": "1m"}}, "condition": band}),
            &none,
            Reason::Shared(Shared::InvalidSpec),
            "uses c",
        ),
    ];
    for (spec, facts, reason, says) in cases {
        let (found, message) = refused(&spec, facts);
        assert_eq!(found, reason, "{spec}: {message}");
        assert!(message.contains(says), "{message}");
    }
    let spec = json!({"metric": cpu(), "condition": band});
    let nowhere = Desired::new(&alarm(&spec), &none, &policy(), None).unwrap_err();
    assert_eq!(nowhere.reason, Reason::Shared(Shared::RegionUnknown));
    let off = AwsPolicy { enabled: false, ..policy() };
    let disabled = Desired::new(&alarm(&spec), &none, &off, Some("eu-west-1")).unwrap_err();
    assert_eq!(disabled.reason, Reason::Shared(Shared::AwsDisabled));
}

/// A canary `home` that is in CloudWatch, there and by that role.
fn canary(region: &str, role: Option<&str>) -> Facts {
    let scope = Scope { region: region.to_owned(), role: role.map(str::to_owned) };
    let aws = Some(CanaryInAws { name: "tidewatch-shop-home-12345678".to_owned(), scope });
    canary_fact(CanaryFact { provider: Some(Provider::Aws), aws })
}

fn canary_fact(fact: CanaryFact) -> Facts {
    Facts { canaries: BTreeMap::from([("home".to_owned(), fact)]), ..Facts::default() }
}

#[test]
fn a_canarys_metric_is_that_of_cloudwatch_synthetics_by_the_canarys_name_there() {
    for (name, period, seconds) in [("SuccessPercent", None, 300), ("Duration", Some("1m"), 60)] {
        let mut metric = json!({"canary": {"name": "home", "metric": name}});
        if let Some(period) = period {
            metric["canary"]["period"] = json!(period);
        }
        let spec = json!({"metric": metric, "condition": {"threshold": {"operator": "LessThan", "value": 90}},
            "evaluation": {"periods": 1, "missingData": "Breaching"}});
        let desired = desired(&spec, &canary("us-east-1", None)).unwrap();
        assert_eq!(
            desired.scope,
            Scope { region: "us-east-1".to_owned(), role: None },
            "the canary's own Region"
        );
        let alarm = desired.metric.unwrap();
        assert_eq!(alarm.missing_data, "breaching");
        let Watched::Metric { metric, statistic, period_seconds, .. } = alarm.watched else {
            panic!("{name}")
        };
        assert_eq!((metric.namespace.as_str(), metric.name.as_str()), ("CloudWatchSynthetics", name));
        assert_eq!(
            metric.dimensions,
            [("CanaryName".to_owned(), "tidewatch-shop-home-12345678".to_owned())].into()
        );
        assert_eq!((statistic.as_str(), period_seconds), ("Average", seconds));
    }
}

#[test]
fn a_canary_that_isnt_in_cloudwatch_or_elsewhere_is_a_reason_and_a_sentence() {
    let other = "arn:aws:iam::210987654321:role/a";
    let embedded = CanaryFact { provider: Some(Provider::Embedded), aws: None };
    let unmade = CanaryFact { provider: Some(Provider::Aws), aws: None };
    let (waiting, invalid) = (Reason::WaitingForCanary, Reason::Shared(Shared::InvalidSpec));
    let cases = [
        (json!({}), Facts::default(), waiting, "there is no Canary home in namespace shop: create it"),
        (json!({}), canary_fact(embedded), waiting, "write provider: AWS"),
        (json!({}), canary_fact(unmade), waiting, "isn't in CloudWatch yet"),
        (json!({}), canary_fact(CanaryFact::default()), waiting, "isn't in CloudWatch yet"),
        (json!({"region": "eu-west-1"}), canary("us-east-1", None), invalid, "write region: us-east-1"),
        (json!({"roleArn": ROLE}), canary("eu-west-1", None), invalid, "write the same roleArn in both"),
        (json!({}), canary("eu-west-1", Some(ROLE)), invalid, "write the same roleArn in both"),
        (json!({"roleArn": ROLE}), canary("eu-west-1", Some(other)), invalid, other),
    ];
    for (more, facts, reason, says) in cases {
        let mut spec = json!({"metric": {"canary": {"name": "home", "metric": "SuccessPercent"}}, "condition": {"band": {}}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (found, message) = refused(&spec, &facts);
        assert_eq!(found, reason, "{more}: {message}");
        assert!(message.contains(says), "{message}");
    }
    // Another role of the same account sees the same metrics.
    let spec = json!({"metric": {"canary": {"name": "home", "metric": "Duration"}}, "condition": {"band": {}}, "roleArn": ROLE});
    assert!(desired(&spec, &canary("eu-west-1", Some("arn:aws:iam::123456789012:role/b"))).is_ok());
}

#[test]
fn only_what_the_chart_allows_is_adopted() {
    let spec = json!({"metric": cpu(), "condition": {"band": {}}});
    let adopting = |name: &str| {
        let mut alarm = alarm(&spec);
        alarm.metadata.annotations = Some(BTreeMap::from([(ADOPT_ANNOTATION.to_owned(), name.to_owned())]));
        Desired::new(&alarm, &Facts::default(), &policy(), Some("eu-west-1"))
    };
    assert_eq!(adopting("legacy-cpu").unwrap().metric.unwrap().name, "legacy-cpu");
    assert_eq!(adopting("payroll-cpu").unwrap_err().reason, Reason::Shared(Shared::AdoptionNotAllowed));
    assert_eq!(adopting("legacy-\"cpu").unwrap_err().reason, Reason::Shared(Shared::InvalidSpec));
    let own = Names::new(&policy(), "shop", "cpu").metric;
    let desired = adopting(&own).unwrap();
    assert!(desired.adopts && desired.adoptable_as == own);
}

#[test]
fn a_mute_is_written_as_aws_writes_schedules_and_durations() {
    for (text, iso) in
        [("2h", "PT2H"), ("90m", "PT1H30M"), ("360h", "P15D"), ("25h", "P1DT1H"), ("1m", "PT1M")]
    {
        assert_eq!(iso_duration(text), iso);
    }
    let spec = json!({"metric": cpu(), "condition": {"band": {}}, "mute": {"schedule": "0 2 * * 0", "duration": "2h"}});
    let mute = desired(&spec, &Facts::default()).unwrap().mute.unwrap();
    assert_eq!((mute.schedule.as_str(), mute.timezone.as_str()), ("cron(0 2 * * 0)", "UTC"));
}

#[test]
fn a_description_fits_with_the_longest_names() {
    let spec = json!({"metric": cpu(), "condition": {"threshold": {"operator": "GreaterThan", "value": 1}},
        "description": "é".repeat(900)});
    let mut alarm = alarm(&spec);
    alarm.metadata.name = Some("n".repeat(253));
    let desired = Desired::new(&alarm, &Facts::default(), &policy(), Some("eu-west-1")).unwrap();
    let description = desired.metric.unwrap().description;
    assert!(description.chars().count() <= 1024, "{}", description.chars().count());
    assert!(description.starts_with('é') && description.contains("Tidewatch AnomalyAlarm shop/nnn"));
}
