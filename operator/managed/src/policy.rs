//! What the chart sets and allows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tidewatch_crds::anomaly_alarm::Provider;

use super::Shared;
use super::reason::Objection;

/// The chart's `aws` values, as the operator reads them from a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AwsPolicy {
    /// Whether AWS is used at all.
    pub enabled: bool,
    /// Region where an object names none. Absent: the environment's.
    pub region: Option<String>,
    /// What the names of everything in AWS begin with; IAM policies limit the operator to it.
    pub prefix: String,
    /// Tells this cluster's alarms and metrics from another's in the same account.
    pub cluster_name: String,
    /// Time between two reads of the same thing in AWS, of a second at least.
    #[serde(deserialize_with = "resync")]
    pub resync: Duration,
    /// Provider of objects that name none.
    pub default_provider: Provider,
    /// Roles that the objects of a namespace may name.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Beginnings of the names of alarms that the objects of a namespace may adopt.
    pub adoptable: BTreeMap<String, BTreeSet<String>>,
}

impl Default for AwsPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            region: None,
            prefix: "tidewatch".to_owned(),
            cluster_name: "kubernetes".to_owned(),
            resync: Duration::from_secs(60),
            default_provider: Provider::Aws,
            roles: BTreeMap::new(),
            adoptable: BTreeMap::new(),
        }
    }
}

/// Reads the chart's `aws.resync`.
fn resync<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mend = "set the chart's aws.resync to a number of seconds or minutes, such as 60s";
    let parsed = tidewatch_crds::parse_duration(&text)
        .map_err(|error| D::Error::custom(format!("resync: {error}: {mend}")))?;
    if parsed < Duration::from_secs(1) {
        return Err(D::Error::custom(format!("resync: {text:?} is less than a second: {mend}")));
    }
    Ok(parsed)
}

impl AwsPolicy {
    /// That AWS is used at all.
    pub fn is_on(&self) -> Result<(), Objection> {
        if self.enabled {
            return Ok(());
        }
        Err(Objection::new(
            Shared::AwsDisabled,
            "the operator isn't allowed to use AWS: ask whoever runs Tidewatch to set the chart's aws.enabled",
        ))
    }

    /// The Region that `named` or else the surroundings give; `field` is where to write one.
    pub fn region_of(
        &self,
        named: Option<&str>,
        own: Option<&str>,
        field: &str,
    ) -> Result<String, Objection> {
        let region = named.or(self.region.as_deref()).or(own).map(str::to_owned);
        region.ok_or_else(|| {
            let why =
                format!("no Region is known: write {field}: ap-northeast-1, or set the chart's aws.region");
            Objection::new(Shared::RegionUnknown, why)
        })
    }

    /// That the objects of `namespace` may name `role`.
    pub fn allows_role(&self, namespace: &str, role: &str) -> Result<(), Objection> {
        if self.roles.get(namespace).is_some_and(|roles| roles.contains(role)) {
            return Ok(());
        }
        Err(Objection::new(
            Shared::RoleNotAllowed,
            format!(
                "namespace {namespace} may not use role {role}: ask whoever runs Tidewatch to add it to the chart's aws.roles.{namespace}"
            ),
        ))
    }

    /// The name that an object's annotation allows it to take over, if it has that annotation.
    pub fn adopted(&self, meta: &ObjectMeta, adoption: &Adoption<'_>) -> Result<Option<String>, Objection> {
        let Adoption { annotation, what, own, is_plain } = adoption;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let Some(name) = meta.annotations.as_ref().and_then(|all| all.get(*annotation)) else {
            return Ok(None);
        };
        let beginnings = self.adoptable.get(namespace);
        let allowed =
            beginnings.is_some_and(|all| all.iter().any(|b| !b.is_empty() && name.starts_with(b.as_str())));
        if name.as_str() != *own && !allowed {
            return Err(Objection::new(
                Shared::AdoptionNotAllowed,
                format!(
                    "namespace {namespace} may not adopt {what} {name}: ask whoever runs Tidewatch to add the beginning of its name to the chart's aws.adoptable.{namespace}, or remove annotation {annotation}"
                ),
            ));
        }
        if name.is_empty() || name.len() > 255 || !name.chars().all(is_plain) {
            return Err(Objection::new(
                Shared::InvalidSpec,
                format!("annotation {annotation}: {name:?} isn't a name of what can be adopted"),
            ));
        }
        Ok(Some(name.clone()))
    }
}

/// What may be adopted.
#[derive(Debug)]
pub struct Adoption<'a> {
    pub annotation: &'static str,
    /// In a word.
    pub what: &'static str,
    /// The name that the operator gives it: that one may be adopted always.
    pub own: &'a str,
    /// Whether names may have this in them.
    pub is_plain: fn(char) -> bool,
}
