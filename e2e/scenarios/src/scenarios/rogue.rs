//! Data sent to the collector that isn't an agent's honest telemetry.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Api;
use tempfile::TempDir;

use crate::bed::{Bed, OPERATOR_NAMESPACE, SHOP};
use crate::cluster::name_of;
use crate::metrics::Metrics;
use crate::paths;

const LIMIT: Duration = Duration::from_secs(30);
/// The certificate's name for the collector.
const SERVER_NAME: &str = "tidewatch-collector.tidewatch-system.svc";

/// A message, and the answers that are right.
struct Case {
    what: &'static str,
    token: Token,
    body: &'static str,
    right: &'static [&'static str],
}

enum Token {
    None,
    Forged,
    /// Of the agents' service account, but meant for the apiserver.
    WrongAudience,
    /// Meant for the collector, but not of the agents' service account.
    WrongAccount,
    /// A real agent's.
    Agents,
}

const CASES: [Case; 8] = [
    Case { what: "no token", token: Token::None, body: "empty", right: &["Unauthenticated"] },
    Case { what: "a forged token", token: Token::Forged, body: "empty", right: &["Unauthenticated"] },
    Case {
        what: "a token for the apiserver",
        token: Token::WrongAudience,
        body: "empty",
        right: &["Unauthenticated"],
    },
    Case {
        what: "a token of another service account",
        token: Token::WrongAccount,
        body: "empty",
        right: &["Unauthenticated", "PermissionDenied"],
    },
    Case { what: "garbage", token: Token::Agents, body: "garbage", right: &["Internal", "InvalidArgument"] },
    Case {
        what: "a truncated body",
        token: Token::Agents,
        body: "truncated",
        right: &["Internal", "InvalidArgument"],
    },
    Case {
        what: "an oversized body",
        token: Token::Agents,
        body: "oversized",
        right: &["OutOfRange", "ResourceExhausted", "InvalidArgument"],
    },
    Case { what: "an empty request of an agent", token: Token::Agents, body: "empty", right: &["Ok"] },
];

pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    let (rejections, restarts) = (rejections(bed)?, restarts(bed)?);
    run_quietly(bed)?;
    let counted = self::rejections(bed)? - rejections;
    let wrong = CASES.iter().filter(|case| !case.right.contains(&"Ok")).count();
    if counted < wrong as f64 {
        bail!("{wrong} messages were rejected, but only {counted} counted");
    }
    if self::restarts(bed)? != restarts {
        bail!("the operator was restarted by it");
    }
    bed.report.note(&format!("{counted} rejections counted in the operator's metrics, no restart"));
    Ok(())
}

/// Sends all of it and checks the answers.
pub(super) fn run_quietly(bed: &Bed) -> anyhow::Result<()> {
    let directory = TempDir::new().context("a directory for tokens")?;
    let address = collector_address(bed)?;
    let ca = directory.path().join("ca.crt");
    fs::write(&ca, collector_ca(bed)?)?;
    for case in &CASES {
        let token = case.token.write(bed, &directory.path().join("token"))?;
        let rogue = paths::binary("tidewatch-rogue")?;
        let mut command =
            vec![text(&rogue)?, "--address", &address, "--server-name", SERVER_NAME, "--ca", text(&ca)?];
        command.extend(["--body", case.body]);
        let path = directory.path().join("token");
        if token {
            command.extend(["--token", text(&path)?]);
        }
        let answer = from_a_pod(bed, &command).with_context(|| case.what.to_owned())?;
        if !case.right.contains(&answer.as_str()) {
            bail!("{} was answered by {answer}, not by {}", case.what, case.right.join(" or "));
        }
    }
    bed.report
        .note(&format!("the collector answered {} kinds of bad telemetry as it should", CASES.len() - 1));
    Ok(())
}

impl Token {
    /// Writes the token; false where there is none.
    fn write(&self, bed: &Bed, to: &Path) -> anyhow::Result<bool> {
        let audience = "--audience=tidewatch-collector";
        let token = match self {
            Self::None => return Ok(false),
            Self::Forged => forged(&issued(bed, OPERATOR_NAMESPACE, "tidewatch-agent", &[audience])?)?,
            Self::WrongAudience => issued(bed, OPERATOR_NAMESPACE, "tidewatch-agent", &[])?,
            Self::WrongAccount => issued(bed, SHOP, "default", &[audience])?,
            Self::Agents => of_an_agent(bed)?,
        };
        fs::write(to, token)?;
        Ok(true)
    }
}

fn issued(bed: &Bed, namespace: &str, account: &str, extra: &[&str]) -> anyhow::Result<String> {
    let mut arguments = vec!["create", "token", account, "--namespace", namespace];
    arguments.extend(extra);
    Ok(bed.lab_ref()?.kubectl(&arguments, LIMIT)?.stdout.trim().to_owned())
}

/// The same claims under a signature that nobody made.
fn forged(token: &str) -> anyhow::Result<String> {
    let (claims, signature) = token.rsplit_once('.').context("a token without a signature")?;
    let reversed: String = signature.chars().rev().collect();
    Ok(format!("{claims}.{reversed}"))
}

/// The token that the kubelet gave to an agent's pod.
fn of_an_agent(bed: &Bed) -> anyhow::Result<String> {
    let agents = bed.located("agent")?;
    let pid = agents.first().context("no agent")?.processes()?.first().copied().context("no process")?;
    let path = format!("/proc/{pid}/root/var/run/secrets/tidewatch/token");
    fs::read_to_string(&path).with_context(|| path)
}

fn from_a_pod(bed: &Bed, command: &[&str]) -> anyhow::Result<String> {
    let pods = bed.cluster.pods(SHOP, "app=frontend")?;
    let pod = pods.first().context("no pod to send from")?;
    let place = format!("{SHOP}/{}", name_of(&pod.metadata));
    Ok(bed.lab_ref()?.exec_in(&place, command, LIMIT)?.stdout.trim().to_owned())
}

fn collector_address(bed: &Bed) -> anyhow::Result<String> {
    let services: Api<Service> = Api::namespaced(bed.cluster.client(), OPERATOR_NAMESPACE);
    let service = bed.cluster.call("the collector's Service", services.get("tidewatch-collector"))?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("the collector has no ClusterIP")?;
    Ok(format!("{address}:4317"))
}

fn collector_ca(bed: &Bed) -> anyhow::Result<String> {
    let maps: Api<ConfigMap> = Api::namespaced(bed.cluster.client(), OPERATOR_NAMESPACE);
    let map = bed.cluster.call("the collector's CA", maps.get("tidewatch-collector-ca"))?;
    map.data.and_then(|data| data.get("ca.crt").cloned()).context("no ca.crt in tidewatch-collector-ca")
}

/// The number of requests that the collector rejected, by the operator's metrics.
fn rejections(bed: &Bed) -> anyhow::Result<f64> {
    let metrics = Metrics::now(&bed.cluster)?;
    Ok(metrics.sum("tidewatch_collector_requests_total", |labels| !labels.contains("\"ok\"")))
}

fn restarts(bed: &Bed) -> anyhow::Result<i32> {
    let pods = bed.cluster.pods(OPERATOR_NAMESPACE, "app.kubernetes.io/component=operator")?;
    let statuses = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    Ok(statuses.flatten().map(|container| container.restart_count).sum())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that isn't UTF-8")
}
