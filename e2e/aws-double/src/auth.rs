//! Who calls, from the credential scope of Signature Version 4. Signatures aren't verified.

use http::request::Parts;

use crate::error::ApiError;

/// `Credential=KEY/20261123/eu-west-1/monitoring/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

pub(crate) fn credential(parts: &Parts) -> Result<Credential, ApiError> {
    let header = parts.headers.get(http::header::AUTHORIZATION).ok_or_else(|| {
        ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token")
    })?;
    let text = header.to_str().unwrap_or_default();
    let scope = text
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .and_then(|rest| rest.split(',').find_map(|part| part.trim().strip_prefix("Credential=")))
        .ok_or_else(incomplete)?;
    let mut parts = scope.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(key), Some(_date), Some(region), Some(service), Some("aws4_request"), None)
            if !key.is_empty() && !region.is_empty() =>
        {
            Ok(Credential {
                access_key: key.to_owned(),
                region: region.to_owned(),
                service: service.to_owned(),
            })
        }
        _ => Err(incomplete()),
    }
}

fn incomplete() -> ApiError {
    ApiError::new(
        "IncompleteSignature",
        "Authorization header requires 'Credential' parameter of the form KEY/DATE/REGION/SERVICE/aws4_request.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(authorization: Option<&str>) -> Result<Credential, ApiError> {
        let mut request = http::Request::builder();
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        credential(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn key_region_and_service_come_from_the_scope() {
        let header = "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/monitoring/aws4_request, SignedHeaders=host, \
                      Signature=00";
        let expected =
            Credential { access_key: "AK".into(), region: "eu-west-1".into(), service: "monitoring".into() };
        assert_eq!(parse(Some(header)), Ok(expected));
        assert_eq!(parse(None).unwrap_err().shape, "MissingAuthenticationToken");
        for bad in
            ["Bearer x", "AWS4-HMAC-SHA256 Credential=AK/1/r/monitoring, Signature=0", "AWS4-HMAC-SHA256 x"]
        {
            assert_eq!(parse(Some(bad)).unwrap_err().shape, "IncompleteSignature", "{bad}");
        }
    }
}
