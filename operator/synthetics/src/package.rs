//! What a canary runs: its files, where it begins, and the environment that it sees.

use std::collections::BTreeMap;

use tidewatch_crds::CanarySpec;

use crate::blueprint;
use crate::environment::environment;
use crate::refusal::Refusal;
use crate::runtime::{RuntimeVersion, runs_checks};

/// Where a canary begins. CreateCanary takes either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// `Handler`: file and function, such as index.handler.
    Handler(String),
    /// `BlueprintTypes: ["multi-checks"]`.
    MultiChecks,
}

/// What a canary runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Path within the archive, and content.
    pub files: BTreeMap<String, Vec<u8>>,
    pub entry: Entry,
    /// All variables of the run: those of `spec.aws.env`, and those that a script of ours reads.
    pub environment: BTreeMap<String, String>,
}

/// What `spec` runs on `runtime`. `script` holds the files of the ConfigMap that `spec.script` refers to. A script in S3
/// is a package already: see [`handler`](crate::handler) and [`environment`](crate::environment()).
///
/// # Errors
/// Every field that AWS can't run.
pub fn package(
    spec: &CanarySpec,
    runtime: &RuntimeVersion,
    script: Option<&BTreeMap<String, Vec<u8>>>,
) -> Result<Package, Vec<Refusal>> {
    let _ = script;
    if spec.heartbeat.is_some() || spec.script.is_some() {
        return Err(vec![Refusal::new("spec", "not packaged yet: write checks")]);
    }
    runs_checks(*runtime).map_err(|refusal| vec![refusal])?;
    let document = blueprint::blueprint(spec)?;
    Ok(Package {
        files: BTreeMap::from([(blueprint::FILE.to_owned(), document.to_string().into_bytes())]),
        entry: Entry::MultiChecks,
        environment: environment(spec)?,
    })
}
