//! From the spec to what should be in AWS. Pure.

use std::collections::BTreeSet;

use tidewatch_aws::types::{
    AlarmConfig, CompositeAlarm, DetectorConfig, DetectorId, MetricAlarm, MuteRule, Tags,
};
use tidewatch_aws::{Scope, detector_of};
use tidewatch_crds::AnomalyAlarm;
use tidewatch_crds::anomaly_alarm::{
    ADOPT_ANNOTATION, AdaptationSpeed, OutlierFiltering, Provider, Resource, ResourceKind, Training,
};
use tidewatch_crds::parse_duration;
use tidewatch_managed::owner::{Owner, SPEC_HASH};
use tidewatch_managed::{Adoption, AwsPolicy, Shared, short_hash};

use super::facts::Facts;
use super::names::Names;
use super::parts::Parts;
use super::reason::{Problem, Reason};
use super::refusals;

/// Whether the alarm's detector is the operator's: detectors themselves have no tags.
pub(super) const DETECTOR: &str = "tidewatch.dev/detector";

/// What should be in AWS.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Desired {
    pub scope: Scope,
    pub detector: Option<(DetectorId, DetectorConfig)>,
    pub metric: Option<MetricAlarm>,
    pub network: Option<MetricAlarm>,
    pub composite: Option<CompositeAlarm>,
    pub mute: Option<MuteRule>,
    /// Tags of the user's and the owner's.
    pub tags: Tags,
    /// Those of the owner's alone: what is taken over gets them before it is changed.
    pub ownership: Tags,
    /// What is there under these names and isn't ours may be taken over: the alarm that the annotation names, and all that
    /// is named after the object.
    pub adopts: bool,
    /// What the annotation names to allow that.
    pub adoptable_as: String,
}

impl Desired {
    /// What should be there for `alarm`, or why that can't be told.
    pub(super) fn new(
        alarm: &AnomalyAlarm,
        facts: &Facts,
        policy: &AwsPolicy,
        own_region: Option<&str>,
    ) -> Result<Self, Problem> {
        let meta = &alarm.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let name = meta.name.as_deref().unwrap_or_default();
        let spec = &alarm.spec;
        supported(alarm, policy)?;
        let scope = scope(alarm, facts, policy, own_region)?;
        let refused = refusals::of(alarm, &scope.region);
        if !refused.is_empty() {
            return Err(Problem::new(Shared::InvalidSpec, refused.join("; ")));
        }
        let mut names = Names::new(policy, namespace, name);
        let adopted = policy.adopted(
            meta,
            &Adoption {
                annotation: ADOPT_ANNOTATION,
                what: "alarm",
                own: &names.metric,
                is_plain: |c| c.is_ascii_alphanumeric() || " ._/:-".contains(c),
            },
        )?;
        let adopts = adopted.is_some();
        if let Some(adopted) = adopted {
            names.metric = adopted;
        }
        let parts = Parts { alarm, facts, policy, scope: &scope, names: &names, own_region };
        let gated = spec.alarms.is_some() || spec.when.is_some();
        let metric = spec.metric.is_some().then(|| parts.metric(gated)).transpose()?;
        let composite = gated.then(|| parts.composite()).transpose()?;
        let band = spec.condition.as_ref().and_then(|condition| condition.band.as_ref());
        let detector = metric.as_ref().zip(band).and_then(|(metric, band)| {
            let id = detector_of(&AlarmConfig::Metric(metric.clone()))?;
            Some((id, detector_config(&band.training)))
        });
        let network = spec.when.is_some().then(|| parts.network()).transpose()?;
        let calling = if gated { names.composite.clone() } else { names.metric.clone() };
        let mute = spec.mute.as_ref().map(|mute| MuteRule {
            name: names.mute.clone(),
            schedule: if mute.schedule.starts_with("at(") {
                mute.schedule.clone()
            } else {
                format!("cron({})", mute.schedule.to_ascii_uppercase())
            },
            duration: iso_duration(&mute.duration),
            timezone: mute.timezone.clone(),
            alarms: BTreeSet::from([calling]),
        });
        let tags = owner(alarm).tags(&spec.tags);
        let ownership = owner(alarm).tags(&Tags::new());
        let adoptable_as = names.metric;
        Ok(Self { scope, detector, metric, network, composite, mute, tags, ownership, adopts, adoptable_as })
    }

    /// The alarms, in the order in which they are made.
    pub(super) fn alarms(&self) -> impl Iterator<Item = (ResourceKind, AlarmConfig)> {
        let metric = self.metric.clone().map(|a| (ResourceKind::MetricAlarm, AlarmConfig::Metric(a)));
        let network = self.network.clone().map(|a| (ResourceKind::NetworkAlarm, AlarmConfig::Metric(a)));
        let composite =
            self.composite.clone().map(|a| (ResourceKind::CompositeAlarm, AlarmConfig::Composite(a)));
        metric.into_iter().chain(network).chain(composite)
    }

    /// The tags of one of them. `owned` says whose the detector is.
    pub(super) fn tags_of(&self, config: &AlarmConfig, owned: bool) -> Tags {
        let mut tags = self.tags.clone();
        tags.insert(SPEC_HASH.to_owned(), spec_hash(config));
        if detector_of(config).is_some() {
            let whose = if owned { "owned" } else { "foreign" };
            tags.insert(DETECTOR.to_owned(), whose.to_owned());
        }
        tags
    }

    /// What is recorded before it is made. `owned` says whose the detector is.
    pub(super) fn resources(&self, owned: bool) -> Vec<Resource> {
        let resource = |kind, name: &str| Resource {
            kind,
            name: name.to_owned(),
            arn: None,
            region: self.scope.region.clone(),
            role_arn: self.scope.role.clone(),
            detector: None,
            foreign: false,
        };
        let mut resources = Vec::new();
        if let Some((id, _)) = &self.detector {
            resources.push(Resource {
                detector: serde_json::to_string(id).ok(),
                foreign: !owned,
                ..resource(ResourceKind::Detector, &id.to_string())
            });
        }
        resources.extend(self.alarms().map(|(kind, config)| resource(kind, config.name())));
        resources.extend(self.mute.as_ref().map(|mute| resource(ResourceKind::MuteRule, &mute.name)));
        resources
    }
}

/// Hash of an alarm's configuration.
pub(super) fn spec_hash(config: &AlarmConfig) -> String {
    short_hash(format!("{config:?}").as_bytes())
}

fn supported(alarm: &AnomalyAlarm, policy: &AwsPolicy) -> Result<(), Problem> {
    let spec = &alarm.spec;
    if spec.provider.unwrap_or(policy.default_provider) == Provider::Embedded {
        return Err(Problem::new(
            Reason::NotSupported,
            "this version has no embedded evaluator: write provider: AWS",
        ));
    }
    Ok(policy.is_on()?)
}

fn scope(
    alarm: &AnomalyAlarm,
    facts: &Facts,
    policy: &AwsPolicy,
    own_region: Option<&str>,
) -> Result<Scope, Problem> {
    let spec = &alarm.spec;
    let namespace = alarm.metadata.namespace.as_deref().unwrap_or_default();
    let monitor = spec
        .metric
        .as_ref()
        .and_then(|metric| metric.network_monitor.as_ref())
        .map(|metric| &metric.name)
        .or(spec.when.as_ref().map(|when| &when.network_health.monitor));
    let published = monitor
        .and_then(|name| facts.monitors.get(name))
        .and_then(|monitor| monitor.publishes.as_ref())
        .and_then(|published| published.region.as_deref());
    let canary = spec.metric.as_ref().and_then(|metric| metric.canary.as_ref());
    let canarys = canary
        .and_then(|metric| facts.canaries.get(&metric.name))
        .and_then(|canary| canary.aws.as_ref())
        .map(|there| there.scope.region.as_str());
    let region = policy.region_of(spec.region.as_deref().or(published).or(canarys), own_region, "region")?;
    if let Some(role) = &spec.role_arn {
        policy.allows_role(namespace, role)?;
    }
    Ok(Scope { region, role: spec.role_arn.clone() })
}

/// Whose an object's things are.
pub(super) fn owner(alarm: &AnomalyAlarm) -> Owner<'_> {
    Owner::of("AnomalyAlarm", &alarm.metadata)
}

/// What `training` asks of the detector.
pub(super) fn detector_config(training: &Training) -> DetectorConfig {
    let mut excluded: Vec<_> =
        training.excluded_time_ranges.iter().map(|range| (range.start, range.end)).collect();
    excluded.sort();
    DetectorConfig {
        excluded,
        timezone: training.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        adaptation_speed: match training.adaptation_speed {
            AdaptationSpeed::Fast => "FAST",
            AdaptationSpeed::Normal => "NORMAL",
            AdaptationSpeed::Slow => "SLOW",
        }
        .to_owned(),
        outlier_filtering: match training.outlier_filtering {
            OutlierFiltering::Minimal => "MINIMAL",
            OutlierFiltering::Moderate => "MODERATE",
            OutlierFiltering::Strict => "STRICT",
        }
        .to_owned(),
        periodic_spikes: training.periodic_spikes,
    }
}

/// Such as PT2H30M or P1D.
fn iso_duration(text: &str) -> String {
    let minutes = parse_duration(text).map(|duration| duration.as_secs() / 60).unwrap_or_default();
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let mut iso = "P".to_owned();
    if days > 0 {
        iso.push_str(&format!("{days}D"));
    }
    if hours > 0 || minutes > 0 {
        iso.push('T');
        for (number, unit) in [(hours, 'H'), (minutes, 'M')] {
            if number > 0 {
                iso.push_str(&format!("{number}{unit}"));
            }
        }
    }
    iso
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
