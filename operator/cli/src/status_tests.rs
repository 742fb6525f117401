//! `status`: what needs attention, in which order, and how it looks.

use serde_json::{Value, json};

use super::*;
use crate::fixtures::*;

fn of(values: &[Value]) -> StatusReport {
    report(&objects(values), None, now())
}

fn screen(name: &str, values: &[Value], width: usize) -> StatusReport {
    let report = of(values);
    let text = render(&report, width, &invocation());
    assert_fits(&text, width);
    assert_screen(name, &text);
    report
}

fn everything() -> Vec<Value> {
    vec![
        healthy("shop", "dynamodb"),
        refused().monitor(),
        zone_pair().monitor(),
        healthy("platform", "dns"),
        node_loss().monitor(),
        firing_alarm(),
        denied_alarm(),
        failing_canary(),
    ]
}

#[test]
fn a_healthy_cluster_is_all_well() {
    let report = screen("status-healthy", &[healthy("shop", "checkout"), healthy("shop", "dynamodb")], 120);
    assert!(report.healthy);
}

#[test]
fn loss_between_two_zones_is_degraded() {
    assert!(!screen("status-zone-pair", &[zone_pair().monitor()], 120).healthy);
}

#[test]
fn loss_at_a_node_is_degraded() {
    assert!(!screen("status-node", &[node_loss().monitor()], 120).healthy);
}

#[test]
fn a_blocked_port_is_a_fault_of_the_workload() {
    let report = screen("status-port-blocked", &[port_blocked().monitor()], 120);
    assert_eq!(report.monitors[0].state, MonitorState::Fault);
    assert!(!report.healthy);
}

#[test]
fn an_overloaded_service_is_a_fault_of_the_workload() {
    assert!(!screen("status-overloaded", &[overloaded().monitor()], 120).healthy);
}

#[test]
fn a_refusing_service_is_a_fault_of_the_workload() {
    assert!(!screen("status-refused", &[refused().monitor()], 120).healthy);
}

#[test]
fn without_objects_it_says_what_to_begin_with() {
    screen("status-nothing", &[], 120);
}

#[test]
fn everything_at_once_fits_screens_of_any_width() {
    screen("status-80", &everything(), 80);
    screen("status-120", &everything(), 120);
    screen("status-200", &everything(), 200);
    for width in 40..200 {
        assert_fits(&render(&of(&everything()), width, &invocation()), width);
    }
}

#[test]
fn the_worst_comes_first() {
    let report = of(&everything());
    let names: Vec<&str> = report.monitors.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["checkout", "payments", "cart", "dns", "dynamodb"]);
    let alarms: Vec<&str> = report.alarms.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(alarms, ["checkout-latency", "checkout-loss"]);
}

#[test]
fn numbers_that_nobody_renews_are_not_healthy() {
    let mut old = healthy("shop", "checkout");
    old["status"]["numbersAsOf"] = json!("2026-11-28T11:00:00Z");
    let report = of(&[old]);
    assert_eq!(report.monitors[0].state, MonitorState::Unknown);
    assert!(report.monitors[0].message.as_ref().unwrap().contains("nobody watches it"));
    assert!(!report.healthy);
}

#[test]
fn a_monitor_without_a_status_is_not_well() {
    let mut new = healthy("shop", "checkout");
    new.as_object_mut().unwrap().remove("status");
    let report = of(&[new]);
    assert_eq!(report.monitors[0].state, MonitorState::Unknown);
    assert!(report.monitors[0].message.as_ref().unwrap().contains("nobody reconciles it"));
}

#[test]
fn too_little_traffic_says_why() {
    let mut quiet = healthy("shop", "checkout");
    quiet["status"]["networkHealthIndicator"] = json!("InsufficientData");
    quiet["status"]["conditions"][1] =
        condition("Degraded", "Unknown", "InsufficientData", "3 flows, and it takes 20");
    let report = of(&[quiet]);
    assert_eq!(report.monitors[0].message.as_deref(), Some("InsufficientData: 3 flows, and it takes 20"));
}

#[test]
fn no_text_of_the_cluster_moves_the_cursor() {
    let mut hostile = zone_pair().monitor();
    hostile["status"]["degradation"]["summary"] = json!("a\u{1b}[2J\u{1b}]0;x\u{7}\rb\nc\u{202e}");
    hostile["status"]["overview"]["component"] = json!("\u{1b}[31mred");
    let text = render(&of(&[hostile]), 120, &invocation());
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert!(plain.contains("\\u{1b}[2J\\u{1b}]0;x\\u{7}\\rb\\nc\\u{202e}"), "{plain}");
    assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
}

#[test]
fn json_has_the_state_and_the_sentence() {
    let json = serde_json::to_value(of(&everything())).unwrap();
    assert_eq!(json["healthy"], false);
    assert_eq!(json["monitors"][0]["state"], "Degraded");
    assert_eq!(json["monitors"][0]["attribution"], "Infrastructure");
    assert_eq!(json["monitors"][0]["rttP99"], "8.1ms");
    assert_eq!(json["alarms"][0]["alarmState"], "ALARM");
    assert_eq!(json["canaries"][0]["result"], "Failed");
    assert_eq!(json["coverage"]["nodesExpected"], 6);
}

#[test]
fn recorded_monitors_show_a_fault_of_the_workload() {
    let monitors = recorded("monitors");
    let objects = objects(monitors["networkmonitors"].as_array().unwrap());
    let report = report(&objects, None, recorded_at());
    let text = render(&report, 120, &invocation());
    assert_fits(&text, 120);
    assert!(text.contains("2 monitors with a fault outside the network."), "{text}");
    assert!(text.contains("nodes report 100% of their"), "{text}");
    let states: Vec<MonitorState> = report.monitors.iter().map(|it| it.state).collect();
    assert_eq!(states, [MonitorState::Fault, MonitorState::Fault, MonitorState::Healthy]);
}
