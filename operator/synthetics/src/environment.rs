//! Environment variables of a canary.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tidewatch_crds::CanarySpec;

use crate::refusal::Refusal;
use crate::timeouts::page_times;

/// "The total size of the environment variables can't exceed 4 KB" (API_CanaryRunConfigInput).
const LARGEST_BYTES: usize = 4 * 1024;

/// "You can't specify any Lambda reserved environment variables" (as above); the others of them begin with AWS_ or _.
const RESERVED: [&str; 2] = ["LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT"];

/// All of them: those of `spec.aws.env`, and those that a heartbeat of ours reads.
///
/// # Errors
/// When AWS doesn't take one of the user's, when it has a name of ours, or when all are too many bytes.
pub fn environment(spec: &CanarySpec) -> Result<BTreeMap<String, String>, Vec<Refusal>> {
    let mut all = ours(spec).map_err(|refusal| vec![refusal])?;
    let mut refused = Vec::new();
    for (name, value) in spec.aws.iter().flat_map(|aws| &aws.env) {
        let field = || format!("spec.aws.env[{name}]");
        if !is_name(name) || name.starts_with("AWS_") || RESERVED.contains(&name.as_str()) {
            refused.push(Refusal::new(
                field(),
                "not an environment variable that Lambda takes: write a letter, then letters, digits and _, and none of Lambda's own names",
            ));
        } else if all.insert(name.clone(), value.clone()).is_some() {
            refused.push(Refusal::new(
                field(),
                "the heartbeat's script is told its settings by this name: write another",
            ));
        }
    }
    let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LARGEST_BYTES {
        refused.push(too_large(spec, bytes));
    }
    if refused.is_empty() { Ok(all) } else { Err(refused) }
}

/// What heartbeat/pages.js reads.
fn ours(spec: &CanarySpec) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(heartbeat) = &spec.heartbeat else { return Ok(BTreeMap::new()) };
    let times = page_times(spec, heartbeat)?;
    let millis = |duration: Duration| duration.as_millis().to_string();
    let variables = [
        ("TIDEWATCH_URLS", json!(heartbeat.urls).to_string()),
        ("TIDEWATCH_PAGE_TIMEOUT_MS", millis(times.page)),
        ("TIDEWATCH_BUDGET_MS", millis(times.budget)),
        ("TIDEWATCH_SCREENSHOT", heartbeat.screenshot.to_string()),
    ];
    Ok(variables.map(|(name, value)| (name.to_owned(), value)).into())
}

/// `[a-zA-Z]([a-zA-Z0-9_])+` of AWS's model.
fn is_name(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn too_large(spec: &CanarySpec, bytes: usize) -> Refusal {
    let total = format!("environment variables of {bytes} bytes, and AWS takes {LARGEST_BYTES}");
    if spec.heartbeat.is_some() {
        return Refusal::new(
            "spec.heartbeat.urls",
            format!("with spec.aws.env they make {total}: write shorter addresses, or two canaries"),
        );
    }
    Refusal::new("spec.aws.env", format!("{total}: write shorter values"))
}
