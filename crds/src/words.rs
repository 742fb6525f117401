//! The API server's own words, bettered: a rule answers where else it would say "must be of type string" or a bare
//! "Required value".

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, ValidationRule};

/// Characters of the longest duration. No other text of a spec is bounded by it, so that it tells durations apart.
const DURATION_LENGTH: i64 = 16;

/// Lets a number through to the rules of a duration, which say what to write: `period: 60` is a text that lacks its unit.
/// The type that the API server would name alone would send the user to `"60"`, and that is refused too.
pub(crate) fn duration(schema: &mut JSONSchemaProps) {
    let is_text = schema.type_.as_deref() == Some("string") && schema.max_length == Some(DURATION_LENGTH);
    if !is_text {
        return;
    }
    for validation in schema.x_kubernetes_validations.iter_mut().flatten() {
        validation.rule = format!("type(self) == string && ({})", validation.rule);
        // The API server shows the value of such a field as "".
        validation.message_expression = validation
            .message
            .as_ref()
            .map(|message| format!("string(self) + \" has no unit, or isn't allowed: {message}\""));
    }
    schema.type_ = None;
    schema.x_kubernetes_int_or_string = Some(true);
}

/// Asks for what is required by rules, whose answer goes on after "Required value" with what to write: the first sentence
/// of the field's description, which has an example. The keys of a list stay as they are: the API server wants that.
pub(crate) fn required(schema: &mut JSONSchemaProps, keys: &[String]) {
    let Some(required) = schema.required.take() else { return };
    let (kept, ruled): (Vec<_>, Vec<_>) = required.into_iter().partition(|name| keys.contains(name));
    let rules = ruled.iter().map(|name| ValidationRule {
        rule: format!("has(self.{})", identifier(name)),
        message: schema.properties.as_ref().and_then(|properties| hint(properties.get(name)?)),
        reason: Some("FieldValueRequired".to_owned()),
        field_path: Some(format!(".{name}")),
        ..ValidationRule::default()
    });
    let rules: Vec<_> = rules.collect();
    if !rules.is_empty() {
        schema.x_kubernetes_validations.get_or_insert_default().splice(0..0, rules);
    }
    schema.required = (!kept.is_empty()).then_some(kept);
}

/// Words that CEL keeps for itself are written between underscores.
fn identifier(name: &str) -> String {
    if name == "namespace" { format!("__{name}__") } else { name.to_owned() }
}

/// The first sentence of a field's description, as the end of another sentence.
fn hint(field: &JSONSchemaProps) -> Option<String> {
    let description = field.description.as_deref()?.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = description.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut letters = sentence.chars();
    let first = letters.next()?;
    let is_acronym = letters.clone().next().is_some_and(char::is_uppercase);
    let first = if is_acronym { first.to_string() } else { first.to_lowercase().to_string() };
    Some(format!("{first}{}", letters.as_str()))
}
