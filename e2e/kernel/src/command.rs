//! Runs commands with a time limit; the error of one that fails has its output.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

/// Returns an error unless the tests run as root, with all tools that they need.
pub fn require_root() -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("these tests make network namespaces and load BPF programs: run them as root");
    }
    for tool in ["ip", "nsenter", "nft", "ss"] {
        let there =
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(tool).exists());
        if !there {
            bail!("{tool} is missing: install the packages of e2e/apt-packages.txt (make deps)");
        }
    }
    Ok(())
}

/// Runs a command line (split at spaces) for at most a minute, since a machine may be emulated. Returns its standard
/// output.
pub fn run(line: &str) -> Result<String> {
    let output = Command::new("timeout")
        .arg("60")
        .args(line.split_ascii_whitespace())
        .output()
        .with_context(|| format!("could not start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
