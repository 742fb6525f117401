//! Pods as this machine sees them: their processes, found by cgroup, and those processes' ends.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use tidewatch_lab::Lab;

use crate::cluster::name_of;

/// A pod and where its processes are.
#[derive(Debug, Clone)]
pub struct Located {
    pub namespace: String,
    pub name: String,
    pub node: String,
    pub ip: String,
    cgroup: PathBuf,
}

/// Resident memory, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// All of it.
    pub mib: f64,
    /// The part that is pages of mapped files: the program itself, whose size depends on how it was compiled.
    pub program_mib: f64,
}

impl Located {
    /// The pod on its node.
    pub fn find(lab: &Lab, pod: &Pod) -> anyhow::Result<Self> {
        let name = name_of(&pod.metadata).to_owned();
        let uid = pod.metadata.uid.as_deref().context("a pod without uid")?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let node = node.with_context(|| format!("pod {name} is on no node"))?;
        let root = lab.node_cgroup(&node).join("kubepods");
        let cgroup = directory_of_pod(&root, uid)
            .with_context(|| format!("no cgroup of pod {name} below {}", root.display()))?;
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        Ok(Self { namespace, name, node, ip, cgroup })
    }

    /// The processes of the pod's containers, without the one that only holds its namespaces.
    pub fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let mut found = Vec::new();
        collect_processes(&self.cgroup, &mut found)?;
        found.retain(|pid| !program_of(*pid).ends_with("pause"));
        if found.is_empty() {
            bail!("pod {} has no process", self.name);
        }
        Ok(found)
    }

    /// A file of the pod's `/proc/net`.
    pub fn proc_net(&self, file: &str) -> anyhow::Result<String> {
        let pid = self.processes()?.first().copied().context("no process")?;
        let path = format!("/proc/{pid}/net/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("{path} of pod {}", self.name))
    }

    /// Resident memory of the pod's processes.
    pub fn resident(&self) -> anyhow::Result<Resident> {
        let mut resident = Resident { mib: 0.0, program_mib: 0.0 };
        for pid in self.processes()? {
            let path = format!("/proc/{pid}/status");
            let status = std::fs::read_to_string(&path).with_context(|| path)?;
            resident.mib += mib_of(&status, "VmRSS:")?;
            resident.program_mib += mib_of(&status, "RssFile:")?;
        }
        Ok(resident)
    }

    /// Ends the pod's processes as a crash would.
    pub fn kill(&self) -> anyhow::Result<()> {
        signal(&self.processes()?, "KILL")
    }

    /// As [`Lab::exec_in`] names the pod.
    pub fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Sends processes a signal by its name.
pub fn signal(processes: &[u32], name: &str) -> anyhow::Result<()> {
    let pids = processes.iter().map(u32::to_string);
    let status =
        std::process::Command::new("kill").arg(format!("-{name}")).args(pids).status().context("kill")?;
    if !status.success() {
        bail!("processes {processes:?} could not be sent SIG{name}");
    }
    Ok(())
}

fn directory_of_pod(root: &Path, uid: &str) -> Option<PathBuf> {
    let mut level = vec![root.to_path_buf()];
    // kubepods, its QoS class, the pod.
    for _ in 0..3 {
        let children: Vec<_> = level.iter().flat_map(|directory| subdirectories(directory)).collect();
        if let Some(found) = children.iter().find(|path| path.to_string_lossy().ends_with(uid)) {
            return Some(found.clone());
        }
        level = children;
    }
    None
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn collect_processes(cgroup: &Path, into: &mut Vec<u32>) -> anyhow::Result<()> {
    let path = cgroup.join("cgroup.procs");
    let listed = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    into.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
    for child in subdirectories(cgroup) {
        collect_processes(&child, into)?;
    }
    Ok(())
}

fn program_of(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(program).into_owned()
}

/// A size of `/proc/PID/status`, in MiB.
fn mib_of(status: &str, field: &str) -> anyhow::Result<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let value = value.with_context(|| format!("/proc/PID/status has no {field}"))?;
    let kib: u32 = value.trim().trim_end_matches(" kB").parse().with_context(|| format!("{field}{value}"))?;
    Ok(f64::from(kib) / 1024.0)
}
