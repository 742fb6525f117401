//! smithy-rpc-v2-cbor (https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html).

use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Value};

use super::{double, double_from, malformed, seconds_from_timestamp, timestamp_from_seconds};
use crate::error::ApiError;
use crate::model::{Kind, Model};

/// Tag 1 (RFC 8949, 3.4.2): seconds since 1970.
const EPOCH: u64 = 1;

pub(super) fn decode(model: &Model, shape: &str, body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut decoder = Decoder::new(body);
    let value = value(model, shape, &mut decoder)?;
    if decoder.position() == body.len() { Ok(value) } else { Err(malformed(shape, "single CBOR item")) }
}

fn value(model: &Model, name: &str, decoder: &mut Decoder<'_>) -> Result<Value, ApiError> {
    let bad = |wanted: &'static str| move |_: minicbor::decode::Error| malformed(name, wanted);
    if matches!(decoder.datatype().map_err(bad("CBOR item"))?, Type::Null | Type::Undefined) {
        decoder.skip().map_err(bad("CBOR item"))?;
        return Ok(Value::Null);
    }
    Ok(match &model.shape(name).kind {
        Kind::Structure { members, .. } => {
            let mut object = Map::new();
            let length = decoder.map().map_err(bad("map"))?;
            each(decoder, length, name, |decoder| {
                let key = decoder.str().map_err(bad("map of names"))?;
                // A client may know members that this model doesn't; AWS ignores them too.
                let Some(member) = members.get(key) else { return decoder.skip().map_err(bad("CBOR item")) };
                let item = value(model, member, decoder)?;
                if !item.is_null() {
                    object.insert(key.to_owned(), item);
                }
                Ok(())
            })?;
            Value::Object(object)
        }
        Kind::List { member } => {
            let mut list = Vec::new();
            let length = decoder.array().map_err(bad("list"))?;
            each(decoder, length, name, |decoder| {
                list.push(value(model, member, decoder)?);
                Ok(())
            })?;
            Value::Array(list)
        }
        Kind::Map { value: item, .. } => {
            let mut object = Map::new();
            let length = decoder.map().map_err(bad("map"))?;
            each(decoder, length, name, |decoder| {
                let key = decoder.str().map_err(bad("map of names"))?.to_owned();
                object.insert(key, value(model, item, decoder)?);
                Ok(())
            })?;
            Value::Object(object)
        }
        Kind::Text { .. } => decoder.str().map_err(bad("string"))?.into(),
        Kind::Integer => decoder.i64().map_err(bad("integer"))?.into(),
        Kind::Double => double(number(decoder).map_err(bad("number"))?),
        Kind::Boolean => decoder.bool().map_err(bad("boolean"))?.into(),
        Kind::Timestamp => {
            let tagged = decoder.tag().map_err(bad("timestamp"))? == Tag::new(EPOCH);
            let seconds = number(decoder).map_err(bad("timestamp"))?;
            let timestamp = tagged.then(|| timestamp_from_seconds(seconds)).flatten();
            timestamp.ok_or_else(|| malformed(name, "timestamp"))?.to_string().into()
        }
        Kind::Blob => return Err(ApiError::internal(format!("{name}: blobs aren't supported"))),
    })
}

/// Walks a list or map of known or unknown length.
fn each<'b>(
    decoder: &mut Decoder<'b>,
    length: Option<u64>,
    name: &str,
    mut item: impl FnMut(&mut Decoder<'b>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let Some(length) = length else {
        loop {
            if decoder.datatype().map_err(|_| malformed(name, "CBOR item"))? == Type::Break {
                return decoder.skip().map_err(|_| malformed(name, "CBOR item"));
            }
            item(decoder)?;
        }
    };
    (0..length).try_for_each(|_| item(decoder))
}

/// Clients send whole numbers as integers to save space.
fn number(decoder: &mut Decoder<'_>) -> Result<f64, minicbor::decode::Error> {
    match decoder.datatype()? {
        Type::F16 | Type::F32 | Type::F64 => decoder.f64(),
        _ => {
            let whole: i64 = decoder.int()?.try_into().unwrap_or(i64::MAX);
            #[expect(clippy::cast_precision_loss, reason = "a double is what the model asks for")]
            let number = whole as f64;
            Ok(number)
        }
    }
}

type Writer = Encoder<Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

pub(super) fn encode(model: &Model, shape: &str, output: &Value) -> Result<Vec<u8>, ApiError> {
    let mut encoder = Encoder::new(Vec::new());
    write(model, shape, output, &mut encoder).map_err(ApiError::internal)?;
    Ok(encoder.into_writer())
}

fn write(model: &Model, name: &str, value: &Value, encoder: &mut Writer) -> Written {
    match (&model.shape(name).kind, value) {
        (Kind::Structure { members, .. }, Value::Object(object)) => {
            let known = || object.iter().filter_map(|(key, value)| Some((key, members.get(key)?, value)));
            let present = || known().filter(|(.., value)| !value.is_null());
            encoder.map(present().count() as u64)?;
            for (key, member, value) in present() {
                encoder.str(key)?;
                write(model, member, value, encoder)?;
            }
        }
        (Kind::Map { value: item, .. }, Value::Object(object)) => {
            encoder.map(object.len() as u64)?;
            for (key, value) in object {
                encoder.str(key)?;
                write(model, item, value, encoder)?;
            }
        }
        (Kind::List { member }, Value::Array(list)) => {
            encoder.array(list.len() as u64)?;
            for item in list {
                write(model, member, item, encoder)?;
            }
        }
        (Kind::Text { .. }, Value::String(text)) => {
            encoder.str(text)?;
        }
        (Kind::Integer, Value::Number(number)) if number.is_i64() => {
            encoder.i64(number.as_i64().unwrap_or_default())?;
        }
        (Kind::Boolean, Value::Bool(flag)) => {
            encoder.bool(*flag)?;
        }
        (Kind::Double, value) if double_from(value).is_some() => {
            encoder.f64(double_from(value).unwrap_or_default())?;
        }
        (Kind::Timestamp, Value::String(text)) if seconds_from_timestamp(text).is_some() => {
            encoder.tag(Tag::new(EPOCH))?.f64(seconds_from_timestamp(text).unwrap_or_default())?;
        }
        (kind, value) => {
            return Err(minicbor::encode::Error::message(format!("{name} is a {kind:?}, not {value}")));
        }
    }
    Ok(())
}

pub(super) fn error(model: &Model, error: &ApiError) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let body = super::json::error_body(model, error);
    // Writing to memory doesn't fail; a body that is cut short would be seen by the client at once.
    let _ = text_map(&body, &mut encoder);
    encoder.into_writer()
}

fn text_map(body: &Map<String, Value>, encoder: &mut Writer) -> Written {
    encoder.map(body.len() as u64)?;
    for (key, value) in body {
        encoder.str(key)?.str(value.as_str().unwrap_or_default())?;
    }
    Ok(())
}
