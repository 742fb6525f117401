//! A spec made ready: what can be wrong with it is found here, before anything is sent. Pure.

mod dns;
mod error;
mod http;
mod json_path;
mod secret;
mod tcp;
mod template;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tidewatch_crds::canary::{Check, IpFamily, Tracing};
use tidewatch_crds::{CanarySpec, parse_duration};

pub(crate) use dns::DnsPlan;
pub use error::PlanError;
use error::{Field, Problem};
pub(crate) use http::{
    Auth, ExtractFrom, ExtractPlan, HeaderRule, HttpPlan, HttpRules, JsonRule, OauthPlan, Rule,
};
pub use secret::{Secrets, secrets_of};
pub(crate) use tcp::TcpPlan;
pub(crate) use template::{Template, Variables};
pub(crate) use tls::TlsPlan;

use crate::redact::Redactor;
use crate::report::CheckKind;

const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
const RUN_TIMEOUT: Duration = Duration::from_secs(60);

/// How much memory a compiled pattern may take, bytes: a thousand canaries share the operator's.
const PATTERN_LIMIT: usize = 1024 * 1024;

/// A spec made ready: durations parsed, patterns compiled, secrets filled in.
pub struct Plan {
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) tracing: bool,
    pub(crate) variables: Variables,
    pub(crate) checks: Vec<CheckPlan>,
    /// Hides the secrets.
    pub(crate) redactor: Redactor,
}

pub(crate) struct CheckPlan {
    pub(crate) name: String,
    pub(crate) family: Option<IpFamily>,
    pub(crate) timeout: Duration,
    pub(crate) what: What,
}

pub(crate) enum What {
    Http(Box<HttpPlan>),
    Dns(DnsPlan),
    Tls(TlsPlan),
    Tcp(TcpPlan),
}

impl What {
    pub(crate) fn kind(&self) -> CheckKind {
        match self {
            Self::Http(_) => CheckKind::Http,
            Self::Dns(_) => CheckKind::Dns,
            Self::Tls(_) => CheckKind::Tls,
            Self::Tcp(_) => CheckKind::Tcp,
        }
    }
}

/// Names the checks only: the rest may hold secrets.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<&str> = self.checks.iter().map(|check| check.name.as_str()).collect();
        f.debug_struct("Plan")
            .field("timeout", &self.timeout)
            .field("checks", &checks)
            .finish_non_exhaustive()
    }
}

/// What planning a check may use, and what it leaves behind for those after it.
struct Planning<'a> {
    secrets: &'a Secrets,
    /// Variables of the spec.
    fixed: &'a BTreeMap<String, String>,
    /// Variables that the checks so far extract.
    extracted: BTreeSet<String>,
    redactor: Redactor,
}

impl Plan {
    /// Makes a spec ready.
    ///
    /// # Errors
    /// When something in the spec can't be carried out, or a secret isn't there; the error names the field and says what
    /// to write instead.
    pub fn new(spec: &CanarySpec, secrets: &Secrets) -> Result<Self, PlanError> {
        let root = Field::new("spec");
        let specs = match spec.checks.as_deref() {
            None => return Err(root.problem(Problem::NoChecks)),
            Some([]) => return Err(root.field("checks").problem(Problem::Empty)),
            Some(checks) => checks,
        };
        let mut planning = Planning {
            secrets,
            fixed: &spec.variables,
            extracted: BTreeSet::new(),
            redactor: Redactor::default(),
        };
        let checks = specs
            .iter()
            .map(|check| planning.check(&root.item("checks", &check.name), check))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            timeout: run_timeout(spec, &root)?,
            retries: spec.retries.into(),
            tracing: spec.tracing == Tracing::Active,
            variables: spec.variables.clone(),
            checks,
            redactor: planning.redactor,
        })
    }
}

fn run_timeout(spec: &CanarySpec, root: &Field) -> Result<Duration, PlanError> {
    if let Some(timeout) = duration(&root.field("timeout"), spec.timeout.as_deref())? {
        return Ok(timeout);
    }
    let every = duration(&root.field("schedule").field("every"), spec.schedule.every.as_deref())?;
    Ok(every.map_or(RUN_TIMEOUT, |every| every.min(RUN_TIMEOUT)))
}

impl Planning<'_> {
    fn check(&mut self, field: &Field, check: &Check) -> Result<CheckPlan, PlanError> {
        let what = match (&check.http, &check.dns, &check.tls, &check.tcp) {
            (Some(http), None, None, None) => What::Http(Box::new(self.http(&field.field("http"), http)?)),
            (None, Some(dns), None, None) => What::Dns(self.dns(&field.field("dns"), dns)?),
            (None, None, Some(tls), None) => What::Tls(self.tls(&field.field("tls"), tls)?),
            (None, None, None, Some(tcp)) => What::Tcp(self.tcp(&field.field("tcp"), tcp)?),
            _ => return Err(field.problem(Problem::NotOneKind)),
        };
        let timeout = duration(&field.field("timeout"), check.timeout.as_deref())?.unwrap_or(CHECK_TIMEOUT);
        Ok(CheckPlan { name: check.name.clone(), family: check.ip_family, timeout, what })
    }

    fn template(&self, field: &Field, text: &str) -> Result<Template, PlanError> {
        let template = Template::parse(text).map_err(|problem| field.problem(problem))?;
        let known = |name: &str| self.fixed.contains_key(name) || self.extracted.contains(name);
        if let Some(unknown) = template.names().find(|name| !known(name)) {
            return Err(field.problem(Problem::UnknownVariable(unknown.to_owned())));
        }
        Ok(template)
    }

    /// What a template stands for, where that is known before the run.
    fn known(&self, template: &Template) -> Option<String> {
        template.names().all(|name| !self.extracted.contains(name)).then(|| template.render(self.fixed))
    }
}

fn duration(field: &Field, text: Option<&str>) -> Result<Option<Duration>, PlanError> {
    text.map(|text| parse_duration(text).map_err(|error| field.problem(Problem::Duration(error)))).transpose()
}

fn pattern(field: &Field, text: Option<&str>) -> Result<Option<regex::bytes::Regex>, PlanError> {
    text.map(|text| {
        regex::bytes::RegexBuilder::new(text)
            .size_limit(PATTERN_LIMIT)
            .dfa_size_limit(PATTERN_LIMIT)
            .build()
            .map_err(|error| field.problem(Problem::Pattern(error)))
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use tidewatch_crds::canary::{Check, ScheduleSpec, TcpCheck};

    use super::*;

    #[test]
    fn a_run_ends_with_its_timeout_or_with_the_interval() {
        let tcp = TcpCheck { host: "db".to_owned(), port: 5432, ..TcpCheck::default() };
        let checks = Some(vec![Check { name: "db".to_owned(), tcp: Some(tcp), ..Check::default() }]);
        for (timeout, every, seconds) in [
            (None, Some("5m"), 60),
            (None, Some("10s"), 10),
            (None, None, 60),
            (Some("2m"), Some("5m"), 120),
            (Some("3s"), None, 3),
        ] {
            let schedule = ScheduleSpec { every: every.map(str::to_owned), ..ScheduleSpec::default() };
            let timeout = timeout.map(str::to_owned);
            let spec = CanarySpec { checks: checks.clone(), schedule, timeout, ..CanarySpec::default() };
            let plan = Plan::new(&spec, &Secrets::new()).unwrap();
            assert_eq!(plan.timeout, Duration::from_secs(seconds), "{every:?}");
        }
    }
}
