//! Asking an HTTP server that only a place of the lab reaches.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::netns;

const LIMIT: Duration = Duration::from_secs(5);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

/// Sends a request from a network namespace and reads the answer to its end.
pub(crate) fn ask(netns: &Path, method: &str, to: SocketAddr, path: &str, body: &str) -> Result<Answer> {
    let what = || format!("asking {method} http://{to}{path}");
    let text = netns::within(netns, || exchange(method, to, path, body))?.map_err(Error::system(what()))?;
    parse(&text).ok_or_else(|| Error::Invalid(format!("{} was answered {:?}", what(), text.lines().next())))
}

fn exchange(method: &str, to: SocketAddr, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(text), Some(Answer { status: 200, body: "{}".to_owned() }));
        let empty = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        assert_eq!(parse(empty), Some(Answer { status: 204, body: String::new() }));
        assert_eq!(parse("SSH-2.0-x\r\n"), None);
    }
}
