//! boto3, with its own models and parsers, against the double: every operation, in every protocol that AWS's model
//! offers, and what must be refused.
//!
//! It needs Python 3 with venv, and PyPI for the versions that conformance/requirements.txt pins.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tidewatch_aws_double::{Double, Options};

const OPERATIONS: [&str; 25] = [
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

#[tokio::test(flavor = "multi_thread")]
async fn boto3_understands_every_answer_and_sees_wrong_requests_refused() {
    let double = Double::start(Options::default()).await.unwrap();
    let url = double.url();
    let output = tokio::task::spawn_blocking(move || {
        let script = here("conformance/conformance.py");
        run(Command::new(&*PYTHON).arg("-B").arg(script).arg(url), "")
    });
    let output = output.await.unwrap().stdout;
    let did: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let succeeded: BTreeSet<&str> =
        did["operations"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(succeeded, BTreeSet::from(OPERATIONS));
    assert!(did["refusals"].as_u64().unwrap() >= 60, "{did}");
    assert_eq!(did["protocols"].as_array().unwrap().len(), 3);
    assert!(double.calls().iter().any(|call| call.operation == "PutMetricData"));
}

#[test]
fn the_vendored_models_are_what_the_pinned_botocore_carries() {
    run(Command::new(&*PYTHON).arg("-B").arg(here("models/regenerate.py")).arg("--check"), "");
}
