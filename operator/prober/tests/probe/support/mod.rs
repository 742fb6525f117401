//! A prober and the servers it probes.

pub(crate) mod certificates;
pub(crate) mod dns;
pub(crate) mod http;
pub(crate) mod tcp;

use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;
use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::SecretKey;
use tidewatch_prober::{
    FailureReport, Plan, PlanError, Prober, ProberConfig, ResolverSource, RunReport, Secrets, TargetPolicy,
    TrustSource,
};

/// A server of DNS that nobody asks.
const NO_DNS: &str = "127.0.0.1:9";

pub(crate) fn config() -> ProberConfig {
    ProberConfig {
        allow: TargetPolicy { loopback: true, ..TargetPolicy::default() },
        resolver: ResolverSource::Servers(vec![NO_DNS.parse().unwrap()]),
        trust: TrustSource::Authorities(Vec::new()),
        ..ProberConfig::default()
    }
}

pub(crate) fn prober() -> Prober {
    Prober::new(config()).unwrap()
}

pub(crate) fn prober_with_dns(server: SocketAddr) -> Prober {
    Prober::new(ProberConfig { resolver: ResolverSource::Servers(vec![server]), ..config() }).unwrap()
}

pub(crate) fn prober_trusting(authority: &CertificateDer<'static>, dns: SocketAddr) -> Prober {
    let trust = TrustSource::Authorities(vec![authority.clone()]);
    Prober::new(ProberConfig { trust, resolver: ResolverSource::Servers(vec![dns]), ..config() }).unwrap()
}

pub(crate) fn spec(yaml: &str) -> CanarySpec {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

pub(crate) fn plan(yaml: &str) -> Plan {
    plan_with(yaml, &[]).unwrap()
}

/// A plan whose secrets are each in the Secret `login`, by their keys.
pub(crate) fn plan_with(yaml: &str, secrets: &[(&str, &str)]) -> Result<Plan, PlanError> {
    let secrets: Secrets =
        secrets.iter().map(|(key, value)| (secret(key), value.as_bytes().to_vec())).collect();
    Plan::new(&spec(yaml), &secrets)
}

pub(crate) fn secret(key: &str) -> SecretKey {
    SecretKey { name: "login".to_owned(), key: key.to_owned() }
}

pub(crate) async fn run(yaml: &str) -> RunReport {
    prober().run(&plan(yaml)).await
}

/// That the run passed.
#[track_caller]
pub(crate) fn passed(report: &RunReport) {
    assert!(report.passed(), "{report:#?}");
}

/// Why the run failed.
#[track_caller]
pub(crate) fn failure(report: &RunReport) -> &FailureReport {
    report.failure.as_ref().unwrap_or_else(|| panic!("it passed: {report:#?}"))
}

/// That the run failed with a message that has these parts.
#[track_caller]
pub(crate) fn failed_with(report: &RunReport, parts: &[&str]) {
    let message = &failure(report).message;
    for part in parts {
        assert!(message.contains(part), "{part:?} isn't in {message:?}\n{report:#?}");
    }
    assert_eq!(report.checks.last().map(|check| check.passed), Some(false), "{report:#?}");
}
