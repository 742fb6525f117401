//! Between the SDK's types and ours.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::operation::get_alarm_mute_rule::GetAlarmMuteRuleOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types as sdk;
use jiff::Timestamp;

use super::types::{
    Actions, Alarm, AlarmConfig, CompositeAlarm, Datum, Detector, DetectorConfig, DetectorId, Limit, Metric,
    MetricAlarm, MuteRule, Query, Source, State, Tags, Training, Watched,
};

pub(super) fn alarms(metric: &[sdk::MetricAlarm], composite: &[sdk::CompositeAlarm]) -> Vec<Alarm> {
    let metric = metric.iter().filter_map(metric_alarm);
    metric.chain(composite.iter().filter_map(composite_alarm)).collect()
}

fn metric_alarm(alarm: &sdk::MetricAlarm) -> Option<Alarm> {
    let periods = alarm.evaluation_periods().unwrap_or_default();
    let mut unexpected = BTreeSet::new();
    if alarm.unit().is_some() {
        unexpected.insert("unit");
    }
    if alarm.evaluate_low_sample_count_percentile().is_some() {
        unexpected.insert("evaluateLowSampleCountPercentile");
    }
    if alarm.evaluation_criteria().is_some() {
        unexpected.insert("evaluationCriteria");
    }
    // With a unit only data of that unit count; with an account they are another one's.
    if alarm.metrics().iter().any(|query| query.metric_stat().is_some_and(|stat| stat.unit().is_some())) {
        unexpected.insert("unit of a query");
    }
    if alarm.metrics().iter().any(|query| query.account_id().is_some()) {
        unexpected.insert("account of a query");
    }
    Some(Alarm {
        arn: alarm.alarm_arn()?.to_owned(),
        config: AlarmConfig::Metric(MetricAlarm {
            name: alarm.alarm_name()?.to_owned(),
            description: alarm.alarm_description().unwrap_or_default().to_owned(),
            actions: actions(
                alarm.actions_enabled(),
                alarm.alarm_actions(),
                alarm.ok_actions(),
                alarm.insufficient_data_actions(),
            ),
            watched: watched(alarm),
            comparison: alarm.comparison_operator().map(|o| o.as_str().to_owned()).unwrap_or_default(),
            evaluation_periods: periods,
            datapoints_to_alarm: alarm.datapoints_to_alarm().unwrap_or(periods),
            missing_data: alarm.treat_missing_data().unwrap_or("missing").to_owned(),
            unexpected,
        }),
        state: state(alarm.state_value()),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        reason_data: alarm.state_reason_data().map(str::to_owned),
        state_since: alarm
            .state_transitioned_timestamp()
            .or(alarm.state_updated_timestamp())
            .and_then(timestamp_of),
        evaluation_state: alarm.evaluation_state().map(|state| state.as_str().to_owned()),
    })
}

fn composite_alarm(alarm: &sdk::CompositeAlarm) -> Option<Alarm> {
    let suppressor = alarm.actions_suppressor().is_some_and(|name| !name.is_empty());
    Some(Alarm {
        arn: alarm.alarm_arn()?.to_owned(),
        config: AlarmConfig::Composite(CompositeAlarm {
            name: alarm.alarm_name()?.to_owned(),
            description: alarm.alarm_description().unwrap_or_default().to_owned(),
            actions: actions(
                alarm.actions_enabled(),
                alarm.alarm_actions(),
                alarm.ok_actions(),
                alarm.insufficient_data_actions(),
            ),
            rule: alarm.alarm_rule().unwrap_or_default().to_owned(),
            unexpected: suppressor.then_some("actionsSuppressor").into_iter().collect(),
        }),
        state: state(alarm.state_value()),
        reason: alarm.state_reason().unwrap_or_default().to_owned(),
        reason_data: alarm.state_reason_data().map(str::to_owned),
        state_since: alarm
            .state_transitioned_timestamp()
            .or(alarm.state_updated_timestamp())
            .and_then(timestamp_of),
        evaluation_state: None,
    })
}

fn actions(enabled: Option<bool>, alarm: &[String], ok: &[String], insufficient: &[String]) -> Actions {
    let set = |arns: &[String]| arns.iter().cloned().collect();
    Actions {
        enabled: enabled.unwrap_or(true),
        alarm: set(alarm),
        ok: set(ok),
        insufficient_data: set(insufficient),
    }
}

fn state(state: Option<&sdk::StateValue>) -> State {
    match state {
        Some(sdk::StateValue::Ok) => State::Ok,
        Some(sdk::StateValue::Alarm) => State::Alarm,
        _ => State::InsufficientData,
    }
}

fn watched(alarm: &sdk::MetricAlarm) -> Watched {
    if alarm.metrics().is_empty() {
        let statistic = alarm
            .statistic()
            .map(|statistic| statistic.as_str().to_owned())
            .or(alarm.extended_statistic().map(str::to_owned));
        return Watched::Metric {
            metric: Metric {
                namespace: alarm.namespace().unwrap_or_default().to_owned(),
                name: alarm.metric_name().unwrap_or_default().to_owned(),
                dimensions: dimensions_of(alarm.dimensions()),
            },
            statistic: statistic.unwrap_or_default(),
            period_seconds: alarm.period().unwrap_or_default(),
            threshold: alarm.threshold().unwrap_or_default(),
        };
    }
    Watched::Queries {
        queries: queries_of(alarm.metrics()),
        limit: match alarm.threshold_metric_id() {
            Some(id) => Limit::Band(id.to_owned()),
            None => Limit::Threshold(alarm.threshold().unwrap_or_default()),
        },
    }
}

fn queries_of(queries: &[sdk::MetricDataQuery]) -> Vec<Query> {
    let mut queries: Vec<Query> = queries.iter().map(query_of).collect();
    queries.sort_by(|a, b| a.id.cmp(&b.id));
    queries
}

fn query_of(query: &sdk::MetricDataQuery) -> Query {
    let source = match query.metric_stat() {
        Some(stat) => Source::Metric {
            metric: Metric {
                namespace: stat.metric().and_then(sdk::Metric::namespace).unwrap_or_default().to_owned(),
                name: stat.metric().and_then(sdk::Metric::metric_name).unwrap_or_default().to_owned(),
                dimensions: stat.metric().map(|m| dimensions_of(m.dimensions())).unwrap_or_default(),
            },
            statistic: stat.stat().unwrap_or_default().to_owned(),
            period_seconds: stat.period().unwrap_or_default(),
        },
        None => Source::Expression {
            expression: query.expression().unwrap_or_default().to_owned(),
            period_seconds: query.period(),
        },
    };
    Query {
        id: query.id().unwrap_or_default().to_owned(),
        source,
        label: query.label().map(str::to_owned),
        return_data: query.return_data().unwrap_or(true),
    }
}

pub(super) fn queries_to(queries: &[Query]) -> Vec<sdk::MetricDataQuery> {
    queries
        .iter()
        .map(|query| {
            let builder = sdk::MetricDataQuery::builder()
                .id(&query.id)
                .set_label(query.label.clone())
                .return_data(query.return_data);
            match &query.source {
                Source::Metric { metric, statistic, period_seconds } => builder.metric_stat(
                    sdk::MetricStat::builder()
                        .metric(
                            sdk::Metric::builder()
                                .namespace(&metric.namespace)
                                .metric_name(&metric.name)
                                .set_dimensions(Some(dimensions_to(&metric.dimensions)))
                                .build(),
                        )
                        .stat(statistic)
                        .period(*period_seconds)
                        .build(),
                ),
                Source::Expression { expression, period_seconds } => {
                    builder.expression(expression).set_period(*period_seconds)
                }
            }
            .build()
        })
        .collect()
}

/// The five statistics that have a member of their own; the others are "extended".
pub(super) fn plain_statistic(statistic: &str) -> Option<sdk::Statistic> {
    matches!(statistic, "Average" | "Sum" | "Minimum" | "Maximum" | "SampleCount")
        .then(|| sdk::Statistic::from(statistic))
}

pub(super) fn dimensions_to(dimensions: &BTreeMap<String, String>) -> Vec<sdk::Dimension> {
    dimensions.iter().map(|(name, value)| sdk::Dimension::builder().name(name).value(value).build()).collect()
}

fn dimensions_of(dimensions: &[sdk::Dimension]) -> BTreeMap<String, String> {
    dimensions
        .iter()
        .filter_map(|dimension| Some((dimension.name()?.to_owned(), dimension.value()?.to_owned())))
        .collect()
}

pub(super) fn tags_to(tags: &Tags) -> Vec<sdk::Tag> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

pub(super) fn tags_of(tags: &[sdk::Tag]) -> Tags {
    tags.iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect()
}

pub(super) fn detector_to(
    id: &DetectorId,
) -> (Option<sdk::SingleMetricAnomalyDetector>, Option<sdk::MetricMathAnomalyDetector>) {
    match id {
        DetectorId::Metric { metric, statistic } => {
            let single = sdk::SingleMetricAnomalyDetector::builder()
                .namespace(&metric.namespace)
                .metric_name(&metric.name)
                .set_dimensions(Some(dimensions_to(&metric.dimensions)))
                .stat(statistic);
            (Some(single.build()), None)
        }
        DetectorId::Math { queries } => {
            let math =
                sdk::MetricMathAnomalyDetector::builder().set_metric_data_queries(Some(queries_to(queries)));
            (None, Some(math.build()))
        }
    }
}

pub(super) fn detector_of(detector: &sdk::AnomalyDetector) -> Option<Detector> {
    let id = if let Some(single) = detector.single_metric_anomaly_detector() {
        DetectorId::Metric {
            metric: Metric {
                namespace: single.namespace()?.to_owned(),
                name: single.metric_name()?.to_owned(),
                dimensions: dimensions_of(single.dimensions()),
            },
            statistic: single.stat()?.to_owned(),
        }
    } else {
        DetectorId::Math {
            queries: queries_of(detector.metric_math_anomaly_detector()?.metric_data_queries()),
        }
    };
    let mut config = DetectorConfig {
        periodic_spikes: detector
            .metric_characteristics()
            .and_then(sdk::MetricCharacteristics::periodic_spikes)
            .unwrap_or(false),
        ..DetectorConfig::default()
    };
    if let Some(said) = detector.configuration() {
        config.excluded = said
            .excluded_time_ranges()
            .iter()
            .filter_map(|range| Some((timestamp_of(range.start_time()?)?, timestamp_of(range.end_time()?)?)))
            .collect();
        config.excluded.sort();
        if let Some(timezone) = said.metric_timezone() {
            timezone.clone_into(&mut config.timezone);
        }
        if let Some(speed) = said.adaptation_speed() {
            speed.as_str().clone_into(&mut config.adaptation_speed);
        }
        if let Some(strength) = said.outlier_filtering_strength() {
            strength.as_str().clone_into(&mut config.outlier_filtering);
        }
    }
    let training = match detector.state_value() {
        Some(sdk::AnomalyDetectorStateValue::PendingTraining) | None => Training::Pending,
        Some(sdk::AnomalyDetectorStateValue::TrainedInsufficientData) => Training::InsufficientData,
        Some(sdk::AnomalyDetectorStateValue::Trained) => Training::Trained,
        Some(_) => Training::Unknown,
    };
    Some(Detector { id, config, training })
}

pub(super) fn detector_config_to(config: &DetectorConfig) -> sdk::AnomalyDetectorConfiguration {
    let ranges = config
        .excluded
        .iter()
        .map(|(start, end)| sdk::Range::builder().start_time(time_to(*start)).end_time(time_to(*end)).build())
        .collect();
    sdk::AnomalyDetectorConfiguration::builder()
        .set_excluded_time_ranges(Some(ranges))
        .metric_timezone(&config.timezone)
        .adaptation_speed(config.adaptation_speed.as_str().into())
        .outlier_filtering_strength(config.outlier_filtering.as_str().into())
        .build()
}

pub(super) fn characteristics_to(config: &DetectorConfig) -> sdk::MetricCharacteristics {
    sdk::MetricCharacteristics::builder().periodic_spikes(config.periodic_spikes).build()
}

pub(super) fn mute_rule_of(output: &GetAlarmMuteRuleOutput) -> Option<(MuteRule, String)> {
    let schedule = output.rule()?.schedule()?;
    let rule = MuteRule {
        name: output.name()?.to_owned(),
        schedule: schedule.expression().unwrap_or_default().to_owned(),
        duration: schedule.duration().unwrap_or_default().to_owned(),
        timezone: schedule.timezone().unwrap_or("UTC").to_owned(),
        alarms: output
            .mute_targets()
            .map(|targets| targets.alarm_names().iter().cloned().collect())
            .unwrap_or_default(),
    };
    Some((rule, output.alarm_mute_rule_arn().unwrap_or_default().to_owned()))
}

pub(super) fn datum_to(datum: &Datum) -> sdk::MetricDatum {
    let builder = sdk::MetricDatum::builder()
        .metric_name(&datum.metric)
        .set_dimensions(Some(dimensions_to(&datum.dimensions)))
        .timestamp(time_to(datum.at))
        .unit(datum.unit.into());
    match datum.values.as_slice() {
        [(value, 1.0)] => builder.value(*value),
        values => builder
            .set_values(Some(values.iter().map(|(value, _)| *value).collect()))
            .set_counts(Some(values.iter().map(|(_, count)| *count).collect())),
    }
    .build()
}

fn time_to(time: Timestamp) -> DateTime {
    DateTime::from_secs(time.as_second())
}

fn timestamp_of(time: &DateTime) -> Option<Timestamp> {
    // Kubernetes keeps whole seconds of what a status says.
    Timestamp::from_second(time.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_never_sets_in_a_query_makes_an_alarm_another_one() {
        let query = || sdk::MetricDataQuery::builder().id("m1");
        let stat = || sdk::MetricStat::builder().stat("Sum").period(60);
        let alarm = |query: sdk::MetricDataQuery| {
            let alarm = sdk::MetricAlarm::builder().alarm_arn("arn:a").alarm_name("a").metrics(query);
            metric_alarm(&alarm.build()).unwrap().config
        };
        let usual = alarm(query().metric_stat(stat().build()).build());
        let with_unit = stat().unit(sdk::StandardUnit::Bytes).build();
        for changed in [
            query().metric_stat(with_unit).build(),
            query().metric_stat(stat().build()).account_id("210987654321").build(),
        ] {
            assert_ne!(alarm(changed), usual);
        }
    }
}
