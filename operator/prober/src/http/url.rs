//! Addresses that may be asked for.

use url::Url;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("{0}")]
    Malformed(String),
    #[error("its scheme is {0}, and only http and https are known")]
    Scheme(String),
    #[error("it has a login in it: use authentication")]
    Login,
}

/// An address of http or https without login; its fragment is left out, since it isn't sent.
pub(crate) fn parse_url(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|error| UrlError::Malformed(error.to_string()))?;
    check(url)
}

pub(super) fn check(mut url: Url) -> Result<Url, UrlError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Login);
    }
    url.set_fragment(None);
    Ok(url)
}
