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
    JSONSchemaProps, JSONSchemaPropsOrArray,
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
