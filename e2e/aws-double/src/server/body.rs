//! A request's body, inflated if it came compressed, and never larger than AWS takes.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::error::ApiError;

/// PutMetricData: "limited to 1 MB in size for HTTP POST requests". Nothing else is allowed more.
const MOST: usize = 1 << 20;

pub(super) async fn read(parts: &Parts, body: Incoming) -> Result<Bytes, ApiError> {
    let sent = Limited::new(body, MOST).collect().await.map_err(|_| too_large())?.to_bytes();
    match parts.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) {
        None | Some("" | "identity") => Ok(sent),
        Some("gzip") => inflate(&sent),
        Some(other) => {
            Err(ApiError::new("SerializationException", format!("Content-Encoding {other} isn't known")))
        }
    }
}

fn inflate(sent: &[u8]) -> Result<Bytes, ApiError> {
    let mut inflated = Vec::new();
    let most = MOST as u64 + 1;
    GzDecoder::new(sent)
        .take(most)
        .read_to_end(&mut inflated)
        .map_err(|_| ApiError::new("SerializationException", "The body is not gzip"))?;
    if inflated.len() > MOST { Err(too_large()) } else { Ok(inflated.into()) }
}

fn too_large() -> ApiError {
    ApiError::new("RequestEntityTooLarge", "The request is larger than 1 MB")
}
