//! Running other programs, never without a time limit.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::netns;
use crate::sys;

/// What a command that succeeded printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A command line to run to its end.
#[derive(Debug, Clone)]
pub struct Cmd {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Option<String>,
    netns: Option<PathBuf>,
    limit: Duration,
}

impl Cmd {
    /// A command with a limit of 30 seconds.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: vec![],
            environment: vec![],
            input: None,
            netns: None,
            limit: Duration::from_secs(30),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds an option and its value as two arguments.
    #[must_use]
    pub fn arg_pair(self, option: &str, value: impl AsRef<OsStr>) -> Self {
        self.args([OsStr::new(option), value.as_ref()])
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives it standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Runs it in the network namespace that this file stands for.
    #[must_use]
    pub fn netns(mut self, path: impl Into<PathBuf>) -> Self {
        self.netns = Some(path.into());
        self
    }

    /// Changes the limit.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it can't be started, fails, or takes too long; then it has been killed.
    pub fn run(self) -> Result<Output> {
        match self.netns.clone() {
            Some(path) => netns::within(&path, move || self.run_here())?,
            None => self.run_here(),
        }
    }

    /// As it would be typed.
    #[must_use]
    pub fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn run_here(self) -> Result<Output> {
        let line = self.line();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        sys::die_with_parent(&mut command);
        let mut child = command.spawn().map_err(Error::system(format!("starting `{line}`")))?;
        let mut stdin = child.stdin.take();
        let input = self.input;
        let feeder = thread::spawn(move || {
            if let (Some(stdin), Some(input)) = (stdin.as_mut(), input) {
                // A program that reads less than all of it says so by its exit status.
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        let out = reader(child.stdout.take());
        let err = reader(child.stderr.take());
        let status = wait(&mut child, self.limit).map_err(Error::system(format!("waiting for `{line}`")))?;
        let Some(status) = status else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::TimedOut {
                step: format!("`{line}`"),
                limit: self.limit,
                seen: "no end of it".into(),
                log: None,
            });
        };
        let _ = feeder.join();
        let (stdout, stderr) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
        if status.success() {
            return Ok(Output { stdout, stderr });
        }
        let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
        Err(Error::Command { command: line, status: status.to_string(), output: tail_of(said, 20) })
    }
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut std::process::Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(25));
    }
}

/// The last `lines` lines of a text.
#[must_use]
pub fn tail_of(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// The last lines of a log file, or why there are none.
#[must_use]
pub fn tail_of_file(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Ok(bytes) => tail_of(&String::from_utf8_lossy(&bytes), lines),
        Err(error) => format!("(no log: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_takes_too_long_is_killed() {
        let start = Instant::now();
        let error = Cmd::new("sleep").args(["30"]).limit(Duration::from_millis(50)).run().unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_failure_says_the_command_and_the_end_of_its_output() {
        let error =
            Cmd::new("sh").args(["-c", "echo first; echo reason >&2; exit 3"]).run().unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("reason") && error.contains('3'), "{error}");
    }

    #[test]
    fn input_reaches_the_command() {
        assert_eq!(Cmd::new("cat").input("x\ny").run().unwrap().stdout, "x\ny");
    }
}
