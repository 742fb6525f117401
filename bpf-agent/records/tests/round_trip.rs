//! Records survive both wire forms; what isn't a record is refused with the reason.

// Test code: a panic is the failure.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

use std::io::Cursor;
use std::net::IpAddr;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use tidewatch_records::jsonl::{self, ReadError, Reader};
use tidewatch_records::otlp::{self, DecodeError, Decoder};
use tidewatch_records::{
    Accounting, AllowanceExceeded, Category, Connections, Endpoint, EndpointKind, FlowWindow, Histogram,
    Lifecycle, Name, NodeFigures, NodeWindow, Record, Role,
};

const EXAMPLE: &str = r#"{"window_start":"2026-11-22T12:00:00Z","window_seconds":30,"reporter":"node-a","role":"client",
 "local":{"ip":"198.18.11.50","pod":"shop/checkout-7d9f","workload":"shop/Deployment/checkout","service":"shop/checkout","node":"node-a","zone":"zone-1"},
 "remote":{"ip":"198.18.12.51","port":8080,"pod":"shop/payments-5c4","workload":"shop/Deployment/payments","service":"shop/payments","node":"node-b","zone":"zone-2","kind":"pod"},
 "category":"INTER_AZ",
 "connections":{"attempted":12,"established":11,"refused":0,"timed_out":1,"reset":0,"aborted":0,"closed":11,"open":4},
 "data_segments_out":4211,"retransmissions":9,"timeouts":1,"bytes_out":812345,"bytes_in":99120,
 "rtt_us":{"count":4,"min":410,"p50":520,"p90":900,"p99":1400,"max":1700},
 "handshake_us":{"count":11,"p50":600,"p99":1900},"a_later_field":{"x":1}}"#;

fn example() -> FlowWindow {
    serde_json::from_str(EXAMPLE).unwrap()
}

fn name() -> impl Strategy<Value = Name> {
    prop::collection::vec(prop::char::range('a', 'z'), 1..40)
        .prop_map(|cs| cs.into_iter().collect::<String>().into())
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1..=u32::MAX).prop_map(|n| IpAddr::V4(n.into())),
        (1..=u128::MAX).prop_map(|n| IpAddr::V6(n.into())),
    ]
}

fn kind() -> impl Strategy<Value = EndpointKind> {
    use EndpointKind as K;
    prop::sample::select(vec![K::Pod, K::Node, K::Service, K::Aws, K::Vpc, K::Internet, K::Unknown])
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    use Lifecycle as L;
    prop::sample::select(vec![L::Starting, L::Restarting, L::Terminating, L::Gone])
}

fn category() -> impl Strategy<Value = Category> {
    use Category as C;
    prop::sample::select(vec![
        C::IntraNode,
        C::IntraAz,
        C::InterAz,
        C::InterVpc,
        C::InterRegion,
        C::AwsService,
        C::Internet,
        C::Unclassified,
    ])
}

prop_compose! {
    fn endpoint()(
        ip in ip(), port in any::<Option<u16>>(), pod_uid in prop::option::of(name()),
        cluster in prop::option::of((ip(), any::<u16>())),
        names in prop::collection::vec(prop::option::of(name()), 5), kind in prop::option::of(kind()),
        lifecycle in prop::option::of(lifecycle()),
    ) -> Endpoint {
        Endpoint {
            ip, port, pod_uid,
            cluster_ip: cluster.map(|c| c.0), cluster_port: cluster.map(|c| c.1),
            pod: names[0].clone(), workload: names[1].clone(), service: names[2].clone(),
            node: names[3].clone(), zone: names[4].clone(), kind, lifecycle,
        }
    }
}

fn count() -> impl Strategy<Value = u64> {
    0..=i64::MAX as u64
}

fn sketch() -> impl Strategy<Value = Histogram> {
    prop::collection::vec(0u64..5_000_000_000, 0..60).prop_map(|values| {
        let mut sketch = Histogram::new();
        values.into_iter().for_each(|value| sketch.record(value));
        sketch
    })
}

fn window() -> impl Strategy<Value = (Timestamp, u32)> {
    ((0i64..4_000_000_000).prop_map(|s| Timestamp::from_second(s).unwrap()), 1u32..=3600)
}

prop_compose! {
    fn flow()(
        (window_start, window_seconds) in window(), reporter in name(), client in any::<bool>(),
        local in endpoint(), remote in endpoint(), category in prop::option::of(category()),
        c in prop::collection::vec(count(), 16), rtt in sketch(), handshake in sketch(),
    ) -> FlowWindow {
        FlowWindow {
            window_start, window_seconds, reporter,
            role: if client { Role::Client } else { Role::Server },
            local, remote, category,
            connections: Connections {
                attempted: c[0], established: c[1], refused: c[2], timed_out: c[3],
                reset: c[4], aborted: c[5], closed: c[6], open: c[7], waiting: c[13],
            },
            data_segments_out: c[8], retransmissions: c[9], spurious_retransmissions: c[14], syn_retransmissions: c[15], timeouts: c[10], bytes_out: c[11], bytes_in: c[12],
            rtt_us: rtt.summary(), handshake_us: handshake.summary(),
        }
    }
}

prop_compose! {
    fn accounting()((window_start, window_seconds) in window(), reporter in name(), c in prop::collection::vec(count(), 6)) -> Accounting {
        Accounting {
            window_start, window_seconds, reporter,
            seen: c[0], reported: c[1], sampled_out: c[2], buffer_full: c[3], dropped: c[4], invalid: c[5],
        }
    }
}

/// As the agent rounds them: JSON readers need not give back the last bit of a longer fraction.
fn ratio() -> impl Strategy<Value = Option<f64>> {
    prop::option::of((0u32..=10_000).prop_map(|n| f64::from(n) / 10_000.0))
}

prop_compose! {
    fn node()(
        (window_start, window_seconds) in window(), reporter in name(), r in prop::collection::vec(ratio(), 5),
        c in prop::collection::vec(prop::option::of(count()), 8),
        exceeded in prop::option::of(prop::collection::vec(count(), 5)),
    ) -> NodeWindow {
        NodeWindow {
            window_start, window_seconds, reporter,
            node: NodeFigures {
                cpu_pressure_ratio: r[0], memory_pressure_ratio: r[1], cpu_busy_ratio: r[2], steal_ratio: r[3],
                softirq_ratio: r[4], softnet_dropped: c[0], softnet_squeezed: c[1], listen_overflows: c[2],
                listen_drops: c[3], conntrack_entries: c[4], conntrack_limit: c[5], conntrack_insert_failed: c[6],
                conntrack_dropped: c[7],
                allowance_exceeded: exceeded.map(|e| AllowanceExceeded {
                    bandwidth_in: e[0], bandwidth_out: e[1], packets_per_second: e[2], conntrack: e[3], link_local: e[4],
                }),
            },
        }
    }
}

proptest! {
    #[test]
    fn a_flow_survives_otlp(flow in flow()) {
        prop_assert_eq!(Decoder::new().decode(&otlp::encode_flow(&flow)), Ok(Record::Flow(flow)));
    }

    #[test]
    fn an_accounting_survives_otlp(accounting in accounting()) {
        let decoded = Decoder::new().decode(&otlp::encode_accounting(&accounting));
        prop_assert_eq!(decoded, Ok(Record::Accounting(accounting)));
    }

    #[test]
    fn a_nodes_figures_survive_otlp(node in node()) {
        prop_assert_eq!(Decoder::new().decode(&otlp::encode_node(&node)), Ok(Record::Node(node)));
    }

    #[test]
    fn a_ratio_is_read_only_from_0_to_1(value in any::<f64>()) {
        let mut record = otlp::encode_node(&figures());
        record.attributes.push(attribute("node.steal_ratio", Value::DoubleValue(value)));
        prop_assert_eq!(Decoder::new().decode(&record).is_ok(), (0.0..=1.0).contains(&value));
    }

    #[test]
    fn lines_survive_json(records in prop::collection::vec(
        prop_oneof![
            flow().prop_map(Record::Flow), accounting().prop_map(Record::Accounting), node().prop_map(Record::Node),
        ], 0..4)) {
        let mut text = Vec::new();
        for record in &records {
            jsonl::write(&mut text, record).unwrap();
        }
        let read: Vec<Record> = Reader::new(Cursor::new(text)).map(Result::unwrap).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn arbitrary_attributes_never_panic(attributes in prop::collection::vec(
        (prop::sample::select(vec!["window_start", "local.ip", "remote.port", "rtt_us.buckets", "x", ".", "connections.open", "role",
            "node.steal_ratio", "node.conntrack_limit", "node.allowance_exceeded.conntrack"]),
         prop_oneof![any::<i64>().prop_map(Value::IntValue), any::<f64>().prop_map(Value::DoubleValue), ".*".prop_map(Value::StringValue)]),
        0..20), event in prop::sample::select(vec!["tidewatch.flow.window", "tidewatch.flow.accounting", "tidewatch.node.window"])) {
        let attributes = attributes.into_iter().map(|(key, value)| attribute(key, value)).collect();
        let record = LogRecord { attributes, event_name: event.into(), ..Default::default() };
        let _ = Decoder::new().decode(&record);
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

#[test]
fn the_documented_example_is_read_and_its_attributes_are_its_names_with_dots() {
    let flow = example();
    assert_eq!(flow.connections.timed_out, 1);
    let record = otlp::encode_flow(&flow);
    assert_eq!(record.event_name, "tidewatch.flow.window");
    let keys: Vec<&str> = record.attributes.iter().map(|a| a.key.as_str()).collect();
    for key in [
        "window_start",
        "local.ip",
        "remote.port",
        "connections.timed_out",
        "rtt_us.p90",
        "handshake_us.count",
        "category",
    ] {
        assert!(keys.contains(&key), "{key} is missing from {keys:?}");
    }
}

#[test]
fn an_error_names_the_attribute() {
    let mut record = otlp::encode_flow(&example());
    record.attributes.push(attribute("connections.open", Value::IntValue(-1)));
    let error = Decoder::new().decode(&record).unwrap_err();
    assert_eq!(error.to_string(), "attribute connections.open is not a number from 0 up");
    record.attributes.pop();
    record.attributes.retain(|a| a.key != "remote.ip");
    assert_eq!(Decoder::new().decode(&record), Err(DecodeError::Missing("remote.ip")));
}

fn figures() -> NodeWindow {
    let line = r#"{"event_name":"tidewatch.node.window","window_start":"2026-11-22T12:00:00Z","window_seconds":15,
        "reporter":"node-a","node":{"cpu_pressure_ratio":0.31,"conntrack_entries":262140,"conntrack_limit":262144,
        "conntrack_dropped":911,"allowance_exceeded":{"packets_per_second":40},"a_later_figure":1}}"#;
    let Ok(Record::Node(node)) = jsonl::parse(line.replace('\n', "").as_bytes()) else {
        panic!("a node's figures")
    };
    node
}

#[test]
fn a_figure_that_a_kernel_doesnt_tell_is_absent() {
    let keys: Vec<String> = otlp::encode_node(&figures()).attributes.into_iter().map(|a| a.key).collect();
    assert_eq!(
        keys,
        [
            "window_start",
            "window_seconds",
            "reporter",
            "node.cpu_pressure_ratio",
            "node.conntrack_entries",
            "node.conntrack_limit",
            "node.conntrack_dropped",
            "node.allowance_exceeded.bandwidth_in",
            "node.allowance_exceeded.bandwidth_out",
            "node.allowance_exceeded.packets_per_second",
            "node.allowance_exceeded.conntrack",
            "node.allowance_exceeded.link_local",
        ]
    );
    let mut line = Vec::new();
    jsonl::write_node(&mut line, &figures()).unwrap();
    assert!(!String::from_utf8(line).unwrap().contains("null"));
}

#[test]
fn a_nodes_figures_are_refused_with_their_attribute() {
    for (key, value, expected) in [
        ("node.steal_ratio", Value::DoubleValue(f64::NAN), "a ratio from 0 to 1"),
        ("node.cpu_pressure_ratio", Value::DoubleValue(-0.1), "a ratio from 0 to 1"),
        ("node.cpu_busy_ratio", Value::DoubleValue(1.01), "a ratio from 0 to 1"),
        ("node.softirq_ratio", Value::IntValue(1), "a ratio from 0 to 1"),
        ("node.memory_pressure_ratio", Value::StringValue("0.1".into()), "a ratio from 0 to 1"),
        ("node.conntrack_entries", Value::IntValue(-1), "a number from 0 up"),
        ("node.listen_drops", Value::DoubleValue(1.0), "a number from 0 up"),
        ("node.allowance_exceeded.conntrack", Value::BoolValue(true), "a number from 0 up"),
    ] {
        let mut record = otlp::encode_node(&figures());
        record.attributes.push(attribute(key, value));
        let error = Decoder::new().decode(&record).unwrap_err().to_string();
        assert_eq!(error, format!("attribute {key} is not {expected}"));
    }
    let mut record = otlp::encode_node(&figures());
    record.attributes.retain(|a| a.key != "reporter");
    assert_eq!(Decoder::new().decode(&record), Err(DecodeError::Missing("reporter")));
}

#[test]
fn a_line_with_a_ratio_beyond_1_is_malformed() {
    for bad in ["1.5", "-0.1", "\"0.1\""] {
        let line = format!(
            r#"{{"event_name":"tidewatch.node.window","window_start":"2026-11-22T12:00:00Z","window_seconds":15,"reporter":"a","node":{{"steal_ratio":{bad}}}}}"#
        );
        let error = jsonl::parse(line.as_bytes()).unwrap_err();
        assert!(error.starts_with("not a node's figures"), "{error}");
    }
}

#[test]
fn unknown_attributes_are_passed_over_and_too_many_are_refused() {
    let mut record = otlp::encode_flow(&example());
    record.attributes.push(attribute("later.thing", Value::BoolValue(true)));
    assert_eq!(Decoder::new().decode(&record), Ok(Record::Flow(example())));
    record.attributes.resize(1000, attribute("x", Value::IntValue(1)));
    assert_eq!(Decoder::new().decode(&record), Err(DecodeError::TooManyAttributes(1000)));
}

#[test]
fn another_event_is_refused() {
    let record = LogRecord { event_name: "login".into(), ..Default::default() };
    let error = Decoder::new().decode(&record).unwrap_err();
    assert_eq!(error, DecodeError::UnknownEvent("login".into()));
    for known in ["tidewatch.flow.window", "tidewatch.flow.accounting", "tidewatch.node.window"] {
        assert!(error.to_string().contains(known), "{error}");
    }
}

#[test]
fn names_that_repeat_are_shared() {
    let record = otlp::encode_flow(&example());
    let mut decoder = Decoder::new();
    let (Ok(Record::Flow(a)), Ok(Record::Flow(b))) = (decoder.decode(&record), decoder.decode(&record))
    else {
        panic!("both are flows");
    };
    assert!(Name::ptr_eq(&a.reporter, &b.reporter));
}

#[test]
fn malformed_lines_are_reported_with_their_number_and_counted() {
    let mut text = EXAMPLE.replace('\n', "").into_bytes();
    text.extend_from_slice(b"\n\n{\"window_start\":1}\n");
    text.extend(std::iter::repeat_n(b'x', 300_000));
    text.push(b'\n');
    text.extend(EXAMPLE.replace('\n', "").into_bytes());
    let mut reader = Reader::new(Cursor::new(text));
    let lines: Vec<_> = reader.by_ref().collect();
    assert!(matches!(lines[0], Ok(Record::Flow(_))));
    assert!(
        matches!(&lines[1], Err(ReadError::Malformed { line: 3, reason }) if reason.starts_with("not a flow-window")),
        "{:?}",
        lines[1]
    );
    assert!(
        matches!(&lines[2], Err(ReadError::Malformed { line: 4, reason }) if reason.contains("longer")),
        "{:?}",
        lines[2]
    );
    assert!(matches!(lines[3], Ok(Record::Flow(_))));
    assert_eq!((reader.records(), reader.malformed(), lines.len()), (2, 2, 4));
}

fn zst_file(content: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".jsonl.zst").tempfile().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

/// Lines long enough to take several blocks of a frame.
fn frame(lines: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0..lines {
        let flow = FlowWindow { reporter: format!("node-{n}-{}", n * 7919 % 104_729).into(), ..example() };
        jsonl::write_flow(&mut text, &flow).unwrap();
    }
    zstd::encode_all(&text[..], 1).unwrap()
}

#[test]
fn frames_one_after_the_other_are_one_file() {
    let file = zst_file(&[frame(3), frame(0), frame(1000)].concat());
    let lines: Vec<_> = jsonl::open(file.path()).unwrap().collect();
    assert_eq!(lines.len(), 1003);
    assert!(lines.iter().all(Result::is_ok));
    assert_eq!(jsonl::open(zst_file(&[]).path()).unwrap().count(), 0);
}

#[test]
fn a_truncated_frame_is_told_wherever_it_was_cut() {
    let (whole, last) = (frame(3), frame(1000));
    let mut partials = Vec::new();
    for kept in [1, 3, 20, last.len() / 2, last.len() - 1] {
        let file = zst_file(&[&whole[..], &last[..kept]].concat());
        let mut reader = jsonl::open(file.path()).unwrap();
        let lines: Vec<_> = reader.by_ref().collect();
        let Some(Err(ReadError::Truncated { line, partial })) = lines.last() else {
            panic!("cut at {kept}: {:?}", lines.last())
        };
        assert_eq!((*line, reader.malformed()), (reader.records(), 0), "cut at {kept}");
        assert_eq!(*partial, *line > 3, "cut at {kept}");
        assert!(lines.iter().take(3).all(Result::is_ok));
        partials.push(*partial);
    }
    assert_eq!(partials[0..3], [false; 3]);
    assert!(partials[4], "a frame of several blocks is read in part");
}

#[test]
fn a_zst_file_is_decompressed() {
    let mut text = Vec::new();
    jsonl::write_flow(&mut text, &example()).unwrap();
    let file = zst_file(&zstd::encode_all(&text[..], 1).unwrap());
    let read: Vec<_> = jsonl::open(file.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, [Record::Flow(example())]);
}
