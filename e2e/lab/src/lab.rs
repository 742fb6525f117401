//! The lab as its users see it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::cgroup;
use crate::command::{Cmd, Output};
use crate::daemon::Daemon;
use crate::down;
use crate::error::{Error, Result};
use crate::fault::{ActiveFault, Fault, FaultId, apply};
use crate::http::{self, Answer};
use crate::image::{self, ImageSpec};
use crate::netns;
use crate::options::{Options, Progress};
use crate::plan::{Node, Plan, remote_part};
use crate::relay::control::{self, LinkStatus};
use crate::state::{Condition, Directory, Phase};
use crate::up;

const IMPORT_LIMIT: Duration = Duration::from_secs(120);

/// A lab that is up. Dropping it leaves it up; [`Lab::scoped`] gives a guard that takes it down.
#[derive(Debug, Clone)]
pub struct Lab {
    plan: Plan,
    directory: Directory,
    binaries: PathBuf,
}

/// What `status` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The lab's name.
    pub name: String,
    /// Whether `up` has finished.
    pub up: bool,
    /// The port of the apiserver on this machine's loopback.
    pub api_port: Option<u16>,
    /// Components: their names, pids and whether they run.
    pub components: Vec<Component>,
    /// The links between zones.
    pub links: Vec<LinkStatus>,
    /// Faults that are on.
    pub faults: Vec<ActiveFault>,
}

/// A process of the lab.
#[derive(Debug, Clone, Serialize)]
pub struct Component {
    /// `kubelet zone-1-a`.
    pub name: String,
    /// Its pid.
    pub pid: i32,
    /// Whether it still runs.
    pub runs: bool,
    /// Its log.
    pub log: PathBuf,
}

impl Lab {
    /// Starts a lab and waits until all its nodes are ready and its DNS answers.
    ///
    /// # Errors
    /// Says which step failed, what was seen and where the log is. What was started is taken down again, unless
    /// `options.keep_failed`.
    pub fn up(options: Options) -> Result<Self> {
        match up::up(&options) {
            Ok(_) => Self::attach(&options.name),
            Err(error) => {
                if !options.keep_failed && up::half_way_by_us(&options.name) {
                    down::down(&options.name, &options.progress)?;
                }
                Err(error)
            }
        }
    }

    /// A lab that is up already.
    ///
    /// # Errors
    /// [`Error::NoSuchLab`].
    pub fn attach(name: &str) -> Result<Self> {
        let directory = Directory::of(name);
        if !directory.exists() {
            return Err(Error::NoSuchLab(name.to_owned()));
        }
        let state = directory.load()?;
        Ok(Self { plan: state.plan, directory, binaries: state.binaries })
    }

    /// The lab of this name, if it is up and all of it runs. What a run that was killed, or a restart of the machine, left of
    /// one is taken down, so that the name is free.
    ///
    /// # Errors
    /// When another process is starting it right now, or what was left can't be removed.
    pub fn standing(name: &str, progress: &Progress) -> Result<Option<Self>> {
        if down::leftovers(name).is_empty() {
            return Ok(None);
        }
        let condition = Directory::of(name).load().map(|state| state.condition());
        let why = match condition {
            Ok(Condition::Runs) => return Self::attach(name).map(Some),
            Ok(Condition::Starting(starter)) => return Err(up::being_started(name, starter)),
            Ok(Condition::Ended(component)) => format!("its {component} has ended"),
            Ok(Condition::HalfWay) | Err(_) => "it was left half-way".to_owned(),
        };
        progress.say(format!("lab {name} is taken down first: {why}"));
        down::down(name, progress)?;
        Ok(None)
    }

    /// The names of the labs that are there, up or half-way.
    #[must_use]
    pub fn names() -> Vec<String> {
        crate::state::labs()
    }

    /// A guard that takes the lab down when dropped.
    #[must_use]
    pub fn scoped(self) -> ScopedLab {
        ScopedLab { lab: self, keep: false }
    }

    /// Names and addresses.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The worker nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.plan.nodes
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A kubeconfig of cluster-admin rights that works on this machine.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.directory.kubeconfig()
    }

    /// A node's cgroup in the unified hierarchy, as the agent's `--cgroup` takes it.
    #[must_use]
    pub fn node_cgroup(&self, node: &str) -> PathBuf {
        cgroup::unified(&self.plan, node)
    }

    /// Where the logs of the components are.
    #[must_use]
    pub fn log_directory(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// A built command, such as `kubectl` or `helm`.
    #[must_use]
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// Builds an image and imports it on all nodes.
    ///
    /// # Errors
    /// When a file is missing or a node doesn't take it in time.
    pub fn load_image(&self, image: &ImageSpec) -> Result<()> {
        let archive = image.build(&self.directory.join("images"))?;
        let results: Vec<Result<()>> = thread::scope(|scope| {
            let import = |node: &Node| {
                let socket = self.directory.containerd_socket(&node.name);
                let archive = &archive;
                scope.spawn(move || image::import(&socket, archive, IMPORT_LIMIT))
            };
            let threads: Vec<_> = self.plan.nodes.iter().map(import).collect();
            let panicked = || Err(Error::Unsupported("an importing thread panicked: this is a bug".into()));
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| panicked())).collect()
        });
        // The nodes have their copies.
        let _ = std::fs::remove_file(&archive);
        results.into_iter().collect()
    }

    /// Begins a fault.
    ///
    /// # Errors
    /// When what it names isn't there, or it can't be made; then nothing of it stays on.
    pub fn fault(&self, fault: Fault) -> Result<FaultId> {
        apply::begin(self, fault)
    }

    /// Ends a fault. Ending one that is over is no error.
    ///
    /// # Errors
    /// When something of it can't be undone; it stays listed.
    pub fn heal(&self, id: &FaultId) -> Result<()> {
        apply::end(self, id)
    }

    /// Ends all faults.
    ///
    /// # Errors
    /// As [`Lab::heal`], the first of them, after having tried all.
    pub fn heal_all(&self) -> Result<()> {
        let results: Vec<Result<()>> = self.faults()?.iter().map(|f| self.heal(&f.id)).collect();
        results.into_iter().collect()
    }

    /// The faults that are on.
    ///
    /// # Errors
    /// When the state file can't be read.
    pub fn faults(&self) -> Result<Vec<ActiveFault>> {
        Ok(self.directory.load()?.faults.into_iter().map(|r| r.active).collect())
    }

    /// What runs, and which faults are on.
    ///
    /// # Errors
    /// When the state file can't be read.
    pub fn status(&self) -> Result<Status> {
        let state = self.directory.load()?;
        let component = |p: &crate::process::Process| Component {
            name: p.component.clone(),
            pid: p.id.pid,
            runs: p.id.alive(),
            log: p.log.clone(),
        };
        Ok(Status {
            name: self.plan.lab.clone(),
            up: state.phase == Phase::Up,
            api_port: state.api_port,
            components: state.processes.iter().map(component).collect(),
            // A relay that is gone is seen among the components.
            links: control::send(&self.directory.relay_socket(), &[]).unwrap_or_default(),
            faults: state.faults.into_iter().map(|r| r.active).collect(),
        })
    }

    pub(crate) fn kubectl_command(&self) -> Cmd {
        Cmd::new(self.binary("kubectl")).arg_pair("--kubeconfig", self.kubeconfig_path())
    }

    /// Runs `kubectl` as administrator.
    ///
    /// # Errors
    /// When it fails or takes longer than `limit`.
    pub fn kubectl(&self, arguments: &[&str], limit: Duration) -> Result<Output> {
        self.kubectl_command().args(arguments).limit(limit).run()
    }

    /// Runs `kubectl apply` on a text.
    ///
    /// # Errors
    /// As [`Lab::kubectl`].
    pub fn apply(&self, manifest: &str, limit: Duration) -> Result<Output> {
        self.kubectl_command().args(["apply", "-f", "-"]).input(manifest).limit(limit).run()
    }

    /// Runs `helm` as administrator.
    ///
    /// # Errors
    /// When it fails or takes longer than `limit`.
    pub fn helm(&self, arguments: &[&str], limit: Duration) -> Result<Output> {
        Cmd::new(self.binary("helm"))
            .arg_pair("--kubeconfig", self.kubeconfig_path())
            .args(arguments)
            .limit(limit)
            .run()
    }

    /// The file of a place's network namespace; places as for [`Lab::exec_in`].
    ///
    /// # Errors
    /// When there is no such place.
    pub fn netns_path(&self, place: &str) -> Result<PathBuf> {
        apply::namespace_of(self, place)
    }

    /// Runs a command of this machine in the network namespace of a node (`zone-1-a`), a pod (`NAMESPACE/NAME`), an outside host
    /// (`remote-dynamodb`), the `router` or the control plane (`cp`).
    ///
    /// # Errors
    /// When there is no such place, or the command fails or takes longer than `limit`.
    pub fn exec_in(&self, place: &str, command: &[&str], limit: Duration) -> Result<Output> {
        let path = self.netns_path(place)?;
        let (program, arguments) =
            command.split_first().ok_or_else(|| Error::Invalid("write the command to run".into()))?;
        Cmd::new(program).args(arguments).netns(path).limit(limit).run()
    }

    /// Sends an HTTP request from a place and reads the answer; places as for [`Lab::exec_in`]. Nothing of the lab is
    /// reached from this machine itself.
    ///
    /// # Errors
    /// When there is no such place, or there is no answer within seconds.
    pub fn http(&self, place: &str, method: &str, to: SocketAddr, path: &str, body: &str) -> Result<Answer> {
        http::ask(&self.netns_path(place)?, method, to, path, body)
    }

    /// Starts a command of this machine in an outside host and leaves it running; its log is returned. `down` ends it.
    ///
    /// # Errors
    /// When there is no such host or the command can't be started.
    pub fn remote_serve(&self, remote: &str, command: &[&str]) -> Result<PathBuf> {
        let part = remote_part(remote);
        let path = self.netns_path(&part)?;
        let (program, arguments) =
            command.split_first().ok_or_else(|| Error::Invalid("write the command to run".into()))?;
        let program = std::path::absolute(program)
            .ok()
            .filter(|p| program.contains('/') && p.is_file())
            .unwrap_or_else(|| PathBuf::from(program));
        let mut daemon = Daemon::new(part.clone(), program, cgroup::unified(&self.plan, &part));
        for argument in arguments {
            daemon = daemon.arg(argument);
        }
        let running = netns::within(&path, || daemon.start(&self.directory))??;
        Ok(running.log().to_owned())
    }

    /// Takes the lab down: nothing of it stays.
    ///
    /// # Errors
    /// [`Error::LeftBehind`] with what stayed.
    pub fn down(self) -> Result<()> {
        Self::down_by_name(&self.plan.lab)
    }

    /// Takes a lab down by its name, whatever state it is in; no error if there is none.
    ///
    /// # Errors
    /// [`Error::LeftBehind`] with what stayed.
    pub fn down_by_name(name: &str) -> Result<()> {
        down::down(name, &Progress::stderr())
    }

    /// What exists of a lab of this name, as text; nothing after `down`.
    #[must_use]
    pub fn leftovers(name: &str) -> Vec<String> {
        down::leftovers(name)
    }
}

/// A lab that is taken down when this is dropped, also by a failing test.
#[derive(Debug)]
pub struct ScopedLab {
    lab: Lab,
    keep: bool,
}

impl ScopedLab {
    /// Leaves the lab up after all.
    #[must_use]
    pub fn keep(mut self) -> Lab {
        self.keep = true;
        self.lab.clone()
    }
}

impl Deref for ScopedLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Drop for ScopedLab {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = self.lab.clone().down() {
            eprintln!("{error}");
        }
    }
}
