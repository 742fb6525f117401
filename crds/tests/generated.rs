//! The manifests that are checked in are those that the types generate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the functions that are marked as tests for tests"
)]

use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use tidewatch_crds::{all_crds, to_yaml};

#[test]
fn the_checked_in_manifests_are_what_the_types_generate() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/tidewatch-crds/templates");
    for crd in all_crds() {
        let path = directory.join(format!("{}.yaml", crd.spec.names.plural));
        let checked_in = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; run `cargo run -p tidewatch-crds --bin crdgen`", path.display())
        });
        let generated = to_yaml(&crd).unwrap();
        assert!(
            checked_in == generated,
            "{} differs from the types: run `cargo run -p tidewatch-crds --bin crdgen` and commit the result",
            path.display()
        );
    }
}

/// Every schema below `spec` and `status`, with its path.
fn schemas() -> Vec<(String, JSONSchemaProps)> {
    fn below(path: &str, schema: &JSONSchemaProps, found: &mut Vec<(String, JSONSchemaProps)>) {
        for (name, property) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            found.push((path.clone(), property.clone()));
            below(&path, property, found);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            below(&format!("{path}[]"), items, found);
        }
    }
    let mut found = Vec::new();
    for crd in all_crds() {
        for version in &crd.spec.versions {
            let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            for part in ["spec", "status"] {
                below(part, &schema.properties.as_ref().unwrap()[part], &mut found);
            }
        }
    }
    found
}

/// A field without a description is a field that `kubectl explain` can't explain.
#[test]
fn every_field_is_described() {
    let bare = |(_, schema): &(String, JSONSchemaProps)| {
        schema.description.as_deref().unwrap_or_default().is_empty()
    };
    let found: Vec<String> = schemas().into_iter().filter(bare).map(|(path, _)| path).collect();
    assert!(found.is_empty(), "fields without a description: {found:#?}");
}

/// `kubectl explain` prints what a list is and then what its items are, as one paragraph.
#[test]
fn what_an_item_is_goes_on_from_what_its_list_is() {
    let mut wrong = Vec::new();
    for (path, schema) in schemas() {
        let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else { continue };
        let Some(of_item) = &items.description else { continue };
        let of_list = schema.description.unwrap_or_default();
        if !of_list.ends_with('.') || !of_item.starts_with("Each ") || !of_item.ends_with('.') {
            wrong.push(format!("{path}: {of_list} {of_item}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every rule below `spec` and `status`, with the path of its schema.
fn rules() -> Vec<(String, ValidationRule)> {
    let all = schemas().into_iter();
    all.flat_map(|(path, schema)| {
        schema.x_kubernetes_validations.into_iter().flatten().map(move |rule| (path.clone(), rule))
    })
    .collect()
}

/// A bare "Required value" doesn't say what to write.
#[test]
fn whatever_is_required_is_asked_for_with_an_example() {
    let required: Vec<_> = rules()
        .into_iter()
        .filter(|(_, rule)| rule.reason.as_deref() == Some("FieldValueRequired"))
        .map(|(path, rule)| {
            let field = rule.field_path.unwrap_or_default();
            (format!("{path}{field}"), rule.message.unwrap_or_default())
        })
        .collect();
    assert!(required.len() >= 40, "{required:#?}");
    let bare: Vec<_> = required.iter().filter(|(_, message)| !message.contains("such as")).collect();
    assert!(bare.is_empty(), "{bare:#?}");
}

/// A number where a duration belongs comes to the duration's own rule, which says what to write.
#[test]
fn every_duration_is_refused_in_our_own_words_when_it_is_a_number() {
    let durations: Vec<_> =
        rules().into_iter().filter(|(_, rule)| rule.rule.contains("duration(self)")).collect();
    assert!(durations.len() >= 14, "{durations:#?}");
    for (path, rule) in durations {
        assert!(rule.rule.starts_with("type(self) == string && ("), "{path}: {}", rule.rule);
        let message = rule.message.unwrap_or_default();
        assert!(message.starts_with("write ") && message.contains(", such as "), "{path}: {message}");
        let said = format!("string(self) + \" has no unit, or isn't allowed: {message}\"");
        assert_eq!(rule.message_expression, Some(said), "{path}");
    }
}

/// What an enum's refusal lists can all be written.
#[test]
fn no_enum_lists_a_null() {
    let nulls: Vec<_> = schemas()
        .into_iter()
        .filter(|(_, schema)| schema.enum_.iter().flatten().any(|value| value.0.is_null()))
        .map(|(path, _)| path)
        .collect();
    assert!(nulls.is_empty(), "{nulls:#?}");
}

/// Where the API server's words name a type alone, `kubectl explain` shows what to write.
#[test]
fn what_is_often_written_wrong_is_described_with_an_example() {
    let often = [
        "period",
        "every",
        "timeout",
        "window",
        "duration",
        "pageTimeout",
        "maxDuration",
        "minTtl",
        "minValidity",
        "dimensions",
        "value",
        "periods",
        "alarm",
        "ok",
        "insufficientData",
        "schedule",
        "cron",
        "timezone",
        "timeZone",
    ];
    let of_spec =
        |(path, _): &(String, JSONSchemaProps)| path.starts_with(".spec.") || path.starts_with("spec.");
    let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let is_object = |schema: &JSONSchemaProps| schema.properties.is_some();
    let bare: Vec<_> = schemas()
        .into_iter()
        .filter(of_spec)
        .filter(|(path, schema)| often.contains(&name(path).as_str()) && !is_object(schema))
        .map(|(path, schema)| (path, schema.description.unwrap_or_default()))
        .filter(|(_, description)| !description.contains("such as"))
        .collect();
    assert!(bare.is_empty(), "{bare:#?}");
}
