//! The kernel's programs, run on the host in the order in which kernels call them of which Debian has no package (5.15,
//! 6.6, 6.8) or which differ in what is rare. host/sockets.c says which kernel function each step stands for.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Linux before 6.10.
const ERROR_BEFORE_DONE: &[&str] = &["error-before-done"];
/// Linux before 6.7.
const NO_TOTAL_RTO: &[&str] = &["lacks total_rto"];
const NEWER: &[&str] = &[];

const CONNECTION_REFUSED: &str = "111";
const HOST_UNREACHABLE: &str = "113";
const TIMED_OUT: &str = "110";
const RESET: &str = "104";

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sockets-{}", std::process::id()));
        let compiled = Command::new("clang")
            .args(["-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
            .args(["-Itests/host", "-Ibpf", "tests/host/sockets.c", "-o"])
            .arg(&program)
            .current_dir(crate_root)
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        program
    })
}

/// The reports about one socket on such a kernel, a line each.
fn reports(kernel: &[&str], steps: &[&str]) -> Vec<String> {
    let mut run = Command::new(program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let script = [kernel, steps].concat().join("\n") + "\n";
    run.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?} at {script}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The flags of the only report.
fn outcome(kernel: &[&str], steps: &[&str]) -> String {
    let reports = reports(kernel, steps);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports[0].split(" timeouts=").next().unwrap().to_owned()
}

fn number(report: &str, key: &str) -> i64 {
    let word = report.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    word.unwrap().parse().unwrap()
}

#[test]
fn a_failed_connect_is_told_whichever_comes_first() {
    for kernel in [NEWER, ERROR_BEFORE_DONE] {
        for (error, told) in [
            (CONNECTION_REFUSED, "client first refused closed"),
            (TIMED_OUT, "client first timed_out closed"),
            (HOST_UNREACHABLE, "client first timed_out closed"),
        ] {
            // connect() clears the socket before it is destroyed.
            let fails = format!("fail {error}");
            assert_eq!(outcome(kernel, &["dial", &fails, "disconnect", "destroy"]), told);
            assert_eq!(outcome(kernel, &["dial", &fails, "destroy"]), told);
        }
    }
}

#[test]
fn a_connection_that_times_out_is_aborted_on_each_kernel() {
    for kernel in [NEWER, ERROR_BEFORE_DONE] {
        // The application reads the error before it closes.
        let timed_out = ["dial", "establish 500", "fail 110", "read-error", "destroy"];
        assert_eq!(outcome(kernel, &timed_out), "client first established aborted closed");
        let unreachable = ["dial", "establish 500", "soft-error 113", "fail 113", "read-error", "destroy"];
        assert_eq!(outcome(kernel, &unreachable), "client first established aborted closed");
    }
}

#[test]
fn an_error_that_was_asked_for_is_no_end() {
    // IP_RECVERR: the connection goes on, and ends in order.
    for kernel in [NEWER, ERROR_BEFORE_DONE] {
        let steps = ["dial", "establish 500", "icmp-asked-for 113", "read-error", "destroy"];
        assert_eq!(outcome(kernel, &steps), "client first established closed");
    }
}

#[test]
fn a_peers_reset_is_told_whichever_comes_first() {
    // tcp_reset() closed the connection first at all times.
    let steps = ["dial", "establish 500", &format!("fail {RESET}"), "read-error", "destroy"];
    assert_eq!(outcome(NEWER, &steps), "client first established reset closed");
}

#[test]
fn a_refusal_within_connect_survives_the_reading_of_it() {
    let read = ["dial", "icmp-in-use-queued 111", "read-error", "destroy"];
    assert_eq!(outcome(NEWER, &read), "client first refused closed");
    // Before 5.18 the error is not queued, and found as long as nobody has read it.
    let unread = ["dial", "icmp-in-use 111", "destroy"];
    assert_eq!(outcome(ERROR_BEFORE_DONE, &unread), "client first refused closed");
    let unreachable = ["dial", "icmp-in-use-queued 113", "read-error", "destroy"];
    assert_eq!(outcome(NEWER, &unreachable), "client first timed_out closed");
    // It was answered after all.
    let answered = ["dial", "icmp-in-use-queued 111", "establish 500", "destroy"];
    assert_eq!(outcome(NEWER, &answered), "client first established closed");
}

#[test]
fn a_reset_by_close_is_an_abort_and_one_in_answer_is_none() {
    let ours = ["dial", "establish 500", "reset-by-close", "disconnect", "destroy"];
    assert_eq!(outcome(NEWER, &ours), "client first established aborted closed");
    let in_answer = ["dial", "establish 500", "reset-in-answer", "destroy"];
    assert_eq!(outcome(NEWER, &in_answer), "client first established closed");
}

#[test]
fn time_outs_are_counted_alike_with_and_without_the_kernels_count() {
    for kernel in [NEWER, NO_TOTAL_RTO] {
        let count = |steps: &[&str]| {
            let steps = [&["dial", "establish 500"], steps, &["destroy"]].concat();
            number(&reports(kernel, &steps)[0], "timeouts")
        };
        assert_eq!(count(&["expire", "acknowledge", "expire", "acknowledge"]), 2, "single ones in a row");
        assert_eq!(count(&["expire", "expire", "expire", "acknowledge"]), 3, "one after the other");
        // tcp_xmit_retransmit_queue() sends more of what a time-out took for lost.
        let recovery = ["expire", "retransmit", "acknowledge", "retransmit", "acknowledge"];
        assert_eq!(count(if kernel == NO_TOTAL_RTO { &recovery } else { &["expire", "acknowledge"] }), 1);
    }
    // A tail-loss probe, and fast retransmissions, are no time-outs.
    let probes = ["dial", "establish 500", "retransmit", "acknowledge", "retransmit", "destroy"];
    assert_eq!(number(&reports(NO_TOTAL_RTO, &probes)[0], "timeouts"), 0);
}

#[test]
fn an_attempt_times_out_once_and_waits_from_then_on() {
    let window = ["pass-ms 2000", "window"];
    let steps = [&["dial"], &window[..], &window[..], &window[..], &window[..], &["destroy"]].concat();
    let told = reports(NEWER, &steps);
    let flags: Vec<_> = told.iter().map(|report| report.split(" timeouts=").next().unwrap()).collect();
    let expected = ["client first", "client timed_out", "client waiting", "client waiting", "client closed"];
    assert_eq!(flags, expected);
}

#[test]
fn the_quickest_round_trip_is_of_this_window() {
    let quickest = |kernel: &[&str], steps: &[&str]| -> Vec<i64> {
        reports(kernel, steps).iter().map(|report| number(report, "quickest")).collect()
    };
    let slower = ["dial", "establish 400", "pass-ms 100", "window", "pass-ms 100", "sample 9000", "window"];
    assert_eq!(quickest(NEWER, &slower), [400, 9000], "the kernel remembers 400 for five minutes");
    let both = ["dial", "establish 400", "pass-ms 100", "window", "pass-ms 100", "sample 300", "pass-ms 100"];
    let both = [&both[..], &["sample 9000", "window"]].concat();
    assert_eq!(quickest(NEWER, &both), [400, 300], "the last sample isn't the quickest");
    let idle = ["dial", "establish 400", "pass-ms 100", "window", "pass-ms 100", "window"];
    assert_eq!(quickest(NEWER, &idle), [400, 0], "nothing was measured in the second window");
    assert_eq!(quickest(&["lacks rack"], &slower), [400, 0], "a kernel without that field");
}

#[test]
fn a_multipath_connection_counts_as_seen_in_each_window() {
    let window = ["pass-ms 2000", "window"];
    let steps = [&["dial", "is-multipath", "establish 400"], &window[..], &window[..]].concat();
    assert_eq!(reports(NEWER, &steps), ["unread timeouts=0 quickest=0 retransmissions=0"; 2]);
}

#[test]
fn a_socket_that_is_used_again_makes_another_connection() {
    // A client that binds its port and dials again with the same socket after each refusal.
    for kernel in [NEWER, ERROR_BEFORE_DONE] {
        let refused = ["dial", "fail 111", "disconnect"];
        let told = reports(kernel, &[&refused[..], &refused[..], &["destroy"]].concat());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|report| report.starts_with("client first refused closed ")), "{told:?}");
    }
}

#[test]
fn counters_of_a_socket_that_was_disconnected_begin_anew() {
    // shutdown() ends the attempt, whose SYN was sent again and reported so; the next one is answered at once.
    let steps =
        ["dial", "expire", "expire", "window", "disconnect", "dial", "establish 500", "window", "destroy"];
    for kernel in [NEWER, NO_TOTAL_RTO] {
        let told = reports(kernel, &steps);
        let counts: Vec<_> = told
            .iter()
            .map(|report| (number(report, "retransmissions"), number(report, "timeouts")))
            .collect();
        assert_eq!(counts, [(2, 2), (0, 0), (0, 0)], "{told:?}");
        assert!(told[1].starts_with("client first established open "), "{told:?}");
    }
}

#[test]
fn a_connection_that_goes_on_after_its_end_was_told_is_told_on() {
    // An ICMP error that IP_RECVERR asks for, and which the connection has met before, looks like its end.
    let steps = ["dial", "establish 500", "expire", "soft-error 113", "icmp-asked-for 113", "read-error"];
    let told =
        reports(ERROR_BEFORE_DONE, &[&steps[..], &["acknowledge", "expire", "window", "destroy"]].concat());
    let retransmissions: Vec<_> = told.iter().map(|report| number(report, "retransmissions")).collect();
    assert_eq!(retransmissions, [1, 1, 0], "{told:?}");
    assert!(told[1].starts_with("client open "), "{told:?}");
    assert!(told[2].starts_with("client closed "), "{told:?}");
}
