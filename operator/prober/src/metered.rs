//! A stream that remembers what came over it first, and how it ended.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of what came first is remembered, bytes.
const BEGINNING: usize = 64;

/// Tells "said nothing" from "said too little" when an answer doesn't come, and shows what isn't understood.
///
/// The end of a TLS connection counts as the end of what it carries, also where the server left out to say so
/// (close_notify), as in browsers: where the length of an answer is known, a loss shows by that; where it isn't, a
/// server can't be told from one that speaks without TLS and closes.
pub(crate) struct Metered<S> {
    stream: S,
    heard: Heard,
}

/// What came over a stream. Clones are of the same stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    beginning: Vec<u8>,
    alert: Option<AlertDescription>,
}

impl Heard {
    pub(crate) fn anything(&self) -> bool {
        !self.seen().beginning.is_empty()
    }

    /// The first bytes.
    pub(crate) fn beginning(&self) -> Vec<u8> {
        self.seen().beginning.clone()
    }

    /// The alert by which the other side ended TLS.
    pub(crate) fn alert(&self) -> Option<AlertDescription> {
        self.seen().alert
    }

    fn add(&self, bytes: &[u8]) {
        let mut seen = self.seen();
        let room = BEGINNING - seen.beginning.len();
        seen.beginning.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { stream, heard: heard.clone() }, heard)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buf)) {
            Ok(()) => {
                self.heard.add(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Err(error) => {
                if let Some(rustls::Error::AlertReceived(alert)) = crate::tls::cause(&error) {
                    self.heard.seen().alert = Some(*alert);
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
