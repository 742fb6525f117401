//! What is on disk of a lab: its directory, and in it the state file that lets any later command find everything.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fault::ActiveFault;
use crate::plan::Plan;
use crate::process::{Process, ProcessId};

/// Where the labs' directories are.
pub(crate) const BASE: &str = "/var/lib/tidewatch-lab";

/// Where a fault has a table of rules that `heal` must remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// A namespace of the lab: a node, the router, a remote.
    Netns(String),
    /// A pod's namespace, found by the pod's cgroup; a pod that is gone took its rules along.
    Pod { node: String, uid: String },
    /// A shop pod that was told to be overloaded, reached from its node.
    Shop { node: String, uid: String, address: std::net::IpAddr },
    /// A namespace of the lab whose connection-tracking table was filled.
    Conntrack(String),
}

/// A fault and where it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FaultRecord {
    #[serde(flatten)]
    pub(crate) active: ActiveFault,
    pub(crate) places: Vec<Place>,
}

/// How far the lab is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// `up` is at work, or died at it.
    Starting,
    /// `up` has finished.
    Up,
}

/// The state file. Namespaces, cgroups and links aren't listed: their names all begin with the lab's prefix, so that they are
/// found even when `up` was killed between making one and noting it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) plan: Plan,
    pub(crate) phase: Phase,
    /// The process that runs `up`.
    pub(crate) starter: Option<ProcessId>,
    /// Where the Kubernetes binaries are.
    pub(crate) binaries: PathBuf,
    pub(crate) api_port: Option<u16>,
    pub(crate) processes: Vec<Process>,
    pub(crate) faults: Vec<FaultRecord>,
    pub(crate) faults_begun: u32,
}

/// The condition of a lab whose state is on disk: only one that runs can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is up, and all its components run.
    Runs,
    /// It was up, and this component has ended: it crashed, or the machine was restarted.
    Ended(String),
    /// This process is starting it.
    Starting(ProcessId),
    /// The process that was starting it has ended.
    HalfWay,
}

impl State {
    pub(crate) fn condition(&self) -> Condition {
        match (self.phase, self.starter) {
            (Phase::Up, _) => match self.processes.iter().find(|p| !p.may_end() && !p.id.alive()) {
                Some(ended) => Condition::Ended(ended.component.clone()),
                None => Condition::Runs,
            },
            (Phase::Starting, Some(starter)) if starter.alive() => Condition::Starting(starter),
            (Phase::Starting, _) => Condition::HalfWay,
        }
    }
}

/// A lab's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn of(lab: &str) -> Self {
        Self(Path::new(BASE).join(lab))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A node's own files.
    pub(crate) fn node(&self, node: &str) -> PathBuf {
        self.0.join("nodes").join(node)
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    pub(crate) fn log(&self, component: &str) -> PathBuf {
        self.0.join("log").join(format!("{}.log", component.replace(' ', "-")))
    }

    /// The administrator's kubeconfig for the root namespace.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    pub(crate) fn relay_socket(&self) -> PathBuf {
        self.0.join("relay.sock")
    }

    pub(crate) fn containerd_socket(&self, node: &str) -> PathBuf {
        self.node(node).join("containerd.sock")
    }

    fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Reads the state.
    pub(crate) fn load(&self) -> Result<State> {
        let path = self.state_file();
        let text = fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
        serde_json::from_str(&text).map_err(Error::json(format!("reading {}", path.display())))
    }

    /// Writes the first state.
    pub(crate) fn create(&self, state: &State) -> Result<()> {
        let _lock = self.lock()?;
        self.store(state)
    }

    /// Changes the state, one process at a time, whole or not at all.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T> {
        let _lock = self.lock()?;
        let mut state = self.load()?;
        let result = change(&mut state);
        self.store(&state)?;
        Ok(result)
    }

    fn lock(&self) -> Result<Flock<File>> {
        let path = self.0.join("state.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::file("opening", &path))?;
        // Held for one read and one write of a small file: no holder keeps it long.
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| Error::system(format!("locking {}", path.display()))(error))
    }

    fn store(&self, state: &State) -> Result<()> {
        let path = self.state_file();
        let new = self.0.join("state.json.new");
        let text = serde_json::to_string_pretty(state).map_err(Error::json("writing the lab's state"))?;
        fs::write(&new, text).map_err(Error::file("writing", &new))?;
        fs::rename(&new, &path).map_err(Error::file("replacing", path))
    }
}

/// The names of the labs that have a directory.
pub(crate) fn labs() -> Vec<String> {
    let mut names: Vec<String> = crate::process::child_directories(Path::new(BASE))
        .into_iter()
        .filter_map(|p| p.file_name().and_then(|n| n.to_str()).map(ToOwned::to_owned))
        .collect();
    names.sort();
    names
}
