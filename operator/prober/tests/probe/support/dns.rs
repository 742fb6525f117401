//! A server of DNS, over UDP and TCP on one port.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What the server makes of a query; `None`: it stays silent.
pub(crate) type Answer = Option<Vec<Message>>;

#[derive(Clone)]
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, RecordType, Over)>>>,
}

impl Dns {
    pub(crate) fn asked(&self) -> Vec<(String, RecordType, Over)> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer to `query`, so far without records.
pub(crate) fn answer(query: &Message) -> Message {
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.add_queries(query.queries.clone());
    answer
}

pub(crate) fn code(query: &Message, code: ResponseCode) -> Answer {
    let mut answer = answer(query);
    answer.metadata.response_code = code;
    Some(vec![answer])
}

/// The records of `zone` for the name that is asked for, or NXDOMAIN.
pub(crate) fn from_zone(query: &Message, zone: &[(&str, RData)]) -> Answer {
    let asked = &query.queries[0];
    let name = asked.name.to_ascii().to_lowercase();
    let of_name: Vec<_> = zone.iter().filter(|(owner, _)| format!("{owner}.") == name).collect();
    let mut answer = answer(query);
    if of_name.is_empty() {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    for (_, data) in of_name {
        if data.record_type() == asked.query_type || data.record_type() == RecordType::CNAME {
            answer.add_answer(Record::from_rdata(asked.name.clone(), 60, data.clone()));
        }
    }
    Some(vec![answer])
}

pub(crate) fn address(ip: &str) -> RData {
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

pub(crate) fn cname(name: &str) -> RData {
    RData::CNAME(CNAME(Name::from_ascii(name).unwrap()))
}

pub(crate) fn mx(preference: u16, name: &str) -> RData {
    RData::MX(MX::new(preference, Name::from_ascii(name).unwrap()))
}

pub(crate) fn srv(port: u16, name: &str) -> RData {
    RData::SRV(SRV::new(1, 2, port, Name::from_ascii(name).unwrap()))
}

pub(crate) fn txt(parts: &[&str]) -> RData {
    RData::TXT(TXT::new(parts.iter().map(|part| (*part).to_owned()).collect()))
}

/// A server of these addresses.
pub(crate) async fn hosts(zone: &[(&'static str, &'static str)]) -> Dns {
    let zone: Vec<(&'static str, RData)> = zone.iter().map(|(name, ip)| (*name, address(ip))).collect();
    serve(move |query, _| from_zone(query, &zone)).await
}

pub(crate) async fn serve(answer: impl Fn(&Message, Over) -> Answer + Send + Sync + 'static) -> Dns {
    let (udp, tcp) = sockets().await;
    let address = udp.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answer = Arc::new({
        let asked = Arc::clone(&asked);
        move |bytes: &[u8], over| {
            let query = Message::from_vec(bytes).unwrap();
            let question = &query.queries[0];
            asked.lock().unwrap().push((question.name.to_ascii(), question.query_type, over));
            let answers = answer(&query, over).unwrap_or_default();
            answers.into_iter().map(|answer| answer.to_vec().unwrap()).collect::<Vec<_>>()
        }
    });
    tokio::spawn({
        let answer = Arc::clone(&answer);
        async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                for packet in answer(&buffer[..length], Over::Udp) {
                    let _ = udp.send_to(&packet, from).await;
                }
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let Ok(length) = stream.read_u16().await else { return };
                let mut query = vec![0; length.into()];
                let Ok(_) = stream.read_exact(&mut query).await else { return };
                for message in answer(&query, Over::Tcp) {
                    let _ = stream.write_u16(message.len().try_into().unwrap()).await;
                    let _ = stream.write_all(&message).await;
                }
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    Dns { address, asked }
}

/// Both sockets on one port: what is free for TCP may be taken for UDP by another test.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..32 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}
