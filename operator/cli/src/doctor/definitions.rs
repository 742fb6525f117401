//! Checks that the custom resource definitions are there, served, and those of this version.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use semver::Version;
use serde_json::Value;
use tidewatch_crds::all_crds;

use super::{Check, Collected, Finding};
use crate::count::counted;

/// Number of fields that a finding names.
const NAMED: usize = 3;

pub(super) fn check(collected: &Collected) -> Check {
    let findings = match &collected.definitions {
        Ok(present) => {
            let other = super::operator::other_version(collected);
            all_crds().iter().flat_map(|wanted| compared(wanted, present, other.as_ref())).collect()
        }
        Err(error) => vec![Finding::unchecked("The custom resource definitions", error)],
    };
    Check::new("Definitions", findings, || {
        format!(
            "All {} custom resource definitions are served, and are those of this version.",
            all_crds().len()
        )
    })
}

/// The finding about one definition, if there is one. `other` is the version of the operator where that isn't this
/// program's: then the definitions may well differ from those that this program knows.
fn compared(
    wanted: &CustomResourceDefinition,
    present: &[CustomResourceDefinition],
    other: Option<&Version>,
) -> Option<Finding> {
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
    if schemas(wanted) == schemas(found) {
        return None;
    }
    if let Some(version) = other {
        return Some(Finding::warning(
            format!(
                "CustomResourceDefinition {name} isn't that of this tidewatch, and the operator is of version {version}: whether the two fit wasn't checked."
            ),
            format!("Run doctor with the tidewatch of version {version}."),
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
    Some(Finding::warning(
        format!("CustomResourceDefinition {name} has the fields of this version, and other rules for them."),
        "Upgrade the chart tidewatch-crds to the operator's version.",
    ))
}

fn named(fields: &[&String]) -> String {
    let names: Vec<&str> = fields.iter().take(NAMED).map(|field| field.as_str()).collect();
    match fields.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {}", names.join(", "), counted(more, "more field", "more fields")),
    }
}

/// The schema of each version in the form in which schemas are compared.
fn schemas(crd: &CustomResourceDefinition) -> Vec<(&str, Option<JSONSchemaProps>)> {
    let schema_of = |version: &CustomResourceDefinitionVersion| {
        let mut schema = version.schema.as_ref()?.open_api_v3_schema.clone()?;
        normalise(&mut schema);
        Some(schema)
    };
    crd.spec.versions.iter().map(|version| (version.name.as_str(), schema_of(version))).collect()
}

/// Removes descriptions, which no rule depends on, and writes numbers as the API server does: `2` for `2.0`.
fn normalise(schema: &mut JSONSchemaProps) {
    schema.description = None;
    schema.default.iter_mut().for_each(|JSON(value)| normalise_numbers(value));
    schema.enum_.iter_mut().flatten().for_each(|JSON(value)| normalise_numbers(value));
    schema.properties.iter_mut().flatten().for_each(|(_, property)| normalise(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        normalise(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        normalise(values);
    }
    let combined = [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of];
    combined.into_iter().flatten().flatten().for_each(normalise);
    schema.not.iter_mut().for_each(|schema| normalise(schema));
}

fn normalise_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let integer = number.as_f64().filter(|it| it.fract() == 0.0).map(|it| format!("{it:.0}"));
            if let Some(integer) = integer.and_then(|it| it.parse::<i64>().ok()) {
                *number = integer.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(normalise_numbers),
        Value::Object(fields) => fields.values_mut().for_each(normalise_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The paths of all fields of the definition, such as `v1alpha1 spec.local[].pods`.
fn fields(crd: &CustomResourceDefinition) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (version, schema) in schemas(crd) {
        let mut fields = BTreeSet::new();
        schema.iter().for_each(|schema| collect(schema, "", &mut fields));
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
