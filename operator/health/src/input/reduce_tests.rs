#![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

use super::*;

/// Retransmissions that are left of six, all of them time-outs, of a flow with these connection attempts.
fn left(connections: &str) -> u64 {
    left_of(connections, "")
}

fn left_of(connections: &str, more: &str) -> u64 {
    let record = format!(
        r#"{{"window_start":"2026-11-22T12:00:00Z","window_seconds":15,"reporter":"a","role":"client",
            "local":{{"ip":"198.18.11.50","pod":"shop/web","node":"a"}},
            "remote":{{"ip":"198.18.12.51","port":80,"pod":"shop/db","service":"shop/db","node":"b"}},
            "connections":{{{connections}}},"data_segments_out":20,"retransmissions":6,"timeouts":6{more}}}"#
    );
    let record: FlowWindow = serde_json::from_str(&record).unwrap();
    reduce(&[record], &mut Names::default())[0].data.retransmissions
}

#[test]
fn connection_requests_sent_again_are_no_lost_data() {
    assert_eq!(left(r#""attempted":2,"timed_out":2"#), 0);
    assert_eq!(left(r#""attempted":2"#), 0, "they have no outcome yet");
    assert_eq!(left(r#""waiting":2"#), 0, "they wait since an earlier window");
    assert_eq!(left(r#""attempted":2,"established":2"#), 6, "each was answered");
    let counted = left_of(r#""attempted":9,"established":9"#, r#","syn_retransmissions":4"#);
    assert_eq!(counted, 2, "the agent counted the requests");
    let counted = left_of(r#""attempted":9,"established":7,"timed_out":2"#, r#","syn_retransmissions":4"#);
    assert_eq!(counted, 2, "so there is nothing to estimate");
}

#[test]
fn a_short_connection_closes_before_its_dsack_arrives() {
    let told = r#","spurious_retransmissions":4"#;
    assert_eq!(left_of(r#""attempted":9,"established":9,"closed":9"#, told), 0);
    assert_eq!(left_of(r#""attempted":1,"established":1,"closed":1"#, told), 2, "a long one has time");
    assert_eq!(left_of(r#""attempted":9,"established":9,"closed":9"#, ""), 6, "nobody said so of any");
}

#[test]
fn connections_being_opened_at_a_windows_edge_hide_no_loss() {
    // 66 a second over a way of 75 ms: five are under way at any moment.
    let far = r#""attempted":1000,"established":995"#;
    let slow = r#","handshake_us":{"count":995,"p50":75000,"p99":90000}"#;
    assert_eq!(left_of(far, slow), 6);
    let lost = r#""attempted":1000,"established":900,"timed_out":5"#;
    assert_eq!(left_of(lost, slow), 0, "so many are not");
}
