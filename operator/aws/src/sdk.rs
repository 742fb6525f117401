//! CloudWatch by the AWS SDK.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, AnomalyDetectorType, MuteTargets, Rule, Schedule};

use super::caller::{Caller, gone};
use super::cloudwatch::{Answer, CloudWatch};
use super::convert;
use super::error::ErrorKind;
use super::types::{
    Alarm, CompositeAlarm, Datum, Detector, DetectorConfig, DetectorId, Limit, MetricAlarm, MuteRule, Tags,
    Watched,
};

/// One account and Region.
#[derive(Debug, Clone)]
pub(super) struct SdkCloudWatch {
    pub client: Client,
    pub caller: Caller,
}

impl CloudWatch for SdkCloudWatch {
    fn describe_alarms<'a>(&'a self, names: &'a [String]) -> Answer<'a, Vec<Alarm>> {
        Box::pin(async move {
            let request = self
                .client
                .describe_alarms()
                .set_alarm_names(Some(names.to_vec()))
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .max_records(100);
            let output = self.caller.call("DescribeAlarms", request.send()).await?;
            Ok(convert::alarms(output.metric_alarms(), output.composite_alarms()))
        })
    }

    fn all_metric_alarms(&self) -> Answer<'_, Vec<Alarm>> {
        Box::pin(async move {
            let (mut alarms, mut token) = (Vec::new(), None);
            loop {
                let request = self
                    .client
                    .describe_alarms()
                    .alarm_types(AlarmType::MetricAlarm)
                    .max_records(100)
                    .set_next_token(token);
                let output = self.caller.call("DescribeAlarms", request.send()).await?;
                alarms.extend(convert::alarms(output.metric_alarms(), &[]));
                token = output.next_token;
                if token.is_none() {
                    return Ok(alarms);
                }
            }
        })
    }

    fn put_metric_alarm<'a>(&'a self, alarm: &'a MetricAlarm, tags: &'a Tags) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut request = self
                .client
                .put_metric_alarm()
                .alarm_name(&alarm.name)
                .alarm_description(&alarm.description)
                .actions_enabled(alarm.actions.enabled)
                .set_alarm_actions(Some(alarm.actions.alarm.iter().cloned().collect()))
                .set_ok_actions(Some(alarm.actions.ok.iter().cloned().collect()))
                .set_insufficient_data_actions(Some(
                    alarm.actions.insufficient_data.iter().cloned().collect(),
                ))
                .comparison_operator(alarm.comparison.as_str().into())
                .evaluation_periods(alarm.evaluation_periods)
                .datapoints_to_alarm(alarm.datapoints_to_alarm)
                .treat_missing_data(&alarm.missing_data)
                .set_tags(Some(convert::tags_to(tags)));
            request = match &alarm.watched {
                Watched::Metric { metric, statistic, period_seconds, threshold } => {
                    let request = request
                        .namespace(&metric.namespace)
                        .metric_name(&metric.name)
                        .set_dimensions(Some(convert::dimensions_to(&metric.dimensions)))
                        .period(*period_seconds)
                        .threshold(*threshold);
                    match convert::plain_statistic(statistic) {
                        Some(statistic) => request.statistic(statistic),
                        None => request.extended_statistic(statistic),
                    }
                }
                Watched::Queries { queries, limit } => {
                    let request = request.set_metrics(Some(convert::queries_to(queries)));
                    match limit {
                        Limit::Threshold(threshold) => request.threshold(*threshold),
                        Limit::Band(id) => request.threshold_metric_id(id),
                    }
                }
            };
            self.caller.call("PutMetricAlarm", request.send()).await.map(drop)
        })
    }

    fn put_composite_alarm<'a>(&'a self, alarm: &'a CompositeAlarm, tags: &'a Tags) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self
                .client
                .put_composite_alarm()
                .alarm_name(&alarm.name)
                .alarm_description(&alarm.description)
                .alarm_rule(&alarm.rule)
                .actions_enabled(alarm.actions.enabled)
                .set_alarm_actions(Some(alarm.actions.alarm.iter().cloned().collect()))
                .set_ok_actions(Some(alarm.actions.ok.iter().cloned().collect()))
                .set_insufficient_data_actions(Some(
                    alarm.actions.insufficient_data.iter().cloned().collect(),
                ))
                .set_tags(Some(convert::tags_to(tags)));
            self.caller.call("PutCompositeAlarm", request.send()).await.map(drop)
        })
    }

    fn delete_alarm<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.delete_alarms().alarm_names(name);
            gone(self.caller.call("DeleteAlarms", request.send()).await.map(drop))
        })
    }

    fn tags<'a>(&'a self, arn: &'a str) -> Answer<'a, Tags> {
        Box::pin(async move {
            let request = self.client.list_tags_for_resource().resource_arn(arn);
            let output = self.caller.call("ListTagsForResource", request.send()).await?;
            Ok(convert::tags_of(output.tags()))
        })
    }

    fn tag<'a>(&'a self, arn: &'a str, tags: &'a Tags) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.tag_resource().resource_arn(arn).set_tags(Some(convert::tags_to(tags)));
            self.caller.call("TagResource", request.send()).await.map(drop)
        })
    }

    fn untag<'a>(&'a self, arn: &'a str, keys: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
            self.caller.call("UntagResource", request.send()).await.map(drop)
        })
    }

    fn detectors(&self) -> Answer<'_, Vec<Detector>> {
        Box::pin(async move {
            let (mut detectors, mut token) = (Vec::new(), None);
            loop {
                let request = self
                    .client
                    .describe_anomaly_detectors()
                    .anomaly_detector_types(AnomalyDetectorType::SingleMetric)
                    .anomaly_detector_types(AnomalyDetectorType::MetricMath)
                    .max_results(100)
                    .set_next_token(token);
                let output = self.caller.call("DescribeAnomalyDetectors", request.send()).await?;
                detectors.extend(output.anomaly_detectors().iter().filter_map(convert::detector_of));
                token = output.next_token;
                if token.is_none() {
                    return Ok(detectors);
                }
            }
        })
    }

    fn put_detector<'a>(&'a self, id: &'a DetectorId, config: &'a DetectorConfig) -> Answer<'a, ()> {
        Box::pin(async move {
            let (single, math) = convert::detector_to(id);
            let request = self
                .client
                .put_anomaly_detector()
                .set_single_metric_anomaly_detector(single)
                .set_metric_math_anomaly_detector(math)
                .configuration(convert::detector_config_to(config))
                .metric_characteristics(convert::characteristics_to(config));
            self.caller.call("PutAnomalyDetector", request.send()).await.map(drop)
        })
    }

    fn delete_detector<'a>(&'a self, id: &'a DetectorId) -> Answer<'a, ()> {
        Box::pin(async move {
            let (single, math) = convert::detector_to(id);
            let request = self
                .client
                .delete_anomaly_detector()
                .set_single_metric_anomaly_detector(single)
                .set_metric_math_anomaly_detector(math);
            gone(self.caller.call("DeleteAnomalyDetector", request.send()).await.map(drop))
        })
    }

    fn mute_rule<'a>(&'a self, name: &'a str) -> Answer<'a, Option<(MuteRule, String)>> {
        Box::pin(async move {
            let request = self.client.get_alarm_mute_rule().alarm_mute_rule_name(name);
            match self.caller.call("GetAlarmMuteRule", request.send()).await {
                Ok(output) => convert::mute_rule_of(&output)
                    .map(Some)
                    .ok_or_else(|| self.caller.untold("GetAlarmMuteRule", "a rule")),
                Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn put_mute_rule<'a>(&'a self, rule: &'a MuteRule, tags: &'a Tags) -> Answer<'a, ()> {
        Box::pin(async move {
            let schedule = Schedule::builder()
                .expression(&rule.schedule)
                .duration(&rule.duration)
                .timezone(&rule.timezone)
                .build();
            let targets =
                MuteTargets::builder().set_alarm_names(Some(rule.alarms.iter().cloned().collect())).build();
            let request = self
                .client
                .put_alarm_mute_rule()
                .name(&rule.name)
                .rule(Rule::builder().schedule(schedule).build())
                .mute_targets(targets)
                .set_tags(Some(convert::tags_to(tags)));
            self.caller.call("PutAlarmMuteRule", request.send()).await.map(drop)
        })
    }

    fn delete_mute_rule<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.delete_alarm_mute_rule().alarm_mute_rule_name(name);
            gone(self.caller.call("DeleteAlarmMuteRule", request.send()).await.map(drop))
        })
    }

    fn put_metric_data<'a>(&'a self, namespace: &'a str, data: &'a [Datum]) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self
                .client
                .put_metric_data()
                .namespace(namespace)
                .set_metric_data(Some(data.iter().map(convert::datum_to).collect()));
            self.caller.call("PutMetricData", request.send()).await.map(drop)
        })
    }
}
