//! restJson1 (https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html): methods and paths tell the operations
//! apart, and members come in the path, the query and the body.

use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{json, malformed};
use crate::error::ApiError;
use crate::model::{Kind, Model, Operation, Place, Route, Segment};

/// The operation that a method and path belong to. Fixed segments win over parameters.
pub(super) fn find<'m>(model: &'m Model, parts: &Parts) -> Option<&'m Operation> {
    let matching = model.operations().filter(|operation| {
        operation.route.method == parts.method.as_str()
            && parameters(&operation.route, parts.uri.path()).is_some()
    });
    let fixed = |operation: &&Operation| {
        operation.route.path.iter().filter(|segment| matches!(segment, Segment::Fixed(_))).count()
    };
    matching.max_by_key(fixed)
}

/// The path's parameters by their names, if the path is the route's.
fn parameters<'r>(route: &'r Route, path: &str) -> Option<Vec<(&'r str, String)>> {
    let sent: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if sent.len() != route.path.len() {
        return None;
    }
    let mut found = Vec::new();
    for (segment, sent) in route.path.iter().zip(sent) {
        match segment {
            Segment::Fixed(text) if text == sent => {}
            Segment::Fixed(_) => return None,
            Segment::Parameter(name) => {
                found.push((name.as_str(), percent_decode_str(sent).decode_utf8().ok()?.into_owned()));
            }
        }
    }
    Some(found)
}

pub(super) fn decode(
    model: &Model,
    operation: &Operation,
    shape: &str,
    parts: &Parts,
    body: &[u8],
) -> Result<Value, ApiError> {
    let Value::Object(mut members) = json::decode(model, shape, body)? else {
        return Err(malformed("The request", "JSON object"));
    };
    members.retain(|name, _| operation.bound.iter().all(|bound| bound.member != *name));
    let path = parameters(&operation.route, parts.uri.path()).unwrap_or_default();
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned();
    let query: Vec<(String, String)> = query.collect();
    for bound in &operation.bound {
        let values: Vec<&str> = match bound.place {
            Place::Path => {
                path.iter().filter(|(name, _)| *name == bound.name).map(|(_, it)| it.as_str()).collect()
            }
            Place::Query => {
                query.iter().filter(|(name, _)| *name == bound.name).map(|(_, it)| it.as_str()).collect()
            }
        };
        if let Some(value) = value(model, &bound.shape, &values)? {
            members.insert(bound.member.clone(), value);
        }
    }
    Ok(Value::Object(members))
}

/// What a member's texts mean; none if there is none.
fn value(model: &Model, shape: &str, texts: &[&str]) -> Result<Option<Value>, ApiError> {
    let Some(first) = texts.first() else { return Ok(None) };
    Ok(Some(match &model.shape(shape).kind {
        Kind::List { .. } => texts.iter().map(|text| Value::from(*text)).collect(),
        Kind::Boolean => first.parse::<bool>().map_err(|_| malformed(shape, "boolean"))?.into(),
        Kind::Integer => first.parse::<i64>().map_err(|_| malformed(shape, "integer"))?.into(),
        _ => (*first).into(),
    }))
}

/// The error's name goes in a header; its members are capitalised as the model has them.
pub(super) fn error(error: &ApiError) -> Vec<u8> {
    let mut body: Map<String, Value> = error.members.clone();
    body.insert("Message".to_owned(), error.message.clone().into());
    Value::Object(body).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(method: &str, uri: &str) -> Parts {
        http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn every_operation_of_the_model_is_found_by_its_own_method_and_path() {
        let model = Model::synthetics().unwrap();
        for operation in model.operations() {
            let segment = |segment: &Segment| match segment {
                Segment::Fixed(text) => text.clone(),
                Segment::Parameter(_) => "arn%3Aaws%3Ax".to_owned(),
            };
            let path: Vec<String> = operation.route.path.iter().map(segment).collect();
            let parts = request(&operation.route.method, &format!("/{}", path.join("/")));
            assert_eq!(find(&model, &parts).map(|it| it.name.as_str()), Some(operation.name.as_str()));
        }
        assert!(find(&model, &request("PUT", "/canary")).is_none());
        assert!(find(&model, &request("GET", "/canary/a/b/c/d")).is_none());
    }

    #[test]
    fn members_come_from_the_path_the_query_and_the_body_and_each_from_its_own_place() {
        let model = Model::synthetics().unwrap();
        let decoded = |parts: &Parts, body: &[u8]| {
            let operation = find(&model, parts).unwrap();
            decode(&model, operation, operation.input.as_deref().unwrap(), parts, body).unwrap()
        };
        let untag =
            request("DELETE", "/tags/arn%3Aaws%3Asynthetics%3Ar%3A1%3Acanary%3Aa?tagKeys=a%20b&tagKeys=c");
        assert_eq!(
            decoded(&untag, b""),
            json!({"ResourceArn": "arn:aws:synthetics:r:1:canary:a", "TagKeys": ["a b", "c"]})
        );
        let delete = request("DELETE", "/canary/a?deleteLambda=true");
        assert_eq!(decoded(&delete, b""), json!({"Name": "a", "DeleteLambda": true}));
        let runs = request("POST", "/canary/a/runs");
        assert_eq!(decoded(&runs, br#"{"Name":"b","MaxResults":3}"#), json!({"Name": "a", "MaxResults": 3}));
    }
}
