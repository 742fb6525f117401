//! The check of DNS.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use tidewatch_crds::canary::{DnsProtocol, RecordType as Type};
use tokio::time::Instant;

use super::error::DnsError;
use super::{exchange, message};
use crate::connect::{Target, add};
use crate::deadline::{Deadline, Span};
use crate::failure::Failure;
use crate::plan::DnsPlan;
use crate::prober::{Course, too_long};

pub(crate) async fn run(plan: &DnsPlan, mut course: Course<'_>) -> Result<(), Failure> {
    let text = plan.name.render(course.variables);
    let name = message::name(&text).map_err(Failure::new)?;
    let record_type = record_type(plan.record_type);
    let servers = servers(plan, &mut course).await?;
    let mut result = Err(Failure::new("DNS: no server is known"));
    for (done, server) in servers.iter().enumerate() {
        course.report.ip = Some(server.ip());
        let left = servers.len() - done;
        let share = if left == 1 { course.deadline } else { course.deadline.share(left) };
        let began = Instant::now();
        let answer = ask(plan.protocol, *server, &name, record_type, share).await;
        add(&mut course.report.phases.dns, began);
        let took = began.elapsed();
        match answer {
            Ok(answer) => return judge(plan, &text, record_type, &answer, *server, took),
            Err(error) => result = Err(Failure::new(error)),
        }
    }
    result
}

async fn ask(
    protocol: DnsProtocol,
    server: SocketAddr,
    name: &hickory_proto::rr::Name,
    record_type: RecordType,
    deadline: Deadline,
) -> Result<Message, DnsError> {
    match protocol {
        DnsProtocol::Udp => exchange::udp(server, name, record_type, deadline).await,
        DnsProtocol::Tcp => exchange::tcp(server, name, record_type, deadline).await,
    }
}

/// Whom to ask: the servers of the cluster, or the one that the check names, if that may be reached.
async fn servers(plan: &DnsPlan, course: &mut Course<'_>) -> Result<Vec<SocketAddr>, Failure> {
    let connector = &course.means.connector;
    let own = connector.resolver.servers();
    let Some((host, port)) = &plan.server else { return Ok(own.to_vec()) };
    if let Some(ip) = crate::connect::literal(host) {
        let address = SocketAddr::new(ip, *port);
        if own.contains(&address) {
            return Ok(vec![address]);
        }
    }
    let target = Target { host, port: *port, family: course.family };
    let ips = connector
        .permitted(target, course.deadline, &mut course.report.phases)
        .await
        .map_err(|error| Failure::new(format!("the DNS server: {error}")))?;
    Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect())
}

fn record_type(record_type: Type) -> RecordType {
    match record_type {
        Type::A => RecordType::A,
        Type::AAAA => RecordType::AAAA,
        Type::CNAME => RecordType::CNAME,
        Type::MX => RecordType::MX,
        Type::NS => RecordType::NS,
        Type::SRV => RecordType::SRV,
        Type::TXT => RecordType::TXT,
    }
}

fn judge(
    plan: &DnsPlan,
    name: &str,
    record_type: RecordType,
    answer: &Message,
    server: SocketAddr,
    took: Duration,
) -> Result<(), Failure> {
    let metadata = &answer.metadata;
    match metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Err(Failure::new(DnsError::NxDomain(name.to_owned()))),
        code => return Err(Failure::new(DnsError::Code { name: name.to_owned(), code, server })),
    }
    if metadata.truncation {
        return Err(Failure::new(DnsError::Truncated(name.to_owned())));
    }
    let count = answer.answers.iter().filter(|record| record.record_type() == record_type).count();
    if count == 0 {
        return Err(Failure::new(DnsError::NoRecord(name.to_owned(), record_type)));
    }
    if count < plan.min_count {
        return Err(Failure::unmet(
            format!(
                "DNS: {name} has {count} records of type {record_type}, expected at least {}",
                plan.min_count
            ),
            format!("at least {} records", plan.min_count),
            format!("{count}: {}", listed(&answer.answers)),
        ));
    }
    values(plan, name, record_type, &answer.answers)?;
    ttl(plan, name, &answer.answers)?;
    authority(plan, metadata.authoritative, server)?;
    too_long(took, plan.max_duration)
}

fn values(plan: &DnsPlan, name: &str, record_type: RecordType, records: &[Record]) -> Result<(), Failure> {
    let there = |wanted: &str| {
        records.iter().any(|record| {
            message::value(record)
                .is_some_and(|value| message::same_value(record.record_type(), &value, wanted))
        })
    };
    match plan.values.iter().find(|wanted| !there(wanted)) {
        Some(missing) => Err(Failure::unmet(
            format!("DNS: {name} has no record of type {record_type} with the value {missing}"),
            missing,
            listed(records),
        )),
        None => Ok(()),
    }
}

fn ttl(plan: &DnsPlan, name: &str, records: &[Record]) -> Result<(), Failure> {
    let Some(least) = plan.min_ttl else { return Ok(()) };
    let shortest =
        Duration::from_secs(records.iter().map(|record| record.ttl).min().unwrap_or_default().into());
    if shortest >= least {
        return Ok(());
    }
    Err(Failure::unmet(
        format!(
            "DNS: a record of {name} may be kept for {}s only, expected at least {}",
            shortest.as_secs(),
            Span(least)
        ),
        format!("TTL of at least {}", Span(least)),
        format!("{}s", shortest.as_secs()),
    ))
}

fn authority(plan: &DnsPlan, got: bool, server: SocketAddr) -> Result<(), Failure> {
    let words = |yes: bool| if yes { "authoritative" } else { "not authoritative" };
    match plan.authoritative {
        Some(wanted) if wanted != got => Err(Failure::unmet(
            format!("DNS: the answer of {server} is {}, expected {}", words(got), words(wanted)),
            words(wanted),
            words(got),
        )),
        _ => Ok(()),
    }
}

fn listed(records: &[Record]) -> String {
    records.iter().filter_map(message::value).collect::<Vec<_>>().join(", ")
}
