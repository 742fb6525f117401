//! The bed that scenarios lie in: a lab with Tidewatch installed by Helm, the shop talking, and the monitors applied.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::Api;
use kube::api::ListParams;
use tidewatch_crds::network_monitor::NetworkMonitorStatus;
use tidewatch_lab::{Lab, Options, Progress, ScopedLab};

use crate::cluster::{Cluster, name_of};
use crate::expect::{Expected, verdict_of};
use crate::paths;
use crate::pods::Located;
use crate::report::Report;
use crate::wait::{Look, wait_for};
use crate::workload::{self, Workload};

pub const OPERATOR_NAMESPACE: &str = "tidewatch-system";
pub const SHOP: &str = "shop";
/// Length of an evaluation window of the monitors in `monitors.yaml`.
pub const WINDOW: Duration = Duration::from_secs(10);
const APPLY_LIMIT: Duration = Duration::from_secs(60);
const HELM_LIMIT: Duration = Duration::from_secs(120);
const ROLLOUT_LIMIT: Duration = Duration::from_secs(180);

/// A lab that is up, with everything in it.
#[derive(Debug)]
pub struct Bed {
    lab: Option<ScopedLab>,
    pub cluster: Cluster,
    pub report: Report,
    pub workload: Workload,
}

/// The length of agents' and monitors' windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// 5 s and 10 s, so that most of a scenario isn't waiting.
    Short,
    /// The defaults of the chart and the CRD.
    Default,
}

/// Decides if the lab is left running at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Taken down at the end.
    No,
    /// Left up at the end.
    Yes,
}

impl Bed {
    /// Brings up the lab `name`, or takes over the one that is up already, and installs everything, with the shop.
    pub fn make(name: &str, keep: &Keep, report: Report) -> anyhow::Result<Self> {
        Self::make_with(name, keep, report, Workload::Shop)
    }

    /// As [`Bed::make`], with another workload.
    pub fn make_with(name: &str, keep: &Keep, report: Report, workload: Workload) -> anyhow::Result<Self> {
        let standing = Lab::standing(name, &Progress::to(move |line| report.note(line)))?;
        let taken_over = standing.is_some();
        let lab = match standing {
            Some(lab) => Self::take_over(lab, name, report)?,
            None => Self::start(name, report)?,
        };
        let mut bed = Self {
            cluster: Cluster::connect(&lab.kubeconfig_path())?,
            lab: Some(lab.scoped()),
            report,
            workload,
        };
        if let Err(error) = bed.furnish(taken_over) {
            if *keep == Keep::Yes {
                bed.leave();
            }
            return Err(error);
        }
        Ok(bed)
    }

    /// The lab `name` as it is, to work on one part.
    pub fn attach(name: &str, report: Report, workload: Workload) -> anyhow::Result<Self> {
        let lab = Lab::attach(name)?;
        Ok(Self {
            cluster: Cluster::connect(&lab.kubeconfig_path())?,
            lab: Some(lab.scoped()),
            report,
            workload,
        })
    }

    fn take_over(lab: Lab, name: &str, report: Report) -> anyhow::Result<Lab> {
        report.step(&format!("taking over lab {name}, which is up"));
        lab.heal_all()?;
        Ok(lab)
    }

    fn start(name: &str, report: Report) -> anyhow::Result<Lab> {
        report.step("starting a Kubernetes cluster of 3 zones and 6 nodes on this machine");
        let begun = Instant::now();
        let lab = Lab::up(Options::named(name).progress(Progress::to(move |line| report.note(line))))?;
        report.right("the cluster is up", begun.elapsed());
        Ok(lab)
    }

    pub fn lab_ref(&self) -> anyhow::Result<&Lab> {
        self.lab.as_deref().context("the lab was given away")
    }

    /// Leaves the lab up.
    pub fn leave(&mut self) {
        if let Some(lab) = self.lab.take() {
            let _ = lab.keep();
        }
    }

    fn furnish(&self, taken_over: bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        let namespace = self.workload.namespace();
        self.report.step(&format!("installing Tidewatch by Helm, and namespace {namespace}"));
        let lab = self.lab_ref()?;
        let report = self.report;
        workload::load(lab, self.workload, &Progress::to(move |line| report.note(line)))?;
        self.report.note("images built and loaded on all nodes");
        if taken_over {
            // The images have new content under their old names.
            let pods = ["delete", "pods", "--all", "--namespace", OPERATOR_NAMESPACE, "--wait=true"];
            lab.kubectl(&pods, APPLY_LIMIT)?;
        }
        self.serve_remote()?;
        self.apply(&self.workload.manifest())?;
        self.install_windows(Windows::Short)?;
        self.report.note("the operator runs");
        self.wait_for_deployments(namespace)?;
        self.report.note(&format!("the pods of {namespace} talk"));
        self.wait_for_agents()?;
        self.report.right("installed: operator, agents on all nodes, workload, monitors", begun.elapsed());
        Ok(())
    }

    /// Starts the stand-in for DynamoDB: a server on the host outside the cluster.
    fn serve_remote(&self) -> anyhow::Result<()> {
        let lab = self.lab_ref()?;
        let listening = lab.exec_in("remote-dynamodb", &["ss", "-Hltn", "sport = :8000"], APPLY_LIMIT)?;
        if listening.stdout.trim().is_empty() {
            let command = self.workload.remote()?;
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            lab.remote_serve("dynamodb", &command)?;
        }
        Ok(())
    }

    /// Installs, or upgrades, Tidewatch and the monitors with windows of this length.
    pub fn install_windows(&self, windows: Windows) -> anyhow::Result<()> {
        match windows {
            Windows::Short => self.install_with(&[])?,
            Windows::Default => self.install_values(&[])?,
        }
        let monitors = self.workload.monitors(windows)?;
        self.lab_ref()?.apply(&monitors, APPLY_LIMIT)?;
        Ok(())
    }

    /// Installs, or upgrades, both charts, with the lab's values, short windows and the values of further files of
    /// `e2e/manifests`, and waits until the operator runs.
    pub fn install_with(&self, further: &[&str]) -> anyhow::Result<()> {
        let files: Vec<_> = ["values-short-windows.yaml"].iter().chain(further).copied().collect();
        self.install_values(&files)
    }

    fn install_values(&self, further: &[&str]) -> anyhow::Result<()> {
        self.helm_chart("tidewatch-crds", &[])?;
        let mut arguments = Vec::new();
        for name in ["values-lab.yaml"].iter().chain(further) {
            let file = paths::manifest(name);
            let file = file.to_str().context("the path of the values isn't UTF-8")?;
            arguments.push(format!("--values={file}"));
        }
        let cgroup = self.lab_ref()?.plan().cgroup();
        arguments.push(format!("--set=agent.cgroupPath=/sys/fs/cgroup/unified/{cgroup}/$(NODE_NAME)"));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.helm_chart("tidewatch", &arguments)?;
        self.wait_for_deployments(OPERATOR_NAMESPACE)
    }

    fn helm_chart(&self, chart: &str, extra: &[&str]) -> anyhow::Result<()> {
        let path = paths::chart(chart);
        let path = path.to_str().context("the path of the chart isn't UTF-8")?;
        let mut arguments = vec![
            "upgrade",
            "--install",
            chart,
            path,
            "--namespace",
            OPERATOR_NAMESPACE,
            "--create-namespace",
        ];
        arguments.extend(extra);
        self.lab_ref()?.helm(&arguments, HELM_LIMIT)?;
        Ok(())
    }

    /// Uninstalls both charts.
    pub fn uninstall(&self) -> anyhow::Result<()> {
        for chart in ["tidewatch", "tidewatch-crds"] {
            self.lab_ref()?.helm(&["uninstall", chart, "--namespace", OPERATOR_NAMESPACE], HELM_LIMIT)?;
        }
        Ok(())
    }

    pub fn apply(&self, file: &Path) -> anyhow::Result<()> {
        let file = file.to_str().context("the path of the manifest isn't UTF-8")?;
        // A lab that is taken over may have been left scaled.
        self.lab_ref()?.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", file], APPLY_LIMIT)?;
        Ok(())
    }

    fn wait_for_deployments(&self, namespace: &str) -> anyhow::Result<()> {
        self.wait_for_deployments_within(namespace, ROLLOUT_LIMIT)
    }

    /// Waits until all Deployments of a namespace are rolled out and available.
    pub(crate) fn wait_for_deployments_within(&self, namespace: &str, limit: Duration) -> anyhow::Result<()> {
        let api: Api<Deployment> = Api::namespaced(self.cluster.client(), namespace);
        wait_for(limit, format!("the Deployments of {namespace} are available"), || {
            let listed = self.cluster.call("Deployments", api.list(&ListParams::default()));
            let Ok(listed) = listed else { return Look::NotYet(format!("{listed:?}")) };
            let waiting: Vec<_> = listed
                .items
                .iter()
                .filter(|deployment| !available(deployment))
                .map(|d| name_of(&d.metadata))
                .collect();
            if waiting.is_empty() && !listed.items.is_empty() {
                return Look::Done(());
            }
            Look::NotYet(format!("waiting for {}; {}", waiting.join(", "), self.unready_pods(namespace)))
        })?;
        Ok(())
    }

    /// A readable list of the reasons why pods aren't ready.
    fn unready_pods(&self, namespace: &str) -> String {
        let Ok(pods) = self.cluster.pods(namespace, "") else { return "pods unknown".to_owned() };
        let mut lines = Vec::new();
        for pod in &pods {
            let Some(status) = &pod.status else { continue };
            for container in status.container_statuses.iter().flatten().filter(|container| !container.ready) {
                let state = container.state.as_ref();
                let waiting = state.and_then(|state| state.waiting.as_ref());
                let ended = state.and_then(|state| state.terminated.as_ref());
                let why = match (waiting, ended) {
                    (Some(waiting), _) => waiting.message.as_ref().or(waiting.reason.as_ref()).cloned(),
                    (_, Some(ended)) => Some(format!("ended with {}", ended.exit_code)),
                    _ => None,
                };
                lines.push(format!(
                    "{}: {}",
                    name_of(&pod.metadata),
                    why.unwrap_or_else(|| "not ready".to_owned())
                ));
            }
        }
        lines.truncate(4);
        lines.join("; ")
    }

    /// Waits until the agents' DaemonSet is there with a ready pod on every node.
    pub fn wait_for_agents(&self) -> anyhow::Result<Duration> {
        let nodes = i32::try_from(self.lab_ref()?.nodes().len()).unwrap_or(i32::MAX);
        let api: Api<DaemonSet> = Api::namespaced(self.cluster.client(), OPERATOR_NAMESPACE);
        let ((), took) = wait_for(ROLLOUT_LIMIT, "an agent is ready on every node", || {
            match self.cluster.call("the agents' DaemonSet", api.get_opt("tidewatch-agent")) {
                Ok(Some(set)) => {
                    let ready = set.status.as_ref().map_or(0, |status| status.number_ready);
                    if ready == nodes {
                        return Look::Done(());
                    }
                    Look::NotYet(format!(
                        "{ready} of {nodes} ready; {}",
                        self.unready_pods(OPERATOR_NAMESPACE)
                    ))
                }
                Ok(None) => Look::NotYet("there is no DaemonSet tidewatch-agent".to_owned()),
                Err(error) => Look::NotYet(format!("{error:#}")),
            }
        })?;
        Ok(took)
    }

    /// Waits until a monitor of the workload says what is expected.
    pub fn wait_for_verdict(
        &self,
        monitor: &str,
        expected: &Expected,
        limit: Duration,
    ) -> anyhow::Result<Duration> {
        let ((), took) = wait_for(limit, format!("monitor {monitor} says {expected}"), || {
            match self.cluster.status(self.workload.namespace(), monitor) {
                Ok(status) if expected.is_met_by(&status) => Look::Done(()),
                Ok(status) => Look::NotYet(verdict_of(&status)),
                Err(error) => Look::NotYet(format!("{error:#}")),
            }
        })?;
        Ok(took)
    }

    /// Waits until all nodes report what they see.
    pub fn wait_for_coverage(&self, limit: Duration) -> anyhow::Result<Duration> {
        let nodes = self.lab_ref()?.nodes().len() as u64;
        let ((), took) = wait_for(limit, "all nodes report", || match self.main_status() {
            Ok(status) => match status.coverage.map_or(0, |coverage| coverage.nodes_reporting) {
                reporting if reporting == nodes => Look::Done(()),
                reporting => Look::NotYet(format!("{reporting} of {nodes}")),
            },
            Err(error) => Look::NotYet(format!("{error:#}")),
        })?;
        Ok(took)
    }

    /// Ends all faults and waits until the whole workload is healthy again.
    pub fn heal(&self, limit: Duration) -> anyhow::Result<Duration> {
        self.lab_ref()?.heal_all()?;
        self.wait_for_verdict(self.workload.namespace(), &Expected::healthy(), limit)
    }

    /// The status of the monitor of the whole workload.
    pub fn main_status(&self) -> anyhow::Result<NetworkMonitorStatus> {
        self.cluster.status(self.workload.namespace(), self.workload.namespace())
    }
}

/// True if all pods of the present template are available and no others are left, as `kubectl rollout status` demands.
/// An old pod that is available doesn't count.
fn available(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return false };
    let updated = status.updated_replicas.unwrap_or(0);
    status.observed_generation == deployment.metadata.generation
        && updated >= wanted
        && status.replicas.unwrap_or(0) == updated
        && status.available_replicas.unwrap_or(0) >= wanted
}

impl Bed {
    /// The running pods of the operator's namespace whose component is `component`.
    pub fn located(&self, component: &str) -> anyhow::Result<Vec<Located>> {
        let label = format!("app.kubernetes.io/component={component}");
        let pods = self.cluster.pods(OPERATOR_NAMESPACE, &label)?;
        if pods.is_empty() {
            bail!("there is no pod with {label}");
        }
        pods.iter().map(|pod| Located::find(self.lab_ref()?, pod)).collect()
    }

    /// After a failure: what Tidewatch itself says.
    pub fn explain(&self) {
        let Ok(lab) = self.lab_ref() else { return };
        let selector = "app.kubernetes.io/component=operator";
        let logs = ["logs", "--namespace", OPERATOR_NAMESPACE, "--selector", selector, "--tail=25"];
        let kinds = "networkmonitors,anomalyalarms,canaries.tidewatch.dev";
        let objects = ["get", kinds, "--all-namespaces"];
        let pods = ["get", "pods", "--namespace", OPERATOR_NAMESPACE, "-o", "wide"];
        for command in [&objects[..], &pods[..], &logs[..]] {
            self.report.plain(&format!("$ kubectl {}", command.join(" ")));
            match lab.kubectl(command, APPLY_LIMIT) {
                Ok(output) => self.report.plain(output.stdout.trim_end()),
                Err(error) => self.report.plain(&error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_whose_new_pod_crashes_beside_the_old_one_is_not_available() {
        let deployment = |updated: i32, all: i32, available: i32| -> Deployment {
            serde_json::from_value(json!({
                "metadata": {"name": "operator", "generation": 2},
                "spec": {"replicas": 1, "selector": {}, "template": {}},
                "status": {"observedGeneration": 2, "replicas": all, "updatedReplicas": updated,
                           "availableReplicas": available},
            }))
            .unwrap()
        };
        assert!(available(&deployment(1, 1, 1)));
        assert!(!available(&deployment(1, 2, 1)), "the available one is the old one");
        assert!(!available(&deployment(0, 1, 1)));
        assert!(!available(&deployment(1, 1, 0)));
    }
}
