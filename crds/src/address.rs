//! Addresses and host names as users write them, also in letters beyond ASCII.

use std::borrow::Cow;

use idna::AsciiDenyList;
use url::{ParseError, Url};

/// Why a text isn't an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it has no scheme")]
    NoScheme,
    #[error("its host is missing")]
    NoHost,
    #[error("its port isn't a number from 0 to 65535")]
    Port,
    #[error("its host isn't a name or an address")]
    Host,
    #[error("it is too long")]
    TooLong,
    #[error("its scheme is {0}, and only http and https are known")]
    Scheme(String),
    #[error("it has a login in it, which doesn't belong into an address")]
    Login,
}

/// In words of our own: those of the library are about its parser.
impl From<ParseError> for AddressError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => {
                Self::NoScheme
            }
            ParseError::EmptyHost => Self::NoHost,
            ParseError::InvalidPort => Self::Port,
            ParseError::Overflow => Self::TooLong,
            // What else can be wrong is about the host.
            _ => Self::Host,
        }
    }
}

/// The address of http or https that `text` is; without its fragment, which is never sent.
///
/// # Errors
/// When it isn't one, or has a login in it.
pub fn parse_address(text: &str) -> Result<Url, AddressError> {
    check(Url::parse(text)?)
}

/// The address that `reference`, such as a header Location, leads to from `base`.
///
/// # Errors
/// As of [`parse_address`].
pub fn join_address(base: &Url, reference: &str) -> Result<Url, AddressError> {
    check(base.join(reference)?)
}

fn check(mut url: Url) -> Result<Url, AddressError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AddressError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Login);
    }
    url.set_fragment(None);
    Ok(url)
}

/// `host` as DNS and certificates know it: `bücher.example` is `xn--bcher-kva.example` (UTS 46, as browsers map names).
/// ASCII text is returned unchanged; `None` means that the text is no host name.
pub fn host_to_ascii(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return Some(Cow::Borrowed(host));
    }
    idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::URL).ok().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_isn_t_an_address_says_why_in_plain_words() {
        for (text, error) in [
            ("shop.example.com/health", AddressError::NoScheme),
            ("", AddressError::NoScheme),
            ("http://", AddressError::NoHost),
            ("http://shop:99999/", AddressError::Port),
            ("http://[::1/", AddressError::Host),
            ("http://10.0.0.256/", AddressError::Host),
            ("http://a b/", AddressError::Host),
            ("ftp://shop/", AddressError::Scheme("ftp".to_owned())),
            ("http://ann:secret@shop/", AddressError::Login),
        ] {
            assert_eq!(parse_address(text), Err(error), "{text}");
        }
        let url = parse_address("http://bücher.example/#top").unwrap();
        assert_eq!(url.as_str(), "http://xn--bcher-kva.example/");
    }

    #[test]
    fn a_name_is_mapped_as_browsers_map_it() {
        for (host, ascii) in [
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.example.", Some("xn--bcher-kva.example.")),
            ("例え。テスト", Some("xn--r8jz45g.xn--zckzah")),
            ("faß.de", Some("xn--fa-hia.de")),
            ("_dmarc.bücher.example", Some("_dmarc.xn--bcher-kva.example")),
            ("Shop_1.example", Some("Shop_1.example")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("a\u{2028}b.example", None),
        ] {
            assert_eq!(host_to_ascii(host).as_deref(), ascii, "{host}");
        }
    }
}
