//! The alarms of one object, one by one. Pure.

use std::collections::BTreeSet;

use tidewatch_aws::Scope;
use tidewatch_aws::published;
use tidewatch_aws::types::{Actions, CompositeAlarm, Limit, Metric, MetricAlarm, Query, Source, Watched};
use tidewatch_crds::anomaly_alarm::{Breach, MissingData, NetworkHealthIs, Operator, ResourceKind};
use tidewatch_crds::{AnomalyAlarm, Provider};
use tidewatch_managed::{AwsPolicy, Shared};

use super::facts::{CanaryInAws, Facts, Published, looks_back};
use super::metric::{self, Series};
use super::names::Names;
use super::reason::{Problem, Reason};

/// Id of the band among an alarm's queries.
const BAND: &str = "tidewatch_band";

/// Characters that CloudWatch takes of a description (API_PutMetricAlarm).
const DESCRIPTION: usize = 1024;

/// What the parts of an alarm are made from.
pub(super) struct Parts<'a> {
    pub alarm: &'a AnomalyAlarm,
    pub facts: &'a Facts,
    pub policy: &'a AwsPolicy,
    pub scope: &'a Scope,
    pub names: &'a Names,
    pub own_region: Option<&'a str>,
}

impl Parts<'_> {
    fn namespace(&self) -> &str {
        self.alarm.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn description(&self) -> String {
        let name = self.alarm.metadata.name.as_deref().unwrap_or_default();
        let object =
            format!("Tidewatch AnomalyAlarm {}/{name} in {}", self.namespace(), self.policy.cluster_name);
        let text = match &self.alarm.spec.description {
            Some(said) => format!("{said}\n\n{object}"),
            None => object,
        };
        text.chars().take(DESCRIPTION).collect()
    }

    fn actions(&self) -> Actions {
        let spec = &self.alarm.spec;
        Actions {
            enabled: !spec.suspend,
            alarm: spec.actions.alarm.iter().cloned().collect(),
            ok: spec.actions.ok.iter().cloned().collect(),
            insufficient_data: spec.actions.insufficient_data.iter().cloned().collect(),
        }
    }

    /// The alarm on the metric. Behind a composite it starts no action.
    pub(super) fn metric(&self, gated: bool) -> Result<MetricAlarm, Problem> {
        let spec = &self.alarm.spec;
        let source = self.series()?;
        let (watched, comparison) = match spec.condition.as_ref().and_then(|c| c.band.as_ref()) {
            Some(band) => (banded(source, band.width), band_comparison(band.breach)),
            None => {
                let threshold = spec.condition.as_ref().and_then(|c| c.threshold.as_ref());
                let threshold = threshold.ok_or_else(|| {
                    Problem::new(Shared::InvalidSpec, "spec.condition: write either band or threshold")
                })?;
                (limited(source, threshold.value), threshold_comparison(threshold.operator))
            }
        };
        let evaluation = &spec.evaluation;
        Ok(MetricAlarm {
            name: self.names.metric.clone(),
            description: self.description(),
            actions: if gated { Actions { enabled: false, ..Actions::default() } } else { self.actions() },
            watched,
            comparison: comparison.to_owned(),
            evaluation_periods: evaluation.periods,
            datapoints_to_alarm: evaluation.datapoints_to_alarm.unwrap_or(evaluation.periods),
            missing_data: missing_data(evaluation.missing_data).to_owned(),
            unexpected: BTreeSet::new(),
        })
    }

    fn series(&self) -> Result<Series, Problem> {
        let metric = self.alarm.spec.metric.clone().unwrap_or_default();
        if let Some(cloud_watch) = &metric.cloud_watch {
            return metric::cloud_watch(cloud_watch);
        }
        if let Some(expression) = &metric.expression {
            return metric::expression(expression);
        }
        if let Some(network) = &metric.network_monitor {
            let published = self.published(&network.name)?;
            return metric::network(network, &published, &self.policy.cluster_name, self.namespace());
        }
        if let Some(canary) = &metric.canary {
            return metric::canary(canary, &self.canary(&canary.name)?.name);
        }
        Err(Problem::new(
            Shared::InvalidSpec,
            "spec.metric: write exactly one of cloudWatch, expression, networkMonitor or canary",
        ))
    }

    /// Where the monitor publishes to; it must be this alarm's Region.
    fn published(&self, monitor: &str) -> Result<Published, Problem> {
        let waiting = |message: String| Problem::new(Reason::WaitingForMonitor, message);
        let namespace = self.namespace();
        let fact = self.facts.monitors.get(monitor).ok_or_else(|| {
            waiting(format!("there is no NetworkMonitor {monitor} in namespace {namespace}: create it"))
        })?;
        let published = fact.publishes.clone().ok_or_else(|| {
            waiting(format!(
                "NetworkMonitor {monitor} doesn't publish to CloudWatch: add publish: {{cloudWatch: {{}}}} to its spec"
            ))
        })?;
        let own = self.policy.region.as_deref().or(self.own_region);
        let region = published.region.as_deref().or(own);
        if region != Some(self.scope.region.as_str()) {
            return Err(Problem::new(
                Shared::InvalidSpec,
                format!(
                    "NetworkMonitor {monitor} publishes to {} and the alarm is in {}: write the same Region in both",
                    region.unwrap_or("an unknown Region"),
                    self.scope.region
                ),
            ));
        }
        Ok(published)
    }

    /// The canary in CloudWatch; it must be in this alarm's account and Region.
    fn canary(&self, canary: &str) -> Result<&CanaryInAws, Problem> {
        let waiting = |message: String| Problem::new(Reason::WaitingForCanary, message);
        let namespace = self.namespace();
        let fact = self.facts.canaries.get(canary).ok_or_else(|| {
            waiting(format!(
                "there is no Canary {canary} in namespace {namespace}: create it with provider: AWS"
            ))
        })?;
        if fact.provider == Some(Provider::Embedded) {
            return Err(waiting(format!(
                "Canary {canary} runs in the cluster, and its results aren't in CloudWatch: write provider: AWS (and aws) in the Canary"
            )));
        }
        let there = fact.aws.as_ref().ok_or_else(|| {
            waiting(format!(
                "Canary {canary} isn't in CloudWatch yet: its own condition Ready says what it waits for"
            ))
        })?;
        if there.scope.region != self.scope.region {
            return Err(Problem::new(
                Shared::InvalidSpec,
                format!(
                    "Canary {canary} is in {} and the alarm in {}: write region: {} in the alarm, or leave it out",
                    there.scope.region, self.scope.region, there.scope.region
                ),
            ));
        }
        if there.scope.account() != self.scope.account() {
            let by = |scope: &Scope| {
                scope
                    .role
                    .as_ref()
                    .map_or("the operator's own identity".to_owned(), |role| format!("role {role}"))
            };
            return Err(Problem::new(
                Shared::InvalidSpec,
                format!(
                    "Canary {canary} was made by {} and the alarm would be by {}, which may be another account: write the same roleArn in both",
                    by(&there.scope),
                    by(self.scope)
                ),
            ));
        }
        Ok(there)
    }

    /// The alarm on the network's health. It stays in ALARM for as long as the metric's alarm may still be about the
    /// degraded time: else it would be OK first, and the rest of the network's fault would look like the user's.
    pub(super) fn network(&self) -> Result<MetricAlarm, Problem> {
        let when = self.alarm.spec.when.clone().unwrap_or_default().network_health;
        let published = self.published(&when.monitor)?;
        let children = self.alarm.spec.alarms.iter().flat_map(|alarms| &alarms.any_of);
        let children = children.filter_map(|name| self.facts.alarms.get(name)).map(|child| child.looks_back);
        let looks_back = children.max().unwrap_or_else(|| looks_back(&self.alarm.spec));
        let minutes = looks_back.saturating_add(59) / 60 + 1;
        Ok(MetricAlarm {
            name: self.names.network.clone(),
            description: self.description(),
            actions: Actions { enabled: false, ..Actions::default() },
            watched: Watched::Metric {
                metric: Metric {
                    namespace: published.namespace,
                    name: published::HEALTH_INDICATOR.to_owned(),
                    dimensions: published::dimensions(
                        &self.policy.cluster_name,
                        self.namespace(),
                        &when.monitor,
                        None,
                    ),
                },
                statistic: "Maximum".to_owned(),
                period_seconds: 60,
                threshold: 0.0,
            },
            comparison: "GreaterThanThreshold".to_owned(),
            evaluation_periods: i32::try_from(minutes.clamp(2, 1440)).unwrap_or(1440),
            datapoints_to_alarm: 1,
            missing_data: "missing".to_owned(),
            unexpected: BTreeSet::new(),
        })
    }

    pub(super) fn composite(&self) -> Result<CompositeAlarm, Problem> {
        let spec = &self.alarm.spec;
        let mut rule = match &spec.alarms {
            None => format!("ALARM(\"{}\")", self.names.metric),
            Some(alarms) => self.children(&alarms.any_of)?,
        };
        if let Some(when) = &spec.when {
            // While nothing is known of the network it is neither OK nor ALARM, and this is false for both.
            let state = match when.network_health.is {
                NetworkHealthIs::Healthy => "OK",
                NetworkHealthIs::Degraded => "ALARM",
            };
            rule = format!("{rule} AND {state}(\"{}\")", self.names.network);
        }
        if rule.len() > 10_240 {
            return Err(Problem::new(
                Shared::InvalidSpec,
                "alarms: their names are too long together for one composite alarm: combine fewer",
            ));
        }
        Ok(CompositeAlarm {
            name: self.names.composite.clone(),
            description: self.description(),
            actions: self.actions(),
            rule,
            unexpected: BTreeSet::new(),
        })
    }

    /// The object's composite is in CloudWatch.
    fn is_combined(&self) -> bool {
        let mut resources = self.alarm.status.iter().flat_map(|status| &status.resources);
        resources.any(|resource| resource.kind == ResourceKind::CompositeAlarm && resource.arn.is_some())
    }

    fn children(&self, names: &[String]) -> Result<String, Problem> {
        let mut terms = Vec::new();
        for name in names {
            let waiting =
                |why: &str| Problem::new(Reason::WaitingForAlarms, format!("AnomalyAlarm {name} {why}"));
            if Some(name.as_str()) == self.alarm.metadata.name.as_deref() {
                return Err(Problem::new(Shared::InvalidSpec, "alarms: an alarm can't combine itself"));
            }
            let child = self.facts.alarms.get(name).ok_or_else(|| waiting("isn't there: create it"))?;
            let (scope, alarm) = child.alarm.as_ref().ok_or_else(|| waiting("isn't in CloudWatch yet"))?;
            // A new rule would keep it from being deleted; one that stands is for the user to change.
            if child.deleting && !self.is_combined() {
                return Err(waiting("is being deleted: remove it from alarms.anyOf, or create it again"));
            }
            if scope != self.scope {
                return Err(Problem::new(
                    Shared::InvalidSpec,
                    format!(
                        "alarms: AnomalyAlarm {name} is in {} and this one in {}, or they have different roles: CloudWatch combines only alarms of one account and Region",
                        scope.region, self.scope.region
                    ),
                ));
            }
            terms.push(format!("ALARM(\"{alarm}\")"));
        }
        Ok(if terms.len() == 1 { terms.concat() } else { format!("({})", terms.join(" OR ")) })
    }
}

fn banded(series: Series, width: f64) -> Watched {
    let mut queries = series.into_queries();
    let watched = queries.iter().find(|query| query.return_data).map(|query| query.id.clone());
    queries.push(Query {
        id: BAND.to_owned(),
        source: Source::Expression {
            expression: format!("ANOMALY_DETECTION_BAND({}, {width})", watched.unwrap_or_default()),
            period_seconds: None,
        },
        label: None,
        return_data: true,
    });
    queries.sort_by(|a, b| a.id.cmp(&b.id));
    Watched::Queries { queries, limit: Limit::Band(BAND.to_owned()) }
}

fn limited(series: Series, threshold: f64) -> Watched {
    match series {
        Series::One { metric, statistic, period_seconds } => {
            Watched::Metric { metric, statistic, period_seconds, threshold }
        }
        Series::Math(queries) => Watched::Queries { queries, limit: Limit::Threshold(threshold) },
    }
}

fn band_comparison(breach: Breach) -> &'static str {
    match breach {
        Breach::Above => "GreaterThanUpperThreshold",
        Breach::Below => "LessThanLowerThreshold",
        Breach::Outside => "LessThanLowerOrGreaterThanUpperThreshold",
    }
}

fn threshold_comparison(operator: Operator) -> &'static str {
    match operator {
        Operator::GreaterThan => "GreaterThanThreshold",
        Operator::GreaterThanOrEqual => "GreaterThanOrEqualToThreshold",
        Operator::LessThan => "LessThanThreshold",
        Operator::LessThanOrEqual => "LessThanOrEqualToThreshold",
    }
}

fn missing_data(missing: MissingData) -> &'static str {
    match missing {
        MissingData::Missing => "missing",
        MissingData::NotBreaching => "notBreaching",
        MissingData::Breaching => "breaching",
        MissingData::Ignore => "ignore",
    }
}
