//! The schema of a Kubernetes label selector, with bounds (so that the apiserver can estimate what the rules cost)
//! and rules that say what to write.

use schemars::{Schema, SchemaGenerator, json_schema};

const QUALIFIED_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// The schema of a selector that must name at least one label.
pub(crate) fn selecting(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Kubernetes label selector: all of matchLabels and matchExpressions must hold.",
        "x-kubernetes-map-type": "atomic",
        "x-kubernetes-validations": [{
            "rule": "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
            "message": "the selector is empty and would select nothing in particular: write at least one label, such as matchLabels: {app: checkout}; to select every pod of a namespace, write namespace: NAME instead"
        }],
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": "Labels that must be present with exactly these values.",
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63, "pattern": QUALIFIED_VALUE},
            },
            "matchExpressions": {
                "type": "array",
                "description": "Further conditions on labels.",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "x-kubernetes-validations": [{
                        "rule": "!has(self.operator) || (self.operator in ['In', 'NotIn'] ? (has(self.values) && size(self.values) > 0) : (!has(self.values) || size(self.values) == 0))",
                        "message": "In and NotIn need values: [...]; Exists and DoesNotExist take none"
                    }],
                    "properties": {
                        "key": {"type": "string", "description": "Name of the label, such as app.", "minLength": 1, "maxLength": 317},
                        "operator": {
                            "type": "string",
                            "description": "How the label's value relates to `values`, such as In.",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "type": "array",
                            "description": "Values for In and NotIn.",
                            "maxItems": 64,
                            "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 63, "pattern": QUALIFIED_VALUE},
                        },
                    },
                },
            },
        },
    })
}
