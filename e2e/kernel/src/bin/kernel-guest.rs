//! The first process of a guest (src/vm): it mounts file systems, loads modules, runs the tests, prints their outcome
//! and turns the machine off.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use tidewatch_kernel_tests::vm::{DONE, ONLY, RUN};

const AGENT: &str = "/tests/tidewatch-agent";

fn main() {
    if let Err(error) = run() {
        println!("GUEST FAILED {error:#}");
    }
    println!("{DONE}");
    // Nothing is left to be done if this fails: the kernel panics when its first process ends, which ends the guest.
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn run() -> Result<()> {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("cgroup2", "/sys/fs/cgroup"),
    ] {
        mount_at(kind, at)?;
    }
    // Not every kernel has it.
    let _ = mount_at("securityfs", "/sys/kernel/security");
    load_modules()?;
    command("ip", &["link", "set", "lo", "up"])?;
    println!("GUEST RUNS Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim());
    match std::env::var(RUN).context("the kernel's command line doesn't say what to run")?.as_str() {
        "agent" => agent(),
        "agent-without-btf" => {
            mount_at("tmpfs", "/sys/kernel/btf")?;
            agent()
        }
        files => files.split(',').try_for_each(tests),
    }
}

fn mount_at(kind: &str, at: &str) -> Result<()> {
    mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("could not mount {kind} at {at}"))
}

fn load_modules() -> Result<()> {
    let mut modules: Vec<_> = fs::read_dir("/modules")?.flatten().map(|entry| entry.path()).collect();
    modules.sort();
    for path in modules {
        let module = fs::File::open(&path)?;
        finit_module(&module, c"", ModuleInitFlags::empty())
            .with_context(|| format!("could not load {}", path.display()))?;
    }
    Ok(())
}

fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program).env("PATH", "/usr/bin").args(arguments).status();
    let status = status.with_context(|| format!("could not start {program}"))?;
    ensure!(status.success(), "{program} {arguments:?} ended with {status}");
    Ok(())
}

/// Runs the tests of one file, which print their own outcome.
fn tests(file: &str) -> Result<()> {
    let begun = Instant::now();
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut tests = Command::new(format!("/tests/deps/{file}"));
    tests.arg("--test-threads=1").args(only.split(',').filter(|word| !word.is_empty()));
    let status = tests.env("PATH", "/usr/bin").status();
    let status = status.with_context(|| format!("could not start the tests {file}"))?;
    println!("GUEST RAN {file} in {:.0?}: {status}", begun.elapsed());
    Ok(())
}

/// Runs an agent that is expected to give up, for at most a minute.
fn agent() -> Result<()> {
    let output = Command::new("/usr/bin/timeout").args(["60", AGENT, "--stdout"]).output();
    let output = output.context("could not start the agent")?;
    print!("{}", String::from_utf8_lossy(&output.stderr));
    println!("GUEST RAN the agent: {}", output.status);
    Ok(())
}
