//! `down`: whatever state `up` died in, nothing of the lab stays.
//!
//! The state file helps but isn't needed: every process of the lab is in its cgroup, every namespace carries its prefix, every
//! mount is in a mount namespace that goes with its processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};

use crate::cgroup;
use crate::command::Cmd;
use crate::error::{Error, Result};
use crate::netns;
use crate::node::CNI_CACHE;
use crate::options::{LabName, Progress};
use crate::plan::netns_prefix;
use crate::process::{ProcessId, pids_below};
use crate::requirements;
use crate::state::{BASE, Directory, Phase, State};

const LIMIT: Duration = Duration::from_secs(30);
/// For one kind of thing to go, in one attempt.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Removes a lab. No error if there is none.
pub(crate) fn down(name: &str, progress: &Progress) -> Result<()> {
    let name: LabName = name.parse()?;
    requirements::root()?;
    let directory = Directory::of(name.as_str());
    let start = Instant::now();
    let known = directory.load().ok();
    if let Some(state) = &known {
        end_starter(state)?;
    }
    // `up` may have noted more before it ended.
    let known = directory.load().ok().or(known);
    // Something that was being made while `up` ended may turn up late: look again until nothing is there.
    loop {
        let attempt = remove_once(name.as_str(), &directory, known.as_ref());
        let left = leftovers(name.as_str());
        if left.is_empty() {
            break;
        }
        if start.elapsed() > LIMIT {
            return Err(attempt.err().unwrap_or_else(|| Error::LeftBehind(left.join(", "))));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    progress.say(format!("{:5.1} s  lab {name} is down", start.elapsed().as_secs_f64()));
    Ok(())
}

fn remove_once(name: &str, directory: &Directory, known: Option<&State>) -> Result<()> {
    end_processes(name, known)?;
    remove_namespaces(name)?;
    remove_mounts(directory.path());
    remove_cgroups(name)?;
    remove_directories(directory)
}

/// What exists of a lab, as text; nothing when it is down.
pub(crate) fn leftovers(name: &str) -> Vec<String> {
    let directory = Directory::of(name);
    let mut left = Vec::new();
    if directory.exists() {
        left.push(format!("directory {}", directory.path().display()));
    }
    left.extend(namespaces(name).into_iter().map(|n| format!("network namespace {n}")));
    left.extend(mounts_below(directory.path()).into_iter().map(|m| format!("mount {}", m.display())));
    for top in cgroup::tops(&format!("tw-{name}")) {
        left.push(format!("cgroup {}", top.display()));
        left.extend(pids_below(&top).into_iter().map(|p| format!("process {p}")));
    }
    left
}

/// An `up` that is still at work in another process would go on making things.
fn end_starter(state: &State) -> Result<()> {
    let Some(starter) =
        state.starter.filter(|s| state.phase == Phase::Starting && Some(*s) != ProcessId::own())
    else {
        return Ok(());
    };
    starter.kill();
    wait_gone(STEP_LIMIT, || {
        if starter.alive() { vec![format!("process {} (`up`)", starter.pid)] } else { vec![] }
    })
}

fn end_processes(name: &str, state: Option<&State>) -> Result<()> {
    let recorded: Vec<ProcessId> =
        state.map(|s| s.processes.iter().map(|p| p.id).collect()).unwrap_or_default();
    let tops = cgroup::tops(&format!("tw-{name}"));
    // A container that is being started may appear between a look and a kill: look again until there is none.
    wait_gone(STEP_LIMIT, || {
        let mut alive = BTreeSet::new();
        let in_cgroups = tops.iter().flat_map(|top| pids_below(top)).filter_map(ProcessId::of);
        for process in recorded.iter().copied().chain(in_cgroups) {
            process.kill();
            process.reap();
            if process.alive() {
                alive.insert(format!("process {}", process.pid));
            }
        }
        alive.into_iter().collect()
    })
}

fn wait_gone(limit: Duration, mut left: impl FnMut() -> Vec<String>) -> Result<()> {
    let start = Instant::now();
    loop {
        let seen = left();
        if seen.is_empty() {
            return Ok(());
        }
        if start.elapsed() > limit {
            return Err(Error::LeftBehind(seen.join(", ")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn namespaces(lab: &str) -> Vec<String> {
    let prefix = netns_prefix(lab);
    let Ok(entries) = fs::read_dir(netns::DIRECTORY) else { return vec![] };
    entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

fn remove_namespaces(lab: &str) -> Result<()> {
    for name in namespaces(lab) {
        if let Err(error) = Cmd::new("ip").args(["netns", "delete", &name]).run() {
            // `up` killed between making the file and mounting the namespace on it.
            let path = netns::path(&name);
            fs::remove_file(&path).map_err(|_| error)?;
        }
    }
    Ok(())
}

/// The nodes mount in namespaces of their own, but a mount made by hand below the lab's directory would keep it.
fn remove_mounts(directory: &Path) {
    for mount in mounts_below(directory).into_iter().rev() {
        let _ = umount2(&mount, MntFlags::MNT_DETACH);
    }
}

fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string("/proc/self/mountinfo") else { return vec![] };
    text.lines()
        .filter_map(|l| l.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|p| p.starts_with(directory))
        .collect()
}

fn remove_cgroups(lab: &str) -> Result<()> {
    let tops = cgroup::tops(&format!("tw-{lab}"));
    // A cgroup stays busy for a moment after its last process ended.
    wait_gone(STEP_LIMIT, || {
        tops.iter()
            .filter_map(|top| cgroup::remove(top).err().map(|e| format!("cgroup {}: {e}", top.display())))
            .collect()
    })
}

fn remove_directories(directory: &Directory) -> Result<()> {
    match fs::remove_dir_all(directory.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file("removing", directory.path())(error));
        }
        _ => {}
    }
    // Only when it was the last lab: removing a directory would end the mounts on it in another lab's nodes.
    if fs::remove_dir(BASE).is_ok() {
        let _ = fs::remove_dir(CNI_CACHE);
    }
    Ok(())
}
