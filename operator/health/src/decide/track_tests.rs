#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

use super::*;
use crate::config::Sensitivity;
use crate::input::names::Names;

/// Windows of 30 s of one node, each with the cause that it shows, if any.
fn watched(windows: &[Option<Cause>]) -> (Tracks, Vec<Option<Cause>>, Vec<bool>) {
    watched_every(30, windows)
}

fn watched_every(seconds: u32, windows: &[Option<Cause>]) -> (Tracks, Vec<Option<Cause>>, Vec<bool>) {
    let node = Component::Node(Names::default().intern(&"a".into()));
    let mut tracks = Tracks::default();
    let (mut named, mut frozen) = (Vec::new(), Vec::new());
    for (number, cause) in (0_i64..).zip(windows) {
        let start = Timestamp::from_second(i64::from(seconds) * number).unwrap();
        let findings: Vec<Finding> = cause.iter().map(|cause| finding(node, *cause)).collect();
        let passing = WindowFindings { start, seconds, findings: &findings, paths: 12 };
        let rule = Rule::of(Sensitivity::Standard);
        tracks.step(passing, rule, |_| true);
        named.push(tracks.active().next().map(|track| track.cause));
        frozen.push(tracks.frozen(start, seconds, rule).next().is_some());
    }
    (tracks, named, frozen)
}

fn finding(component: Component, cause: Cause) -> Finding {
    let harm = if cause == Cause::PacketLoss { 0.003 } else { f64::INFINITY };
    Finding {
        component,
        cause,
        score: 30.0,
        harm,
        surely_more: harm,
        evidence: Evidence { attempts: 10, ..Evidence::default() },
        rival: None,
        cells: Vec::new(),
    }
}

#[test]
fn a_suspicion_that_is_never_confirmed_does_not_freeze_what_is_usual() {
    let every_fifth: Vec<Option<Cause>> =
        (0..60).map(|n| (n % 5 == 0).then_some(Cause::PacketLoss)).collect();
    let (_, named, frozen) = watched(&every_fifth);
    assert!(named.iter().all(Option::is_none));
    assert!(frozen.iter().skip(POOLED as usize).all(|frozen| !frozen), "{frozen:?}");
    assert!(frozen[..4].iter().all(|frozen| *frozen), "{frozen:?}");
}

#[test]
fn the_cause_stays_until_two_windows_tell_of_another() {
    let (cut, lossy) = (Some(Cause::Unreachable), Some(Cause::PacketLoss));
    let (_, named, _) = watched(&[lossy, cut, cut, lossy, cut, lossy, lossy]);
    assert_eq!(named, [None, cut, cut, cut, cut, cut, lossy]);
}

/// As on real software: a port was blocked, and the half minute of the agents in which it was opened again stood in two windows of
/// a quarter of a minute.
#[test]
fn windows_that_stand_on_the_same_records_tell_of_another_cause_once() {
    let (cut, busy) = (Some(Cause::Unreachable), Some(Cause::Overload));
    let (_, named, _) = watched_every(15, &[cut, cut, cut, busy, busy, cut, cut]);
    assert_eq!(named[2..], [cut; 5]);
    let (_, named, _) = watched_every(15, &[cut, cut, cut, busy, busy, busy]);
    assert_eq!(named[2..], [cut, cut, cut, busy]);
}

#[test]
fn a_path_that_carries_data_again_is_no_longer_said_to_be_down() {
    let node = Component::Node(Names::default().intern(&"a".into()));
    let cause_after = |retransmission_ratio: f64| {
        let mut tracks = Tracks::default();
        for number in 0..6 {
            let start = Timestamp::from_second(30 * number).unwrap();
            let cause = if number < 3 { Cause::Unreachable } else { Cause::PacketLoss };
            let mut finding = finding(node, cause);
            // Nobody opens a connection any more.
            finding.evidence.attempts = if number < 3 { 10 } else { 0 };
            finding.evidence.retransmission_ratio = retransmission_ratio;
            let passing = WindowFindings { start, seconds: 30, findings: &[finding], paths: 12 };
            tracks.step(passing, Rule::of(Sensitivity::Standard), |_| true);
        }
        tracks.active().next().map(|track| track.cause)
    };
    assert_eq!(cause_after(0.03), Some(Cause::PacketLoss));
    assert_eq!(cause_after(0.6), Some(Cause::Unreachable), "hardly anything arrives");
}

#[test]
fn what_is_forgotten_after_a_gap_is_who_is_suspected_and_not_who_blips() {
    let mut windows = vec![None; 7];
    windows[0] = Some(Cause::PacketLoss);
    let (mut tracks, ..) = watched(&windows);
    let node = Component::Node(Names::default().intern(&"a".into()));
    let most =
        |tracks: &Tracks| tracks.blips.bound(node, 0.001, 0.0, Timestamp::from_second(180).unwrap(), 30);
    let learned = most(&tracks);
    assert!(learned < most(&Tracks::default()));
    tracks.forget();
    assert!((most(&tracks) - learned).abs() < 1e-9);
    assert!(tracks.tracks.is_empty());
}

#[test]
fn what_an_older_engine_kept_can_be_read() {
    let (tracks, ..) = watched(&[Some(Cause::Latency), Some(Cause::Latency)]);
    let mut kept = serde_json::to_value(&tracks).unwrap();
    kept.as_object_mut().unwrap().remove("blips");
    let track = kept["tracks"][0].as_object_mut().unwrap();
    for new in ["said", "suspected", "quiet_seconds", "unseen_seconds", "change", "steady"] {
        assert!(track.remove(new).is_some(), "{new}");
    }
    let read: Tracks = serde_json::from_value(kept).unwrap();
    assert_eq!(read.active().count(), 1, "what was at fault still is");
}
