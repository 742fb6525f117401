//! Objects for the tests, as the operator leaves them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::{Common, Output};
use crate::invocation::Invocation;
use crate::objects::Objects;

/// The plugin on the current cluster.
pub(crate) fn invocation() -> Invocation {
    let timeout = std::time::Duration::from_secs(30);
    let common = Common { context: None, kubeconfig: None, output: Output::Text, timeout };
    Invocation::new("kubectl tidewatch", &common)
}

pub(crate) fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

pub(crate) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-28T11:55:30Z",
    })
}

fn object(kind: &str, namespace: &str, name: &str, spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "uid": name, "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": spec, "status": status,
    })
}

pub(crate) fn monitor(namespace: &str, name: &str, status: &Value) -> Value {
    let spec = json!({"local": [{"pods": {"selector": {"matchLabels": {"app": name}}}}]});
    object("NetworkMonitor", namespace, name, &spec, status)
}

pub(crate) fn healthy(namespace: &str, name: &str) -> Value {
    let status = json!({
        "networkHealthIndicator": "Healthy", "numbersAsOf": "2026-11-28T11:59:40Z",
        "coverage": {"nodesReporting": 6, "nodesExpected": 6, "connectionsSeen": 4000, "connectionsReported": 3960},
        "overview": {"rttP99": "1.2ms", "retransmissions": "0.05%", "coverage": "6/6"},
        "conditions": [
            condition("Ready", "True", "Watching", "the selected traffic is being watched"),
            condition("Degraded", "False", "Healthy", "nothing is wrong"),
            condition("WorkloadFault", "False", "Healthy", "nothing is wrong"),
        ],
    });
    monitor(namespace, name, &status)
}

/// A monitor with one component at fault.
pub(crate) struct Fault {
    pub name: &'static str,
    pub attribution: &'static str,
    pub kind: &'static str,
    pub component: &'static str,
    pub cause: &'static str,
    pub summary: &'static str,
    pub numbers: Value,
    pub hints: Value,
}

impl Fault {
    pub(crate) fn monitor(&self) -> Value {
        let infrastructure = self.attribution == "Infrastructure";
        let mut component = json!({
            "kind": self.kind, "name": self.component, "class": self.attribution, "cause": self.cause,
            "since": "2026-11-28T11:55:00Z", "confidence": 0.97, "totalFlows": 138, "hints": self.hints,
        });
        for (key, value) in self.numbers.as_object().unwrap() {
            component[key] = value.clone();
        }
        let (degraded, workload) = if infrastructure {
            (
                condition("Degraded", "True", "InfrastructureFault", self.summary),
                condition("WorkloadFault", "False", "Healthy", "no workload is at fault"),
            )
        } else {
            (
                condition("Degraded", "False", "Healthy", "the network isn't to blame"),
                condition("WorkloadFault", "True", "WorkloadFault", self.summary),
            )
        };
        let status = json!({
            "networkHealthIndicator": if infrastructure { "Degraded" } else { "Healthy" },
            "numbersAsOf": "2026-11-28T11:59:40Z",
            "degradation": {
                "since": "2026-11-28T11:55:00Z", "attribution": self.attribution, "summary": self.summary,
                "components": [component],
            },
            "coverage": {"nodesReporting": 6, "nodesExpected": 6, "connectionsSeen": 4000, "connectionsReported": 3960},
            "overview": {"component": self.component, "rttP99": "8.1ms", "retransmissions": "2.61%", "coverage": "6/6"},
            "conditions": [condition("Ready", "True", "Watching", "the selected traffic is being watched"), degraded, workload],
        });
        monitor("shop", self.name, &status)
    }
}

pub(crate) fn zone_pair() -> Fault {
    Fault {
        name: "checkout",
        attribution: "Infrastructure",
        kind: "ZonePair",
        component: "zone-1~zone-2",
        cause: "PacketLoss",
        summary: "packets are lost between zone-1 and zone-2: 2.61% of segments retransmitted instead of 0.05%, 52 of 138 flows, 7 services",
        numbers: json!({"retransmissionRatio": 0.0261, "baselineRatio": 0.0005, "affectedFlows": 52}),
        hints: json!([]),
    }
}

pub(crate) fn node_loss() -> Fault {
    Fault {
        name: "payments",
        kind: "Node",
        component: "ip-10-0-3-17.ap-northeast-1.compute.internal",
        summary: "packets are lost at node ip-10-0-3-17.ap-northeast-1.compute.internal: 4.2% of segments retransmitted instead of 0.04%",
        numbers: json!({"retransmissionRatio": 0.042, "baselineRatio": 0.0004, "affectedFlows": 31}),
        ..zone_pair()
    }
}

pub(crate) fn port_blocked() -> Fault {
    Fault {
        name: "orders",
        attribution: "Workload",
        kind: "Service",
        component: "shop/postgres",
        cause: "Unreachable",
        summary: "service shop/postgres can't be reached: 214 of 214 attempts to connect were not answered",
        numbers: json!({"failedAttempts": 214, "attempts": 214}),
        hints: json!([{
            "time": "2026-11-28T11:54:48Z", "kind": "NetworkPolicy", "name": "shop/deny-postgres",
            "message": "created, 12 s before the fault began",
        }]),
    }
}

pub(crate) fn overloaded() -> Fault {
    Fault {
        name: "search",
        component: "shop/search",
        cause: "Overload",
        summary: "service shop/search is overloaded: the median round trip is 84ms instead of 0.6ms",
        numbers: json!({"rttP50": "84ms", "baselineRttP50": "0.6ms", "rttMin": "0.2ms", "baselineRttMin": "0.2ms", "affectedFlows": 20}),
        hints: json!([]),
        ..port_blocked()
    }
}

pub(crate) fn refused() -> Fault {
    Fault {
        name: "cart",
        component: "shop/redis",
        cause: "Refused",
        summary: "service shop/redis refuses connections: 96 of 120 attempts were answered by a reset",
        numbers: json!({"failedAttempts": 96, "attempts": 120}),
        hints: json!([{
            "time": "2026-11-28T11:54:20Z", "kind": "Deployment", "name": "shop/redis",
            "message": "rolled out revision 12, 40 s before the fault began",
        }]),
        ..port_blocked()
    }
}

pub(crate) fn alarm(name: &str, spec: &Value, status: &Value) -> Value {
    object("AnomalyAlarm", "shop", name, spec, status)
}

pub(crate) fn firing_alarm() -> Value {
    let spec = json!({"metric": {"networkMonitor": {"name": "checkout", "metric": "RoundTripTime"}}});
    let reason = "Threshold Crossed: 3 datapoints were outside of the band";
    let status = json!({
        "state": "ALARM", "since": "2026-11-28T11:57:00Z", "reason": reason,
        "overview": {"value": "8.1", "band": "0.4..2.2"},
        "reading": {"value": 8.1, "lower": 0.4, "upper": 2.2},
        "conditions": [condition("Ready", "True", "InPlace", "in place"), condition("Firing", "True", "Alarm", reason)],
    });
    alarm("checkout-latency", &spec, &status)
}

pub(crate) fn denied_alarm() -> Value {
    let spec = json!({"metric": {"networkMonitor": {"name": "checkout", "metric": "Retransmissions"}}});
    let message = "PutMetricAlarm: AccessDenied: not authorized to perform cloudwatch:PutMetricAlarm; grant it by IAM (docs/iam.md)";
    let status = json!({"conditions": [condition("Ready", "Unknown", "Denied", message)]});
    alarm("checkout-loss", &spec, &status)
}

pub(crate) fn failing_canary() -> Value {
    let message = "check home: status 503 instead of 200";
    let status = json!({
        "state": "Running", "result": "Failed", "since": "2026-11-28T11:56:00Z",
        "success": {"hour": "93.3", "day": "99.7"},
        "lastRun": {"at": "2026-11-28T11:59:30Z", "result": "Failed", "durationMs": 31, "attempts": 1, "checks": []},
        "lastFailure": {
            "at": "2026-11-28T11:59:30Z", "check": "home", "message": "the status isn't as expected",
            "expected": "200", "got": "503", "phases": {"dnsMs": 1, "connectMs": 2, "firstByteMs": 28},
        },
        "conditions": [condition("Ready", "True", "Running", "it runs"), condition("Passing", "False", "Failed", message)],
    });
    let spec = json!({"schedule": {"every": "60s"}, "checks": [{"name": "home", "http": {"url": "http://web.shop.svc/"}}]});
    object("Canary", "shop", "home", &spec, &status)
}

/// A real API server's answer, from the folder fixtures.
pub(crate) fn recorded(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The time at which the recorded monitors were read.
pub(crate) fn recorded_at() -> Timestamp {
    "2026-11-28T08:48:46Z".parse().unwrap()
}

/// Objects of JSON, each kind where it belongs.
pub(crate) fn objects(values: &[Value]) -> Objects {
    let mut objects = Objects::default();
    for value in values {
        let value = value.clone();
        match value["kind"].as_str().unwrap() {
            "NetworkMonitor" => objects.monitors.push(serde_json::from_value(value).unwrap()),
            "AnomalyAlarm" => objects.alarms.push(serde_json::from_value(value).unwrap()),
            "Canary" => objects.canaries.push(serde_json::from_value(value).unwrap()),
            other => panic!("{other}"),
        }
    }
    objects
}

/// `text` is what the file of that name in the folder screens holds. TIDEWATCH_WRITE_SCREENS=1 writes it.
pub(crate) fn assert_screen(name: &str, text: &str) {
    let plain = anstream::adapter::strip_str(text).to_string();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("screens").join(format!("{name}.txt"));
    if std::env::var_os("TIDEWATCH_WRITE_SCREENS").is_some() {
        std::fs::write(&path, &plain).unwrap();
    }
    let expected =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(plain, expected, "{name}: TIDEWATCH_WRITE_SCREENS=1 writes it anew");
}

/// Every line of a screen fits.
pub(crate) fn assert_fits(text: &str, width: usize) {
    use unicode_width::UnicodeWidthStr;
    let plain = anstream::adapter::strip_str(text).to_string();
    for line in plain.lines() {
        assert!(line.width() <= width, "{} columns: {line:?}", line.width());
        assert_eq!(line, line.trim_end(), "spaces at the end");
    }
}
