//! `why`: verdict, evidence, and what to do.

use serde_json::{Value, json};

use super::*;
use crate::fixtures::*;

fn event() -> Event {
    let event = json!({
        "metadata": {"name": "e", "namespace": "shop"},
        "involvedObject": {"kind": "NetworkMonitor", "name": "checkout"},
        "type": "Warning", "reason": "InfrastructureFault", "message": "packets are lost between zone-1 and zone-2",
        "eventTime": "2026-11-28T11:55:31.000000Z", "series": {"count": 3, "lastObservedTime": "2026-11-28T11:58:00.000000Z"},
    });
    serde_json::from_value(event).unwrap()
}

fn of(values: &[Value], kind: Kind, name: &str) -> WhyReport {
    let events = if name == "checkout" { vec![event()] } else { Vec::new() };
    report(&objects(values), kind, name, &Ok(events), now()).unwrap()
}

fn screen(name: &str, report: &WhyReport, width: usize) {
    let text = render(report, width);
    assert_fits(&text, width);
    assert_screen(name, &text);
}

#[test]
fn a_degraded_monitor_shows_numbers_alarms_and_advice() {
    let report =
        of(&[zone_pair().monitor(), firing_alarm(), failing_canary()], Kind::NetworkMonitor, "checkout");
    screen("why-zone-pair-80", &report, 80);
    screen("why-zone-pair-120", &report, 120);
    assert!(!report.healthy);
    assert_eq!(report.next[0].link, "docs/troubleshooting.md#infrastructurefault");
    let related: Vec<&str> = report.related.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(related, ["checkout-latency", "home"]);
}

#[test]
fn a_blocked_port_shows_what_changed_before() {
    let report = of(&[port_blocked().monitor()], Kind::NetworkMonitor, "orders");
    screen("why-port-blocked-120", &report, 120);
    assert_eq!(report.hints[0].name, "shop/deny-postgres");
}

#[test]
fn a_firing_alarm_shows_the_value_and_its_monitor() {
    let report = of(&[zone_pair().monitor(), firing_alarm()], Kind::AnomalyAlarm, "checkout-latency");
    screen("why-alarm-120", &report, 120);
    assert_eq!(report.related[0].name, "checkout");
}

#[test]
fn a_failing_canary_shows_what_came_instead() {
    let report = of(&[failing_canary()], Kind::Canary, "home");
    screen("why-canary-120", &report, 120);
    assert!(report.evidence[0].facts.contains(&"got 503".to_owned()));
}

#[test]
fn a_healthy_monitor_is_well() {
    let report =
        report(&objects(&[healthy("shop", "a")]), Kind::NetworkMonitor, "a", &Ok(Vec::new()), now()).unwrap();
    assert!(report.healthy);
    assert!(report.conditions.is_empty() && report.next.is_empty());
}

#[test]
fn what_is_not_there_has_no_report() {
    assert_eq!(report(&Objects::default(), Kind::Canary, "home", &Ok(Vec::new()), now()), None);
}

#[test]
fn an_object_of_another_version_says_that_it_cant_be_read() {
    let unreadable = crate::objects::Unreadable {
        kind: Kind::Canary,
        namespace: "shop".to_owned(),
        name: "home".to_owned(),
        error: "unknown variant `Weekly`".to_owned(),
    };
    let objects = Objects { unreadable: vec![unreadable], ..Objects::default() };
    let report = report(&objects, Kind::Canary, "home", &Ok(Vec::new()), now()).unwrap();
    assert!(report.verdict.message.contains("Weekly") && !report.healthy);
    assert_eq!(report.next[0].reason, "Unreadable");
}

#[test]
fn json_has_the_verdict_and_the_advice() {
    let json = serde_json::to_value(of(&[zone_pair().monitor()], Kind::NetworkMonitor, "checkout")).unwrap();
    assert_eq!(json["verdict"]["state"], "Degraded, fault Infrastructure");
    assert_eq!(json["events"][0]["count"], 3);
    assert!(json["next"][0]["do"].as_str().unwrap().len() > 10);
}

#[test]
fn a_recorded_monitor_shows_its_pods_nodes_traffic_and_events() {
    let recorded = recorded("monitors");
    let objects = objects(recorded["networkmonitors"].as_array().unwrap());
    let events: Vec<Event> = serde_json::from_value(recorded["events"].clone()).unwrap();
    let report = report(&objects, Kind::NetworkMonitor, "real", &Ok(events), recorded_at()).unwrap();
    let text = anstream::adapter::strip_str(&render(&report, 120)).to_string();
    assert_fits(&text, 120);
    for line in [
        "! NetworkMonitor real/real is Healthy, fault Workload, for 91s.",
        "  pod real/redis-6b656969c5-t8ftz: it is overloaded (workload)",
        "    - 31 of 110 attempts to connect failed",
        "  nodes short of resources (no fault of the network's)",
        "  WorkloadFault",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    assert_eq!(report.events.len(), 4);
    let subjects: Vec<&str> = report.evidence.iter().map(|it| it.subject.as_str()).collect();
    assert!(subjects.last().unwrap().starts_with("traffic in the window of 2026-11-28T08:4"), "{subjects:?}");
}

#[test]
fn without_the_right_to_list_events_the_rest_is_shown() {
    let objects = objects(&[zone_pair().monitor()]);
    let error = Err("events is forbidden: User \"viewer\" cannot list resource \"events\"".to_owned());
    let report = report(&objects, Kind::NetworkMonitor, "checkout", &error, now()).unwrap();
    let text = anstream::adapter::strip_str(&render(&report, 120)).to_string();
    assert!(text.contains("They couldn't be listed: events is forbidden"), "{text}");
    assert!(text.contains("WHAT TO DO"), "{text}");
}
