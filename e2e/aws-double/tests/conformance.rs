//! boto3, with its own models and parsers, against the double: every operation, in every protocol that AWS's model
//! offers, every constraint of the models, and what must be refused beyond them.
//!
//! It needs Python 3 with venv, and PyPI for the versions that conformance/requirements.txt pins.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

const OPERATIONS: [&str; 49] = [
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "DeleteAlarmMuteRule",
    "DeleteAlarms",
    "DeleteAnomalyDetector",
    "DescribeAlarmHistory",
    "DescribeAlarms",
    "DescribeAlarmsForMetric",
    "DescribeAnomalyDetectors",
    "DisableAlarmActions",
    "EnableAlarmActions",
    "GetAlarmMuteRule",
    "GetCallerIdentity",
    "GetMetricData",
    "ListAlarmMuteRules",
    "ListMetrics",
    "ListTagsForResource",
    "PutAlarmMuteRule",
    "PutAnomalyDetector",
    "PutCompositeAlarm",
    "PutMetricAlarm",
    "PutMetricData",
    "SetAlarmState",
    "TagResource",
    "UntagResource",
    "logs:DeleteLogGroup",
    "logs:DescribeLogGroups",
    "synthetics:AssociateResource",
    "synthetics:CreateCanary",
    "synthetics:CreateGroup",
    "synthetics:DeleteCanary",
    "synthetics:DeleteGroup",
    "synthetics:DescribeCanaries",
    "synthetics:DescribeCanariesLastRun",
    "synthetics:DescribeRuntimeVersions",
    "synthetics:DisassociateResource",
    "synthetics:GetCanary",
    "synthetics:GetCanaryRuns",
    "synthetics:GetGroup",
    "synthetics:ListAssociatedGroups",
    "synthetics:ListGroupResources",
    "synthetics:ListGroups",
    "synthetics:ListTagsForResource",
    "synthetics:StartCanary",
    "synthetics:StartCanaryDryRun",
    "synthetics:StopCanary",
    "synthetics:TagResource",
    "synthetics:UntagResource",
    "synthetics:UpdateCanary",
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a command to its end; what it printed is the message if it fails.
fn run(command: &mut Command, hint: &str) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}\n{hint}", output.status);
    output
}

/// The interpreter of a virtual environment that has exactly what requirements.txt names; made once for each list.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let requirements = std::fs::read_to_string(here("conformance/requirements.txt")).unwrap();
    let mut hash = DefaultHasher::new();
    requirements.hash(&mut hash);
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("boto3-{:016x}", hash.finish()));
    let python = venv.join("bin/python");
    let complete = venv.join("complete");
    if !complete.exists() {
        let hint = "install python3 and python3-venv (e2e/apt-packages.txt)";
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv), hint);
        let hint = "pip needs a package index that has the versions of conformance/requirements.txt";
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        run(pip.arg(here("conformance/requirements.txt")), hint);
        std::fs::write(&complete, "").unwrap();
    }
    python
});

/// The binary, as a lab or a person runs it; killed when dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewatch-aws-double"));
        let arguments = ["--listen", "127.0.0.1:0", "--now", "2026-11-23T02:00:00Z"];
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, url }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn names(list: &serde_json::Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn boto3_understands_every_answer_and_sees_wrong_requests_refused() {
    let double = Process::start();
    let script = here("conformance/conformance.py");
    let output = run(Command::new(&*PYTHON).arg("-B").arg(script).arg(&double.url), "").stdout;
    let did: serde_json::Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(names(&did["operations"]), BTreeSet::from(OPERATIONS));
    assert_eq!(names(&did["served"]), BTreeSet::from(OPERATIONS));
    assert!(did["constraints"].as_u64().unwrap() >= 2_000, "{did}");
    assert!(did["refusals"].as_u64().unwrap() >= 110, "{did}");
    assert_eq!(did["protocols"].as_array().unwrap().len(), 3);
}

#[test]
fn the_vendored_models_are_what_the_pinned_botocore_carries() {
    run(Command::new(&*PYTHON).arg("-B").arg(here("models/regenerate.py")).arg("--check"), "");
}
