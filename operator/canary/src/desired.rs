//! What should be done for a canary. Pure.

use std::sync::Arc;

use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::Provider;
use tidewatch_embedded::{Job, Schedule};
use tidewatch_prober::{Plan, Secrets};

use super::policy::Policy;

/// Why a canary can't be run, as its condition Ready says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub reason: &'static str,
    pub message: String,
    /// Whether something else than the spec can help.
    pub may_pass: bool,
}

impl Problem {
    pub(super) fn of_spec(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), may_pass: false }
    }

    pub(super) fn of_surroundings(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), may_pass: true }
    }
}

/// Who runs it.
pub(super) fn provider(spec: &CanarySpec, policy: &Policy) -> Provider {
    spec.provider.unwrap_or(policy.default_provider)
}

/// What the prober does for `spec`; none while it is suspended. `seed` tells it from other canaries.
pub(super) fn job(spec: &CanarySpec, seed: &str, secrets: &Secrets) -> Result<Option<Job>, Problem> {
    let Some(checks) = &spec.checks else {
        return Err(Problem::of_spec(
            "NotSupported",
            "pages in a browser and scripts run in AWS only, and this canary is run from within the cluster: write checks",
        ));
    };
    let schedule = Schedule::new(&spec.schedule, seed).map_err(|error| error.to_string());
    let plan = Plan::new(spec, secrets).map_err(|error| error.to_string());
    let (schedule, plan) = match (schedule, plan) {
        (Ok(schedule), Ok(plan)) => (schedule, plan),
        (schedule, plan) => {
            let refused: Vec<String> = [schedule.err(), plan.err()].into_iter().flatten().collect();
            return Err(Problem::of_spec("InvalidSpec", refused.join("; ")));
        }
    };
    let checks = checks.iter().map(|check| check.name.clone()).collect();
    Ok((!spec.suspend).then(|| Job { plan: Arc::new(plan), schedule, checks }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tidewatch_crds::Canary;
    use tidewatch_prober::secrets_of;

    use super::*;

    fn spec(text: &str) -> CanarySpec {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn every_recipe_can_be_run() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/canary-recipes");
        let mut recipes = 0;
        for file in std::fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            let canary: Canary = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            recipes += 1;
            if canary.spec.provider == Some(Provider::Aws) {
                let refusal = crate::aws::tests::refusal(&canary);
                assert_eq!(refusal, None, "{}", path.display());
                continue;
            }
            let authority = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap().cert.pem();
            let secrets = secrets_of(&canary.spec).into_iter().map(|key| {
                let value = if key.key == "ca.crt" { authority.clone() } else { "a-secret".to_owned() };
                (key, value.into_bytes())
            });
            let job = job(&canary.spec, "uid", &secrets.collect());
            assert!(job.as_ref().is_ok_and(Option::is_some), "{}: {:?}", path.display(), job.err());
        }
        assert!(recipes >= 7, "{recipes}");
    }

    #[test]
    fn what_the_operator_can_t_run_says_so() {
        let refused = |text: &str| {
            let problem = job(&spec(text), "uid", &Secrets::default()).unwrap_err();
            (problem.reason, problem.message)
        };
        let page = "heartbeat: {urls: ['https://a.example/']}";
        assert!(refused(page).1.contains("write checks"), "{}", refused(page).1);
        let pattern = "checks: [{name: a, http: {url: 'https://a', expect: {bodyMatches: '('}}}]";
        assert!(
            refused(pattern).1.starts_with("spec.checks[a].http.expect.bodyMatches"),
            "{}",
            refused(pattern).1
        );
        let cron = "schedule: {cron: '0 25 * * *'}\nchecks: [{name: a, tcp: {host: a, port: 1}}]";
        assert!(refused(cron).1.starts_with("spec.schedule.cron"), "{}", refused(cron).1);
        let both = format!("schedule: {{cron: '0 25 * * *'}}\n{pattern}");
        for field in ["spec.schedule.cron", "spec.checks[a].http.expect.bodyMatches"] {
            assert!(refused(&both).1.contains(field), "{}", refused(&both).1);
        }
    }

    #[test]
    fn a_suspended_canary_has_no_job() {
        let text = "suspend: true\nchecks: [{name: a, tcp: {host: a, port: 1}}]";
        assert!(job(&spec(text), "uid", &Secrets::default()).unwrap().is_none());
    }
}
