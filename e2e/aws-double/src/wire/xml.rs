//! awsQuery, the answer's side: XML.

use std::borrow::Cow;

use quick_xml::escape::escape;
use serde_json::Value;

use crate::error::ApiError;
use crate::model::{ErrorTrait, Kind, Model, Operation};

pub(super) fn result(model: &Model, operation: &Operation, output: &Value, request_id: &str) -> Vec<u8> {
    let name = &operation.name;
    let mut xml = format!("<{name}Response xmlns=\"{}\">", escape(model.xml_namespace.as_str()));
    if let Some(shape) = &operation.output {
        let wrapper = shape.result_wrapper.clone().unwrap_or_else(|| format!("{name}Result"));
        element(model, &shape.shape, &wrapper, output, &mut xml);
    }
    let request_id = escape(request_id);
    xml.push_str(&format!("<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"));
    xml.push_str(&format!("</{name}Response>"));
    xml.into_bytes()
}

pub(super) fn error(model: &Model, told: &ErrorTrait, error: &ApiError, request_id: &str) -> Vec<u8> {
    let side = if told.sender { "Sender" } else { "Receiver" };
    let members: String = error
        .members
        .iter()
        .map(|(name, value)| format!("<{name}>{}</{name}>", text(value.as_str().unwrap_or_default())))
        .collect();
    format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message>{members}</Error>\
         <RequestId>{}</RequestId></ErrorResponse>",
        escape(model.xml_namespace.as_str()),
        escape(told.code.as_str()),
        text(&error.message),
        escape(request_id),
    )
    .into_bytes()
}

fn element(model: &Model, shape: &str, tag: &str, value: &Value, xml: &mut String) {
    if value.is_null() {
        return;
    }
    xml.push_str(&format!("<{tag}>"));
    content(model, shape, value, xml);
    xml.push_str(&format!("</{tag}>"));
}

fn content(model: &Model, shape: &str, value: &Value, xml: &mut String) {
    match (&model.shape(shape).kind, value) {
        (Kind::Structure { members, .. }, Value::Object(object)) => {
            for (name, value) in object {
                if let Some(member) = members.get(name) {
                    element(model, member, name, value, xml);
                }
            }
        }
        (Kind::List { member }, Value::Array(list)) => {
            for item in list {
                element(model, member, "member", item, xml);
            }
        }
        (Kind::Map { key, value: item }, Value::Object(object)) => {
            for (name, value) in object {
                xml.push_str("<entry>");
                element(model, key, "key", &Value::String(name.clone()), xml);
                element(model, item, "value", value, xml);
                xml.push_str("</entry>");
            }
        }
        (_, Value::String(string)) => xml.push_str(&text(string)),
        (_, other) => xml.push_str(&other.to_string()),
    }
}

/// A text as XML can carry it: characters that XML 1.0 hasn't (2.2, Char), even escaped, are shown as a replacement.
fn text(text: &str) -> Cow<'_, str> {
    let known = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(known) {
        return escape(text);
    }
    let shown: String = text.chars().map(|letter| if known(letter) { letter } else { '\u{fffd}' }).collect();
    escape(shown)
}
