//! The reconciler by the real SDK against the AWS double, with a cluster in memory.

mod apiserver;
mod bed;
mod changes;
mod faults;
mod fleet;
mod groups;
mod lag;
mod lifecycle;
mod ownership;
mod states;
mod sweeps;

use std::collections::BTreeMap;

use tidewatch_crds::Canary;
use tidewatch_managed::AwsPolicy;
use tidewatch_synthetics::Runtime;

use super::desired::{Desired, Facts, Prefer};
use super::place::Wanted;

/// What keeps `canary` from AWS, where the chart allows all that it names.
pub(crate) fn refusal(canary: &Canary) -> Option<String> {
    let aws = canary.spec.aws.as_ref()?;
    let namespace = canary.metadata.namespace.clone().unwrap_or_default();
    let roles = aws.role_arn.iter().chain([&aws.execution_role_arn]).cloned().collect();
    let policy =
        AwsPolicy { enabled: true, roles: BTreeMap::from([(namespace, roles)]), ..AwsPolicy::default() };
    let runtimes = ["syn-nodejs-5.2", "syn-nodejs-puppeteer-17.0", "syn-nodejs-playwright-8.0"];
    let offered =
        runtimes.map(|name| Runtime { version: name.parse().unwrap(), released: None, deprecated: None });
    let facts = Facts {
        offered: &offered,
        script: None,
        current: None,
        now: "2026-11-25T12:00:00Z".parse().unwrap(),
    };
    let wanted = Wanted::new(canary, &policy, Some("eu-west-1"));
    let desired = wanted.and_then(|wanted| Desired::new(canary, &wanted, &facts, Prefer::Newest));
    desired.err().map(|problem| problem.message)
}
