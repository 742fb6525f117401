//! The root of the node's cgroups, and the pod's UID in the name of a pod's cgroup.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Mount points of the unified hierarchy: alone, or beside version 1 ("hybrid").
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error(
        "no cgroup v2 hierarchy at {} or {}: mount one (`mount -t cgroup2 none /sys/fs/cgroup/unified`), or name it with --cgroup",
        MOUNTS[0], MOUNTS[1]
    )]
    NoHierarchy,
    #[error("--cgroup {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "--cgroup {path} is not a directory of a cgroup v2 hierarchy: it has no file cgroup.procs or cgroup.controllers"
    )]
    NotACgroup { path: PathBuf },
}

/// The node's root cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    pub path: PathBuf,
    /// The kernel's id of it: the inode number of its directory.
    pub id: u64,
}

/// Returns the root that was given, or else the root of the mounted hierarchy.
pub fn root(given: Option<&Path>) -> Result<Root, CgroupError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => MOUNTS
            .iter()
            .map(PathBuf::from)
            .find(|mount| mount.join("cgroup.controllers").exists())
            .ok_or(CgroupError::NoHierarchy)?,
    };
    let metadata =
        fs::metadata(&path).map_err(|source| CgroupError::Unreadable { path: path.clone(), source })?;
    if !path.join("cgroup.controllers").exists() {
        return Err(CgroupError::NotACgroup { path });
    }
    Ok(Root { path, id: metadata.ino() })
}

/// The pod's UID in the name of a pod's cgroup. The cgroupfs driver names it `pod<uid>`; the systemd driver names it
/// `kubepods…-pod<uid>.slice`, with underscores for dashes, after the slice of kubelet's `--cgroup-root` if there is
/// one. A static pod's UID is a hash without dashes.
pub fn pod_uid(name: &str) -> Option<String> {
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => name.strip_prefix("pod")?.to_owned(),
    };
    let is_uid = (32..=36).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_uid.then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_read_from_either_drivers_names() {
        let uid = "0b1ad3a2-6e0c-4e0a-9d2e-0123456789ab";
        let slice = "kubepods-burstable-pod0b1ad3a2_6e0c_4e0a_9d2e_0123456789ab.slice";
        assert_eq!(pod_uid(&format!("pod{uid}")).as_deref(), Some(uid));
        assert_eq!(pod_uid(slice).as_deref(), Some(uid));
        assert_eq!(pod_uid(&format!("x-y-{slice}")).as_deref(), Some(uid));
        assert_eq!(
            pod_uid("pod0123456789abcdef0123456789abcdef").as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
    }

    #[test]
    fn other_names_are_no_pods() {
        for name in [
            "",
            "pod",
            "podman",
            "kubepods.slice",
            "kubepods-burstable.slice",
            "system.slice",
            "pod../../etc/passwd-aaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(pod_uid(name), None, "{name}");
        }
    }

    #[test]
    fn a_directory_that_is_no_cgroup_is_refused_with_the_reason() {
        let error = root(Some(Path::new("/tmp"))).unwrap_err();
        assert!(error.to_string().contains("not a directory of a cgroup v2 hierarchy"), "{error}");
    }
}
