//! What probes find, under the names of Prometheus's blackbox exporter where they mean the same, so that its dashboards
//! and rules work: <https://github.com/prometheus/blackbox_exporter>.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tidewatch_prober::{CheckKind, CheckReport, RunReport};

type Float = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Canary {
    namespace: String,
    canary: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CanaryResult {
    namespace: String,
    canary: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    namespace: String,
    canary: String,
    check: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckPhase {
    namespace: String,
    canary: String,
    check: String,
    phase: &'static str,
}

/// Phases of a request, as the blackbox exporter calls them.
const PHASES: [&str; 5] = ["resolve", "connect", "tls", "processing", "transfer"];
const RESULTS: [&str; 2] = ["passed", "failed"];

/// Cheap to clone; all clones are the same metrics.
#[derive(Debug, Clone, Default)]
pub struct ProbeMetrics {
    runs: Family<CanaryResult, Counter>,
    missed: Family<Canary, Counter>,
    success: Family<Check, Gauge>,
    duration: Family<Check, Float>,
    lookup: Family<Check, Float>,
    status_code: Family<Check, Gauge>,
    redirects: Family<Check, Gauge>,
    body: Family<Check, Gauge>,
    certificate: Family<Check, Gauge>,
    phases: Family<CheckPhase, Float>,
}

impl ProbeMetrics {
    /// `registry` is Tidewatch's own, `plain` the one without a prefix.
    pub fn register(&self, registry: &mut Registry, plain: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("canary");
        registry.register("runs", "Runs of canaries from within the cluster", self.runs.clone());
        registry.register(
            "missed_runs",
            "Times that passed unused because a run took longer than the interval",
            self.missed.clone(),
        );
        plain.register("probe_success", "1 if the check passed", self.success.clone());
        plain.register("probe_duration_seconds", "How long the check took", self.duration.clone());
        plain.register("probe_dns_lookup_time_seconds", "How long the DNS lookup took", self.lookup.clone());
        plain.register("probe_http_status_code", "Status of the HTTP answer", self.status_code.clone());
        plain.register("probe_http_redirects", "Redirects that were followed", self.redirects.clone());
        plain.register("probe_http_uncompressed_body_length", "Bytes of the body", self.body.clone());
        plain.register(
            "probe_ssl_earliest_cert_expiry",
            "When the first certificate of the chain expires, Unix time",
            self.certificate.clone(),
        );
        plain.register(
            "probe_http_duration_seconds",
            "How long each phase of the HTTP request took",
            self.phases.clone(),
        );
    }

    /// `checks` are all that the canary has: of those that the run didn't come to, nothing is known now.
    pub(super) fn ran(&self, namespace: &str, canary: &str, checks: &[String], report: &RunReport) {
        let result = if report.failure.is_some() { "failed" } else { "passed" };
        let labels = CanaryResult { namespace: namespace.to_owned(), canary: canary.to_owned(), result };
        self.runs.get_or_create(&labels).inc();
        for check in &report.checks {
            self.checked(namespace, canary, check);
        }
        for unknown in checks.iter().filter(|name| report.checks.iter().all(|check| check.name != **name)) {
            self.forget_check(namespace, canary, unknown);
        }
    }

    fn checked(&self, namespace: &str, canary: &str, report: &CheckReport) {
        let check =
            Check { namespace: namespace.to_owned(), canary: canary.to_owned(), check: report.name.clone() };
        self.success.get_or_create(&check).set(i64::from(report.passed));
        self.duration.get_or_create(&check).set(report.duration.as_secs_f64());
        set(&self.lookup, &check, report.phases.dns.map(seconds));
        if report.kind == CheckKind::Http {
            set_whole(&self.status_code, &check, Some(report.http_status.map_or(0, i64::from)));
            set_whole(&self.redirects, &check, Some(i64::from(report.redirects)));
            set_whole(&self.body, &check, report.body_bytes.and_then(|bytes| i64::try_from(bytes).ok()));
            let times = &report.phases;
            let times = [times.dns, times.connect, times.tls, times.first_byte, times.body];
            for (phase, time) in PHASES.into_iter().zip(times) {
                let time = time.map_or(0.0, seconds);
                self.phases.get_or_create(&with_phase(&check, phase)).set(time);
            }
        }
        set_whole(&self.certificate, &check, report.certificate_expiry.map(|expiry| expiry.as_second()));
    }

    pub(super) fn missed(&self, namespace: &str, canary: &str, count: usize) {
        if count > 0 {
            let labels = Canary { namespace: namespace.to_owned(), canary: canary.to_owned() };
            self.missed.get_or_create(&labels).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Forgets checks that a canary doesn't have any more, or that weren't made.
    pub fn forget_check(&self, namespace: &str, canary: &str, check: &str) {
        let check =
            Check { namespace: namespace.to_owned(), canary: canary.to_owned(), check: check.to_owned() };
        self.success.remove(&check);
        self.duration.remove(&check);
        self.lookup.remove(&check);
        self.status_code.remove(&check);
        self.redirects.remove(&check);
        self.body.remove(&check);
        self.certificate.remove(&check);
        for phase in PHASES {
            self.phases.remove(&with_phase(&check, phase));
        }
    }

    pub(super) fn forget(&self, namespace: &str, canary: &str) {
        for result in RESULTS {
            let labels = CanaryResult { namespace: namespace.to_owned(), canary: canary.to_owned(), result };
            self.runs.remove(&labels);
        }
        self.missed.remove(&Canary { namespace: namespace.to_owned(), canary: canary.to_owned() });
    }
}

fn with_phase(check: &Check, phase: &'static str) -> CheckPhase {
    CheckPhase {
        namespace: check.namespace.clone(),
        canary: check.canary.clone(),
        check: check.check.clone(),
        phase,
    }
}

fn set(family: &Family<Check, Float>, check: &Check, value: Option<f64>) {
    match value {
        Some(value) => {
            family.get_or_create(check).set(value);
        }
        None => {
            family.remove(check);
        }
    }
}

fn set_whole(family: &Family<Check, Gauge>, check: &Check, value: Option<i64>) {
    match value {
        Some(value) => {
            family.get_or_create(check).set(value);
        }
        None => {
            family.remove(check);
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use prometheus_client::encoding::text::encode;
    use tidewatch_prober::PhaseTimes;

    use super::*;

    fn check(name: &str, passed: bool) -> CheckReport {
        CheckReport {
            name: name.to_owned(),
            kind: CheckKind::Http,
            passed,
            duration: Duration::from_millis(120),
            phases: PhaseTimes { first_byte: Some(Duration::from_millis(80)), ..PhaseTimes::default() },
            http_status: Some(if passed { 200 } else { 500 }),
            http_version: None,
            tls_version: None,
            certificate_expiry: None,
            ip: None,
            redirects: 0,
            body_bytes: Some(2),
        }
    }

    fn run(checks: Vec<CheckReport>) -> RunReport {
        RunReport {
            at: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            attempts: 1,
            trace_id: None,
            checks,
            failure: None,
        }
    }

    #[test]
    fn what_a_run_didn_t_come_to_isn_t_shown_as_it_was() {
        let (metrics, mut own, mut plain) =
            (ProbeMetrics::default(), Registry::default(), Registry::default());
        metrics.register(&mut own, &mut plain);
        let text = |registry: &Registry| {
            let mut text = String::new();
            encode(&mut text, registry).unwrap();
            text
        };
        let all = ["login".to_owned(), "orders".to_owned()];
        metrics.ran("shop", "api", &all, &run(vec![check("login", true), check("orders", true)]));
        let orders = r#"probe_success{namespace="shop",canary="api",check="orders"} 1"#;
        assert!(text(&plain).contains(orders), "{}", text(&plain));
        let first_byte = r#"probe_http_duration_seconds{namespace="shop",canary="api",check="login",phase="processing"} 0.08"#;
        assert!(text(&plain).contains(first_byte), "{}", text(&plain));

        metrics.ran("shop", "api", &all, &run(vec![check("login", false)]));
        let login = r#"probe_success{namespace="shop",canary="api",check="login"} 0"#;
        assert!(text(&plain).contains(login) && !text(&plain).contains("orders"), "{}", text(&plain));
        assert!(text(&own).contains("canary_runs_total"), "{}", text(&own));

        metrics.forget_check("shop", "api", "login");
        metrics.forget("shop", "api");
        assert!(!text(&plain).contains("shop") && !text(&own).contains("shop"));
    }
}
