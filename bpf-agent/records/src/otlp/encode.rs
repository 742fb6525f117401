//! Records to log records.

use std::fmt::Write;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::node::{ALLOWANCES, COUNTS, RATIOS};
use super::{category_name, kind_name, lifecycle_name, role_name};
use crate::schema::{Accounting, Endpoint, FlowWindow, Latency, NodeWindow};
use crate::{ACCOUNTING_EVENT, FLOW_EVENT, NODE_EVENT};

/// A flow-window as a log record.
pub fn encode_flow(flow: &FlowWindow) -> LogRecord {
    let mut to = Attributes(Vec::with_capacity(32));
    to.window(flow.window_start, flow.window_seconds, &flow.reporter);
    to.text("role", role_name(flow.role));
    to.endpoint(&LOCAL, &flow.local);
    to.endpoint(&REMOTE, &flow.remote);
    if let Some(category) = flow.category {
        to.text("category", category_name(category));
    }
    let connections = &flow.connections;
    to.number("connections.attempted", connections.attempted);
    to.number("connections.established", connections.established);
    to.number("connections.refused", connections.refused);
    to.number("connections.timed_out", connections.timed_out);
    to.number("connections.waiting", connections.waiting);
    to.number("connections.reset", connections.reset);
    to.number("connections.aborted", connections.aborted);
    to.number("connections.closed", connections.closed);
    to.number("connections.open", connections.open);
    to.number("data_segments_out", flow.data_segments_out);
    to.number("retransmissions", flow.retransmissions);
    if flow.spurious_retransmissions > 0 {
        to.number("spurious_retransmissions", flow.spurious_retransmissions);
    }
    if flow.syn_retransmissions > 0 {
        to.number("syn_retransmissions", flow.syn_retransmissions);
    }
    to.number("timeouts", flow.timeouts);
    to.number("bytes_out", flow.bytes_out);
    to.number("bytes_in", flow.bytes_in);
    if let Some(latency) = &flow.rtt_us {
        to.latency(&RTT, latency);
    }
    if let Some(latency) = &flow.handshake_us {
        to.latency(&HANDSHAKE, latency);
    }
    log_record(FLOW_EVENT, flow.window_start, to)
}

/// An accounting as a log record.
pub fn encode_accounting(accounting: &Accounting) -> LogRecord {
    let mut to = Attributes(Vec::with_capacity(9));
    to.window(accounting.window_start, accounting.window_seconds, &accounting.reporter);
    to.number("seen", accounting.seen);
    to.number("reported", accounting.reported);
    to.number("sampled_out", accounting.sampled_out);
    to.number("buffer_full", accounting.buffer_full);
    to.number("dropped", accounting.dropped);
    to.number("invalid", accounting.invalid);
    log_record(ACCOUNTING_EVENT, accounting.window_start, to)
}

/// A node's figures as a log record.
pub fn encode_node(node: &NodeWindow) -> LogRecord {
    let mut to = Attributes(Vec::with_capacity(16));
    to.window(node.window_start, node.window_seconds, &node.reporter);
    let mut figures = node.node;
    for (key, ratio) in RATIOS {
        if let Some(ratio) = *ratio(&mut figures) {
            to.push(key, Value::DoubleValue(ratio));
        }
    }
    for (key, count) in COUNTS {
        if let Some(count) = *count(&mut figures) {
            to.number(key, count);
        }
    }
    if let Some(mut exceeded) = figures.allowance_exceeded {
        for (key, packets) in ALLOWANCES {
            to.number(key, *packets(&mut exceeded));
        }
    }
    log_record(NODE_EVENT, node.window_start, to)
}

/// One request of log records, with the resource that sends them.
pub fn export_request(node: &str, version: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let mut resource = Attributes(Vec::with_capacity(3));
    resource.text("service.name", "tidewatch-agent");
    resource.text("service.version", version);
    resource.text("k8s.node.name", node);
    let scope = InstrumentationScope {
        name: "tidewatch.flow".to_owned(),
        version: version.to_owned(),
        ..Default::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes: resource.0, ..Default::default() }),
            scope_logs: vec![ScopeLogs { scope: Some(scope), log_records, ..Default::default() }],
            ..Default::default()
        }],
    }
}

fn log_record(event_name: &str, at: Timestamp, attributes: Attributes) -> LogRecord {
    let time_unix_nano = u64::try_from(at.as_nanosecond()).unwrap_or(0);
    LogRecord {
        time_unix_nano,
        observed_time_unix_nano: time_unix_nano,
        severity_number: SeverityNumber::Info.into(),
        attributes: attributes.0,
        event_name: event_name.to_owned(),
        ..Default::default()
    }
}

/// The attribute names of one endpoint.
struct EndpointKeys {
    ip: &'static str,
    port: &'static str,
    pod_uid: &'static str,
    cluster_ip: &'static str,
    cluster_port: &'static str,
    pod: &'static str,
    workload: &'static str,
    service: &'static str,
    node: &'static str,
    zone: &'static str,
    kind: &'static str,
    lifecycle: &'static str,
}

const LOCAL: EndpointKeys = EndpointKeys {
    ip: "local.ip",
    port: "local.port",
    pod_uid: "local.pod_uid",
    cluster_ip: "local.cluster_ip",
    cluster_port: "local.cluster_port",
    pod: "local.pod",
    workload: "local.workload",
    service: "local.service",
    node: "local.node",
    zone: "local.zone",
    kind: "local.kind",
    lifecycle: "local.lifecycle",
};

const REMOTE: EndpointKeys = EndpointKeys {
    ip: "remote.ip",
    port: "remote.port",
    pod_uid: "remote.pod_uid",
    cluster_ip: "remote.cluster_ip",
    cluster_port: "remote.cluster_port",
    pod: "remote.pod",
    workload: "remote.workload",
    service: "remote.service",
    node: "remote.node",
    zone: "remote.zone",
    kind: "remote.kind",
    lifecycle: "remote.lifecycle",
};

struct LatencyKeys {
    count: &'static str,
    min: &'static str,
    p50: &'static str,
    p90: &'static str,
    p99: &'static str,
    max: &'static str,
    buckets: &'static str,
}

const RTT: LatencyKeys = LatencyKeys {
    count: "rtt_us.count",
    min: "rtt_us.min",
    p50: "rtt_us.p50",
    p90: "rtt_us.p90",
    p99: "rtt_us.p99",
    max: "rtt_us.max",
    buckets: "rtt_us.buckets",
};

const HANDSHAKE: LatencyKeys = LatencyKeys {
    count: "handshake_us.count",
    min: "handshake_us.min",
    p50: "handshake_us.p50",
    p90: "handshake_us.p90",
    p99: "handshake_us.p99",
    max: "handshake_us.max",
    buckets: "handshake_us.buckets",
};

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn window(&mut self, start: Timestamp, seconds: u32, reporter: &str) {
        self.owned("window_start", start.to_string());
        self.number("window_seconds", u64::from(seconds));
        self.text("reporter", reporter);
    }

    fn endpoint(&mut self, keys: &EndpointKeys, endpoint: &Endpoint) {
        self.owned(keys.ip, endpoint.ip.to_string());
        if let Some(port) = endpoint.port {
            self.number(keys.port, u64::from(port));
        }
        if let Some(ip) = endpoint.cluster_ip {
            self.owned(keys.cluster_ip, ip.to_string());
        }
        if let Some(port) = endpoint.cluster_port {
            self.number(keys.cluster_port, u64::from(port));
        }
        for (key, name) in [
            (keys.pod_uid, &endpoint.pod_uid),
            (keys.pod, &endpoint.pod),
            (keys.workload, &endpoint.workload),
            (keys.service, &endpoint.service),
            (keys.node, &endpoint.node),
            (keys.zone, &endpoint.zone),
        ] {
            if let Some(name) = name {
                self.text(key, name);
            }
        }
        if let Some(kind) = endpoint.kind {
            self.text(keys.kind, kind_name(kind));
        }
        if let Some(lifecycle) = endpoint.lifecycle {
            self.text(keys.lifecycle, lifecycle_name(lifecycle));
        }
    }

    fn latency(&mut self, keys: &LatencyKeys, latency: &Latency) {
        self.number(keys.count, latency.count);
        self.number(keys.p50, latency.p50);
        self.number(keys.p99, latency.p99);
        for (key, value) in [(keys.min, latency.min), (keys.p90, latency.p90), (keys.max, latency.max)] {
            if let Some(value) = value {
                self.number(key, value);
            }
        }
        if !latency.buckets.is_empty() {
            let mut text = String::with_capacity(latency.buckets.len() * 6);
            for (bucket, count) in &latency.buckets {
                let space = if text.is_empty() { "" } else { " " };
                // Writing to a String doesn't fail.
                let _ = write!(text, "{space}{bucket}:{count}");
            }
            self.owned(keys.buckets, text);
        }
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.owned(key, value.to_owned());
    }

    fn owned(&mut self, key: &'static str, value: String) {
        self.push(key, Value::StringValue(value));
    }

    /// OTLP has signed integers only; a counter beyond 2⁶³ is clamped.
    fn number(&mut self, key: &'static str, value: u64) {
        self.push(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn push(&mut self, key: &'static str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..Default::default()
        });
    }
}
