use jiff::SignedDuration;
use tidewatch_health::{Config, Engine, Window};
use tidewatch_records::{Connections, Endpoint, EndpointKind, FlowWindow, Latency, Role};

use super::*;

/// What an engine remembers of so many services.
fn learned(services: u32) -> Memory {
    let mut engine = Engine::new(Config::default());
    let start = Timestamp::from_second(1_795_348_800).unwrap();
    for window in 0..3 {
        let start = start + SignedDuration::from_secs(window * 60);
        let flows: Vec<FlowWindow> = (0..services).map(|n| flow(n, start)).collect();
        engine.evaluate(&Window { start, seconds: 60, flows: &flows, nodes: &[] });
    }
    engine.memory()
}

fn flow(n: u32, start: Timestamp) -> FlowWindow {
    let endpoint = |last: u8| Endpoint {
        node: Some(format!("node-{}", n % 7 + u32::from(last)).into()),
        zone: Some(format!("zone-{}", n % 3).into()),
        kind: Some(EndpointKind::Pod),
        ..Endpoint::of([198, 18, (n % 250) as u8, last].into())
    };
    let remote =
        Endpoint { service: Some(format!("shop/service-{n}").into()), port: Some(80), ..endpoint(2) };
    FlowWindow {
        window_start: start,
        window_seconds: 60,
        reporter: format!("node-{}", n % 7).into(),
        role: Role::Client,
        local: endpoint(1),
        remote,
        category: None,
        connections: Connections { attempted: 3, established: 3, ..Connections::default() },
        data_segments_out: 1_000 + u64::from(n),
        retransmissions: 0,
        spurious_retransmissions: 0,
        syn_retransmissions: 0,
        timeouts: 0,
        bytes_out: 1,
        bytes_in: 1,
        rtt_us: Some(Latency { count: 3, p50: 300 + u64::from(n), p99: 900, ..Latency::default() }),
        handshake_us: None,
    }
}

#[test]
fn what_is_kept_is_read_back() {
    let memory = learned(50);
    assert_eq!(memory.len(), 100, "a series and a path each");
    let bytes = encode(memory.clone(), MOST_BYTES).unwrap();
    assert_eq!(decode(&bytes).unwrap().len(), memory.len());
}

#[test]
fn a_memory_that_is_too_large_loses_series_and_stays_readable() {
    let memory = learned(2_000);
    let bytes = encode(memory.clone(), 20 << 10).unwrap();
    assert!(bytes.len() <= 20 << 10);
    let again = decode(&bytes).unwrap();
    assert!(!again.is_empty() && again.len() < memory.len(), "{} of {}", again.len(), memory.len());
}

#[test]
fn what_cannot_be_read_is_left_out_and_the_rest_is_not() {
    let good = encode(learned(1), MOST_BYTES).unwrap();
    let data = [("60s-Standard", good), ("10s-High", b"garbage".to_vec()), ("notes", Vec::new())];
    let data = data.into_iter().map(|(name, bytes)| (name.to_owned(), ByteString(bytes))).collect();
    let (memories, shelf) = read(data);
    let keys: Vec<String> = memories.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["60s-Standard"]);
    assert_eq!(shelf.0.len(), 3, "what can't be read takes room all the same");
}

#[test]
fn what_no_engine_has_kept_for_longest_goes_when_there_is_no_room() {
    let at = |hour: i64| Timestamp::from_second(1_795_348_800 + hour * 3_600).ok();
    let mut shelf = Shelf::default();
    for hour in 0..3 {
        assert_eq!(shelf.put(format!("{hour}0s-Low"), at(hour), MOST_BYTES), Vec::<String>::new());
    }
    assert_eq!(
        shelf.put("00s-Low".into(), at(3), MOST_BYTES),
        Vec::<String>::new(),
        "it takes its own place"
    );
    assert_eq!(shelf.put("60s-High".into(), at(4), 1), ["10s-Low"]);
    shelf.0.insert("garbage".into(), (None, MOST_BYTES - 1));
    assert_eq!(shelf.put("70s-High".into(), at(5), 2), ["garbage"], "what can't be read goes first");
}
