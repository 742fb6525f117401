//! What goes over a connection: a request that says how long an answer it wants, and that answer.
//!
//! Bodies are written a segment at a time: one large write leaves as one super-packet, which a fault between two
//! network namespaces drops or passes as a whole, and loss would come in bursts that no real network shows.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Fits one segment on a path with an MTU of 1500 and TCP timestamps.
const SEGMENT_BYTES: usize = 1400;
/// No body is longer: a length beyond it is a peer that doesn't speak this.
pub const MAX_BODY_BYTES: u32 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    pub body_bytes: u32,
    pub response_bytes: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the peer announced {0} bytes; at most {MAX_BODY_BYTES} are allowed")]
    TooLong(u32),
}

/// Sends one request.
pub async fn write_request<W: AsyncWrite + Unpin>(
    to: &mut W,
    header: RequestHeader,
) -> Result<(), WireError> {
    let mut head = [0; 8];
    let (body, response) = head.split_at_mut(4);
    body.copy_from_slice(&header.body_bytes.to_be_bytes());
    response.copy_from_slice(&header.response_bytes.to_be_bytes());
    write_segments(to, &head, header.body_bytes).await
}

/// Reads one request with its body; `None` where the peer closed between two requests.
pub async fn read_request<R: AsyncRead + Unpin>(from: &mut R) -> Result<Option<RequestHeader>, WireError> {
    let body_bytes = match from.read_u32().await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let response_bytes = from.read_u32().await?;
    for bytes in [body_bytes, response_bytes] {
        if bytes > MAX_BODY_BYTES {
            return Err(WireError::TooLong(bytes));
        }
    }
    discard(from, body_bytes).await?;
    Ok(Some(RequestHeader { body_bytes, response_bytes }))
}

/// Sends the answer of `bytes`.
pub async fn write_response<W: AsyncWrite + Unpin>(to: &mut W, bytes: u32) -> Result<(), WireError> {
    write_segments(to, &bytes.to_be_bytes(), bytes).await
}

/// Reads an answer to its end and returns its length.
pub async fn read_response<R: AsyncRead + Unpin>(from: &mut R) -> Result<u32, WireError> {
    let bytes = from.read_u32().await?;
    if bytes > MAX_BODY_BYTES {
        return Err(WireError::TooLong(bytes));
    }
    discard(from, bytes).await?;
    Ok(bytes)
}

async fn write_segments<W: AsyncWrite + Unpin>(
    to: &mut W,
    head: &[u8],
    body_bytes: u32,
) -> Result<(), WireError> {
    let mut segment = Vec::with_capacity(SEGMENT_BYTES);
    segment.extend_from_slice(head);
    let mut left = body_bytes as usize;
    loop {
        let filler = left.min(SEGMENT_BYTES - segment.len());
        segment.resize(segment.len() + filler, b'.');
        left -= filler;
        to.write_all(&segment).await?;
        if left == 0 {
            return Ok(to.flush().await?);
        }
        segment.clear();
    }
}

async fn discard<R: AsyncRead + Unpin>(from: &mut R, bytes: u32) -> Result<(), WireError> {
    let mut buffer = [0; 4096];
    let mut left = bytes as usize;
    while left > 0 {
        let want = left.min(buffer.len());
        let (part, _) = buffer.split_at_mut(want);
        match from.read(part).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            got => left -= got,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_and_its_response_arrive_whole() {
        let (mut client, mut server) = tokio::io::duplex(1 << 16);
        let header = RequestHeader { body_bytes: 3000, response_bytes: 9000 };
        write_request(&mut client, header).await.unwrap();
        assert_eq!(read_request(&mut server).await.unwrap(), Some(header));
        write_response(&mut server, header.response_bytes).await.unwrap();
        assert_eq!(read_response(&mut client).await.unwrap(), 9000);
    }

    #[tokio::test]
    async fn a_peer_that_closes_between_requests_is_no_error() {
        let (client, mut server) = tokio::io::duplex(64);
        drop(client);
        assert_eq!(read_request(&mut server).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_refused() {
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(matches!(read_request(&mut server).await, Err(WireError::TooLong(_))));
    }
}
