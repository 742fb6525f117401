//! Schemas of what every status has.

use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// The schema of `[]metav1.Condition`, as the Kubernetes API conventions have it.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string", "description": "What the condition is about.", "maxLength": 316},
                "status": {"type": "string", "description": "True, False or Unknown.", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string", "description": "Why, in one word for machines.", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "description": "Why, in a sentence for people.", "maxLength": 32768},
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When the status last changed."},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0, "description": "The generation of the spec that the condition speaks of."},
            },
        },
    })
}
