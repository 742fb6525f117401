//! Checks that one operator runs, of the right version, and leads.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use semver::Version;

use super::agents::why_not_ready;
use super::version::{minors_ahead, of};
use super::{Check, Collected, Finding};
use crate::age::length;
use crate::count::counted;

/// Name of the operator's Lease.
pub(crate) const LEASE: &str = "tidewatch-operator";
/// Age of a Lease that isn't renewed beyond which its holder is gone: four times its duration.
const STALE_SECONDS: i64 = 60;

pub(super) fn check(collected: &Collected) -> Check {
    let mut findings = Vec::new();
    let mut summary = String::new();
    match &collected.operators {
        Err(error) => findings.push(Finding::unchecked("The operator's Deployment", error)),
        Ok(operators) => match operators.as_slice() {
            [] => findings.push(Finding::problem(
                "No Deployment of the operator was found by its labels.",
                "Install the chart tidewatch (docs/install.md). If you may not list Deployments in all namespaces, name the operator's with -n.",
            )),
            [operator] => {
                findings.extend(of_deployment(operator, collected));
                summary = in_order(operator);
            }
            several => {
                let named: Vec<String> = several.iter().map(full_name).collect();
                findings.push(Finding::problem(
                    format!(
                        "{} operators are installed, and they write the same statuses: Deployments {}.",
                        named.len(),
                        named.join(" and ")
                    ),
                    "Uninstall all but one release of the chart tidewatch.",
                ));
                findings.extend(several.iter().flat_map(|operator| of_deployment(operator, collected)));
            }
        },
    }
    if collected.operators.as_ref().is_ok_and(|operators| !operators.is_empty()) {
        findings.extend(of_lease(collected));
    }
    Check::new("Operator", findings, || summary)
}

fn full_name(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any())
}

fn version(deployment: &Deployment) -> Option<Version> {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let containers =
        template.and_then(|template| template.spec.as_ref()).map(|spec| spec.containers.as_slice());
    let image = containers
        .unwrap_or_default()
        .iter()
        .find(|it| it.name == "operator")
        .and_then(|it| it.image.as_deref());
    of(image, deployment.metadata.labels.as_ref())
}

/// The version that agents must fit: that of the operator, where there is one.
pub(super) fn operators_version(collected: &Collected) -> Option<Version> {
    collected.operators.as_ref().ok()?.iter().find_map(version)
}

/// The operator's version, where it isn't that of this program.
pub(super) fn other_version(collected: &Collected) -> Option<Version> {
    operators_version(collected).filter(|version| version.to_string() != collected.version)
}

fn in_order(deployment: &Deployment) -> String {
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let version = version(deployment).map(|version| format!(" of version {version}")).unwrap_or_default();
    let replicas = counted(ready, "replica is", "replicas are");
    format!("Deployment {}{version}: {replicas} ready, and one leads.", full_name(deployment))
}

fn of_deployment(deployment: &Deployment, collected: &Collected) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = full_name(deployment);
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if wanted == 0 {
        findings.push(Finding::problem(
            format!("Deployment {name} is scaled to 0 replicas, so that nobody reconciles."),
            "Scale it to operator.replicas of the chart's values.",
        ));
    } else if ready < wanted {
        let why = why_pods_arent_ready(deployment, collected.pods.as_deref().unwrap_or_default());
        let message = format!("Deployment {name}: {ready} of {wanted} replicas are ready{why}.");
        let namespace = deployment.namespace().unwrap_or_default();
        let mend = format!(
            "Look at kubectl -n {namespace} describe pod -l app.kubernetes.io/component=operator, and at its log."
        );
        let finding =
            if ready == 0 { Finding::problem(message, mend) } else { Finding::warning(message, mend) };
        findings.push(finding);
    }
    let ours = Version::parse(&collected.version).ok();
    if let (Some(ours), Some(theirs)) = (ours, version(deployment))
        && minors_ahead(&ours, &theirs).abs() > 1
    {
        findings.push(Finding::warning(
            format!("Deployment {name} is of version {theirs}, and this tidewatch of {ours}: what it says of the definitions and rights may not fit."),
            format!("Use the tidewatch of version {theirs}, or upgrade the chart (docs/upgrading.md)."),
        ));
    }
    findings
}

fn why_pods_arent_ready(deployment: &Deployment, pods: &[Pod]) -> String {
    let of_it = pods.iter().filter(|pod| {
        pod.namespace() == deployment.namespace() && super::agents::component(pod) == Some("operator")
    });
    let why: Vec<String> = of_it.filter_map(why_not_ready).take(1).collect();
    why.first().map(|why| format!(": {why}")).unwrap_or_default()
}

fn of_lease(collected: &Collected) -> Option<Finding> {
    let namespace = &collected.namespace;
    let look = format!("Look at kubectl -n {namespace} logs deployment/tidewatch-operator.");
    let lease = match &collected.lease {
        Err(error) => return Some(Finding::unchecked(&format!("Lease {namespace}/{LEASE}"), error)),
        Ok(None) => {
            return Some(Finding::problem(
                format!(
                    "Lease {namespace}/{LEASE} is missing: no replica has ever led, and nobody reconciles."
                ),
                look,
            ));
        }
        Ok(Some(lease)) => lease,
    };
    let now = *collected.server_time.as_ref().unwrap_or(&collected.now);
    let (holder, renewed) = holder_and_renewal(lease);
    if holder.is_empty() {
        return Some(Finding::problem(
            format!("Lease {namespace}/{LEASE} has no holder: no replica leads, and nobody reconciles."),
            look,
        ));
    }
    let age = now.as_second() - renewed.map_or(0, |at| at.as_second());
    (age > STALE_SECONDS).then(|| {
        let renewal = renewed.map_or_else(|| "never renewed".to_owned(), |_| format!("renewed {} ago", length(age)));
        Finding::problem(
            format!("Lease {namespace}/{LEASE} of {holder} was {renewal}: no replica leads, and nobody reconciles."),
            format!("{look} If the operator works, the clock of its node is behind."),
        )
    })
}

/// The holder of the lease, and the time of its last renewal.
pub(super) fn holder_and_renewal(lease: &Lease) -> (&str, Option<jiff::Timestamp>) {
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    (holder, spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0))
}
