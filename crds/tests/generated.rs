//! The manifests that are checked in are those that the types generate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the functions that are marked as tests for tests"
)]

use std::path::Path;

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

/// A field without a description is a field that `kubectl explain` can't explain.
#[test]
fn every_field_is_described() {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        JSONSchemaProps, JSONSchemaPropsOrArray,
    };
    fn undescribed(path: &str, schema: &JSONSchemaProps, found: &mut Vec<String>) {
        for (name, property) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            if property.description.as_deref().unwrap_or_default().is_empty() {
                found.push(path.clone());
            }
            undescribed(&path, property, found);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            undescribed(&format!("{path}[]"), items, found);
        }
    }
    let mut found = Vec::new();
    for crd in all_crds() {
        for version in &crd.spec.versions {
            let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            for part in ["spec", "status"] {
                undescribed(part, &schema.properties.as_ref().unwrap()[part], &mut found);
            }
        }
    }
    assert!(found.is_empty(), "fields without a description: {found:#?}");
}
