//! The configuration files and objects that the components get: pure text.

use std::path::Path;

use serde_json::{Value, json};

use crate::image::{COREDNS_IMAGE, PAUSE_IMAGE};
use crate::plan::{DNS_SERVICE, Node, POD_CIDR, Plan};

/// The kubelet's configuration.
pub(crate) fn kubelet(plan: &Plan, node: &Node, home: &Path, socket: &Path, ca: &Path) -> String {
    pretty(&json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", socket.display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}/{}", plan.cgroup(), node.name),
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "failCgroupV1": false,
        "podLogsDir": home.join("pod-logs"),
        "volumePluginDir": home.join("volume-plugins"),
        "resolvConf": home.join("resolv.conf"),
        "clusterDNS": [DNS_SERVICE.to_string()],
        "clusterDomain": "cluster.local",
        "address": "0.0.0.0",
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": ca},
        },
        "authorization": {"mode": "Webhook"},
        "nodeStatusUpdateFrequency": "5s",
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "eventRecordQPS": 0,
        // Images come by `load-image` alone: never collect one, whatever the disk's state.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%",
                         "nodefs.inodesFree": "1%", "imagefs.inodesFree": "1%"},
        // The kernel is shared by all nodes, and not ours to tune.
        "protectKernelDefaults": false,
        "makeIPTablesUtilChains": false,
        "shutdownGracePeriod": "0s",
    }))
}

/// containerd's configuration (1.6, CRI plugin).
pub(crate) fn containerd(home: &Path, socket: &Path) -> String {
    let home = home.display();
    let socket = socket.display();
    // restrict_oom_score_adj: without CAP_SYS_RESOURCE no sandbox could lower its score, and runc fails on that by
    // "can't get final child's PID from pipe: EOF".
    format!(
        r#"version = 2
root = "{home}/containerd-root"
state = "{home}/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{socket}"

[debug]
  level = "warn"

[plugins."io.containerd.internal.v1.opt"]
  path = "{home}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{home}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
"#
    )
}

/// The pods' network: a point-to-point link each. The `bridge` plugin would need br_netfilter for Services on the same node.
pub(crate) fn cni(plan: &Plan, node: &Node, home: &Path) -> String {
    pretty(&json!({
        "cniVersion": "0.4.0",
        "name": plan.netns(&node.name),
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "mtu": 1500,
            "ipam": {
                "type": "host-local",
                "dataDir": home.join("cni-addresses"),
                "ranges": [[{"subnet": node.pod_cidr()}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    }))
}

/// kube-proxy's configuration.
pub(crate) fn kube_proxy(node: &Node, kubeconfig: &Path) -> String {
    pretty(&json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": kubeconfig},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        // Those limits belong to the kernel that all nodes share.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
    }))
}

/// The nodes' objects, made before their kubelets register, so that zone and pod range are there from the start.
pub(crate) fn node_objects(plan: &Plan) -> Value {
    let items: Vec<Value> = plan
        .nodes
        .iter()
        .map(|node| {
            json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": node.name, "labels": {
                    "topology.kubernetes.io/zone": node.zone,
                    "topology.kubernetes.io/region": "lab",
                    "kubernetes.io/hostname": node.name,
                }},
                "spec": {"podCIDR": node.pod_cidr(), "podCIDRs": [node.pod_cidr()],
                         "providerID": format!("tidewatch-lab://{}/{}", plan.lab, node.name)},
            })
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// CoreDNS: two replicas, in different zones where there are several. Outside hosts are `NAME.remote.lab`; nothing else beyond the
/// cluster has a name.
pub(crate) fn coredns_objects(plan: &Plan) -> Value {
    let hosts: String =
        plan.remotes.iter().map(|r| format!("        {} {}.remote.lab\n", r.address, r.name)).collect();
    let corefile = format!(
        "cluster.local in-addr.arpa ip6.arpa {{\n    errors\n    health :8080\n    ready :8181\n    cache 5\n    \
         kubernetes cluster.local in-addr.arpa ip6.arpa {{\n        pods insecure\n        ttl 5\n    }}\n}}\n\
         . {{\n    errors\n    hosts {{\n{hosts}        ttl 5\n    }}\n}}\n"
    );
    let meta = json!({"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}});
    let replicas = plan.nodes.len().min(2);
    let probe = |path: &str, port: u16| json!({"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "failureThreshold": 60, "timeoutSeconds": 5});
    let pod = json!({
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}}},
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
        "containers": [{
            "name": "coredns",
            "image": COREDNS_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"},
                      {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"}],
            "readinessProbe": probe("/ready", 8181),
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}],
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
        }],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    });
    let items = json!([
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "tidewatch-lab:coredns"},
         "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "tidewatch-lab:coredns"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tidewatch-lab:coredns"},
         "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}]},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": corefile}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {"metadata": {"labels": {"k8s-app": "kube-dns"}}, "spec": pod}}},
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}},
         "spec": {"clusterIP": DNS_SERVICE.to_string(), "selector": {"k8s-app": "kube-dns"}, "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}},
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn each_node_keeps_to_its_own_cgroup_addresses_and_directories() {
        let plan = Plan::of(&Options::named("t")).unwrap();
        let node = &plan.nodes[3];
        let home = Path::new("/lab/nodes/zone-2-b");
        let kubelet: Value =
            serde_json::from_str(&kubelet(&plan, node, home, &home.join("c.sock"), Path::new("/ca")))
                .unwrap();
        assert_eq!(kubelet["cgroupRoot"], "/tw-t/zone-2-b");
        assert_eq!(kubelet["podLogsDir"], "/lab/nodes/zone-2-b/pod-logs");
        let cni: Value = serde_json::from_str(&cni(&plan, node, home)).unwrap();
        assert_eq!(cni["name"], "tw-t-zone-2-b");
        assert_eq!(cni["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "198.18.4.0/24");
        let containerd = containerd(home, &home.join("c.sock"));
        assert!(containerd.contains("restrict_oom_score_adj = true"));
        assert!(containerd.contains("state = \"/lab/nodes/zone-2-b/containerd-state\""));
    }

    #[test]
    fn nodes_are_labelled_with_their_zone() {
        let plan = Plan::of(&Options::named("t")).unwrap();
        let objects = node_objects(&plan);
        let labels = &objects["items"][4]["metadata"]["labels"];
        assert_eq!(labels["topology.kubernetes.io/zone"], "zone-3");
        assert_eq!(labels["topology.kubernetes.io/region"], "lab");
    }

    #[test]
    fn outside_hosts_have_names() {
        let plan = Plan::of(&Options::named("t")).unwrap();
        let corefile = coredns_objects(&plan)["items"][3]["data"]["Corefile"].as_str().unwrap().to_owned();
        assert!(corefile.contains("198.19.255.10 dynamodb.remote.lab"), "{corefile}");
    }
}
