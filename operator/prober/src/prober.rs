//! Carries a plan out: check by check, attempt by attempt.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use tidewatch_crds::canary::IpFamily;
use tokio::time::Instant;

use crate::config::{ProberConfig, ProberError};
use crate::connect::Connector;
use crate::deadline::Deadline;
use crate::dns::{self, Resolver};
use crate::failure::Failure;
use crate::http::Cookies;
use crate::plan::{CheckPlan, Plan, Variables, What};
use crate::policy::TargetPolicy;
use crate::redact::Redactor;
use crate::report::{CheckReport, FailureReport, RunReport};
use crate::tls::{self, Handshakes};
use crate::trace::TraceId;
use crate::{http as http_check, tcp};

/// Runs plans. Runs share it; it holds nothing of them.
#[derive(Debug)]
pub struct Prober(Means);

/// What checks work with.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) connector: Connector,
    pub(crate) handshakes: Handshakes,
    pub(crate) user_agent: HeaderValue,
    pub(crate) max_body: usize,
}

/// What one check is given, and where it writes what it learns.
pub(crate) struct Course<'a> {
    pub(crate) means: &'a Means,
    pub(crate) family: Option<IpFamily>,
    pub(crate) deadline: Deadline,
    pub(crate) trace: Option<TraceId>,
    pub(crate) variables: &'a mut Variables,
    pub(crate) cookies: &'a mut Cookies,
    pub(crate) redactor: &'a mut Redactor,
    pub(crate) report: &'a mut CheckReport,
}

impl Prober {
    /// A prober of `config`.
    ///
    /// # Errors
    /// When there is no DNS server, or the certificate authorities can't be used.
    pub fn new(config: ProberConfig) -> Result<Self, ProberError> {
        Ok(Self(Means {
            connector: Connector {
                policy: RwLock::new(config.allow),
                resolver: Resolver::new(&config.resolver)?,
            },
            handshakes: Handshakes::new(&config.trust)?,
            user_agent: HeaderValue::from_str(&config.user_agent).map_err(|_| ProberError::UserAgent)?,
            max_body: config.max_body,
        }))
    }

    /// Which addresses may be reached, from the next connection on.
    pub fn allow(&self, targets: TargetPolicy) {
        *self.0.connector.policy.write().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// Runs the checks of `plan`, again where it fails and has retries left. Dropping the future ends the run and closes
    /// its connection.
    pub async fn run(&self, plan: &Plan) -> RunReport {
        let at = Timestamp::now();
        let began = Instant::now();
        let deadline = Deadline::new(plan.timeout);
        let trace = plan.tracing.then(|| TraceId::new(at, rand::random()));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (checks, failure) = self.attempt(plan, trace, deadline).await;
            if failure.is_none() || attempts > plan.retries || deadline.remaining().is_zero() {
                return RunReport {
                    at,
                    duration: began.elapsed(),
                    attempts,
                    trace_id: trace.map(|trace| trace.to_string()),
                    checks,
                    failure,
                };
            }
        }
    }

    async fn attempt(
        &self,
        plan: &Plan,
        trace: Option<TraceId>,
        run: Deadline,
    ) -> (Vec<CheckReport>, Option<FailureReport>) {
        let mut variables = plan.variables.clone();
        let mut cookies = Cookies::default();
        let mut redactor = plan.redactor.clone();
        let mut reports = Vec::with_capacity(plan.checks.len());
        for check in &plan.checks {
            let mut report = CheckReport::new(&check.name, check.what.kind());
            let began = Instant::now();
            let result = self
                .check(
                    check,
                    Course {
                        means: &self.0,
                        family: check.family,
                        deadline: run.of_check(check.timeout),
                        trace,
                        variables: &mut variables,
                        cookies: &mut cookies,
                        redactor: &mut redactor,
                        report: &mut report,
                    },
                )
                .await;
            report.duration = began.elapsed();
            report.passed = result.is_ok();
            let failure = result.err().map(|failure| {
                let (message, expected, got) = failure.shown(&redactor);
                FailureReport { check: check.name.clone(), message, expected, got, phases: report.phases }
            });
            reports.push(report);
            if failure.is_some() {
                return (reports, failure);
            }
        }
        (reports, None)
    }

    async fn check(&self, check: &CheckPlan, course: Course<'_>) -> Result<(), Failure> {
        match &check.what {
            What::Http(plan) => http_check::run(plan, course).await,
            What::Dns(plan) => dns::run(plan, course).await,
            What::Tls(plan) => tls::run(plan, course).await,
            What::Tcp(plan) => tcp::run(plan, course).await,
        }
    }
}

/// Whether something took longer than it may.
pub(crate) fn too_long(took: Duration, most: Option<Duration>) -> Result<(), Failure> {
    use crate::deadline::Span;
    match most {
        Some(most) if took > most => Err(Failure::unmet(
            format!("took {}, expected at most {}", Span(took), Span(most)),
            format!("at most {}", Span(most)),
            Span(took).to_string(),
        )),
        _ => Ok(()),
    }
}
