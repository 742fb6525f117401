//! The lab's cgroups: in the unified hierarchy, where every process of the lab is found, and below each controller of version 1,
//! where the kubelets limit their pods.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::plan::{Plan, remote_part};
use crate::process::child_directories;

const ROOT: &str = "/sys/fs/cgroup";

/// The unified hierarchy's mount beside the controllers of version 1.
pub(crate) const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// A part's cgroup in the unified hierarchy: of a node (its name), `cp`, `router` or `remote-NAME`.
pub(crate) fn unified(plan: &Plan, part: &str) -> PathBuf {
    Path::new(UNIFIED).join(plan.cgroup()).join(part)
}

/// Whether this machine mounts its cgroups as the lab needs them.
pub(crate) fn check() -> Result<()> {
    for needed in ["unified/cgroup.procs", "cpu/cgroup.procs", "memory/cgroup.procs", "pids/cgroup.procs"] {
        if !Path::new(ROOT).join(needed).exists() {
            return Err(Error::Unsupported(format!(
                "{ROOT}/{needed} is missing: the lab needs the controllers of cgroup version 1 and, beside them, the unified hierarchy at {UNIFIED}"
            )));
        }
    }
    Ok(())
}

/// Makes the cgroups of all parts.
pub(crate) fn create(plan: &Plan) -> Result<()> {
    let remotes = plan.remotes.iter().map(|r| remote_part(&r.name));
    for part in ["cp".to_owned(), "router".to_owned()].into_iter().chain(remotes) {
        make(&unified(plan, &part))?;
    }
    for node in &plan.nodes {
        for hierarchy in hierarchies() {
            make(&hierarchy.join(plan.cgroup()).join(&node.name))?;
        }
        let cpuset = Path::new(ROOT).join("cpuset");
        // A new cpuset is empty, and no process can join an empty one.
        for inner in [plan.cgroup(), format!("{}/{}", plan.cgroup(), node.name)] {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let from = cpuset.join(file);
                let to = cpuset.join(&inner).join(file);
                let value = fs::read_to_string(&from).map_err(Error::file("reading", from))?;
                fs::write(&to, value.trim()).map_err(Error::file("writing", to))?;
            }
        }
    }
    Ok(())
}

/// The lab's top cgroup in every hierarchy where it exists.
pub(crate) fn tops(cgroup: &str) -> Vec<PathBuf> {
    hierarchies().into_iter().map(|h| h.join(cgroup)).filter(|p| p.exists()).collect()
}

/// Removes a cgroup with all below it; each must be empty of processes.
pub(crate) fn remove(cgroup: &Path) -> std::io::Result<()> {
    for child in child_directories(cgroup) {
        remove(&child)?;
    }
    match fs::remove_dir(cgroup) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The directory of a pod's cgroup on its node.
pub(crate) fn of_pod(plan: &Plan, node: &str, uid: &str) -> Option<PathBuf> {
    // kubepods/pod<UID> for guaranteed pods, kubepods/<class>/pod<UID> for the others.
    let pods = unified(plan, node).join("kubepods");
    let name = format!("pod{uid}");
    [pods.join(&name), pods.join("burstable").join(&name), pods.join("besteffort").join(&name)]
        .into_iter()
        .find(|p| p.exists())
}

fn hierarchies() -> Vec<PathBuf> {
    child_directories(Path::new(ROOT)).into_iter().filter(|p| p.join("cgroup.procs").exists()).collect()
}

fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::file("making", path))
}
