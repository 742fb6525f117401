//! Recordings of what the operator judged, for the simulator to be fitted to and for a look afterwards: resolved flow windows
//! and the nodes' figures, and beside them when which fault was on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::json;

use crate::bed::{Bed, OPERATOR_NAMESPACE};

/// A directory on this machine that recordings are copied to; nothing is recorded without.
const VARIABLE: &str = "RECORDINGS";
/// The directory in the operator's pod.
const IN_POD: &str = "/recording";
const DEPLOYMENT: &str = "tidewatch-operator";
const KUBECTL_LIMIT: Duration = Duration::from_secs(60);
const ROLLOUT_LIMIT: Duration = Duration::from_secs(180);

/// A recording that runs, if one is wanted.
#[derive(Debug)]
pub(super) struct Recording {
    to: Option<PathBuf>,
    faults: Mutex<Vec<serde_json::Value>>,
}

impl Recording {
    /// Has the operator record from now on.
    pub(super) fn begin(bed: &Bed) -> anyhow::Result<Self> {
        let to = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        if to.is_some() {
            let patch = json!({"spec": {"template": {"spec": {
                "volumes": [{"name": "recording", "emptyDir": {}}],
                "containers": [{
                    "name": "operator",
                    "env": [{"name": "TIDEWATCH_RECORD_WINDOWS", "value": IN_POD}],
                    "volumeMounts": [{"name": "recording", "mountPath": IN_POD}],
                }],
            }}}});
            let patch = patch.to_string();
            let command =
                ["patch", "deployment", DEPLOYMENT, "--namespace", OPERATOR_NAMESPACE, "-p", &patch];
            bed.lab_ref()?.kubectl(&command, KUBECTL_LIMIT)?;
            bed.wait_for_deployments_within(OPERATOR_NAMESPACE, ROLLOUT_LIMIT)?;
        }
        Ok(Self { to, faults: Mutex::default() })
    }

    /// Notes that something was at fault in this span.
    pub(super) fn note(
        &self,
        what: &str,
        components: &[String],
        attribution: &str,
        causes: &[&str],
        span: (Timestamp, Timestamp),
    ) {
        let (from, until) = span;
        let fault = json!({
            "from": from.to_string(), "until": until.to_string(), "components": components,
            "attribution": attribution, "causes": causes, "what": what,
        });
        self.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(fault);
    }

    /// Copies what was recorded, under this name.
    pub(super) fn end(self, bed: &Bed, name: &str) -> anyhow::Result<()> {
        let Some(to) = self.to else { return Ok(()) };
        let directory = to.join(name);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        for operator in bed.located("operator")? {
            let pid = operator.processes()?.first().copied().context("the operator has no process")?;
            copy(Path::new(&format!("/proc/{pid}/root{IN_POD}")), &directory)?;
        }
        let faults = self.faults.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let lines: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        fs::write(to.join(format!("{name}.truth.jsonl")), lines)?;
        bed.report.note(&format!("recorded into {}", directory.display()));
        Ok(())
    }
}

/// Copies a directory's files, those of its directories too.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}
