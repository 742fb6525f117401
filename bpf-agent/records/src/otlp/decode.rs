//! Log records to records. Strict about what it knows (types, ranges, sizes: the sender isn't trusted), tolerant of
//! attributes it doesn't.

use std::net::IpAddr;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::node::{ALLOWANCES, COUNTS, RATIOS};
use super::{
    CATEGORIES, KINDS, LIFECYCLES, MAX_ATTRIBUTES, MAX_STRING_BYTES, MAX_WINDOW_SECONDS, category_name,
    kind_name, lifecycle_name, role_name,
};
use crate::histogram::BUCKETS;
use crate::schema::{
    Accounting, AllowanceExceeded, Connections, Endpoint, FlowWindow, Latency, Name, NodeFigures, NodeWindow,
    Record, Role,
};
use crate::{ACCOUNTING_EVENT, FLOW_EVENT, NODE_EVENT};

/// Why a log record isn't a record of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("unknown event_name {0:?}: expected {FLOW_EVENT}, {ACCOUNTING_EVENT} or {NODE_EVENT}")]
    UnknownEvent(String),
    #[error("{0} attributes are more than {MAX_ATTRIBUTES}")]
    TooManyAttributes(usize),
    #[error("attribute {0} is missing")]
    Missing(&'static str),
    #[error("attribute {attribute} is not {expected}")]
    Invalid { attribute: String, expected: &'static str },
}

/// Decodes records of one sender after another; names that repeat from record to record are shared.
#[derive(Debug, Default)]
pub struct Decoder {
    reporter: Option<Name>,
    pod_uid: Option<Name>,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one log record.
    pub fn decode(&mut self, record: &LogRecord) -> Result<Record, DecodeError> {
        if record.attributes.len() > MAX_ATTRIBUTES {
            return Err(DecodeError::TooManyAttributes(record.attributes.len()));
        }
        match record.event_name.as_str() {
            FLOW_EVENT => self.flow(&record.attributes).map(Record::Flow),
            ACCOUNTING_EVENT => self.accounting(&record.attributes).map(Record::Accounting),
            NODE_EVENT => self.node(&record.attributes).map(Record::Node),
            other => Err(DecodeError::UnknownEvent(other.chars().take(80).collect())),
        }
    }

    fn flow(&mut self, attributes: &[KeyValue]) -> Result<FlowWindow, DecodeError> {
        let mut window = WindowFields::default();
        let mut role = None;
        let mut local = EndpointFields::default();
        let mut remote = EndpointFields::default();
        let mut category = None;
        let mut connections = Connections::default();
        let mut counters = Counters::default();
        let mut rtt = LatencyFields::default();
        let mut handshake = LatencyFields::default();
        for attribute in attributes {
            let field = Field(attribute);
            let Some((group, rest)) = attribute.key.split_once('.') else {
                match attribute.key.as_str() {
                    "role" => {
                        role = Some(field.one_of(&[Role::Client, Role::Server], role_name, "a role")?)
                    }
                    "category" => category = Some(field.one_of(&CATEGORIES, category_name, "a category")?),
                    "data_segments_out" => counters.data_segments_out = field.number()?,
                    "retransmissions" => counters.retransmissions = field.number()?,
                    "spurious_retransmissions" => counters.spurious_retransmissions = field.number()?,
                    "syn_retransmissions" => counters.syn_retransmissions = field.number()?,
                    "timeouts" => counters.timeouts = field.number()?,
                    "bytes_out" => counters.bytes_out = field.number()?,
                    "bytes_in" => counters.bytes_in = field.number()?,
                    key => window.take(key, field, &mut self.reporter)?,
                }
                continue;
            };
            match group {
                "local" => local.take(rest, field, &mut self.pod_uid)?,
                "remote" => remote.take(rest, field, &mut None)?,
                "connections" => take_connections(&mut connections, rest, field)?,
                "rtt_us" => rtt.take(rest, field)?,
                "handshake_us" => handshake.take(rest, field)?,
                _ => {}
            }
        }
        let (window_start, window_seconds, reporter) = window.finish()?;
        Ok(FlowWindow {
            window_start,
            window_seconds,
            reporter,
            role: role.ok_or(DecodeError::Missing("role"))?,
            local: local.finish("local.ip")?,
            remote: remote.finish("remote.ip")?,
            category,
            connections,
            data_segments_out: counters.data_segments_out,
            retransmissions: counters.retransmissions,
            spurious_retransmissions: counters.spurious_retransmissions,
            syn_retransmissions: counters.syn_retransmissions,
            timeouts: counters.timeouts,
            bytes_out: counters.bytes_out,
            bytes_in: counters.bytes_in,
            rtt_us: rtt.finish(["rtt_us.count", "rtt_us.p50", "rtt_us.p99"])?,
            handshake_us: handshake.finish(["handshake_us.count", "handshake_us.p50", "handshake_us.p99"])?,
        })
    }

    fn accounting(&mut self, attributes: &[KeyValue]) -> Result<Accounting, DecodeError> {
        const COUNTS: [&str; 6] = ["seen", "reported", "sampled_out", "buffer_full", "dropped", "invalid"];
        let mut window = WindowFields::default();
        let mut counts = [None; 6];
        for attribute in attributes {
            let field = Field(attribute);
            match COUNTS.iter().zip(&mut counts).find(|(name, _)| **name == attribute.key) {
                Some((_, count)) => *count = Some(field.number()?),
                None => window.take(&attribute.key, field, &mut self.reporter)?,
            }
        }
        let (window_start, window_seconds, reporter) = window.finish()?;
        let [seen, reported, sampled_out, buffer_full, dropped, invalid] = counts;
        let need = |count: Option<u64>, name| count.ok_or(DecodeError::Missing(name));
        Ok(Accounting {
            window_start,
            window_seconds,
            reporter,
            seen: need(seen, "seen")?,
            reported: need(reported, "reported")?,
            sampled_out: need(sampled_out, "sampled_out")?,
            buffer_full: need(buffer_full, "buffer_full")?,
            dropped: need(dropped, "dropped")?,
            invalid: need(invalid, "invalid")?,
        })
    }

    fn node(&mut self, attributes: &[KeyValue]) -> Result<NodeWindow, DecodeError> {
        let mut window = WindowFields::default();
        let mut node = NodeFigures::default();
        for attribute in attributes {
            let field = Field(attribute);
            if !take_figure(&mut node, field)? {
                window.take(&attribute.key, field, &mut self.reporter)?;
            }
        }
        let (window_start, window_seconds, reporter) = window.finish()?;
        Ok(NodeWindow { window_start, window_seconds, reporter, node })
    }
}

#[derive(Default)]
struct Counters {
    data_segments_out: u64,
    retransmissions: u64,
    spurious_retransmissions: u64,
    syn_retransmissions: u64,
    timeouts: u64,
    bytes_out: u64,
    bytes_in: u64,
}

fn take_connections(to: &mut Connections, key: &str, field: Field) -> Result<(), DecodeError> {
    let slot = match key {
        "attempted" => &mut to.attempted,
        "established" => &mut to.established,
        "refused" => &mut to.refused,
        "timed_out" => &mut to.timed_out,
        "waiting" => &mut to.waiting,
        "reset" => &mut to.reset,
        "aborted" => &mut to.aborted,
        "closed" => &mut to.closed,
        "open" => &mut to.open,
        _ => return Ok(()),
    };
    *slot = field.number()?;
    Ok(())
}

/// Takes the attribute if it is one of a node's figures. Returns true if it is.
fn take_figure(to: &mut NodeFigures, field: Field) -> Result<bool, DecodeError> {
    let key = field.0.key.as_str();
    if let Some((_, slot)) = RATIOS.iter().find(|(name, _)| *name == key) {
        *slot(to) = Some(field.ratio()?);
    } else if let Some((_, slot)) = COUNTS.iter().find(|(name, _)| *name == key) {
        *slot(to) = Some(field.number()?);
    } else if let Some((_, slot)) = ALLOWANCES.iter().find(|(name, _)| *name == key) {
        *slot(to.allowance_exceeded.get_or_insert(AllowanceExceeded::default())) = field.number()?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

#[derive(Default)]
struct WindowFields {
    start: Option<Timestamp>,
    seconds: Option<u32>,
    reporter: Option<Name>,
}

impl WindowFields {
    fn take(&mut self, key: &str, field: Field, last: &mut Option<Name>) -> Result<(), DecodeError> {
        match key {
            "window_start" => {
                let parsed = field.text()?.parse();
                self.start = Some(parsed.map_err(|_| field.is_not("a time (RFC 3339)"))?);
            }
            "window_seconds" => {
                let seconds = u32::try_from(field.number()?).ok();
                let valid = seconds.filter(|seconds| (1..=MAX_WINDOW_SECONDS).contains(seconds));
                self.seconds = Some(valid.ok_or_else(|| field.is_not("1 to 3600 seconds"))?);
            }
            "reporter" => self.reporter = Some(field.name(last)?),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<(Timestamp, u32, Name), DecodeError> {
        Ok((
            self.start.ok_or(DecodeError::Missing("window_start"))?,
            self.seconds.ok_or(DecodeError::Missing("window_seconds"))?,
            self.reporter.ok_or(DecodeError::Missing("reporter"))?,
        ))
    }
}

#[derive(Default)]
struct EndpointFields(Option<Endpoint>);

impl EndpointFields {
    fn take(&mut self, key: &str, field: Field, last_uid: &mut Option<Name>) -> Result<(), DecodeError> {
        let at = self.0.get_or_insert_with(|| Endpoint::of(IpAddr::from([0, 0, 0, 0])));
        match key {
            "ip" => at.ip = field.ip()?,
            "port" => at.port = Some(field.port()?),
            "cluster_ip" => at.cluster_ip = Some(field.ip()?),
            "cluster_port" => at.cluster_port = Some(field.port()?),
            "pod_uid" => at.pod_uid = Some(field.name(last_uid)?),
            "pod" => at.pod = Some(field.name(&mut None)?),
            "workload" => at.workload = Some(field.name(&mut None)?),
            "service" => at.service = Some(field.name(&mut None)?),
            "node" => at.node = Some(field.name(&mut None)?),
            "zone" => at.zone = Some(field.name(&mut None)?),
            "kind" => at.kind = Some(field.one_of(&KINDS, kind_name, "an endpoint kind")?),
            "lifecycle" => {
                at.lifecycle = Some(field.one_of(&LIFECYCLES, lifecycle_name, "a stage of a pod's life")?);
            }
            _ => {}
        }
        Ok(())
    }

    /// The unspecified address is never an end of a connection, so it stands for none.
    fn finish(self, ip: &'static str) -> Result<Endpoint, DecodeError> {
        self.0.filter(|endpoint| !endpoint.ip.is_unspecified()).ok_or(DecodeError::Missing(ip))
    }
}

#[derive(Default)]
struct LatencyFields {
    any: bool,
    count: Option<u64>,
    p50: Option<u64>,
    p99: Option<u64>,
    latency: Latency,
}

impl LatencyFields {
    fn take(&mut self, key: &str, field: Field) -> Result<(), DecodeError> {
        match key {
            "count" => self.count = Some(field.number()?),
            "p50" => self.p50 = Some(field.number()?),
            "p99" => self.p99 = Some(field.number()?),
            "min" => self.latency.min = Some(field.number()?),
            "p90" => self.latency.p90 = Some(field.number()?),
            "max" => self.latency.max = Some(field.number()?),
            "buckets" => self.latency.buckets = field.buckets()?,
            _ => return Ok(()),
        }
        self.any = true;
        Ok(())
    }

    fn finish(self, [count, p50, p99]: [&'static str; 3]) -> Result<Option<Latency>, DecodeError> {
        if !self.any {
            return Ok(None);
        }
        Ok(Some(Latency {
            count: self.count.ok_or(DecodeError::Missing(count))?,
            p50: self.p50.ok_or(DecodeError::Missing(p50))?,
            p99: self.p99.ok_or(DecodeError::Missing(p99))?,
            ..self.latency
        }))
    }
}

/// One attribute, read as the type that it should have.
#[derive(Clone, Copy)]
struct Field<'a>(&'a KeyValue);

impl<'a> Field<'a> {
    fn is_not(self, expected: &'static str) -> DecodeError {
        DecodeError::Invalid { attribute: self.0.key.chars().take(80).collect(), expected }
    }

    fn value(self) -> Option<&'a Value> {
        match &self.0.value {
            Some(AnyValue { value }) => value.as_ref(),
            None => None,
        }
    }

    fn number(self) -> Result<u64, DecodeError> {
        match self.value() {
            Some(Value::IntValue(n)) => u64::try_from(*n).ok(),
            _ => None,
        }
        .ok_or_else(|| self.is_not("a number from 0 up"))
    }

    fn ratio(self) -> Result<f64, DecodeError> {
        match self.value() {
            Some(Value::DoubleValue(ratio)) if (0.0..=1.0).contains(ratio) => Ok(*ratio),
            _ => Err(self.is_not("a ratio from 0 to 1")),
        }
    }

    fn port(self) -> Result<u16, DecodeError> {
        u16::try_from(self.number()?).map_err(|_| self.is_not("a port number"))
    }

    fn text(self) -> Result<&'a str, DecodeError> {
        match self.value() {
            Some(Value::StringValue(text)) if text.len() <= MAX_STRING_BYTES => Ok(text),
            Some(Value::StringValue(_)) => Err(self.is_not("a string of at most 600 bytes")),
            _ => Err(self.is_not("a string")),
        }
    }

    fn ip(self) -> Result<IpAddr, DecodeError> {
        self.text()?.parse().map_err(|_| self.is_not("an IP address"))
    }

    /// The name, shared with the last one where it is the same.
    fn name(self, last: &mut Option<Name>) -> Result<Name, DecodeError> {
        let text = self.text()?;
        if let Some(name) = last.as_ref().filter(|name| ***name == *text) {
            return Ok(name.clone());
        }
        let name = Name::from(text);
        *last = Some(name.clone());
        Ok(name)
    }

    fn one_of<T: Copy>(
        self,
        all: &[T],
        name: impl Fn(T) -> &'static str,
        what: &'static str,
    ) -> Result<T, DecodeError> {
        let text = self.text()?;
        all.iter().copied().find(|&item| name(item) == text).ok_or_else(|| self.is_not(what))
    }

    fn buckets(self) -> Result<Vec<(u16, u32)>, DecodeError> {
        const EXPECTED: &str = "pairs bucket:count in rising order";
        let Some(Value::StringValue(text)) = self.value() else { return Err(self.is_not(EXPECTED)) };
        let mut buckets: Vec<(u16, u32)> = Vec::new();
        for pair in text.split_ascii_whitespace() {
            let parsed = pair.split_once(':').and_then(|(b, n)| Some((b.parse().ok()?, n.parse().ok()?)));
            let rising = |bucket: u16| buckets.last().is_none_or(|&(last, _)| last < bucket);
            match parsed {
                Some((bucket, count)) if bucket < BUCKETS && rising(bucket) => buckets.push((bucket, count)),
                _ => return Err(self.is_not(EXPECTED)),
            }
        }
        Ok(buckets)
    }
}
