//! Starting what keeps running, and waiting for it.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::tail_of_file;
use crate::error::{Error, Result};
use crate::process::{Process, ProcessId};
use crate::state::Directory;
use crate::sys;

/// A program to be left running.
#[derive(Debug)]
pub(crate) struct Daemon {
    component: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    cgroup: PathBuf,
}

impl Daemon {
    /// `component` is its name in `status`, and its log's.
    pub(crate) fn new(
        component: impl Into<String>,
        program: impl Into<PathBuf>,
        cgroup: impl Into<PathBuf>,
    ) -> Self {
        Self {
            component: component.into(),
            program: program.into(),
            arguments: vec![],
            cgroup: cgroup.into(),
        }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds `--name=value`.
    pub(crate) fn flag(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut text = OsString::from(format!("--{name}="));
        text.push(value);
        self.arg(text)
    }

    /// Starts it where the calling thread is (its network and mount namespaces), and notes it in the lab's state.
    pub(crate) fn start(self, directory: &Directory) -> Result<Running> {
        let log = directory.log(&self.component);
        let file =
            OpenOptions::new().create(true).append(true).open(&log).map_err(Error::file("opening", &log))?;
        let errors = file.try_clone().map_err(Error::file("opening", &log))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(file).stderr(errors).current_dir("/");
        let child = sys::spawn_in_cgroup(&mut command, &self.cgroup).map_err(Error::system(format!(
            "starting {} ({})",
            self.component,
            self.program.display()
        )))?;
        let pid = i32::try_from(child.id()).unwrap_or_default();
        let Some(id) = ProcessId::of(pid) else {
            return Err(Error::Died { component: self.component, tail: tail_of_file(&log, 20), log });
        };
        let process = Process { component: self.component, id, log };
        directory.update(|state| state.processes.push(process.clone()))?;
        Ok(Running { process })
    }
}

/// A program that was started.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    process: Process,
}

impl Running {
    pub(crate) fn log(&self) -> &Path {
        &self.process.log
    }

    /// An error with the end of its log if it has ended.
    pub(crate) fn check(&self) -> Result<()> {
        if self.process.id.alive() {
            return Ok(());
        }
        self.process.id.reap();
        Err(Error::Died {
            component: self.process.component.clone(),
            log: self.process.log.clone(),
            tail: tail_of_file(&self.process.log, 20),
        })
    }

    /// Waits for a condition of it, which reports what it saw as long as it isn't met.
    pub(crate) fn wait_until(
        &self,
        step: &str,
        limit: Duration,
        mut condition: impl FnMut() -> std::result::Result<(), String>,
    ) -> Result<()> {
        wait_until(step, limit, Some(self.log()), || {
            self.check()?;
            Ok(condition())
        })
    }
}

/// Waits for a condition, which reports what it saw as long as it isn't met; a hard error ends the waiting.
pub(crate) fn wait_until(
    step: &str,
    limit: Duration,
    log: Option<&Path>,
    mut condition: impl FnMut() -> Result<std::result::Result<(), String>>,
) -> Result<()> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        let seen = match condition()? {
            Ok(()) => return Ok(()),
            Err(seen) => seen,
        };
        if start.elapsed() >= limit {
            let tail = log
                .map(|log| format!("; the end of its log:\n{}\n", tail_of_file(log, 15)))
                .unwrap_or_default();
            return Err(Error::TimedOut {
                step: step.to_owned(),
                limit,
                seen: format!("{seen}{tail}"),
                log: log.map(Path::to_owned),
            });
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}
