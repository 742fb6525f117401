//! An answer, and what its body says.

use std::fmt;

use http::HeaderMap;

use super::decode::{Content, DecodeError, decode};
use super::text::Text;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The length up to which the body was read, where it is longer.
    pub(super) limit: Option<Size>,
    body: Result<Vec<u8>, DecodeError>,
}

/// The body can't be read.
pub(super) type Unreadable = DecodeError;

impl Answer {
    /// `content` is the body as it came, of which at most `most` bytes are kept when it is decoded.
    pub(super) fn new(status: u16, headers: HeaderMap, content: Content, most: usize) -> Self {
        let (body, is_cut) = match decode(content, &headers, most) {
            Ok(Content { bytes, is_cut }) => (Ok(bytes), is_cut),
            Err(error) => (Err(error), false),
        };
        Self { status, headers, limit: is_cut.then_some(Size(most)), body }
    }

    /// The body as text.
    pub(super) fn text(&self) -> Result<Text<'_>, Unreadable> {
        let body = self.body.as_ref().map_err(Clone::clone)?;
        Ok(Text::new(body, &self.headers, self.limit.is_some()))
    }

    /// Length of the decoded body, bytes.
    pub(super) fn length(&self) -> Option<u64> {
        self.body.as_ref().ok().and_then(|body| u64::try_from(body.len()).ok())
    }
}

/// A number of bytes as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1024 * 1024;
        match self.0 {
            n if n >= MIB && n % MIB == 0 => write!(f, "{} MiB", n / MIB),
            n if n >= 1024 && n % 1024 == 0 => write!(f, "{} KiB", n / 1024),
            n => write!(f, "{n} bytes"),
        }
    }
}
