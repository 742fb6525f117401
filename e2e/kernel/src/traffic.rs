//! A process that makes TCP traffic on command, in a namespace and a cgroup of its own (bin/kernel-traffic.rs).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::network::Network;

/// The process; ended when dropped.
#[derive(Debug)]
pub struct Traffic {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let beside =
        test.ancestors().skip(1).take(2).map(|dir| dir.join("kernel-traffic")).find(|path| path.exists());
    beside.context("kernel-traffic is not built: run `cargo build -p tidewatch-kernel-tests`")
}

impl Traffic {
    /// Starts it in `client`, `node` or `server`.
    pub fn start(network: &Network, side: &str, cgroup: &Path) -> Result<Self> {
        let mut process = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", network.namespace(side)))
            // As many files as may be.
            .args(["sh", "-c", r#"ulimit -n "$(ulimit -H -n)"; exec "$0" "$@""#])
            .arg(binary()?)
            .arg(cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start kernel-traffic")?;
        let (Some(commands), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("kernel-traffic has no pipes");
        };
        let mut traffic = Self { process, commands, answers: BufReader::new(answers) };
        traffic.tell("hello")?;
        Ok(traffic)
    }

    /// Gives a command and waits for its answer; each command has a limit of its own.
    pub fn tell(&mut self, command: &str) -> Result<String> {
        writeln!(self.commands, "{command}").with_context(|| format!("could not tell {command:?}"))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim_end().strip_prefix("ok") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => bail!("{command:?} was answered {:?}", answer.trim_end()),
        }
    }

    /// Gives a command that must fail, and returns its error.
    pub fn fails(&mut self, command: &str) -> Result<String> {
        match self.tell(command) {
            Ok(answer) => bail!("{command:?} should have failed, but was answered {answer:?}"),
            Err(error) => Ok(error.to_string()),
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
