//! What probes find, under the names of Prometheus's blackbox exporter where they mean the same, so that its dashboards
//! and rules work: <https://github.com/prometheus/blackbox_exporter>.

use std::sync::Arc;
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

    fn checked(&self, namespace: &str, canary: &str, report: &CheckReport) {
        let check =
            Check { namespace: namespace.to_owned(), canary: canary.to_owned(), check: report.name.clone() };
        self.success.get_or_create(&check).set(i64::from(report.passed));
        self.duration.get_or_create(&check).set(report.duration.as_secs_f64());
        set(&self.lookup, &check, report.phases.dns.map(seconds));
        // A check may have been of HTTP before, under the same name.
        let http = Some(report).filter(|report| report.kind == CheckKind::Http);
        set_whole(&self.status_code, &check, http.map(|http| http.http_status.map_or(0, i64::from)));
        set_whole(&self.redirects, &check, http.map(|http| i64::from(http.redirects)));
        let body = http.and_then(|http| i64::try_from(http.body_bytes?).ok());
        set_whole(&self.body, &check, body);
        let times = &report.phases;
        let times = [times.dns, times.connect, times.tls, times.first_byte, times.body];
        for (phase, time) in PHASES.into_iter().zip(times) {
            let labels = with_phase(&check, phase);
            if http.is_some() {
                self.phases.get_or_create(&labels).set(time.map_or(0.0, seconds));
            } else {
                self.phases.remove(&labels);
            }
        }
        set_whole(&self.certificate, &check, report.certificate_expiry.map(|expiry| expiry.as_second()));
    }

    fn forget_check(&self, namespace: &str, canary: &str, check: &str) {
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
}

/// What is shown of one canary, until this is dropped: with the task that runs it, whatever ends that.
#[derive(Debug)]
pub(super) struct Shown {
    metrics: ProbeMetrics,
    namespace: String,
    canary: String,
    checks: Arc<[String]>,
}

impl Shown {
    pub(super) fn new(metrics: &ProbeMetrics, namespace: &str, canary: &str) -> Self {
        Self {
            metrics: metrics.clone(),
            namespace: namespace.to_owned(),
            canary: canary.to_owned(),
            checks: Arc::default(),
        }
    }

    /// The canary has these checks now, or none: of others nothing is known.
    pub(super) fn only(&mut self, checks: Option<&Arc<[String]>>) {
        let checks = checks.cloned().unwrap_or_default();
        self.forget(|check| !checks.contains(check));
        self.checks = checks;
    }

    /// Of checks that the run didn't come to, nothing is known now.
    pub(super) fn ran(&self, report: &RunReport) {
        let result = if report.failure.is_some() { "failed" } else { "passed" };
        self.metrics.runs.get_or_create(&self.result(result)).inc();
        for check in &report.checks {
            self.metrics.checked(&self.namespace, &self.canary, check);
        }
        self.forget(|name| report.checks.iter().all(|check| check.name != *name));
    }

    /// So many times passed unused.
    pub(super) fn missed(&self, count: usize) {
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.metrics.missed.get_or_create(&self.whole()).inc_by(count);
        }
    }

    fn forget(&self, which: impl Fn(&String) -> bool) {
        for check in self.checks.iter().filter(|check| which(check)) {
            self.metrics.forget_check(&self.namespace, &self.canary, check);
        }
    }

    fn whole(&self) -> Canary {
        Canary { namespace: self.namespace.clone(), canary: self.canary.clone() }
    }

    fn result(&self, result: &'static str) -> CanaryResult {
        CanaryResult { namespace: self.namespace.clone(), canary: self.canary.clone(), result }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.forget(|_| true);
        for result in RESULTS {
            self.metrics.runs.remove(&self.result(result));
        }
        self.metrics.missed.remove(&self.whole());
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
        let mut shown = Shown::new(&metrics, "shop", "api");
        shown.only(Some(&["login".to_owned(), "orders".to_owned()].into()));
        shown.ran(&run(vec![check("login", true), check("orders", true)]));
        let orders = r#"probe_success{namespace="shop",canary="api",check="orders"} 1"#;
        assert!(text(&plain).contains(orders), "{}", text(&plain));
        let first_byte = r#"probe_http_duration_seconds{namespace="shop",canary="api",check="login",phase="processing"} 0.08"#;
        assert!(text(&plain).contains(first_byte), "{}", text(&plain));

        shown.ran(&run(vec![CheckReport { kind: CheckKind::Tcp, ..check("login", false) }]));
        assert!(!text(&plain).contains("probe_http_status_code{"), "{}", text(&plain));
        let login = r#"probe_success{namespace="shop",canary="api",check="login"} 0"#;
        assert!(text(&plain).contains(login) && !text(&plain).contains("orders"), "{}", text(&plain));
        assert!(text(&own).contains("canary_runs_total"), "{}", text(&own));

        shown.only(Some(&["orders".to_owned()].into()));
        assert!(!text(&plain).contains("shop") && text(&own).contains("shop"));
        drop(shown);
        assert!(!text(&plain).contains("shop") && !text(&own).contains("shop"));
    }
}
