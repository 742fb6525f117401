//! etcd, the apiserver, the controller manager and the scheduler, in a namespace of their own.

use std::path::Path;
use std::time::Duration;

use crate::command::Cmd;
use crate::daemon::{Daemon, Running};
use crate::error::{Error, Result};
use crate::netns;
use crate::plan::{API_PORT, CONTROL_PLANE, Plan, SERVICE_CIDR};
use crate::state::Directory;

/// Starts all four, the latter two once the apiserver is ready.
pub(crate) fn start(
    plan: &Plan,
    directory: &Directory,
    binaries: &Path,
    cgroup: &Path,
    limit: Duration,
) -> Result<()> {
    let netns = netns::path(&plan.netns("cp"));
    let (etcd, apiserver) = netns::within(&netns, || {
        let etcd = etcd(directory, binaries, cgroup).start(directory)?;
        Ok::<_, Error>((etcd, apiserver(directory, binaries, cgroup).start(directory)?))
    })??;
    // By way of the proxy, from the root namespace, as every user will.
    wait_ready(&etcd, &apiserver, directory, binaries, limit)?;
    netns::within(&netns, || {
        for (component, extra) in
            [("kube-controller-manager", controller_manager_flags(directory)), ("kube-scheduler", vec![])]
        {
            let kubeconfig = directory.pki().join(format!("{component}.kubeconfig"));
            let mut daemon = Daemon::new(component, binaries.join(component), cgroup)
                .flag("kubeconfig", &kubeconfig)
                .flag("bind-address", "127.0.0.1")
                .flag("leader-elect", "false")
                .flag("profiling", "false");
            for (name, value) in extra {
                daemon = daemon.flag(name, value);
            }
            daemon.start(directory)?;
        }
        Ok(())
    })?
}

fn wait_ready(
    etcd: &Running,
    apiserver: &Running,
    directory: &Directory,
    binaries: &Path,
    limit: Duration,
) -> Result<()> {
    apiserver.wait_until("the apiserver's start", limit, || {
        etcd.check().map_err(|e| e.to_string())?;
        Cmd::new(binaries.join("kubectl"))
            .arg_pair("--kubeconfig", directory.kubeconfig())
            .args(["get", "--raw", "/readyz", "--request-timeout", "2s"])
            .limit(Duration::from_secs(10))
            .run()
            .map(drop)
            .map_err(|e| match e {
                Error::Command { output, .. } => output,
                other => other.to_string(),
            })
    })
}

fn etcd(directory: &Directory, binaries: &Path, cgroup: &Path) -> Daemon {
    // `server` is what the module's path makes of etcd's name. No fsync: a lab that dies has nothing to keep.
    Daemon::new("etcd", binaries.join("server"), cgroup)
        .flag("data-dir", directory.join("etcd"))
        .flag("listen-client-urls", "http://127.0.0.1:2379")
        .flag("advertise-client-urls", "http://127.0.0.1:2379")
        .flag("listen-peer-urls", "http://127.0.0.1:2380")
        .flag("initial-advertise-peer-urls", "http://127.0.0.1:2380")
        .flag("initial-cluster", "default=http://127.0.0.1:2380")
        .flag("auto-compaction-retention", "5m")
        .flag("log-level", "warn")
        .arg("--unsafe-no-fsync")
}

fn apiserver(directory: &Directory, binaries: &Path, cgroup: &Path) -> Daemon {
    let pki = directory.pki();
    Daemon::new("kube-apiserver", binaries.join("kube-apiserver"), cgroup)
        .flag("etcd-servers", "http://127.0.0.1:2379")
        .flag("advertise-address", CONTROL_PLANE.to_string())
        .flag("bind-address", "0.0.0.0")
        .flag("secure-port", API_PORT.to_string())
        .flag("service-cluster-ip-range", SERVICE_CIDR)
        .flag("cert-dir", &pki)
        .flag("tls-cert-file", pki.join("apiserver.crt"))
        .flag("tls-private-key-file", pki.join("apiserver.key"))
        .flag("client-ca-file", pki.join("ca.crt"))
        .flag("kubelet-client-certificate", pki.join("apiserver-kubelet.crt"))
        .flag("kubelet-client-key", pki.join("apiserver-kubelet.key"))
        .flag("kubelet-preferred-address-types", "InternalIP")
        .flag("service-account-issuer", "https://kubernetes.default.svc.cluster.local")
        .flag("service-account-key-file", pki.join("service-accounts.pub"))
        .flag("service-account-signing-key-file", pki.join("service-accounts.key"))
        .flag("authorization-mode", "Node,RBAC")
        .flag("enable-admission-plugins", "NodeRestriction")
        .flag("allow-privileged", "true")
        .flag("profiling", "false")
}

fn controller_manager_flags(directory: &Directory) -> Vec<(&'static str, String)> {
    let file = |name: &str| directory.pki().join(name).display().to_string();
    vec![
        ("root-ca-file", file("ca.crt")),
        ("service-account-private-key-file", file("service-accounts.key")),
        ("use-service-account-credentials", "true".into()),
        // A node that died is seen within half a minute; shorter would take a busy machine for a dead node.
        ("node-monitor-period", "2s".into()),
        ("node-monitor-grace-period", "30s".into()),
    ]
}
