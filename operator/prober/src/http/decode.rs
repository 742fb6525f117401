//! Content codings (RFC 9110, section 8.4.1): gzip, deflate, br and zstd are undone as browsers do. Pure.
//!
//! Each coding is undone up to the limit of a body and no further: what a few kilobytes can grow to is never made, and
//! however many codings are stacked, each works on at most that much.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

use super::text::header_text;

/// Codings that are asked for, where the check has no Accept-Encoding of its own.
pub(super) const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// Codings that are undone of one body, as in curl.
const MOST_CODINGS: usize = 5;

/// Largest window of the zstd coding, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body couldn't be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error(
        "the body is encoded as {0:?}, which isn't known: ask for {ACCEPTED} or identity with a header Accept-Encoding"
    )]
    Unknown(String),
    #[error("the body is encoded {0} times over, and at most {MOST_CODINGS} codings are undone")]
    TooMany(usize),
    #[error("the header Content-Encoding says {0}, but the body isn't valid {0}")]
    Broken(&'static str),
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Bytes of a body, and whether there is more of it than was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) is_cut: bool,
}

/// The content without its codings, of which at most `most` bytes are made.
pub(super) fn decode(content: Content, headers: &HeaderMap, most: usize) -> Result<Content, DecodeError> {
    // The answer to HEAD, say, names the coding of a body that it doesn't have.
    if content.bytes.is_empty() {
        return Ok(content);
    }
    let codings = codings(headers)?;
    codings.iter().rev().try_fold(content, |content, coding| coding.undo(&content, most))
}

/// In the order in which the server applied them.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, DecodeError> {
    let names: Vec<String> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| {
            header_text(value).split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>()
        })
        .filter(|name| !matches!(name.as_str(), "" | "identity" | "none"))
        .collect();
    if names.len() > MOST_CODINGS {
        return Err(DecodeError::TooMany(names.len()));
    }
    names.into_iter().map(|name| Coding::named(&name).ok_or(DecodeError::Unknown(name))).collect()
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn undo(self, content: &Content, most: usize) -> Result<Content, DecodeError> {
        let mut bytes = Vec::new();
        let result = match self {
            Self::Gzip => gzip(&content.bytes, &mut bytes, most),
            Self::Deflate if is_zlib(&content.bytes) => {
                read(ZlibDecoder::new(content.bytes.as_slice()), &mut bytes, most)
            }
            // What the coding is called after, and what some servers send by mistake.
            Self::Deflate => read(DeflateDecoder::new(content.bytes.as_slice()), &mut bytes, most),
            Self::Brotli => brotli(&content.bytes, &mut bytes, most),
            Self::Zstd => zstd(&content.bytes, &mut bytes, most),
        };
        let is_longer = bytes.len() > most;
        bytes.truncate(most);
        // Of a body that was cut, the end is missing.
        if result.is_err() && !content.is_cut && !is_longer {
            return Err(DecodeError::Broken(self.name()));
        }
        Ok(Content { bytes, is_cut: content.is_cut || is_longer })
    }
}

/// Reads one byte more than `most`, so that it shows when there is more.
fn read(decoder: impl Read, out: &mut Vec<u8>, most: usize) -> std::io::Result<()> {
    let room = (most + 1).saturating_sub(out.len());
    decoder.take(u64::try_from(room).unwrap_or(u64::MAX)).read_to_end(out).map(drop)
}

/// Members follow each other (RFC 1952, section 2.2); what isn't one after the last is ignored, as browsers do.
fn gzip(mut bytes: &[u8], out: &mut Vec<u8>, most: usize) -> std::io::Result<()> {
    loop {
        let mut member = GzDecoder::new(bytes);
        read(&mut member, out, most)?;
        bytes = member.into_inner();
        if out.len() > most || !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(());
        }
    }
}

/// Whether it begins as RFC 1950 has it.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
}

fn brotli(bytes: &[u8], out: &mut Vec<u8>, most: usize) -> std::io::Result<()> {
    // The "large window" extension, which isn't part of the coding (RFC 7932, section 9.1): it could ask for 1 GiB.
    if bytes.first().is_some_and(|first| first & 0x7f == 0x11) {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    read(brotli_decompressor::Decompressor::new(bytes, 4096), out, most)
}

fn zstd(bytes: &[u8], out: &mut Vec<u8>, most: usize) -> std::io::Result<()> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    read(decoder, out, most)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    const MOST: usize = 4096;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(coding: &str, bytes: Vec<u8>, is_cut: bool) -> Result<Content, DecodeError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        decode(Content { bytes, is_cut }, &headers, MOST)
    }

    fn whole(coding: &str, bytes: Vec<u8>) -> Vec<u8> {
        let content = decoded(coding, bytes, false).unwrap();
        assert!(!content.is_cut);
        content.bytes
    }

    #[test]
    fn each_coding_is_undone() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"hello").unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(b"hello").unwrap();
        assert_eq!(whole("gzip", gz(b"hello")), b"hello");
        assert_eq!(whole("X-GZIP", gz(b"hello")), b"hello");
        assert_eq!(whole("deflate", zlib.finish().unwrap()), b"hello");
        assert_eq!(whole("deflate", raw.finish().unwrap()), b"hello");
        assert_eq!(whole("zstd", zstd::encode_all(&b"hello"[..], 3).unwrap()), b"hello");
        // `printf hello | brotli`.
        assert_eq!(whole("br", b"\x0b\x02\x80hello\x03".to_vec()), b"hello");
        assert_eq!(whole("identity", b"hello".to_vec()), b"hello");
        assert_eq!(whole("gzip", Vec::new()), b"");
    }

    #[test]
    fn codings_are_undone_in_the_reverse_order() {
        let both = zstd::encode_all(&gz(b"hello")[..], 3).unwrap();
        assert_eq!(whole("gzip, zstd", both.clone()), b"hello");
        assert_eq!(decoded("zstd, gzip", both, false), Err(DecodeError::Broken("gzip")));
    }

    #[test]
    fn members_follow_each_other_and_padding_is_ignored() {
        let members = [gz(b"hel"), gz(b""), gz(b"lo"), vec![0; 7]].concat();
        assert_eq!(whole("gzip", members), b"hello");
    }

    #[test]
    fn a_bomb_is_undone_up_to_the_limit_only() {
        let bomb = gz(&vec![b'x'; 50 * 1024 * 1024]);
        let twice = gz(&bomb);
        for (coding, bytes) in [("gzip", bomb.clone()), ("gzip, gzip", twice)] {
            let content = decoded(coding, bytes, false).unwrap();
            assert!(content.is_cut && content.bytes.len() <= MOST, "{coding}");
        }
        let zstd = zstd::encode_all(&vec![b'x'; 50 * 1024 * 1024][..], 3).unwrap();
        assert_eq!(decoded("zstd", zstd, false).unwrap().bytes.len(), MOST);
    }

    #[test]
    fn what_is_exactly_as_long_as_the_limit_isn_t_cut() {
        assert_eq!(whole("gzip", gz(&vec![b'x'; MOST])).len(), MOST);
        assert!(decoded("gzip", gz(&vec![b'x'; MOST + 1]), false).unwrap().is_cut);
    }

    #[test]
    fn of_a_body_that_was_cut_the_beginning_is_shown() {
        let mut bytes = gz(b"hello, this is a text that goes on and on");
        bytes.truncate(bytes.len() - 4);
        assert_eq!(decoded("gzip", bytes.clone(), false), Err(DecodeError::Broken("gzip")));
        let content = decoded("gzip", bytes, true).unwrap();
        assert!(content.is_cut && content.bytes.starts_with(b"hello"));
    }

    #[test]
    fn what_isn_t_so_encoded_says_so() {
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let error = decoded(coding, b"<html>hello</html>".to_vec(), false).unwrap_err();
            assert_eq!(error, DecodeError::Broken(Coding::named(coding).unwrap().name()));
        }
        // A window of 1 GiB.
        assert_eq!(decoded("br", b"\x11\x1e\0\0".to_vec(), false), Err(DecodeError::Broken("br")));
        let unknown = decoded("exi", b"x".to_vec(), false).unwrap_err();
        assert!(unknown.to_string().starts_with("the body is encoded as \"exi\", which isn't known"));
        assert_eq!(decoded("gzip,gzip,gzip,gzip,gzip,gzip", gz(b""), false), Err(DecodeError::TooMany(6)));
    }
}
