//! The text that the bytes of an answer mean, by its charset. Pure.

use std::borrow::Cow;
use std::sync::LazyLock;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use http::{HeaderMap, HeaderValue, header};
use memchr::memmem;
use regex::bytes::{Captures, Regex};

/// How far into a document its own declaration is looked for, bytes, as browsers do.
const PRESCAN: usize = 1024;

/// The charset that a document declares by itself: `<meta charset=…>`, `<meta … content="…; charset=…">`,
/// `<?xml … encoding="…"?>`.
static DECLARATION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)<(?:meta|\?xml)\b[^>]*?\b(?:charset|encoding)\s*=\s*["']?\s*([a-z0-9._:-]+)"#).ok()
});

/// A body as text, in UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    text: Cow<'a, [u8]>,
    /// The bytes as they came, where nothing says which charset they are of: they may be no text at all.
    raw: Option<&'a [u8]>,
    /// The bytes as they came, where they are UTF-8 although another charset is declared: many a server declares one for
    /// whatever it sends.
    undeclared: Option<&'a [u8]>,
}

impl<'a> Text<'a> {
    /// By the byte order mark, then by the header Content-Type, then by what the document declares, then UTF-8; what
    /// can't be UTF-8 is taken as windows-1252, as browsers do.
    pub(super) fn new(body: &'a [u8], headers: &HeaderMap, is_cut: bool) -> Self {
        if let Some((encoding, length)) = Encoding::for_bom(body) {
            return Self::of(encoding, body.get(length..).unwrap_or_default());
        }
        let content_type = headers.get(header::CONTENT_TYPE).map(header_text).unwrap_or_default();
        let is_utf8 = is_utf8(body, is_cut);
        // JSON is UTF-8 whatever the header says (RFC 8259, section 8.1), unless it can't be.
        if is_utf8 && is_json(&content_type) {
            return Self::of(UTF_8, body);
        }
        match declared(&content_type, body) {
            Some(encoding) => {
                let undeclared = (is_utf8 && encoding != UTF_8).then_some(body);
                Self { undeclared, ..Self::of(encoding, body) }
            }
            None if is_utf8 => Self::of(UTF_8, body),
            None => Self { raw: Some(body), ..Self::of(WINDOWS_1252, body) },
        }
    }

    fn of(encoding: &'static Encoding, body: &'a [u8]) -> Self {
        let text = if encoding == UTF_8 {
            Cow::Borrowed(body)
        } else {
            match encoding.decode_without_bom_handling(body).0 {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }
        };
        Self { text, raw: None, undeclared: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn contains(&self, part: &str) -> bool {
        self.forms().any(|form| memmem::find(form, part.as_bytes()).is_some())
    }

    /// The text in which `part` may be read, by the charset that is declared or by the one that it seems to be.
    pub(super) fn possibly_with(&self, part: &str) -> Option<&[u8]> {
        let mut forms = self.forms().chain(self.undeclared);
        forms.find(|form| memmem::find(form, part.as_bytes()).is_some())
    }

    pub(super) fn matches(&self, regex: &Regex) -> bool {
        self.forms().any(|form| regex.is_match(form))
    }

    pub(super) fn captures(&self, regex: &Regex) -> Option<Captures<'_>> {
        self.forms().find_map(|form| regex.captures(form))
    }

    fn forms(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.bytes()).chain(self.raw)
    }
}

/// A header as text: UTF-8 where it is that, else ISO 8859-1 (RFC 9110, section 5.5).
pub(super) fn header_text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::mem::decode_latin1(value.as_bytes()),
    }
}

/// Whether it is UTF-8; of a body that was cut, but for its last character.
fn is_utf8(body: &[u8], is_cut: bool) -> bool {
    match std::str::from_utf8(body) {
        Ok(_) => true,
        Err(error) => is_cut && error.error_len().is_none(),
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json")
}

fn declared(content_type: &str, body: &[u8]) -> Option<&'static Encoding> {
    if let Some(encoding) = charset(content_type).and_then(encoding) {
        return Some(encoding);
    }
    let essence = content_type.split(';').next().unwrap_or_default().to_ascii_lowercase();
    if !(essence.is_empty() || essence.contains("html") || essence.contains("xml")) {
        return None;
    }
    let beginning = body.get(..PRESCAN).unwrap_or(body);
    let label = DECLARATION.as_ref()?.captures(beginning)?.get(1)?.as_bytes();
    // A declaration that could be read isn't in UTF-16, whatever it says.
    let found = encoding(std::str::from_utf8(label).ok()?)?;
    Some(if found.is_ascii_compatible() { found } else { UTF_8 })
}

/// The parameter of a Content-Type, also of one that isn't written by the rules, as browsers do.
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

fn encoding(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: &'static str, body: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        String::from_utf8(Text::new(body, &headers, false).bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_charset_of_the_header_counts() {
        for (content_type, body) in [
            ("text/plain; charset=iso-8859-1", b"St\xf6rung" as &[u8]),
            ("text/plain;Charset=\"windows-1252\"; format=flowed", b"St\xf6rung"),
            ("text/plain; charset=utf-16be", b"\0S\0t\0\xf6\0r\0u\0n\0g"),
            ("text/plain; charset=UTF-8", "Störung".as_bytes()),
            ("text/plain", "Störung".as_bytes()),
            ("", "Störung".as_bytes()),
            // What nothing says more of.
            ("text/plain", b"St\xf6rung"),
            ("text/plain; charset=klingon", b"St\xf6rung"),
        ] {
            assert_eq!(text(content_type, body), "Störung", "{content_type}");
        }
        assert_eq!(text("text/html; charset=shift_jis", b"\x8f\xe1\x8aQ"), "障害");
    }

    #[test]
    fn a_byte_order_mark_says_more_than_the_header() {
        assert_eq!(text("text/plain; charset=iso-8859-1", b"\xef\xbb\xbf\xc3\xb6"), "ö");
        assert_eq!(text("text/plain", b"\xff\xfeh\0i\0"), "hi");
        assert_eq!(text("application/json", b"\xfe\xff\0h\0i"), "hi");
    }

    #[test]
    fn a_document_that_declares_its_charset_is_read_by_it() {
        for body in [
            b"<html><head><META charset='iso-8859-2'><title>\xb1" as &[u8],
            b"<meta http-equiv=Content-Type content=\"text/html; charset=iso-8859-2\">\xb1",
            b"<?xml version=\"1.0\" encoding=\"ISO-8859-2\"?><a>\xb1",
        ] {
            assert!(text("text/html", body).ends_with('ą'), "{}", text("text/html", body));
        }
        assert!(text("text/plain", b"<meta charset=iso-8859-2>\xb1").ends_with('±'));
        assert!(text("text/html", "<meta charset=utf-16>ö".as_bytes()).ends_with('ö'));
    }

    #[test]
    fn json_is_utf_8_also_where_the_header_says_otherwise() {
        assert_eq!(text("application/json;charset=ISO-8859-1", "ö".as_bytes()), "ö");
        assert_eq!(text("application/problem+json;charset=ISO-8859-1", b"\xf6"), "ö");
    }

    #[test]
    fn bytes_of_an_unknown_charset_are_also_searched_as_they_are() {
        let text = Text::new(b"\xff\xfb\xc3\xa4", &HeaderMap::new(), false);
        assert!(text.contains("ä") && text.contains("ÿû"));
        assert!(text.matches(&Regex::new(r"(?-u)^\xff\xfb").unwrap()));
    }

    #[test]
    fn utf_8_that_is_declared_as_another_charset_may_be_read_either_way() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=iso-8859-1"));
        let text = Text::new("Störung".as_bytes(), &headers, false);
        assert!(!text.contains("Störung") && text.contains("StÃ¶rung"));
        assert_eq!(text.possibly_with("Störung"), Some("Störung".as_bytes()));
        assert_eq!(text.possibly_with("Ã¶"), Some("StÃ¶rung".as_bytes()));
        let latin1 = Text::new(b"St\xf6rung", &headers, false);
        assert_eq!(
            (latin1.possibly_with("Störung"), latin1.possibly_with("Ã¶")),
            (Some("Störung".as_bytes()), None)
        );
    }

    #[test]
    fn a_character_that_was_cut_doesn_t_change_the_charset() {
        let cut = &"aöö".as_bytes()[..4];
        assert_eq!(Text::new(cut, &HeaderMap::new(), true).bytes(), cut);
        assert_ne!(Text::new(cut, &HeaderMap::new(), false).bytes(), cut);
    }

    #[test]
    fn a_header_is_utf_8_or_iso_8859_1() {
        assert_eq!(header_text(&HeaderValue::from_bytes(b"Z\xfcrich").unwrap()), "Zürich");
        assert_eq!(header_text(&HeaderValue::from_bytes("Zürich".as_bytes()).unwrap()), "Zürich");
    }
}
