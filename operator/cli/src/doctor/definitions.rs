//! Whether the custom resource definitions are there, served, and those of this version.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use tidewatch_crds::all_crds;

use super::{Check, Collected, Finding};

/// Number of fields that a finding names.
const NAMED: usize = 3;

pub(super) fn check(collected: &Collected) -> Check {
    let findings = match &collected.definitions {
        Ok(present) => all_crds().iter().flat_map(|wanted| compared(wanted, present)).collect(),
        Err(error) => vec![Finding::unchecked("The custom resource definitions", error)],
    };
    Check::new("Definitions", findings, || {
        format!(
            "All {} custom resource definitions are served, and are those of this version.",
            all_crds().len()
        )
    })
}

fn compared(wanted: &CustomResourceDefinition, present: &[CustomResourceDefinition]) -> Option<Finding> {
    let name = wanted.metadata.name.as_deref().unwrap_or_default();
    let Some(found) = present.iter().find(|crd| crd.metadata.name == wanted.metadata.name) else {
        return Some(Finding::problem(
            format!("CustomResourceDefinition {name} is missing."),
            "Install the chart tidewatch-crds, of the same version as the operator.",
        ));
    };
    let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut established = conditions.filter(|it| it.type_ == "Established" && it.status == "True");
    if established.next().is_none() {
        return Some(Finding::problem(
            format!("CustomResourceDefinition {name} isn't served: its condition Established isn't True."),
            format!("Look at kubectl describe crd {name}: another definition may have taken its names."),
        ));
    }
    let (ours, theirs) = (fields(wanted), fields(found));
    let missing: Vec<&String> = ours.difference(&theirs).collect();
    if !missing.is_empty() {
        return Some(Finding::problem(
            format!(
                "CustomResourceDefinition {name} is older than this version: it lacks {}.",
                named(&missing)
            ),
            "Upgrade the chart tidewatch-crds to the operator's version.",
        ));
    }
    let added: Vec<&String> = theirs.difference(&ours).collect();
    if !added.is_empty() {
        return Some(Finding::warning(
            format!(
                "CustomResourceDefinition {name} is newer than this version: it has {} too.",
                named(&added)
            ),
            "Use the tidewatch of the version that is installed, and upgrade the operator if it is older.",
        ));
    }
    (schemas(wanted) != schemas(found)).then(|| {
        Finding::warning(
            format!(
                "CustomResourceDefinition {name} has the fields of this version, and other rules for them."
            ),
            "Upgrade the chart tidewatch-crds to the operator's version.",
        )
    })
}

fn named(fields: &[&String]) -> String {
    let names: Vec<&str> = fields.iter().take(NAMED).map(|field| field.as_str()).collect();
    match fields.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more fields", names.join(", ")),
    }
}

fn schemas(crd: &CustomResourceDefinition) -> Vec<(&str, Option<&JSONSchemaProps>)> {
    let versions = crd.spec.versions.iter();
    versions
        .map(|it| (it.name.as_str(), it.schema.as_ref().and_then(|it| it.open_api_v3_schema.as_ref())))
        .collect()
}

/// The paths of all fields of the definition, such as `v1alpha1 spec.local[].pods`.
fn fields(crd: &CustomResourceDefinition) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (version, schema) in schemas(crd) {
        let mut fields = BTreeSet::new();
        schema.into_iter().for_each(|schema| collect(schema, "", &mut fields));
        found.extend(
            fields
                .into_iter()
                .map(|field| if version == "v1alpha1" { field } else { format!("{field} ({version})") }),
        );
    }
    found
}

fn collect(schema: &JSONSchemaProps, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema.properties.iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(property, &below, found);
        found.insert(below);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, &format!("{path}[]"), found);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        collect(values, &format!("{path}.*"), found);
    }
}
