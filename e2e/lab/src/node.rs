//! A node: containerd, kubelet and kube-proxy in a network namespace, a mount namespace and cgroups of its own.
//!
//! The mount namespace is why `down` has no mount to remove: the kubelet's volumes, containerd's overlays and the pods'
//! namespaces are mounted there, and go when its last process does. It also gives each node a `/run`, a
//! `/var/log` and a `/var/lib/cni` of its own.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::cgroup;
use crate::config;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::image;
use crate::netns;
use crate::plan::{Node, Plan};
use crate::state::Directory;

/// Where libcni keeps its notes; on the machine itself this stays empty.
pub(crate) const CNI_CACHE: &str = "/var/lib/cni";

/// What all nodes' starts share.
pub(crate) struct Start<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) directory: &'a Directory,
    pub(crate) binaries: &'a Path,
    /// Archives of the images that every node needs, once they are built.
    pub(crate) images: &'a Gate<Vec<PathBuf>>,
    /// Opens when the apiserver is ready and knows the nodes.
    pub(crate) api: &'a Gate<()>,
    pub(crate) limit: Duration,
}

impl Start<'_> {
    /// Starts a node, on a thread that becomes a part of it. Its readiness is seen by the apiserver.
    pub(crate) fn node(&self, node: &Node) -> Result<()> {
        netns::within(&netns::path(&self.plan.netns(&node.name)), || {
            let home = self.prepare(node)?;
            let cgroup = cgroup::unified(self.plan, &node.name);
            let socket = self.directory.containerd_socket(&node.name);
            let containerd = Daemon::new(format!("containerd {}", node.name), "containerd", &cgroup)
                .arg("--config")
                .arg(home.join("containerd.toml"))
                .start(self.directory)?;
            containerd.wait_until(&format!("containerd's start on {}", node.name), self.limit, || {
                UnixStream::connect(&socket).map(drop).map_err(|e| e.to_string())
            })?;
            for archive in self.images.wait(self.limit, "the images")? {
                image::import(&socket, &archive, self.limit)?;
            }
            self.api.wait(self.limit * 2, "the apiserver")?;
            let pki = self.directory.pki();
            Daemon::new(format!("kubelet {}", node.name), self.binaries.join("kubelet"), &cgroup)
                .flag("config", home.join("kubelet.json"))
                .flag("kubeconfig", pki.join(format!("{}.kubeconfig", node.name)))
                .flag("hostname-override", &node.name)
                .flag("node-ip", node.address.to_string())
                .flag("root-dir", home.join("kubelet"))
                .flag("cert-dir", home.join("kubelet-pki"))
                .flag("housekeeping-interval", "30s")
                .start(self.directory)?;
            Daemon::new(format!("kube-proxy {}", node.name), self.binaries.join("kube-proxy"), &cgroup)
                .flag("config", home.join("kube-proxy.json"))
                .start(self.directory)?;
            Ok(())
        })?
    }

    /// Writes the node's files and gives the calling thread a mount namespace.
    fn prepare(&self, node: &Node) -> Result<PathBuf> {
        let home = self.directory.node(&node.name);
        for name in ["cni", "cni-cache", "run", "log", "kubelet", "opt"] {
            let path = home.join(name);
            fs::create_dir_all(&path).map_err(Error::file("making", path))?;
        }
        let socket = self.directory.containerd_socket(&node.name);
        let pki = self.directory.pki();
        for (name, text) in [
            ("containerd.toml", config::containerd(&home, &socket)),
            ("cni/10-lab.conflist", config::cni(self.plan, node, &home)),
            ("kubelet.json", config::kubelet(self.plan, node, &home, &socket, &pki.join("ca.crt"))),
            ("kube-proxy.json", config::kube_proxy(node, &pki.join("kube-proxy.kubeconfig"))),
            ("resolv.conf", String::new()),
        ] {
            let path = home.join(name);
            fs::write(&path, text).map_err(Error::file("writing", path))?;
        }
        unshare(CloneFlags::CLONE_NEWNS).map_err(Error::system("making a mount namespace"))?;
        // Nothing mounted here is seen outside; what is unmounted outside goes here too, so that no other lab's namespace is
        // held; within the node, mounts propagate to pods.
        change(Path::new("/"), MsFlags::MS_SLAVE)?;
        change(Path::new("/"), MsFlags::MS_SHARED)?;
        bind(&home.join("run"), Path::new("/run"))?;
        bind(&home.join("log"), Path::new("/var/log"))?;
        // libcni's notes on each pod: a path that can't be configured.
        fs::create_dir_all(CNI_CACHE).map_err(Error::file("making", CNI_CACHE))?;
        bind(&home.join("cni-cache"), Path::new(CNI_CACHE))?;
        Ok(home)
    }
}

fn change(path: &Path, propagation: MsFlags) -> Result<()> {
    mount(None::<&str>, path, None::<&str>, propagation | MsFlags::MS_REC, None::<&str>)
        .map_err(Error::system(format!("changing the propagation of {}", path.display())))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(Error::system(format!(
        "mounting {} on {}",
        from.display(),
        to.display()
    )))
}
