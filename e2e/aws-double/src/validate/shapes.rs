//! The model's own constraints: required members, lengths, ranges, patterns, enums.

use data_encoding::BASE64;
use serde_json::Value;

use super::Verdict;
use crate::error::ApiError;
use crate::model::{Kind, Model, Operation, Shape};

/// Checks a request against its operation's input shape.
///
/// The code follows what the operation models: those with `MissingParameter` and `InvalidParameterValue` say that, the
/// others say ValidationError and list everything that is wrong, as AWS does.
pub(crate) fn check(model: &Model, operation: &Operation, input: &Value) -> Verdict {
    let Some(shape) = &operation.input else { return Ok(()) };
    let mut found = Vec::new();
    walk(model, shape, input, "", &mut found);
    let Some(first) = found.first() else { return Ok(()) };
    if first.missing && operation.models("MissingRequiredParameterException") {
        return Err(ApiError::missing(format!("The parameter {} is required.", first.path)));
    }
    if operation.models("InvalidParameterValueException") {
        return Err(ApiError::invalid_value(format!(
            "The value {} for parameter {} is invalid. {}",
            first.value, first.path, first.constraint
        )));
    }
    let list: Vec<String> = found.iter().map(Violation::sentence).collect();
    let plural = if found.len() == 1 { "error" } else { "errors" };
    let message = format!("{} validation {plural} detected: {}", found.len(), list.join("; "));
    let modelled = ["InvalidParameterException", "ValidationException", "BadRequestException"]
        .into_iter()
        .find(|shape| operation.models(shape));
    Err(ApiError::new(modelled.unwrap_or("ValidationError"), message))
}

struct Violation {
    path: String,
    value: String,
    constraint: String,
    missing: bool,
}

impl Violation {
    fn sentence(&self) -> String {
        // AWS writes members as its Java programs know them.
        let mut path: Vec<String> = self.path.split('.').map(lower_first).collect();
        path.retain(|step| !step.is_empty());
        let value = if self.missing { "null".to_owned() } else { format!("'{}'", self.value) };
        format!("Value {value} at '{}' failed to satisfy constraint: {}", path.join("."), self.constraint)
    }
}

fn lower_first(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn walk(model: &Model, name: &str, value: &Value, path: &str, found: &mut Vec<Violation>) {
    let shape = model.shape(name);
    let below = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    let mut violate = |constraint: String| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        found.push(Violation { path: path.to_owned(), value, constraint, missing: false });
    };
    match (&shape.kind, value) {
        (Kind::Structure { members, required, union }, Value::Object(object)) => {
            if *union && object.len() != 1 {
                violate("Exactly one member of the union must be set".to_owned());
            }
            for missing in required.iter().filter(|name| object.get(*name).is_none_or(Value::is_null)) {
                found.push(Violation {
                    path: below(missing),
                    value: String::new(),
                    constraint: "Member must not be null".to_owned(),
                    missing: true,
                });
            }
            for (member, value) in object.iter().filter(|(_, value)| !value.is_null()) {
                if let Some(shape) = members.get(member) {
                    walk(model, shape, value, &below(member), found);
                }
            }
        }
        (Kind::List { member }, Value::Array(list)) => {
            bounds(shape, list.len(), "length", &mut violate);
            for (index, item) in list.iter().enumerate() {
                if item.is_null() {
                    let constraint = "Member must not be null".to_owned();
                    let path = below(&format!("{}.member", index + 1));
                    found.push(Violation { path, value: String::new(), constraint, missing: true });
                } else {
                    walk(model, member, item, &below(&format!("{}.member", index + 1)), found);
                }
            }
        }
        (Kind::Map { key, value: item }, Value::Object(object)) => {
            bounds(shape, object.len(), "length", &mut violate);
            for (name, value) in object {
                walk(model, key, &Value::String(name.clone()), &below(name), found);
                walk(model, item, value, &below(name), found);
            }
        }
        (Kind::Text { values }, Value::String(text)) => {
            bounds(shape, text.chars().count(), "length", &mut violate);
            if !values.is_empty() && !values.contains(text) {
                violate(format!("Member must satisfy enum value set: [{}]", values.join(", ")));
            }
            if let Some(pattern) = shape.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
                violate(format!("Member must satisfy regular expression pattern: {}", pattern.source));
            }
        }
        (Kind::Blob, Value::String(text)) => {
            bounds(
                shape,
                BASE64.decode(text.as_bytes()).map_or(0, |bytes| bytes.len()),
                "length",
                &mut violate,
            );
        }
        (Kind::Integer, Value::Number(number)) => {
            let number = number.as_f64().unwrap_or_default();
            if shape.min.is_some_and(|min| number < min) {
                violate(format!(
                    "Member must have value greater than or equal to {}",
                    shape.min.unwrap_or_default()
                ));
            }
            if shape.max.is_some_and(|max| number > max) {
                violate(format!(
                    "Member must have value less than or equal to {}",
                    shape.max.unwrap_or_default()
                ));
            }
            // The model's integers are 32 bits wide; its longs are all bounded.
            if shape.max.is_none() && number.abs() > f64::from(i32::MAX) {
                violate("Member must be a 32-bit integer".to_owned());
            }
        }
        (Kind::Double, Value::String(_)) => violate("Member must be a finite number".to_owned()),
        _ => {}
    }
}

fn bounds(shape: &Shape, length: usize, what: &str, violate: &mut impl FnMut(String)) {
    #[expect(clippy::cast_precision_loss, reason = "no request is that long")]
    let length = length as f64;
    if let Some(min) = shape.min.filter(|min| length < *min) {
        violate(format!("Member must have {what} greater than or equal to {min}"));
    }
    if let Some(max) = shape.max.filter(|max| length > *max) {
        violate(format!("Member must have {what} less than or equal to {max}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(operation: &str, input: &Value) -> String {
        let model = Model::cloudwatch().unwrap();
        check(&model, model.operation(operation).unwrap(), input).unwrap_err().to_string()
    }

    #[test]
    fn everything_wrong_is_named_at_once_as_aws_writes_it() {
        let input = json!({"AlarmName": "", "Period": 0, "Dimensions": [{"Name": "a"}], "Statistic": "Mean"});
        let message = refusal("PutMetricAlarm", &input);
        for part in [
            "4 validation errors detected",
            "Value '' at 'alarmName' failed to satisfy constraint: Member must have length greater than or equal to 1",
            "Value null at 'dimensions.1.member.value' failed to satisfy constraint: Member must not be null",
            "Value '0' at 'period' failed to satisfy constraint: Member must have value greater than or equal to 1",
            "Value 'Mean' at 'statistic' failed to satisfy constraint: Member must satisfy enum value set: [SampleCount",
        ] {
            assert!(message.contains(part), "{part}\nin\n{message}");
        }
    }

    #[test]
    fn an_operation_that_models_finer_errors_gets_them() {
        assert!(refusal("PutMetricData", &json!({})).starts_with("MissingRequiredParameterException"));
        assert!(
            refusal("PutMetricData", &json!({"Namespace": ":"}))
                .starts_with("InvalidParameterValueException")
        );
        assert!(refusal("GetAlarmMuteRule", &json!({})).starts_with("ValidationError"));
    }
}
