//! DNS messages: the query, whether an answer belongs to it, and records as `dig +short` writes them. Pure.

use std::borrow::Cow;
use std::net::IpAddr;

use hickory_proto::op::{DEFAULT_MAX_PAYLOAD_LEN, Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tidewatch_crds::host_to_ascii;

use super::error::DnsError;

/// `text` as a complete name: no search domain will be added.
pub(super) fn name(text: &str) -> Result<Name, DnsError> {
    let parsed = host_to_ascii(text).and_then(|ascii| Name::from_ascii(&*ascii).ok());
    let mut name = parsed.ok_or_else(|| DnsError::BadName(text.to_owned()))?;
    name.set_fqdn(true);
    Ok(name)
}

/// A name as people write it: without its last dot.
pub(super) fn without_dot(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').filter(|text| !text.is_empty()).map_or(text.clone(), str::to_owned)
}

/// Extensions of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// Extension mechanisms (RFC 6891), by which an answer over UDP may be longer than 512 bytes.
    Edns,
    /// None, for a server that doesn't understand them.
    Plain,
}

pub(super) fn query(id: u16, name: Name, record_type: RecordType, extension: Extension) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, record_type));
    if extension == Extension::Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN);
        message.set_edns(edns);
    }
    message
}

/// Whether `answer` is one to `query`: the same id and question. A server that fails early may leave the question out.
pub(super) fn belongs(answer: &Message, query: &Message) -> bool {
    let question = match (answer.queries.as_slice(), query.queries.as_slice()) {
        ([], _) => answer.answers.is_empty(),
        ([got], [asked]) => {
            got.query_type == asked.query_type && got.name.to_lowercase() == asked.name.to_lowercase()
        }
        _ => false,
    };
    answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && question
}

/// The value of a record as `dig +short` writes it, a text without quotes; `None` for types that no check asks for.
pub(super) fn value(record: &Record) -> Option<String> {
    Some(match &record.data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(aaaa) => aaaa.0.to_string(),
        RData::CNAME(name) => name.0.to_ascii(),
        RData::NS(name) => name.0.to_ascii(),
        RData::MX(mx) => format!("{} {}", mx.preference, mx.exchange.to_ascii()),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.to_ascii()),
        RData::TXT(txt) => txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect(),
        _ => return None,
    })
}

/// Whether a record's value is the one that a user wrote: names don't care for case and last dot, texts do for case.
pub(super) fn same_value(record_type: RecordType, got: &str, wanted: &str) -> bool {
    let bare = |text: &str| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    match record_type {
        RecordType::TXT => got == wanted || Some(got) == unquoted(wanted),
        RecordType::A | RecordType::AAAA => {
            matches!((got.parse::<IpAddr>(), wanted.parse::<IpAddr>()), (Ok(a), Ok(b)) if a == b)
        }
        _ => {
            let ascii = |word: &str| host_to_ascii(word).map_or(word.to_owned(), Cow::into_owned);
            let words =
                |text: &str| bare(&text.split_ascii_whitespace().map(ascii).collect::<Vec<_>>().join(" "));
            words(got) == words(wanted)
        }
    }
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_people_write_them() {
        use RecordType::{A, AAAA, CNAME, MX, TXT};
        for (record_type, got, wanted, same) in [
            (A, "10.0.0.1", "10.0.0.1", true),
            (A, "10.0.0.1", "10.0.0.2", false),
            (AAAA, "2001:db8::1", "2001:0DB8:0::1", true),
            (CNAME, "Shop.example.com.", "shop.example.com", true),
            (MX, "10 mail.example.com.", "10  Mail.example.com", true),
            (MX, "10 mail.example.com.", "mail.example.com", false),
            (MX, "10 xn--bcher-kva.example.", "10 bücher.example", true),
            (CNAME, "xn--bcher-kva.example.", "BÜCHER.example.", true),
            (TXT, "v=spf1 -all", "v=spf1 -all", true),
            (TXT, "v=spf1 -all", "\"v=spf1 -all\"", true),
            (TXT, "v=spf1 -all", "V=spf1 -all", false),
        ] {
            assert_eq!(same_value(record_type, got, wanted), same, "{got} {wanted}");
        }
    }

    #[test]
    fn an_answer_belongs_by_id_and_question() {
        let asked = query(7, name("Shop.example.com").unwrap(), RecordType::A, Extension::Edns);
        let answer = |id, text: &str, record_type| {
            let mut answer = Message::response(id, OpCode::Query);
            answer.add_query(Query::query(name(text).unwrap(), record_type));
            answer
        };
        assert!(belongs(&answer(7, "shop.example.com", RecordType::A), &asked));
        assert!(!belongs(&answer(8, "shop.example.com", RecordType::A), &asked));
        assert!(!belongs(&answer(7, "evil.example.com", RecordType::A), &asked));
        assert!(!belongs(&answer(7, "shop.example.com", RecordType::AAAA), &asked));
        assert!(!belongs(&asked, &asked));
    }
}
