//! awsJson1.0 and 1.1 (https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html), and the bodies of restJson1.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::{double, double_from, malformed, seconds_from_timestamp, timestamp_from_seconds};
use crate::error::ApiError;
use crate::model::{Kind, Model};

pub(super) fn decode(model: &Model, shape: &str, body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let parsed = serde_json::from_slice(body).map_err(|_| malformed("The request", "JSON document"))?;
    read(model, shape, parsed)
}

fn read(model: &Model, name: &str, value: Value) -> Result<Value, ApiError> {
    Ok(match (&model.shape(name).kind, value) {
        (_, Value::Null) => Value::Null,
        (Kind::Structure { members, .. }, Value::Object(object)) => {
            let mut known = Map::new();
            for (key, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
                if let Some(member) = members.get(&key) {
                    known.insert(key, read(model, member, value)?);
                }
            }
            Value::Object(known)
        }
        (Kind::Map { value: item, .. }, Value::Object(object)) => {
            let pairs = object.into_iter().map(|(key, value)| Ok((key, read(model, item, value)?)));
            Value::Object(pairs.collect::<Result<_, ApiError>>()?)
        }
        (Kind::List { member }, Value::Array(list)) => {
            Value::Array(list.into_iter().map(|item| read(model, member, item)).collect::<Result<_, _>>()?)
        }
        (Kind::Text { .. }, value @ Value::String(_)) | (Kind::Boolean, value @ Value::Bool(_)) => value,
        (Kind::Integer, Value::Number(number)) if number.is_i64() => Value::Number(number),
        (Kind::Double, value) => double(double_from(&value).ok_or_else(|| malformed(name, "number"))?),
        (Kind::Timestamp, Value::Number(number)) => {
            let timestamp = number.as_f64().and_then(timestamp_from_seconds);
            timestamp.ok_or_else(|| malformed(name, "timestamp"))?.to_string().into()
        }
        (Kind::Blob, Value::String(text)) if BASE64.decode(text.as_bytes()).is_ok() => Value::String(text),
        _ => return Err(malformed(name, "value of the type that the model wants")),
    })
}

pub(super) fn encode(model: &Model, shape: &str, output: &Value) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(&written(model, shape, output)).map_err(ApiError::internal)
}

fn written(model: &Model, name: &str, value: &Value) -> Value {
    match (&model.shape(name).kind, value) {
        (Kind::Structure { members, .. }, Value::Object(object)) => {
            let known = object.iter().filter(|(_, value)| !value.is_null());
            let pairs = known
                .filter_map(|(key, value)| Some((key.clone(), written(model, members.get(key)?, value))));
            Value::Object(pairs.collect())
        }
        (Kind::Map { value: item, .. }, Value::Object(object)) => Value::Object(
            object.iter().map(|(key, value)| (key.clone(), written(model, item, value))).collect(),
        ),
        (Kind::List { member }, Value::Array(list)) => {
            Value::Array(list.iter().map(|item| written(model, member, item)).collect())
        }
        (Kind::Timestamp, Value::String(text)) => seconds_from_timestamp(text).map_or(Value::Null, double),
        (_, value) => value.clone(),
    }
}

/// `__type` is the shape's name; clients that know the service's query past read the header instead.
pub(super) fn error_body(model: &Model, error: &ApiError) -> Map<String, Value> {
    let mut body = error.members.clone();
    let kind = if model.query_codes {
        format!("com.amazonaws.cloudwatch#{}", error.shape)
    } else {
        error.wire(model).code
    };
    body.insert("__type".to_owned(), kind.into());
    body.insert("message".to_owned(), error.message.clone().into());
    body
}

pub(super) fn error(model: &Model, error: &ApiError) -> Vec<u8> {
    Value::Object(error_body(model, error)).to_string().into_bytes()
}
