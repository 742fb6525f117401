//! awsQuery, the request's side (https://smithy.io/2.0/aws/protocols/aws-query-protocol.html).
//!
//! A form whose names are paths: `Dimensions.member.1.Name=InstanceId`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::double;
use crate::error::ApiError;
use crate::model::{Kind, Model};

/// `Action` and `Version`.
pub(super) fn action(body: &[u8]) -> (String, String) {
    let mut action = String::new();
    let mut version = String::new();
    for (name, value) in form_urlencoded::parse(body) {
        match name.as_ref() {
            "Action" => action = value.into_owned(),
            "Version" => version = value.into_owned(),
            _ => {}
        }
    }
    (action, version)
}

/// Deeper than any shape; a path of a million steps would be a tree of a million levels.
const DEEPEST: usize = 32;

pub(super) fn decode(model: &Model, shape: &str, body: &[u8]) -> Result<Value, ApiError> {
    let mut root = Node::default();
    for (path, text) in form_urlencoded::parse(body) {
        let mut node = &mut root;
        for step in path.split('.').take(DEEPEST) {
            node = node.children.entry(step.to_owned()).or_default();
        }
        node.text = Some(text.into_owned());
    }
    read(model, shape, &root, "")
}

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    /// The children of `step`, in the order of their numbers.
    fn numbered(&self, step: &str) -> Vec<&Node> {
        let Some(items) = self.children.get(step) else { return Vec::new() };
        let mut items: Vec<(u32, &Node)> =
            items.children.iter().filter_map(|(number, node)| Some((number.parse().ok()?, node))).collect();
        items.sort_by_key(|(number, _)| *number);
        items.into_iter().map(|(_, node)| node).collect()
    }
}

fn read(model: &Model, name: &str, node: &Node, path: &str) -> Result<Value, ApiError> {
    let text = node.text.as_deref().unwrap_or_default();
    let malformed =
        || ApiError::new("MalformedInput", format!("The value {text} for parameter {path} is invalid."));
    Ok(match &model.shape(name).kind {
        Kind::Structure { members, .. } => {
            let mut object = Map::new();
            for (member, shape) in members {
                if let Some(child) = node.children.get(member) {
                    object.insert(member.clone(), read(model, shape, child, member)?);
                }
            }
            Value::Object(object)
        }
        Kind::List { member } => {
            let items = node.numbered("member").into_iter().map(|item| read(model, member, item, path));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Kind::Map { key, value } => {
            let mut object = Map::new();
            for entry in node.numbered("entry") {
                let (Some(k), Some(v)) = (entry.children.get("key"), entry.children.get("value")) else {
                    return Err(malformed());
                };
                if let Value::String(k) = read(model, key, k, path)? {
                    object.insert(k, read(model, value, v, path)?);
                }
            }
            Value::Object(object)
        }
        Kind::Text { .. } => text.into(),
        Kind::Integer => text.parse::<i64>().map_err(|_| malformed())?.into(),
        Kind::Double => double(text.parse().map_err(|_| malformed())?),
        Kind::Boolean => text.parse::<bool>().map_err(|_| malformed())?.into(),
        Kind::Timestamp => text.parse::<Timestamp>().map_err(|_| malformed())?.to_string().into(),
        Kind::Blob => return Err(ApiError::internal(format!("{name}: blobs aren't supported"))),
    })
}
