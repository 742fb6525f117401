//! The protocols that AWS's clients speak, each driven by the model: bytes to a JSON value of model members, and back.
//!
//! Inside the double a timestamp is an RFC 3339 string, and a double that JSON can't hold is "NaN", "Infinity" or
//! "-Infinity"; everything else is as JSON has it. Absent and null are the same.

mod cbor;
mod json;
mod query;
mod rest;
mod xml;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::ApiError;
use crate::model::{Kind, Model, Models, Operation};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// smithy-rpc-v2-cbor: the Rust SDK, and boto3 where the service offers it.
    Cbor,
    /// awsJson1.0 and 1.1: `X-Amz-Target`.
    Json,
    /// awsQuery: a form goes in, XML comes out; older clients, and all of STS.
    Query,
    /// restJson1: a path for each operation; Synthetics.
    Rest,
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'m> {
    pub(crate) protocol: Protocol,
    pub(crate) model: &'m Model,
    pub(crate) operation: &'m Operation,
}

/// A request that reached no operation, and the protocol its refusal must be told in.
#[derive(Debug)]
pub(crate) struct Unrecognised<'m> {
    pub(crate) protocol: Protocol,
    pub(crate) model: &'m Model,
    pub(crate) error: ApiError,
}

/// Finds the operation. `models` isn't empty; its first answers for a request that names no service.
pub(crate) fn recognise<'m>(
    models: &'m Models,
    parts: &Parts,
    body: &[u8],
) -> Result<Target<'m>, Unrecognised<'m>> {
    let [default, ..] = models;
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if header("smithy-protocol").is_some() {
        let mut path = parts.uri.path().trim_start_matches('/').split('/');
        let named = match (path.next(), path.next(), path.next(), path.next(), path.next()) {
            (Some("service"), Some(service), Some("operation"), Some(operation), None) => {
                Some((service, operation))
            }
            _ => None,
        };
        let (service, operation) = named.unwrap_or_default();
        let model = models.iter().find(|model| model.target_prefix.as_deref() == Some(service));
        return find(Protocol::Cbor, model, default, operation, "UnknownOperationException");
    }
    if let Some(target) = header("x-amz-target") {
        let (service, operation) = target.split_once('.').unwrap_or_default();
        let model = models.iter().find(|model| model.target_prefix.as_deref() == Some(service));
        return find(Protocol::Json, model, default, operation, "UnknownOperationException");
    }
    // The query protocol knows one path only.
    if parts.uri.path() != "/" {
        let mut rest = models.iter().filter(|model| model.rest);
        let found = rest.clone().find_map(|model| Some((model, rest::find(model, parts)?)));
        let asked = format!("{} {}", parts.method, parts.uri.path());
        let named = found.map_or(asked.as_str(), |(_, operation)| operation.name.as_str());
        let model = found.map(|(model, _)| model).or_else(|| rest.next());
        return find(Protocol::Rest, model, default, named, "UnknownOperationException");
    }
    let (action, version) = query::action(body);
    let model = models.iter().find(|model| model.api_version == version);
    find(Protocol::Query, model, default, &action, "InvalidAction")
}

fn find<'m>(
    protocol: Protocol,
    model: Option<&'m Model>,
    default: &'m Model,
    operation: &str,
    refusal: &'static str,
) -> Result<Target<'m>, Unrecognised<'m>> {
    let found =
        model.and_then(|model| Some(Target { protocol, model, operation: model.operation(operation)? }));
    found.ok_or_else(|| {
        let error = ApiError::new(refusal, format!("Could not find operation {operation} for this version"));
        Unrecognised { protocol, model: model.unwrap_or(default), error }
    })
}

impl Target<'_> {
    /// The request's members.
    pub(crate) fn decode(&self, parts: &Parts, body: &[u8]) -> Result<Value, ApiError> {
        let Some(shape) = &self.operation.input else { return Ok(Value::Object(serde_json::Map::new())) };
        match self.protocol {
            Protocol::Cbor => cbor::decode(self.model, shape, body),
            Protocol::Json => json::decode(self.model, shape, body),
            Protocol::Query => query::decode(self.model, shape, body),
            Protocol::Rest => rest::decode(self.model, self.operation, shape, parts, body),
        }
    }

    pub(crate) fn encode(&self, output: &Value, request_id: &str) -> Result<Response<Bytes>, ApiError> {
        let shape = self.operation.output.as_ref().map(|output| output.shape.as_str());
        if let Some(shape) = shape {
            answerable(self.model, shape, output)?;
        }
        let body = match (self.protocol, shape) {
            (Protocol::Cbor, Some(shape)) => cbor::encode(self.model, shape, output)?,
            (Protocol::Json | Protocol::Rest, Some(shape)) => json::encode(self.model, shape, output)?,
            // An operation without output answers with nothing at all.
            (Protocol::Cbor | Protocol::Json | Protocol::Rest, None) => Vec::new(),
            (Protocol::Query, _) => xml::result(self.model, self.operation, output, request_id),
        };
        Ok(response(self.protocol, self.model, StatusCode::OK, body, request_id))
    }
}

/// A member that AWS's model lacks is a slip of the double, which no client would ever notice.
pub(crate) fn answerable(model: &Model, name: &str, value: &Value) -> Result<(), ApiError> {
    match (&model.shape(name).kind, value) {
        (_, Value::Null) => Ok(()),
        (Kind::Structure { members, .. }, Value::Object(object)) => {
            object.iter().try_for_each(|(key, value)| {
                let member =
                    members.get(key).ok_or_else(|| ApiError::internal(format!("{name} has no {key}")))?;
                answerable(model, member, value)
            })
        }
        (Kind::List { member }, Value::Array(list)) => {
            list.iter().try_for_each(|item| answerable(model, member, item))
        }
        (Kind::Map { value: item, .. }, Value::Object(object)) => {
            object.values().try_for_each(|value| answerable(model, item, value))
        }
        (Kind::Text { values }, Value::String(text)) if values.is_empty() || values.contains(text) => Ok(()),
        (Kind::Timestamp, Value::String(text)) if seconds_from_timestamp(text).is_some() => Ok(()),
        (Kind::Integer, Value::Number(number)) if number.is_i64() => Ok(()),
        (Kind::Double, value) if double_from(value).is_some() => Ok(()),
        (Kind::Boolean, Value::Bool(_)) => Ok(()),
        (kind, value) => Err(ApiError::internal(format!("{name} is {kind:?}, not {value}"))),
    }
}

/// An error as the protocol tells it.
pub(crate) fn refuse(
    protocol: Protocol,
    model: &Model,
    error: &ApiError,
    request_id: &str,
) -> Response<Bytes> {
    let told = error.wire(model);
    let body = match protocol {
        Protocol::Cbor => cbor::error(model, error),
        Protocol::Json => json::error(model, error),
        Protocol::Rest => rest::error(error),
        Protocol::Query => xml::error(model, &told, error, request_id),
    };
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(protocol, model, status, body, request_id);
    if protocol == Protocol::Rest {
        insert(response.headers_mut(), "x-amzn-errortype", &told.code);
    }
    if protocol != Protocol::Query && model.query_compatible {
        let side = if told.sender { "Sender" } else { "Receiver" };
        insert(response.headers_mut(), "x-amzn-query-error", &format!("{};{side}", told.code));
    }
    response
}

fn response(
    protocol: Protocol,
    model: &Model,
    status: StatusCode,
    body: Vec<u8>,
    request_id: &str,
) -> Response<Bytes> {
    let empty = body.is_empty();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    insert(headers, "x-amzn-requestid", request_id);
    let content_type = match protocol {
        Protocol::Cbor => {
            insert(headers, "smithy-protocol", "rpc-v2-cbor");
            "application/cbor".to_owned()
        }
        Protocol::Json => format!("application/x-amz-json-{}", model.json_version),
        Protocol::Rest => "application/json".to_owned(),
        Protocol::Query => "text/xml".to_owned(),
    };
    if !empty {
        insert(headers, "content-type", &content_type);
    }
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Seconds since 1970 as the wire has them.
fn timestamp_from_seconds(seconds: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "out of range saturates, and jiff refuses that")]
    let milliseconds = (seconds * 1_000.0).round() as i64;
    seconds.is_finite().then(|| Timestamp::from_millisecond(milliseconds).ok()).flatten()
}

/// AWS answers in milliseconds at most.
fn seconds_from_timestamp(text: &str) -> Option<f64> {
    let timestamp: Timestamp = text.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "exact up to the year 287396")]
    let milliseconds = timestamp.as_millisecond() as f64;
    Some(milliseconds / 1_000.0)
}

/// A double, also one that JSON lacks.
fn double(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn double_from(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn malformed(shape: &str, wanted: &str) -> ApiError {
    ApiError::new("SerializationException", format!("{shape} is not a {wanted}"))
}

#[cfg(test)]
mod tests;
