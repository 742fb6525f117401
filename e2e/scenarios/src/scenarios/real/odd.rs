//! Software that misbehaves while the network is well: what is said of it is true, or nothing is said.

use std::time::Duration;

use tidewatch_crds::network_monitor::{ComponentKind, FaultCause};

use super::allowed::Allowed;
use super::form::Form;
use super::life::{a_pod, pass};
use super::listener::Listener;
use super::load::Load;
use super::trials::{nothing_is_said, says};
use crate::bed::{Bed, Windows};
use crate::expect::{Expected, FalseVerdict};
use crate::pods::{Located, signal};

const KUBECTL_LIMIT: Duration = Duration::from_secs(60);
/// Duration of each misbehaviour.
const LASTS: Duration = Duration::from_secs(75);
const HEAL_LIMIT: Duration = Duration::from_secs(240);
const NAMESPACE: &str = "real";
/// A pod that is started by hand for one of them.
const POD: &str = "odd";
/// Causes that may be reported for a server that runs but doesn't do its work.
const HANGS: &[FaultCause] =
    &[FaultCause::Overload, FaultCause::Unreachable, FaultCause::ConnectionFailures, FaultCause::Unknown];

/// Something odd, and what may be said of it.
struct Oddity {
    name: &'static str,
    allowed: Allowed,
    begin: fn(&Bed) -> anyhow::Result<()>,
    end: fn(&Bed) -> anyhow::Result<()>,
}

fn oddities() -> Vec<Oddity> {
    let nothing = Allowed::ordinary_life;
    vec![
        // Connections are accepted by the kernel until its backlog is full.
        Oddity {
            name: "hung-server",
            allowed: nothing().and(ComponentKind::Service, "real/redis", HANGS).and(
                ComponentKind::Pod,
                "real/redis-*",
                HANGS,
            ),
            begin: |bed| signal(&a_pod(bed, "redis")?.processes()?, "STOP"),
            end: |bed| redis(bed)?.iter().try_for_each(|pod| signal(&pod.processes()?, "CONT")),
        },
        // PostgreSQL answers, and says that it has too many clients.
        Oddity {
            name: "exhausted-pool",
            allowed: nothing(),
            begin: |bed| {
                start(
                    bed,
                    "pgbench -n -h postgres.real.svc.cluster.local -U postgres -c 55 -R 10 -T 600 -f /config/query.sql postgres",
                )
            },
            end: stop,
        },
        Oddity {
            name: "slow-query",
            allowed: nothing(),
            begin: |bed| {
                start(
                    bed,
                    "while :; do psql -h postgres.real.svc.cluster.local -U postgres -c 'SELECT pg_sleep(5)' postgres; done",
                )
            },
            end: stop,
        },
        // As a scraper with a wrong annotation does: nothing listens there.
        Oddity {
            name: "dialler-of-dead-ports",
            allowed: nothing().and(ComponentKind::Pod, "real/web-*", &[FaultCause::Refused]),
            begin: |bed| {
                let addresses: Vec<_> = pods(bed, "web")?.into_iter().map(|pod| pod.ip).collect();
                start(
                    bed,
                    &format!(
                        "while :; do for a in {}; do nc -w 2 $a 9113 < /dev/null; done; sleep 0.5; done",
                        addresses.join(" ")
                    ),
                )
            },
            end: stop,
        },
        // A node's address, at a port that nobody has.
        Oddity {
            name: "dialler-of-a-node",
            allowed: nothing(),
            begin: |bed| {
                let nodes: Vec<_> =
                    bed.lab_ref()?.nodes().iter().map(|node| node.address.to_string()).collect();
                start(
                    bed,
                    &format!(
                        "while :; do for a in {}; do nc -w 2 $a 31999 < /dev/null; done; sleep 0.5; done",
                        nodes.join(" ")
                    ),
                )
            },
            end: stop,
        },
        // Pods that take long to start are refused by nobody but the kubelet's probes.
        Oddity {
            name: "slow-start",
            allowed: nothing(),
            begin: |bed| patch_start_of_web(bed, "sleep 40"),
            end: |bed| patch_start_of_web(bed, "true"),
        },
    ]
}

pub(super) fn names() -> Vec<&'static str> {
    oddities().into_iter().map(|oddity| oddity.name).collect()
}

pub(super) fn run(bed: &Bed) -> anyhow::Result<()> {
    let form = Form::chosen()?;
    bed.install_windows(Windows::Short)?;
    Load::Ease.set(bed)?;
    let mut failures = Vec::new();
    for oddity in oddities() {
        if !form.includes(oddity.name, false) {
            continue;
        }
        bed.report.step(oddity.name);
        says(bed, &Expected::healthy(), HEAL_LIMIT)?;
        nothing_is_said(bed)?;
        let listened = Listener::while_running(bed, &oddity.allowed, || {
            let lasted = (oddity.begin)(bed).and_then(|()| pass(LASTS));
            (oddity.end)(bed)?;
            lasted?;
            says(bed, &Expected::healthy(), HEAL_LIMIT)
        });
        if let Err(error) = listened.and_then(|((), account)| account.is_true()) {
            bed.report.wrong(&format!("{error:#}"));
            failures.push(format!("{}: {error:#}", oddity.name));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(FalseVerdict(failures.join("\n  ")).into()) }
}

fn pods(bed: &Bed, app: &str) -> anyhow::Result<Vec<Located>> {
    let pods = bed.cluster.pods(NAMESPACE, &format!("app={app}"))?;
    pods.iter().map(|pod| Located::find(bed.lab_ref()?, pod)).collect()
}

fn redis(bed: &Bed) -> anyhow::Result<Vec<Located>> {
    pods(bed, "redis")
}

/// Runs a script in a pod of its own.
fn start(bed: &Bed, script: &str) -> anyhow::Result<()> {
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE, "labels": {"app": POD}},
        "spec": {
            "automountServiceAccountToken": false, "enableServiceLinks": false, "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532},
            "volumes": [{"name": "config", "configMap": {"name": "config"}}],
            "containers": [{
                "name": "load", "image": "tidewatch.local/real:dev", "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script],
                "volumeMounts": [{"name": "config", "mountPath": "/config"}],
            }],
        },
    });
    bed.lab_ref()?.apply(&pod.to_string(), KUBECTL_LIMIT)?;
    Ok(())
}

fn stop(bed: &Bed) -> anyhow::Result<()> {
    let delete = ["delete", "pod", "--namespace", NAMESPACE, "--ignore-not-found", "--wait=true", POD];
    bed.lab_ref()?.kubectl(&delete, KUBECTL_LIMIT)?;
    Ok(())
}

/// Rolls nginx out with this before its start.
fn patch_start_of_web(bed: &Bed, before: &str) -> anyhow::Result<()> {
    let value = serde_json::json!([{
        "op": "replace", "path": "/spec/template/spec/containers/0/command/2",
        "value": format!(
            "{before}\nmkdir -p /tmp/html\nhead -c 4000 /dev/zero > /tmp/html/small\nhead -c 40000 /dev/zero > /tmp/html/large\n\
             exec nginx -c /config/nginx.conf -e stderr -g 'daemon off;'"
        ),
    }]);
    let patch =
        ["patch", "deployment", "web", "--namespace", NAMESPACE, "--type=json", "-p", &value.to_string()];
    bed.lab_ref()?.kubectl(&patch, KUBECTL_LIMIT)?;
    Ok(())
}
