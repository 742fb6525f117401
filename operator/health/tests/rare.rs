//! Clients that try so rarely that no window alone shows that a port is blocked.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Harm, Hop, Lab, Watch, named, nothing};
use tidewatch_health::{
    Attribution, Cause, Class, Config, Engine, HealthIndicator, Memory, RecentTraffic, Showing, Verdict,
    Window, project,
};
use tidewatch_records::{Connections, FlowWindow, Role};

const KEYS: &str = "service/shop/keys";

/// What comes of one client's attempts at a service in one window; nobody else dials that service.
type Attempts = Connections;

fn idle() -> Attempts {
    Attempts::default()
}

fn succeeds() -> Attempts {
    Attempts { attempted: 1, established: 1, ..Attempts::default() }
}

fn times_out() -> Attempts {
    Attempts { attempted: 1, timed_out: 1, ..Attempts::default() }
}

fn refused() -> Attempts {
    Attempts { attempted: 1, refused: 1, ..Attempts::default() }
}

/// The attempts that a connection makes which its client never gives up.
fn waits() -> Attempts {
    Attempts { waiting: 1, ..Attempts::default() }
}

/// A lab with services that one client each dials, now and then.
struct Rare {
    watch: Watch,
    flows: Vec<FlowWindow>,
}

/// Caller and callee, the first pod of each.
const RARE: [(&str, &str); 2] = [("batch", "keys"), ("report", "tokens")];

impl Rare {
    /// After minutes in which an attempt succeeded every minute.
    fn learned(seconds: u32) -> Self {
        let mut lab = Lab { seconds, ..Lab::default() };
        lab.calls.extend(RARE);
        let mut rare = Self { watch: Watch::learned(lab, 0), flows: Vec::new() };
        for window in 0..20 {
            let now = if window % 4 == 0 { succeeds() } else { idle() };
            rare.window([now, now]);
        }
        rare
    }

    /// The next window, in which the rare clients try like this and nothing harms the others.
    fn window(&mut self, attempts: [Attempts; 2]) -> Verdict {
        self.beside(attempts, &nothing, |_| {})
    }

    fn beside(
        &mut self,
        attempts: [Attempts; 2],
        fault: lab::Fault<'_>,
        change: impl Fn(&mut FlowWindow),
    ) -> Verdict {
        let (start, seconds) = (self.watch.lab.start(), self.watch.lab.seconds);
        let mut flows = self.watch.lab.records(fault);
        flows.iter_mut().for_each(change);
        flows.retain_mut(|flow| {
            let ends = [&flow.local, &flow.remote].map(|end| end.service.as_deref().unwrap_or("").to_owned());
            let of = |(caller, callee): &(&str, &str)| {
                let (caller, callee) = (format!("shop/{caller}"), format!("shop/{callee}"));
                ends == [caller.clone(), callee.clone()] || ends == [callee, caller]
            };
            let Some(number) = RARE.iter().position(of) else { return true };
            let is_first = |pod: &Option<_>| pod.as_deref().is_some_and(|pod: &str| pod.ends_with("-0"));
            flow.connections = attempts[number];
            (flow.data_segments_out, flow.retransmissions, flow.timeouts) = (0, 0, 0);
            flow.rtt_us = None;
            flow.role == Role::Client
                && is_first(&flow.local.pod)
                && is_first(&flow.remote.pod)
                && attempts[number] != idle()
        });
        self.flows = flows;
        self.watch.engine.evaluate(&Window { start, seconds, flows: &self.flows, nodes: &[] })
    }

    /// The names of each window, in which the first client tries like this and the other doesn't.
    fn names(&mut self, attempts: impl IntoIterator<Item = Attempts>) -> Vec<Vec<String>> {
        attempts.into_iter().map(|attempts| named(&self.window([attempts, idle()]))).collect()
    }
}

/// So many windows, in every fourth of which there is an attempt.
fn every_fourth(attempt: Attempts, windows: usize) -> impl Iterator<Item = Attempts> {
    (0..windows).map(move |window| if window % 4 == 0 { attempt } else { idle() })
}

fn never(names: &[Vec<String>]) -> bool {
    names.iter().all(Vec::is_empty)
}

#[test]
fn a_blocked_port_tried_once_a_minute_is_named_with_the_third_attempt() {
    for (attempt, cause, told) in [
        (
            times_out(),
            Cause::Unreachable,
            "service shop/keys doesn't answer connection requests (3 of 3 failed within 135 s)",
        ),
        (refused(), Cause::Refused, "service shop/keys refuses connections (3 of 3 attempts within 135 s)"),
    ] {
        let mut rare = Rare::learned(15);
        assert!(never(&rare.names(every_fourth(attempt, 8))));
        let third = rare.window([attempt, idle()]);
        assert_eq!(named(&third), [KEYS], "{third:#?}");
        assert_eq!(third.components[0].cause, cause);
        assert_eq!((third.nhi, third.attribution), (HealthIndicator::Healthy, Attribution::Workload));
        assert!(third.reason.contains(told), "{}", third.reason);
        let since = third.window_start.duration_since(third.components[0].since);
        assert_eq!(since.as_secs(), 120, "since the first of them");
        for window in 1..40 {
            let verdict = rare.window([if window % 4 == 0 { attempt } else { idle() }, idle()]);
            assert_eq!(named(&verdict), [KEYS], "in window {window}: {verdict:#?}");
            assert_eq!(verdict.components[0].showing, Showing::Now, "in window {window}: {verdict:#?}");
        }
        assert!(never(&rare.names(every_fourth(succeeds(), 8))), "it is over with the first that succeeds");
    }
}

#[test]
fn attempts_that_failed_before_one_that_succeeded_say_nothing() {
    let mut rare = Rare::learned(15);
    for _ in 0..5 {
        assert!(never(&rare.names(every_fourth(times_out(), 8))));
        assert!(never(&rare.names(every_fourth(succeeds(), 4))));
    }
}

#[test]
fn attempts_of_one_moment_are_no_fault() {
    let burst = Attempts { attempted: 5, timed_out: 5, ..Attempts::default() };
    let mut rare = Rare::learned(15);
    assert!(never(&rare.names([burst, burst])), "a restart takes as long");
    assert!(never(&rare.names(every_fourth(idle(), 12))));
}

#[test]
fn a_service_that_nobody_tries_any_more_is_not_at_fault_for_ever() {
    let mut rare = Rare::learned(15);
    let names = rare.names(every_fourth(times_out(), 12));
    assert_eq!(names[11], [KEYS]);
    let names = rare.names(every_fourth(idle(), 24));
    assert!(!names[0].is_empty() && names[8..].iter().all(Vec::is_empty), "{names:?}");
}

#[test]
fn a_client_that_waits_without_a_time_out_is_evidence_in_each_window() {
    let mut rare = Rare::learned(15);
    let first = named(&rare.window([times_out(), idle()]));
    let mut verdicts: Vec<Verdict> = (0..6).map(|_| rare.window([waits(), idle()])).collect();
    let last = verdicts.pop().unwrap();
    assert_eq!((first, named(&last)), (vec![], vec![KEYS.to_owned()]), "{last:#?}");
    let evidence = &last.components[0].evidence;
    assert_eq!((evidence.attempts_failed, evidence.attempts), (1, 1), "it is one attempt: {last:#?}");
}

#[test]
fn windows_of_any_length_show_it() {
    for (seconds, every) in [(5, 12), (10, 6), (30, 2), (60, 1), (120, 1), (600, 1)] {
        let mut rare = Rare::learned(seconds);
        let attempts = |windows: usize| {
            (0..windows).map(move |window| if window % every == 0 { times_out() } else { idle() })
        };
        let names = rare.names(attempts(3 * every));
        let second = names.iter().take(2 * every).flatten().count();
        assert_eq!((second, names[2 * every].as_slice()), (0, &[KEYS.to_owned()][..]), "{seconds} s");
        let more = rare.names(attempts(3 * every));
        assert!(more.iter().all(|names| names == &[KEYS]), "{seconds} s: {more:?}");
        assert!(never(&rare.names([succeeds()])), "{seconds} s");
    }
}

#[test]
fn a_restart_forgets_no_attempt() {
    let mut rare = Rare::learned(15);
    rare.names(every_fourth(times_out(), 8));
    let saved = serde_json::to_string(&rare.watch.engine.memory()).unwrap();
    let memory: Memory = serde_json::from_str(&saved).unwrap();
    rare.watch.engine = Engine::resume(Config::default(), &memory);
    assert_eq!(rare.names([times_out(), idle(), idle()]), [[KEYS]; 3]);
}

#[test]
fn services_that_fail_over_one_path_alone_are_not_named_for_it() {
    // No connection is opened by anybody else, so that nothing tells the two services from the way to them.
    let mut rare = Rare::learned(15);
    for window in 0..24 {
        let now = if window % 4 == 0 { times_out() } else { idle() };
        let verdict = rare.beside([now, now], &nothing, |flow| flow.connections = Connections::default());
        let on_the_way = rare.watch.lab.pod("batch", 0).zone != rare.watch.lab.pod("keys", 0).zone;
        assert!(on_the_way, "they are in different zones");
        let services = verdict.components.iter().filter(|fault| fault.class == Class::Workload).count();
        assert_eq!(services, 0, "in window {window}: {verdict:#?}");
    }
    let mut rare = Rare::learned(15);
    for window in 0..24 {
        let now = if window % 4 == 0 { times_out() } else { idle() };
        let verdict = rare.window([now, now]);
        let expected: &[&str] = if window < 8 { &[] } else { &[KEYS, "service/shop/tokens"] };
        assert_eq!(named(&verdict), expected, "others get through: {verdict:#?}");
    }
}

#[test]
fn a_service_that_nothing_tells_from_the_way_there_is_an_open_question() {
    let mut rare = Rare::learned(15);
    let (client, server) = (rare.watch.lab.pod("batch", 0), rare.watch.lab.pod("keys", 0));
    let zones = [client.zone.clone(), server.zone.clone()];
    assert_ne!(zones[0], zones[1]);
    let same_way = |flow: &FlowWindow| {
        let ends = [flow.local.zone.clone(), flow.remote.zone.clone()];
        ends == zones || ends == [zones[1].clone(), zones[0].clone()]
    };
    // Nothing else crosses the two zones; elsewhere all is well.
    let silence = |flow: &mut FlowWindow| {
        if same_way(flow) {
            flow.connections = Connections::default();
            (flow.data_segments_out, flow.retransmissions, flow.rtt_us) = (0, 0, None);
        }
    };
    let mut lately = RecentTraffic::default();
    for window in 0..24 {
        let now = if window % 4 == 0 { times_out() } else { idle() };
        let verdict = rare.beside([now, idle()], &nothing, silence);
        let own = rare.flows.iter().filter(|flow| flow.local.service.as_deref() == Some("shop/batch"));
        let mine = project(&verdict, Config::default(), &mut lately, own);
        let expected: &[&str] = if window < 8 { &[] } else { &[KEYS] };
        assert_eq!(named(&verdict), expected, "in window {window}: {verdict:#?}");
        for verdict in [verdict, mine].into_iter().filter(|_| window >= 8) {
            assert_eq!(verdict.attribution, Attribution::Undetermined, "in window {window}: {verdict:#?}");
            for claim in ["network is fine,", "other traffic is fine"] {
                assert!(!verdict.reason.contains(claim), "{}", verdict.reason);
            }
        }
    }
    // Once others get through, it is the service.
    let verdict = rare.window([times_out(), idle()]);
    assert_eq!((named(&verdict), verdict.attribution), (vec![KEYS.to_owned()], Attribution::Workload));
    assert!(verdict.reason.contains("other traffic is fine"), "{}", verdict.reason);
}

#[test]
fn one_bad_window_of_a_path_doesn_t_clear_a_service_that_is_named() {
    let mut rare = Rare::learned(15);
    let names = rare.names(every_fourth(times_out(), 12));
    assert_eq!(names[11], [KEYS]);
    let node = rare.watch.lab.pod("keys", 0).node.unwrap();
    let fault = |hop: &Hop| {
        let unanswered = if hop.to_service && hop.touches_node(&node) { 1.0 } else { 0.0 };
        Harm { unanswered, spares_open: true, ..Harm::default() }
    };
    let verdict = rare.beside([idle(), idle()], &fault, |_| {});
    assert_eq!(named(&verdict), [KEYS], "{verdict:#?}");
    assert_eq!(rare.names(every_fourth(idle(), 4)), [[KEYS]; 4]);
}

#[test]
fn what_fails_over_a_node_at_fault_is_the_nodes() {
    let mut rare = Rare::learned(15);
    let node = rare.watch.lab.pod("keys", 0).node.unwrap();
    let fault = |hop: &Hop| {
        let unanswered = if hop.to_service && hop.touches_node(&node) { 1.0 } else { 0.0 };
        Harm { unanswered, spares_open: true, ..Harm::default() }
    };
    for window in 0..24 {
        let now = if window % 4 == 0 { times_out() } else { idle() };
        let verdict = rare.beside([now, idle()], &fault, |_| {});
        let expected = if window == 0 { vec![] } else { vec![format!("node/{node}")] };
        assert_eq!(named(&verdict), expected, "in window {window}: {verdict:#?}");
    }
}

#[test]
fn a_monitor_is_told_while_nobody_tries_too() {
    let mut rare = Rare::learned(15);
    let (mut mine, mut others) = (RecentTraffic::default(), RecentTraffic::default());
    for window in 0..24 {
        let verdict = rare.window([if window % 4 == 0 { times_out() } else { idle() }, succeeds()]);
        let of = |lately: &mut RecentTraffic, caller: &str| {
            let flows = rare.flows.iter().filter(|flow| flow.local.service.as_deref() == Some(caller));
            project(&verdict, Config::default(), lately, flows)
        };
        let mine = of(&mut mine, "shop/batch");
        let expected: &[&str] = if window < 8 { &[] } else { &[KEYS] };
        assert_eq!(named(&mine), expected, "in window {window}: {mine:#?}");
        if window >= 8 {
            assert_eq!(mine.components[0].showing, Showing::Now, "in window {window}: {mine:#?}");
            assert_eq!((mine.nhi, mine.attribution), (HealthIndicator::Healthy, Attribution::Workload));
        }
        assert_eq!(named(&of(&mut others, "shop/report")), Vec::<String>::new());
    }
}

#[test]
fn a_remote_that_never_answered_is_not_at_fault_and_one_that_did_is() {
    for answered_before in [true, false] {
        let mut lab = Lab::default();
        lab.calls.push(("batch", "internet/partner"));
        let mut watch = Watch::learned(lab, 0);
        let mut window = |attempts: Attempts| {
            let (start, seconds) = (watch.lab.start(), watch.lab.seconds);
            let mut flows = watch.lab.records(&nothing);
            flows.retain_mut(|flow| {
                if flow.remote.service.is_some() || flow.role == Role::Server {
                    return true;
                }
                flow.connections = attempts;
                (flow.data_segments_out, flow.rtt_us) = (0, None);
                attempts != idle() && flow.local.pod.as_deref() == Some("shop/batch-0")
            });
            named(&watch.engine.evaluate(&Window { start, seconds, flows: &flows, nodes: &[] }))
        };
        for before in every_fourth(if answered_before { succeeds() } else { idle() }, 12) {
            window(before);
        }
        let names: Vec<Vec<String>> = every_fourth(times_out(), 12).map(&mut window).collect();
        let expected = if answered_before { vec!["internet/93.184.216.7".to_owned()] } else { vec![] };
        assert_eq!(names[11], expected, "{names:?}");
    }
}
