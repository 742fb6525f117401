//! The vendored models, from botocore's JSON.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use super::{Bound, ErrorTrait, Kind, Model, Operation, Output, Pattern, Place, Route, Segment, Shape};

const CLOUDWATCH: &str = include_str!("../../models/cloudwatch.json");
const STS: &str = include_str!("../../models/sts.json");
const SYNTHETICS: &str = include_str!("../../models/synthetics.json");
const LOGS: &str = include_str!("../../models/logs.json");

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("the model of {service} isn't botocore's JSON: {source}")]
    Parse { service: &'static str, source: serde_json::Error },
    #[error("shape {shape} has type {kind}, which is unknown here")]
    Type { shape: String, kind: String },
    #[error("shape {shape} has no {part}")]
    Incomplete { shape: String, part: &'static str },
    #[error("shape {shape}: pattern {pattern}: {source}")]
    Pattern { shape: String, pattern: String, source: Box<regex::Error> },
    #[error("{referrer} refers to shape {shape}, which isn't in the model")]
    Dangling { referrer: String, shape: String },
}

#[derive(Deserialize)]
struct RawModel {
    metadata: RawMetadata,
    operations: BTreeMap<String, RawOperation>,
    shapes: BTreeMap<String, RawShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    api_version: String,
    endpoint_prefix: String,
    signing_name: Option<String>,
    target_prefix: Option<String>,
    json_version: Option<String>,
    protocol: String,
    #[serde(default)]
    xml_namespace: String,
    aws_query_compatible: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawOperation {
    name: String,
    http: RawHttp,
    input: Option<RawReference>,
    output: Option<RawReference>,
    #[serde(default)]
    errors: Vec<RawReference>,
    #[serde(default)]
    auth: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHttp {
    method: String,
    request_uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReference {
    shape: String,
    location: Option<String>,
    location_name: Option<String>,
    result_wrapper: Option<String>,
}

#[derive(Deserialize)]
struct RawShape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: BTreeMap<String, RawReference>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    union: bool,
    #[serde(default)]
    exception: bool,
    member: Option<RawReference>,
    key: Option<RawReference>,
    value: Option<RawReference>,
    #[serde(rename = "enum", default)]
    values: Vec<String>,
    min: Option<f64>,
    max: Option<f64>,
    pattern: Option<String>,
    error: Option<RawError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawError {
    code: Option<String>,
    http_status_code: u16,
    #[serde(default)]
    sender_fault: bool,
}

impl Model {
    pub(crate) fn cloudwatch() -> Result<Self, ModelError> {
        Self::parse("cloudwatch", CLOUDWATCH)
    }

    pub(crate) fn sts() -> Result<Self, ModelError> {
        Self::parse("sts", STS)
    }

    pub(crate) fn synthetics() -> Result<Self, ModelError> {
        Self::parse("synthetics", SYNTHETICS)
    }

    pub(crate) fn logs() -> Result<Self, ModelError> {
        Self::parse("logs", LOGS)
    }

    fn parse(service: &'static str, text: &str) -> Result<Self, ModelError> {
        let raw: RawModel =
            serde_json::from_str(text).map_err(|source| ModelError::Parse { service, source })?;
        let operations =
            raw.operations.into_iter().map(|(name, it)| (name, operation(it, &raw.shapes))).collect();
        let shapes = raw
            .shapes
            .into_iter()
            .map(|(name, raw)| Ok((name.clone(), shape(name, raw)?)))
            .collect::<Result<_, ModelError>>()?;
        let model = Self {
            signing_name: raw.metadata.signing_name.unwrap_or(raw.metadata.endpoint_prefix),
            api_version: raw.metadata.api_version,
            target_prefix: raw.metadata.target_prefix,
            json_version: raw.metadata.json_version.unwrap_or_else(|| "1.0".to_owned()),
            xml_namespace: raw.metadata.xml_namespace,
            rest: raw.metadata.protocol == "rest-json",
            query_codes: raw.metadata.protocol == "query" || raw.metadata.aws_query_compatible.is_some(),
            query_compatible: raw.metadata.aws_query_compatible.is_some(),
            operations,
            shapes,
            unknown: Shape {
                name: String::new(),
                kind: Kind::Structure { members: BTreeMap::new(), required: Vec::new(), union: false },
                min: None,
                max: None,
                pattern: None,
                error: None,
            },
        };
        model.complete()?;
        Ok(model)
    }

    /// Every shape that is named exists.
    fn complete(&self) -> Result<(), ModelError> {
        let known = |referrer: &str, shape: &String| {
            self.shapes
                .contains_key(shape)
                .then_some(())
                .ok_or_else(|| ModelError::Dangling { referrer: referrer.to_owned(), shape: shape.clone() })
        };
        for operation in self.operations.values() {
            let output = operation.output.as_ref().map(|output| &output.shape);
            for shape in operation.input.iter().chain(output).chain(&operation.errors) {
                known(&operation.name, shape)?;
            }
        }
        for shape in self.shapes.values() {
            match &shape.kind {
                Kind::Structure { members, .. } => {
                    members.values().try_for_each(|member| known(&shape.name, member))?;
                }
                Kind::List { member } => known(&shape.name, member)?,
                Kind::Map { key, value } => {
                    known(&shape.name, key)?;
                    known(&shape.name, value)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn operation(raw: RawOperation, shapes: &BTreeMap<String, RawShape>) -> Operation {
    let input = raw.input.as_ref().and_then(|input| shapes.get(&input.shape));
    let bound =
        input.into_iter().flat_map(|shape| &shape.members).filter_map(|(member, it)| bound(member, it));
    Operation {
        bound: bound.collect(),
        route: route(raw.http),
        name: raw.name,
        input: raw.input.map(|input| input.shape),
        output: raw
            .output
            .map(|output| Output { shape: output.shape, result_wrapper: output.result_wrapper }),
        errors: raw.errors.into_iter().map(|error| error.shape).collect(),
        anonymous: raw.auth.iter().any(|scheme| scheme == "smithy.api#noAuth"),
    }
}

/// `/canary/{name}/start`.
fn route(raw: RawHttp) -> Route {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) => Segment::Parameter(name.to_owned()),
        None => Segment::Fixed(text.to_owned()),
    };
    let path = raw.request_uri.trim_start_matches('/').split('/').map(segment).collect();
    Route { method: raw.method, path }
}

fn bound(member: &str, reference: &RawReference) -> Option<Bound> {
    let place = match reference.location.as_deref()? {
        "uri" => Place::Path,
        "querystring" => Place::Query,
        _ => return None,
    };
    let name = reference.location_name.as_deref().unwrap_or(member);
    Some(Bound { member: member.to_owned(), shape: reference.shape.clone(), name: name.to_owned(), place })
}

fn shape(name: String, raw: RawShape) -> Result<Shape, ModelError> {
    let incomplete = |part| ModelError::Incomplete { shape: name.clone(), part };
    let kind = match raw.kind.as_str() {
        "structure" => Kind::Structure {
            members: raw.members.into_iter().map(|(member, reference)| (member, reference.shape)).collect(),
            required: raw.required,
            union: raw.union,
        },
        "list" => Kind::List { member: raw.member.ok_or_else(|| incomplete("member"))?.shape },
        "map" => Kind::Map {
            key: raw.key.ok_or_else(|| incomplete("key"))?.shape,
            value: raw.value.ok_or_else(|| incomplete("value"))?.shape,
        },
        "string" => Kind::Text { values: raw.values },
        "integer" | "long" => Kind::Integer,
        "double" | "float" => Kind::Double,
        "boolean" => Kind::Boolean,
        "timestamp" => Kind::Timestamp,
        "blob" => Kind::Blob,
        other => return Err(ModelError::Type { shape: name, kind: other.to_owned() }),
    };
    let pattern = raw.pattern.map(|source| pattern(&name, source)).transpose()?;
    let error = raw.error.map(|error| ErrorTrait {
        code: error.code.unwrap_or_else(|| name.clone()),
        status: error.http_status_code,
        sender: error.sender_fault || error.http_status_code < 500,
    });
    let error =
        error.or_else(|| raw.exception.then(|| ErrorTrait { code: name.clone(), status: 400, sender: true }));
    Ok(Shape { name, kind, min: raw.min, max: raw.max, pattern, error })
}

/// The model's patterns are Java's: `\w` and `\d` are ASCII there, and the whole value must match.
fn pattern(shape: &str, source: String) -> Result<Pattern, ModelError> {
    let ascii = source.replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]");
    // This engine has no look-ahead; AWS's models use it for one purpose.
    let (reserved, ascii) = match ascii.strip_prefix("^(?!aws:)") {
        Some(rest) => (Some("aws:"), rest.to_owned()),
        None => (None, ascii),
    };
    let regex = Regex::new(&format!(r"\A(?:{ascii})\z")).map_err(|error| ModelError::Pattern {
        shape: shape.to_owned(),
        pattern: source.clone(),
        source: Box::new(error),
    })?;
    Ok(Pattern { source, regex, reserved })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_load_with_every_shape_they_name() {
        let cloudwatch = Model::cloudwatch().unwrap();
        assert_eq!(cloudwatch.signing_name, "monitoring");
        assert!(cloudwatch.query_compatible);
        let sts = Model::sts().unwrap();
        assert_eq!(sts.signing_name, "sts");
        assert!(sts.operation("AssumeRoleWithWebIdentity").unwrap().anonymous);
        assert!(!sts.operation("AssumeRole").unwrap().anonymous);
        let logs = Model::logs().unwrap();
        assert_eq!((logs.signing_name.as_str(), logs.json_version.as_str()), ("logs", "1.1"));
    }

    #[test]
    fn synthetics_is_told_apart_by_paths() {
        let synthetics = Model::synthetics().unwrap();
        assert!(synthetics.rest && !synthetics.query_codes);
        let delete = synthetics.operation("DeleteCanary").unwrap();
        assert_eq!(delete.route.method, "DELETE");
        assert_eq!(delete.route.path, [Segment::Fixed("canary".into()), Segment::Parameter("name".into())]);
        let bound: Vec<_> =
            delete.bound.iter().map(|it| (it.member.as_str(), it.name.as_str(), it.place)).collect();
        assert_eq!(bound, [("DeleteLambda", "deleteLambda", Place::Query), ("Name", "name", Place::Path)]);
    }

    #[test]
    fn a_tag_key_that_aws_reserves_doesn_t_match() {
        let synthetics = Model::synthetics().unwrap();
        let key = synthetics.shape("TagKey").pattern.as_ref().unwrap();
        assert!(key.matches("tidewatch:owner"));
        assert!(!key.matches("aws:owner"));
        assert!(!key.matches("own er"));
    }

    #[test]
    fn a_pattern_must_match_the_whole_value_and_knows_ascii_letters_only() {
        let sts = Model::sts().unwrap();
        let name = sts.shape("roleSessionNameType").pattern.as_ref().unwrap();
        assert!(name.matches("tidewatch@prod"));
        assert!(!name.matches("tide watch"));
        assert!(!name.matches("gezeitenwächter"));
        let synthetics = Model::synthetics().unwrap();
        let token = synthetics.shape("PaginationToken").pattern.as_ref().unwrap();
        assert!(token.matches("any text"));
        assert!(!token.matches("two\nlines"));
    }
}
