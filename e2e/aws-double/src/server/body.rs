//! A request's body, inflated if it came compressed, and never larger than AWS takes.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::error::ApiError;

/// PutMetricData: "limited to 1 MB in size for HTTP POST requests".
const MOST: usize = 1 << 20;
/// The model of Synthetics has packages of 10 MB, which JSON carries as base64.
const MOST_WITH_PACKAGE: usize = 16 << 20;

pub(super) async fn read(parts: &Parts, body: Incoming) -> Result<Bytes, ApiError> {
    let most = if parts.uri.path().starts_with("/canary") { MOST_WITH_PACKAGE } else { MOST };
    let too_large = || too_large(most);
    let sent = Limited::new(body, most).collect().await.map_err(|_| too_large())?.to_bytes();
    match parts.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) {
        None | Some("" | "identity") => Ok(sent),
        Some("gzip") => inflate(&sent, most)?.ok_or_else(too_large),
        Some(other) => {
            Err(ApiError::new("SerializationException", format!("Content-Encoding {other} isn't known")))
        }
    }
}

/// None if it is larger than `most`.
fn inflate(sent: &[u8], most: usize) -> Result<Option<Bytes>, ApiError> {
    let mut inflated = Vec::new();
    GzDecoder::new(sent)
        .take(most as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| ApiError::new("SerializationException", "The body is not gzip"))?;
    Ok((inflated.len() <= most).then(|| inflated.into()))
}

fn too_large(most: usize) -> ApiError {
    ApiError::new("RequestEntityTooLarge", format!("The request is larger than {} MB", most >> 20))
}
