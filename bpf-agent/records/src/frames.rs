//! Zstandard frames one after the other, read as one text. Each is whole or is the last: whoever appends frames to a file
//! can be stopped at any moment.

use std::fmt;
use std::io::{self, BufRead, Read};

use zstd::stream::read::Decoder;

/// The input ends within a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated {
    /// True if some of that frame's text was read before the input ended.
    pub(crate) partial: bool,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the input ends within a compressed frame")
    }
}

impl std::error::Error for Truncated {}

pub(crate) struct Frames<R: BufRead> {
    at: At<R>,
}

enum At<R: BufRead> {
    /// Before a frame, or at the end.
    Edge(R),
    Within {
        decoder: Decoder<'static, R>,
        read: bool,
    },
    /// After an error.
    Failed,
}

impl<R: BufRead> Frames<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { at: At::Edge(input) }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.at, At::Failed) {
                At::Edge(mut input) => {
                    if input.fill_buf()?.is_empty() {
                        self.at = At::Edge(input);
                        return Ok(0);
                    }
                    let decoder = Decoder::with_buffer(input)?.single_frame();
                    self.at = At::Within { decoder, read: false };
                }
                At::Within { mut decoder, read } => match decoder.read(buffer) {
                    Ok(0) => self.at = At::Edge(decoder.finish()),
                    Ok(n) => {
                        self.at = At::Within { decoder, read: true };
                        return Ok(n);
                    }
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        return Err(io::Error::new(error.kind(), Truncated { partial: read }));
                    }
                    Err(error) => return Err(error),
                },
                At::Failed => return Ok(0),
            }
        }
    }
}
