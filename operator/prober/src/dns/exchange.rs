//! One query to one server, over UDP or TCP.
//!
//! It is made with EDNS, as by every resolver; a server that doesn't understand that, or drops such queries, is asked once
//! more without (RFC 6891, section 6.2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::future::{Either, select};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::error::DnsError;
use super::message::{Extension, belongs, query};
use crate::deadline::Deadline;

/// How long an answer is waited for before the server is asked without EDNS too. The first answer to come counts.
const EDNS_PATIENCE: Duration = Duration::from_secs(2);

/// The answer of a server that is asked by `ask`, at first with EDNS.
async fn with_fallback<A: Future<Output = Result<Message, DnsError>>>(
    ask: impl Fn(Extension) -> A,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    let mut first = Box::pin(ask(Extension::Edns));
    let patience = deadline.share(2).at_most(EDNS_PATIENCE);
    match patience.within(&mut first).await {
        Ok(Ok(answer)) if refuses_edns(&answer) => ask(Extension::Plain).await,
        // One that closes the connection, or chokes on what it doesn't know.
        Ok(Err(DnsError::Closed { .. } | DnsError::Malformed { .. })) => ask(Extension::Plain).await,
        Ok(result) => result,
        Err(_) => match select(first, Box::pin(ask(Extension::Plain))).await {
            Either::Left((Ok(answer), plain)) if refuses_edns(&answer) => plain.await,
            Either::Left((result @ Ok(_), _)) | Either::Right((result @ Ok(_), _)) => result,
            // The other query is under way, and may be answered.
            Either::Left((Err(_), plain)) => plain.await,
            Either::Right((Err(_), first)) => first.await,
        },
    }
}

/// Whether the server doesn't understand the query, or its version of EDNS (BADVERS; the library reads that code as
/// BADSIG, which is the same number in answers to signed queries).
fn refuses_edns(answer: &Message) -> bool {
    matches!(
        answer.metadata.response_code,
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS | ResponseCode::BADSIG
    )
}

/// The answer of `server` over UDP, cut short or not.
pub(super) async fn udp(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    with_fallback(|extension| ask_udp(server, name, record_type, extension, deadline), deadline).await
}

async fn ask_udp(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    extension: Extension,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    let query = query(rand::random(), name.clone(), record_type, extension);
    let bytes = query.to_vec().map_err(|_| DnsError::BadName(name.to_ascii()))?;
    let mut ignored = 0;
    let exchange = async {
        let io = |error: std::io::Error| DnsError::io(server, "UDP", &error);
        // A socket of its own for each query: the kernel picks a port that can't be guessed, and drops what comes from
        // elsewhere.
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local).await.map_err(io)?;
        socket.connect(server).await.map_err(io)?;
        socket.send(&bytes).await.map_err(io)?;
        let mut buffer = vec![0; 4096];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(io)?;
            let packet = buffer.get(..length).unwrap_or_default();
            match Message::from_vec(packet) {
                Ok(answer) if belongs(&answer, &query) => return Ok(answer),
                // A stray packet and a malformed answer are told apart by the id, which is what comes first.
                Err(_) if packet.get(..2) == bytes.get(..2) => return Err(DnsError::Malformed { server }),
                Ok(_) | Err(_) => ignored += 1,
            }
        }
    };
    match deadline.within(exchange).await {
        Ok(result) => result,
        Err(after) => Err(DnsError::Silent { server, protocol: "UDP", after, ignored }),
    }
}

/// The answer of `server` over TCP (RFC 7766: two bytes of length, then the message).
pub(super) async fn tcp(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    with_fallback(|extension| ask_tcp(server, name, record_type, extension, deadline), deadline).await
}

async fn ask_tcp(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    extension: Extension,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    let query = query(rand::random(), name.clone(), record_type, extension);
    let bytes = query.to_vec().map_err(|_| DnsError::BadName(name.to_ascii()))?;
    let io = |error: std::io::Error| DnsError::io(server, "TCP", &error);
    let mut stream = deadline
        .within(TcpStream::connect(server))
        .await
        .map_err(|after| DnsError::Connect { server, after })?
        .map_err(io)?;
    let exchange = async {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&bytes);
        stream.write_all(&framed).await.map_err(io)?;
        let length = stream.read_u16().await.map_err(io)?;
        let mut buffer = vec![0; usize::from(length)];
        stream.read_exact(&mut buffer).await.map_err(io)?;
        Message::from_vec(&buffer).map_err(|_| DnsError::Malformed { server })
    };
    let answer = deadline.within(exchange).await.map_err(|after| DnsError::Silent {
        server,
        protocol: "TCP",
        after,
        ignored: 0,
    })??;
    if belongs(&answer, &query) { Ok(answer) } else { Err(DnsError::Mismatch { server }) }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use tokio::sync::Notify;

    use super::*;

    fn answer() -> Message {
        Message::response(7, OpCode::Query)
    }

    #[tokio::test]
    async fn a_query_that_fails_late_leaves_the_other_its_answer() {
        let server = "192.0.2.1:53".parse().unwrap();
        let (asked_again, failed) = (Notify::new(), Notify::new());
        let (again, failed) = (&asked_again, &failed);
        let ask = |extension| async move {
            if extension == Extension::Edns {
                again.notified().await;
                failed.notify_one();
                return Err(DnsError::Closed { server });
            }
            again.notify_one();
            failed.notified().await;
            Ok(answer())
        };
        let result = with_fallback(ask, Deadline::new(Duration::from_millis(100))).await;
        assert_eq!(result.map(|answer| answer.metadata.id), Ok(7));
    }
}
