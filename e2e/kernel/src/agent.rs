//! The agent's own binary, run in a node's namespace.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tidewatch_records::jsonl::Reader;
use tidewatch_records::{Accounting, FlowWindow, NodeWindow, Record, Role};

use crate::cgroup::Cgroup;
use crate::network::Network;

/// Limit on all waits. An emulated machine (vm) may take half a minute to load the programs.
const LIMIT: Duration = Duration::from_secs(60);

/// A running agent that prints its records into a file.
#[derive(Debug)]
pub struct Agent {
    process: Child,
    directory: PathBuf,
    /// Address of its metrics, inside the node's namespace.
    pub listen: String,
}

/// All records that an agent printed.
#[derive(Debug, Default)]
pub struct Said {
    pub flows: Vec<FlowWindow>,
    pub accounting: Vec<Accounting>,
    pub nodes: Vec<NodeWindow>,
}

/// Path of the agent's binary: beside the test's, in the same target directory.
pub fn binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("TIDEWATCH_AGENT") {
        return Ok(given.into());
    }
    let test = std::env::current_exe()?;
    let beside =
        test.ancestors().skip(1).take(2).map(|dir| dir.join("tidewatch-agent")).find(|path| path.exists());
    beside.context(
        "tidewatch-agent is not built: run `cargo build -p tidewatch-agent` (or set TIDEWATCH_AGENT)",
    )
}

/// Runs an agent that must give up at start, behind a command such as `setpriv …`. Returns its standard error.
pub fn gives_up(behind: &[&str]) -> Result<String> {
    let mut command = Command::new("timeout");
    command.arg(LIMIT.as_secs().to_string()).args(behind).arg(binary()?);
    command.args(["--stdout", "--listen", "127.0.0.1:9465"]);
    let output = command.stdin(Stdio::null()).output().context("could not start the agent")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(1) {
        bail!("the agent should have given up, but ended with {}: {said}", output.status);
    }
    Ok(said)
}

impl Agent {
    /// Starts an agent, and waits until it has taken its first snapshot.
    pub fn start(network: &Network, cgroup: &Cgroup, more: &[&str]) -> Result<Self> {
        let directory = std::env::temp_dir().join(network.namespace("agent"));
        std::fs::create_dir_all(&directory)?;
        let listen = "127.0.0.1:9464".to_owned();
        let mut enter = Command::new("nsenter");
        enter.arg(format!("--net=/run/netns/{}", network.namespace("node"))).arg(binary()?);
        enter
            .args(["--stdout", "--node", "node-a", "--listen", &listen, "--cgroup"])
            .arg(&cgroup.root)
            .args(more);
        if !more.contains(&"--window") {
            // None ends while a test runs: SIGTERM ends the first.
            enter.args(["--window", "3600s"]);
        }
        let process = enter
            .stdin(Stdio::null())
            .stdout(File::create(directory.join("out"))?)
            .stderr(File::create(directory.join("err"))?)
            .spawn()
            .context("could not start nsenter")?;
        let mut agent = Self { process, directory, listen };
        agent.wait_for("watching")?;
        Ok(agent)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.directory.join("err")).unwrap_or_default()
    }

    fn wait_for(&mut self, text: &str) -> Result<()> {
        let begun = Instant::now();
        while !self.errors().contains(text) {
            if let Some(status) = self.process.try_wait()? {
                bail!("the agent ended ({status}): {}", self.errors());
            }
            if begun.elapsed() > LIMIT {
                bail!("the agent didn't say {text:?} within {LIMIT:?}: {}", self.errors());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The records that it has printed so far.
    pub fn said(&self) -> Result<Said> {
        let file = File::open(self.directory.join("out"))?;
        let mut said = Said::default();
        for record in Reader::new(BufReader::new(file)) {
            match record? {
                Record::Flow(flow) => said.flows.push(flow),
                Record::Accounting(accounting) => said.accounting.push(accounting),
                Record::Node(node) => said.nodes.push(node),
            }
        }
        Ok(said)
    }

    /// One of its metrics without labels, as it is now.
    pub fn metric(&self, network: &Network, name: &str) -> Result<f64> {
        let text =
            network.run_in("node", &format!("curl -sS --max-time 10 http://{}/metrics", self.listen))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .with_context(|| format!("no metric {name} in\n{text}"))?
            .parse()
            .context("a metric is no number")
    }

    /// Waits until its records satisfy `enough`, and returns them.
    pub fn wait_until(&self, what: &str, enough: impl Fn(&Said) -> bool) -> Result<Said> {
        let begun = Instant::now();
        loop {
            // A line may be half written.
            if let Ok(said) = self.said()
                && enough(&said)
            {
                return Ok(said);
            }
            if begun.elapsed() > LIMIT {
                bail!("{what}: not within {LIMIT:?}; the agent said {:?} and {}", self.said(), self.errors());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Tells it to end, upon which it prints the current window, and returns all records.
    pub fn finish(mut self) -> Result<Said> {
        self.signal(Signal::SIGTERM)?;
        let begun = Instant::now();
        while self.process.try_wait()?.is_none() {
            if begun.elapsed() > LIMIT {
                bail!("the agent didn't end within {LIMIT:?} of SIGTERM: {}", self.errors());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.said()
    }

    /// Kills it, so that it prints nothing more.
    pub fn kill(mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.process.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.process.id())?), signal).context("could not signal the agent")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Said {
    /// Sum over the flows of one role.
    pub fn sum(&self, role: Role, of: impl Fn(&FlowWindow) -> u64) -> u64 {
        self.flows.iter().filter(|flow| flow.role == role).map(of).sum()
    }

    /// The flows of one role.
    pub fn of(&self, role: Role) -> Vec<&FlowWindow> {
        self.flows.iter().filter(|flow| flow.role == role).collect()
    }

    /// Returns true if each window's accounting says that every socket seen was reported.
    pub fn all_reported(&self) -> bool {
        !self.accounting.is_empty() && self.accounting.iter().all(|a| a.seen == a.reported)
    }
}
