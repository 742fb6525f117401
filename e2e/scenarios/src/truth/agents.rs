//! Agents of our own, one a node, that print their records.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use tempfile::TempDir;
use tidewatch_lab::Lab;
use tidewatch_records::FlowWindow;

use crate::paths;

const STOP_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Agents {
    directory: TempDir,
    running: Vec<(String, Child)>,
}

/// The records that the agents printed.
#[derive(Debug)]
pub(super) struct Records(Vec<FlowWindow>);

impl Agents {
    pub(super) fn start(lab: &Lab, window_seconds: i64) -> anyhow::Result<Self> {
        let program = paths::binary("tidewatch-agent")?;
        let mut agents =
            Self { directory: TempDir::new().context("a directory for records")?, running: Vec::new() };
        for node in lab.nodes() {
            let output =
                File::create(agents.directory.path().join(&node.name)).context("a file for records")?;
            let log = File::create(agents.directory.path().join(format!("{}.log", node.name)))?;
            let child = Command::new("nsenter")
                .arg(format!("--net=/run/netns/{}", lab.plan().netns(&node.name)))
                .arg(&program)
                .arg("--cgroup")
                .arg(lab.node_cgroup(&node.name))
                .args(["--node", &node.name, "--stdout", "--listen", "127.0.0.1:9474"])
                .args(["--window", &format!("{window_seconds}s")])
                .stdin(Stdio::null())
                .stdout(output)
                .stderr(log)
                .spawn()
                .context("the agent could not be started")?;
            agents.running.push((node.name.clone(), child));
        }
        Ok(agents)
    }

    /// Ends the agents and reads what they printed.
    pub(super) fn stop(mut self) -> anyhow::Result<Records> {
        let mut records = Vec::new();
        for (node, child) in &mut self.running {
            if let Some(status) = child.try_wait()? {
                let log = self.directory.path().join(format!("{node}.log"));
                bail!("the agent of {node} ended by itself ({status}): {}", std::fs::read_to_string(log)?);
            }
            terminate(child)?;
            let path = self.directory.path().join(&*node);
            let printed = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            for line in printed.lines() {
                let value: serde_json::Value =
                    serde_json::from_str(line).with_context(|| format!("{node} printed {line:?}"))?;
                // Accounting lines have no endpoints.
                if value.get("local").is_some() {
                    records.push(serde_json::from_value(value).with_context(|| format!("{node}: {line}"))?);
                }
            }
        }
        self.running.clear();
        Ok(Records(records))
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn terminate(child: &mut Child) -> anyhow::Result<()> {
    Command::new("kill").arg(child.id().to_string()).status().context("kill")?;
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > STOP_LIMIT {
            child.kill()?;
            child.wait()?;
            bail!("an agent did not end in {STOP_LIMIT:?} when asked to");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Records {
    /// Those of the windows in `[begin, end)`.
    pub(super) fn between(self, begin: Timestamp, end: Timestamp) -> Vec<FlowWindow> {
        self.0
            .into_iter()
            .filter(|record| record.window_start >= begin && record.window_start < end)
            .collect()
    }
}
