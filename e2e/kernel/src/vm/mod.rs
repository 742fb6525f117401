//! Debian's kernels under qemu, without KVM: the same tests, on other kernels than this machine's.
//!
//! A guest has one CPU and an initramfs made here: the tools that the tests call, the tests themselves and the agent.
//! `bin/kernel-guest.rs` is its first process.

mod initramfs;
mod modules;
mod packages;
mod qemu;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub use packages::Release;

/// Task of a guest, which finds it in its environment: the kernel puts parameters there that it doesn't know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Run these tests, by the names of their files.
    Tests(&'static [&'static str]),
    /// Run the agent, which must give up at start.
    Agent,
    /// Run the agent without the kernel's type information.
    AgentWithoutBtf,
}

/// Environment variable with a guest's task.
pub const RUN: &str = "TIDEWATCH_RUN";
/// Environment variable that selects tests: those whose names contain one of its words, which are separated by commas.
/// All run if it isn't set, on the host or in the guest.
pub const ONLY: &str = "TIDEWATCH_ONLY";
/// The last line that a guest prints.
pub const DONE: &str = "GUEST DONE";

impl Run {
    fn value(self) -> String {
        match self {
            Self::Tests(files) => files.join(","),
            Self::Agent => "agent".to_owned(),
            Self::AgentWithoutBtf => "agent-without-btf".to_owned(),
        }
    }
}

/// Boots a kernel, and returns the output of its guest.
pub fn boot(release: Release, run: Run, more_arguments: &str) -> Result<String> {
    let kernel = packages::kernel(release)?;
    let files = match run {
        Run::Tests(files) => files,
        Run::Agent | Run::AgentWithoutBtf => &[],
    };
    let initramfs = initramfs::build(&kernel, files)?;
    let only = std::env::var(ONLY).map(|words| format!("{ONLY}={words}")).unwrap_or_default();
    let arguments = format!("{RUN}={} {only} {more_arguments}", run.value());
    let said = qemu::run(&kernel.image, &initramfs, &arguments);
    std::fs::remove_file(&initramfs).context("could not remove the initramfs")?;
    said
}

/// Boots a kernel and runs tests there. All must pass, and each word that selects tests must select one.
pub fn passes(release: Release, files: &'static [&'static str]) -> Result<()> {
    let said = boot(release, Run::Tests(files), "")?;
    let passed = said.lines().filter(|line| line.starts_with("test result: ok.")).count();
    if passed != files.len() {
        bail!("on Linux {}, {passed} of {} files of tests passed", release.name(), files.len());
    }
    let has_run = |word: &str| said.lines().any(|line| line.starts_with("test ") && line.contains(word));
    let only = std::env::var(ONLY).unwrap_or_default();
    if let Some(word) = only.split(',').find(|word| !has_run(word)) {
        bail!("no test has {word:?} in its name");
    }
    Ok(())
}

/// Directory in which kernels are kept between runs.
fn cache() -> Result<PathBuf> {
    let given = std::env::var_os("TIDEWATCH_CACHE").map(PathBuf::from);
    let directory = given.unwrap_or_else(|| std::env::temp_dir().join("tidewatch")).join("kernels");
    std::fs::create_dir_all(&directory).with_context(|| format!("could not make {}", directory.display()))?;
    Ok(directory)
}
