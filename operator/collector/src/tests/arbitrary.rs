//! Bytes from outside, however wrong: each record is accounted for, and nothing panics.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use proptest::prelude::*;
use prost::Message;
use tidewatch_records::Accounting;

use super::super::ingest::Ingest;
use super::super::*;
use super::bed::{accounting, at, fill, flow, request};

fn ingest() -> Ingest {
    let cluster = Cluster::default();
    fill(&cluster);
    Ingest {
        cluster,
        remotes: Arc::default(),
        windows: Arc::new(Mutex::new(Windows::new(Limits::default()))),
        metrics: Metrics::default(),
    }
}

fn take(bytes: &[u8]) {
    if let Ok(request) = ExportLogsServiceRequest::decode(bytes) {
        let records: usize =
            request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum();
        let outcome = ingest().take(&request, &"node-a".into(), at(0));
        let rejected: u64 = outcome.rejected.values().sum();
        assert_eq!(outcome.kept + rejected, records as u64, "every record is accounted for");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        take(&bytes);
    }

    #[test]
    fn a_request_with_any_bytes_changed_is_taken_without_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request(&[flow("node-a", 0, 80), flow("node-a", 5, 81)], &[accounting("node-a", 0)]).encode_to_vec();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        take(&bytes);
        take(&bytes[..keep.index(bytes.len())]);
    }

    #[test]
    fn any_values_are_taken_without_panic(
        seconds in any::<i64>(), length in any::<u32>(), counters in any::<(u64, u64, u64)>(), ip in any::<u128>(),
    ) {
        let Ok(start) = Timestamp::from_second(seconds % 200_000_000_000) else { return Ok(()) };
        let mut flow = flow("node-a", 0, 80);
        flow.window_start = start;
        flow.window_seconds = length;
        flow.connections.open = counters.0;
        flow.connections.closed = counters.1;
        flow.bytes_out = counters.2;
        flow.remote.ip = std::net::Ipv6Addr::from(ip).into();
        take(&request(&[flow], &[Accounting { window_start: start, seen: u64::MAX, ..accounting("node-a", 0) }]).encode_to_vec());
    }
}
