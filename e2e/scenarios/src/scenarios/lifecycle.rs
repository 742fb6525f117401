//! Removal of the monitors, the operator and the charts: they leave nothing behind.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use tidewatch_crds::network_monitor::NetworkHealthIndicator;

use crate::bed::{Bed, OPERATOR_NAMESPACE, SHOP};
use crate::cluster::name_of;
use crate::expect::Expected;
use crate::paths;
use crate::wait::{Look, wait_for};

const LIMIT: Duration = Duration::from_secs(90);
const DEFINITIONS: [&str; 3] =
    ["networkmonitors.tidewatch.dev", "anomalyalarms.tidewatch.dev", "canaries.tidewatch.dev"];
/// Kinds that the charts or the operator make something of.
const KINDS: &str =
    "all,configmaps,secrets,serviceaccounts,roles,rolebindings,leases,endpointslices,networkpolicies";
const CLUSTER_KINDS: &str = "clusterroles,clusterrolebindings,customresourcedefinitions,priorityclasses,\
     validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,apiservices";

pub(super) fn agents_come_and_go(bed: &Bed) -> anyhow::Result<()> {
    let lab = bed.lab_ref()?;
    lab.kubectl(&["delete", "networkmonitors", "--all", "--all-namespaces", "--wait=true"], LIMIT)?;
    let sets: Api<DaemonSet> = Api::namespaced(bed.cluster.client(), OPERATOR_NAMESPACE);
    let ((), took) = wait_for(LIMIT, "no agent runs", || {
        let set = bed.cluster.call("the agents' DaemonSet", sets.get_opt("tidewatch-agent"));
        let pods = bed.cluster.pods(OPERATOR_NAMESPACE, "");
        match (set, pods) {
            (Ok(None), Ok(pods)) => {
                let left: Vec<_> = pods
                    .iter()
                    .map(|pod| name_of(&pod.metadata))
                    .filter(|name| name.contains("agent"))
                    .collect();
                if left.is_empty() {
                    Look::Done(())
                } else {
                    Look::NotYet(format!("pods {}", left.join(", ")))
                }
            }
            (set, _) => Look::NotYet(format!("DaemonSet: {}", set.is_ok_and(|set| set.is_some()))),
        }
    })?;
    bed.report.right("the last monitor is gone, and so are the agents", took);

    bed.apply(&paths::manifest("monitors.yaml"))?;
    let took = bed.wait_for_agents()?;
    bed.report.right("a monitor is there again, and so are the agents", took);
    let took = bed.wait_for_coverage(LIMIT)?;
    let healthy = bed.wait_for_verdict(SHOP, &Expected::healthy(), LIMIT)?;
    bed.report.right("all nodes report, and the shop is Healthy", took + healthy);
    Ok(())
}

pub(super) fn uninstall(bed: &Bed) -> anyhow::Result<()> {
    let lab = bed.lab_ref()?;
    let begin = Instant::now();
    let tested = lab.helm(&["test", "tidewatch", "--namespace", OPERATOR_NAMESPACE, "--logs"], LIMIT)?.stdout;
    if !tested.contains("Phase:") || !tested.contains("the collector can be reached") {
        bail!("`helm test` doesn't say that the collector can be reached: {tested}");
    }
    bed.report.right("helm test finds the installation working", begin.elapsed());
    bed.uninstall()?;
    let left = bed.cluster.status(SHOP, SHOP)?;
    if left.network_health_indicator != Some(NetworkHealthIndicator::InsufficientData) {
        bail!("nobody watches any more, and the monitor still says {:?}", left.network_health_indicator);
    }
    // Kept on purpose, since the monitors would go with it: removing it is a step of its own (docs/install.md).
    for definition in DEFINITIONS {
        lab.kubectl(&["get", "crd", definition], LIMIT)
            .context("the definition and its objects should have stayed")?;
        lab.kubectl(&["delete", "crd", definition, "--wait=true"], LIMIT)?;
    }
    let ((), took) = wait_for(LIMIT, "nothing of Tidewatch is left", || match left_behind(bed) {
        Ok(left) if left.is_empty() => Look::Done(()),
        Ok(left) => Look::NotYet(left.join(", ")),
        Err(error) => Look::NotYet(format!("{error:#}")),
    })?;
    bed.report.right("helm uninstall left nothing behind", took);
    let shop = bed.cluster.pods(SHOP, "")?;
    if shop.is_empty() {
        bail!("the shop's pods went with it");
    }
    Ok(())
}

fn left_behind(bed: &Bed) -> anyhow::Result<Vec<String>> {
    let lab = bed.lab_ref()?;
    let own = lab.kubectl(&["get", KINDS, "--namespace", OPERATOR_NAMESPACE, "-o", "name"], LIMIT)?;
    let cluster =
        lab.kubectl(&["get", CLUSTER_KINDS, "-o", "name"], LIMIT).context("cluster-wide objects")?;
    // What Kubernetes puts into every namespace.
    let usual = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
    let own = own.stdout.lines().filter(|line| !usual.contains(line));
    let of_tidewatch = |line: &&str| line.contains("tidewatch") && !line.contains("tidewatch-lab:");
    let cluster = cluster.stdout.lines().filter(of_tidewatch);
    Ok(own.chain(cluster).map(str::to_owned).collect())
}
