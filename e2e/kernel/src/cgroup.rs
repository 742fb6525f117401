//! A node's cgroup tree of a test's own, laid out as the kubelet's.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub const POD_UID: &str = "0b1ad3a2-6e0c-4e0a-9d2e-0123456789ab";

/// Removed when dropped; processes must have ended by then.
#[derive(Debug)]
pub struct Cgroup {
    pub root: PathBuf,
}

impl Cgroup {
    /// Makes the directory `twk-NAME` in the unified hierarchy.
    pub fn new(name: &str) -> Result<Self> {
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let Some(mount) = mounts.iter().find(|mount| mount.join("cgroup.controllers").exists()) else {
            bail!("no cgroup v2 hierarchy: mount -t cgroup2 none /sys/fs/cgroup/unified");
        };
        let root = mount.join(format!("twk-{name}"));
        remove_tree(&root);
        let cgroup = Self { root };
        cgroup.make("")?;
        Ok(cgroup)
    }

    /// Makes a directory below the root, and returns its path.
    pub fn make(&self, path: &str) -> Result<PathBuf> {
        let directory = self.root.join(path);
        fs::create_dir_all(&directory)
            .with_context(|| format!("could not make the cgroup {}", directory.display()))?;
        Ok(directory)
    }

    /// A container of a pod, as the cgroupfs driver names it.
    pub fn pod(&self) -> Result<PathBuf> {
        self.make(&format!("kubepods/burstable/pod{POD_UID}/4f2c"))
    }

    /// A container of the same pod, as the systemd driver names it.
    pub fn systemd_pod(&self) -> Result<PathBuf> {
        let uid = POD_UID.replace('-', "_");
        self.make(&format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-4f2c.scope"
        ))
    }

    /// The same where the kubelet was given `--cgroup-root=/tenant`.
    pub fn systemd_pod_below_a_root(&self) -> Result<PathBuf> {
        let uid = POD_UID.replace('-', "_");
        let burstable = "tenant.slice/tenant-kubepods.slice/tenant-kubepods-burstable.slice";
        self.make(&format!("{burstable}/tenant-kubepods-burstable-pod{uid}.slice/cri-4f2c.scope"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Ends all processes below (5.14), also those that a killed process left behind; they go in their own time.
        let _ = fs::write(self.root.join("cgroup.kill"), "1");
        let begun = Instant::now();
        while self.root.exists() && begun.elapsed() < Duration::from_secs(5) {
            remove_tree(&self.root);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}
