//! From the chart's template to the DaemonSet that should be. Pure.

use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use sha2::{Digest, Sha256};

use super::{DAEMON_SET, TEMPLATE_CONFIG_MAP};

/// Key of the ConfigMap.
const KEY: &str = "daemonset.yaml";
/// The template that a DaemonSet was made from.
pub(super) const HASH: &str = "tidewatch.dev/template-hash";
/// Says that the DaemonSet is ours.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "tidewatch-operator");

/// Why the agents can't be deployed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("ConfigMap {TEMPLATE_CONFIG_MAP} isn't there: install the chart tidewatch whole")]
    NoTemplate,
    #[error("ConfigMap {TEMPLATE_CONFIG_MAP} has no key {KEY}: install the chart tidewatch whole")]
    NoKey,
    #[error("{KEY} of ConfigMap {TEMPLATE_CONFIG_MAP} isn't a DaemonSet: {0}")]
    NotADaemonSet(String),
    #[error("the template's DaemonSet is named {0:?}: it must be {DAEMON_SET}")]
    WrongName(String),
    #[error("a DaemonSet {DAEMON_SET} exists that Tidewatch didn't make: delete or rename it")]
    NotOurs,
}

/// The DaemonSet that should be, and what identifies it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub object: DaemonSet,
    pub hash: String,
}

/// What should be while there are `monitors`; none without any.
pub(super) fn desired(
    template: Option<&ConfigMap>,
    monitors: usize,
    namespace: &str,
) -> Result<Option<Wanted>, Problem> {
    if monitors == 0 {
        return Ok(None);
    }
    let template = template.ok_or(Problem::NoTemplate)?;
    let text = template.data.as_ref().and_then(|data| data.get(KEY)).ok_or(Problem::NoKey)?;
    let mut object: DaemonSet =
        serde_saphyr::from_str(text).map_err(|error| Problem::NotADaemonSet(error.to_string()))?;
    match object.metadata.name.as_deref() {
        Some(DAEMON_SET) => {}
        other => return Err(Problem::WrongName(other.unwrap_or_default().to_owned())),
    }
    let meta = &mut object.metadata;
    meta.namespace = Some(namespace.to_owned());
    meta.labels.get_or_insert_default().insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    // With the ConfigMap, so that helm uninstall removes the agents though helm doesn't know them.
    meta.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: TEMPLATE_CONFIG_MAP.to_owned(),
        uid: template.metadata.uid.clone().unwrap_or_default(),
        controller: None,
        block_owner_deletion: None,
    }]);
    let hash = hash(text, template.metadata.uid.as_deref().unwrap_or_default());
    meta.annotations.get_or_insert_default().insert(HASH.to_owned(), hash.clone());
    Ok(Some(Wanted { object, hash }))
}

fn hash(template: &str, owner: &str) -> String {
    let digest = Sha256::new().chain_update(template).chain_update([0]).chain_update(owner).finalize();
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(super) mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    pub(in super::super) fn template(yaml: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta { uid: Some("u-1".to_owned()), ..ObjectMeta::default() },
            data: Some([(KEY.to_owned(), yaml.to_owned())].into()),
            ..ConfigMap::default()
        }
    }

    pub(in super::super) const YAML: &str = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: tidewatch-agent}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: agent, image: x}]}\n";

    #[test]
    fn without_a_monitor_there_are_no_agents() {
        assert_eq!(desired(Some(&template(YAML)), 0, "ns"), Ok(None));
        assert_eq!(desired(None, 0, "ns"), Ok(None));
    }

    #[test]
    fn the_daemon_set_belongs_to_the_template_and_to_the_operator() {
        let wanted = desired(Some(&template(YAML)), 1, "ns").unwrap().unwrap();
        let meta = &wanted.object.metadata;
        assert_eq!(meta.namespace.as_deref(), Some("ns"));
        assert_eq!(meta.owner_references.as_ref().unwrap()[0].uid, "u-1");
        assert_eq!(meta.labels.as_ref().unwrap()[MANAGED_BY.0], MANAGED_BY.1);
        assert_eq!(meta.annotations.as_ref().unwrap()[HASH], wanted.hash);
    }

    #[test]
    fn a_template_that_cannot_be_used_says_why() {
        assert_eq!(desired(None, 1, "ns"), Err(Problem::NoTemplate));
        let empty = ConfigMap::default();
        assert_eq!(desired(Some(&empty), 1, "ns"), Err(Problem::NoKey));
        assert!(matches!(desired(Some(&template("a: [")), 1, "ns"), Err(Problem::NotADaemonSet(_))));
        let other = YAML.replace("tidewatch-agent", "other");
        assert_eq!(desired(Some(&template(&other)), 1, "ns"), Err(Problem::WrongName("other".to_owned())));
    }

    #[test]
    fn another_template_is_another_hash() {
        let hash = |yaml: &str| desired(Some(&template(yaml)), 1, "ns").unwrap().unwrap().hash;
        assert_eq!(hash(YAML), hash(YAML));
        assert_ne!(hash(YAML), hash(&YAML.replace("image: x", "image: y")));
    }
}
