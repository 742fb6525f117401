//! One query to one server, over UDP or TCP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::error::DnsError;
use super::message::{belongs, query};
use crate::deadline::Deadline;

/// The answer of `server` over UDP, cut short or not.
pub(super) async fn udp(
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    let query = query(rand::random(), name.clone(), record_type);
    let bytes = query.to_vec().map_err(|error| DnsError::BadName(name.to_ascii(), error.to_string()))?;
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
                Err(error) if packet.get(..2) == bytes.get(..2) => {
                    return Err(DnsError::Malformed { server, why: error.to_string() });
                }
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
    let query = query(rand::random(), name.clone(), record_type);
    let bytes = query.to_vec().map_err(|error| DnsError::BadName(name.to_ascii(), error.to_string()))?;
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
        Message::from_vec(&buffer).map_err(|error| DnsError::Malformed { server, why: error.to_string() })
    };
    let answer = deadline.within(exchange).await.map_err(|after| DnsError::Silent {
        server,
        protocol: "TCP",
        after,
        ignored: 0,
    })??;
    if belongs(&answer, &query) { Ok(answer) } else { Err(DnsError::Mismatch { server }) }
}
