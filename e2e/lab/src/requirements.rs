//! What `up` needs of the machine, checked first and said in one sentence each.

use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::error::{Error, Result};
use crate::options::Options;

/// Commands that come from Debian's packages.
const COMMANDS: [&str; 9] = ["ip", "nft", "containerd", "ctr", "runc", "gcc", "strip", "tar", "conntrack"];
/// Commands that `build-tools` builds. etcd's binary is called `server`.
const BUILT: [&str; 8] = [
    "server",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "coredns",
];

/// Checks all of it and returns the directory of the built binaries.
pub(crate) fn check(options: &Options) -> Result<PathBuf> {
    root()?;
    cgroup::check()?;
    let missing: Vec<&str> = COMMANDS.into_iter().filter(|c| !on_path(c)).collect();
    if !missing.is_empty() {
        return Err(Error::Unsupported(format!(
            "not found on the PATH: {}: run `make deps`",
            missing.join(", ")
        )));
    }
    for path in ["/usr/lib/cni/ptp", "/usr/lib/cni/host-local", "/dev/net/tun"] {
        if !Path::new(path).exists() {
            return Err(Error::Unsupported(format!("{path} is missing: run `make deps`")));
        }
    }
    let binaries = binaries(options);
    let missing: Vec<&str> = BUILT.into_iter().filter(|b| !binaries.join(b).is_file()).collect();
    if missing.is_empty() {
        return Ok(binaries);
    }
    Err(Error::Unsupported(format!(
        "{} lacks {}: run `tidewatch-lab build-tools`, which takes some minutes once",
        binaries.display(),
        missing.join(", ")
    )))
}

/// Whether this is root, which everything that touches namespaces needs.
pub(crate) fn root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::Unsupported("the lab makes namespaces, cgroups and mounts: run it as root".into()))
    }
}

/// Where the built binaries are.
pub(crate) fn binaries(options: &Options) -> PathBuf {
    cache(options.cache.as_deref()).join("bin")
}

/// The cache directory: as given, else `$TIDEWATCH_CACHE`, else `.cache` of the repository that this was compiled in.
pub(crate) fn cache(given: Option<&Path>) -> PathBuf {
    let from_environment =
        || std::env::var_os("TIDEWATCH_CACHE").filter(|v| !v.is_empty()).map(PathBuf::from);
    let of_repository = || repository().join(".cache");
    given.map(Path::to_owned).or_else(from_environment).unwrap_or_else(of_repository)
}

/// The repository that this was compiled in.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The `tidewatch-lab` command, which runs the relay and the proxy.
pub(crate) fn lab_command(options: &Options) -> Result<PathBuf> {
    let given =
        options.lab_command.clone().or_else(|| std::env::var_os("TIDEWATCH_LAB_COMMAND").map(PathBuf::from));
    if let Some(path) = given {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Error::Unsupported(format!("{}: no such command tidewatch-lab", path.display())))
        };
    }
    let this = std::env::current_exe().map_err(Error::system("finding this program"))?;
    if this.file_name().is_some_and(|n| n == "tidewatch-lab") {
        return Ok(this);
    }
    // A test runs in target/<profile>/deps, other programs in target/<profile>.
    let beside = this.ancestors().skip(1).take(2).map(|d| d.join("tidewatch-lab")).find(|p| p.is_file());
    beside.ok_or_else(|| {
        Error::Unsupported(format!(
            "there is no tidewatch-lab beside {}: run `cargo build -p tidewatch-lab`, or name it by TIDEWATCH_LAB_COMMAND",
            this.display()
        ))
    })
}

fn on_path(command: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|d| d.join(command).is_file()))
}
