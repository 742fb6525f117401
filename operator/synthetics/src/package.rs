//! What a canary runs: its files, where it begins, and the environment that it sees.

use std::collections::BTreeMap;

use tidewatch_crds::CanarySpec;

use crate::archive::archive;
use crate::environment::environment;
use crate::refusal::Refusal;
use crate::runtime::{RuntimeVersion, runs_checks};
use crate::{blueprint, heartbeat, script};

/// "If you input your canary script directly into the canary instead of referring to an S3 location, it must be smaller
/// than 225 Kb" (API_CanaryCodeInput); read as the lesser of what that can mean.
const LARGEST_ARCHIVE: usize = 225_000;

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

/// What `spec` runs on `runtime`. `config_map` holds the files of the ConfigMap that `spec.script` refers to. A script
/// in S3 is a package already: [`handler`](crate::handler()) and [`environment`](crate::environment()) tell the rest.
///
/// # Errors
/// Every field that AWS can't run.
pub fn package(
    spec: &CanarySpec,
    runtime: &RuntimeVersion,
    config_map: Option<&BTreeMap<String, Vec<u8>>>,
) -> Result<Package, Vec<Refusal>> {
    let mut refused = Vec::new();
    let code = code(spec, *runtime, config_map).map_err(|of_code| refused.extend(of_code)).ok();
    let environment = environment(spec).map_err(|of_environment| refused.extend(of_environment)).ok();
    match (code, environment) {
        (Some((files, entry)), Some(environment)) => Ok(Package { files, entry, environment }),
        _ => Err(refused),
    }
}

type Code = (BTreeMap<String, Vec<u8>>, Entry);

fn code(
    spec: &CanarySpec,
    runtime: RuntimeVersion,
    config_map: Option<&BTreeMap<String, Vec<u8>>>,
) -> Result<Code, Vec<Refusal>> {
    let (files, entry, field) = match (&spec.heartbeat, &spec.script, &spec.checks) {
        (Some(heartbeat), None, None) => {
            let files = heartbeat::files(heartbeat, runtime)?;
            (files, Entry::Handler(heartbeat::HANDLER.to_owned()), "spec.heartbeat")
        }
        (None, Some(script), None) => {
            let files = script::files(script, runtime, config_map)?;
            (files, Entry::Handler(script.handler.clone()), script::FIELD)
        }
        (None, None, Some(_)) => {
            runs_checks(runtime).map_err(|refusal| vec![refusal])?;
            let document = blueprint::blueprint(spec)?;
            let files = BTreeMap::from([(blueprint::FILE.to_owned(), document.to_string().into_bytes())]);
            (files, Entry::MultiChecks, "spec.checks")
        }
        _ => {
            let mend = "a canary does one thing: write exactly one of checks, heartbeat or script";
            return Err(vec![Refusal::new("spec", mend)]);
        }
    };
    fits(&files, field).map_err(|refusal| vec![refusal])?;
    Ok((files, entry))
}

fn fits(files: &BTreeMap<String, Vec<u8>>, field: &str) -> Result<(), Refusal> {
    let packed = archive(files).map_err(|error| Refusal::new(field, error.to_string()))?;
    let bytes = packed.bytes.len();
    if bytes < LARGEST_ARCHIVE {
        return Ok(());
    }
    let mend = if field == script::FIELD {
        "put the zip file into S3 and write s3: {bucket: …, key: …}"
    } else {
        "write shorter bodies, or two canaries"
    };
    Err(Refusal::new(
        field,
        format!("{bytes} bytes packed, and AWS takes less than {LARGEST_ARCHIVE}: {mend}"),
    ))
}
