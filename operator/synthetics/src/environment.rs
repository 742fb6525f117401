//! Environment variables of a canary.

use std::collections::BTreeMap;

use tidewatch_crds::CanarySpec;

use crate::refusal::Refusal;

/// "The total size of the environment variables can't exceed 4 KB" (API_CanaryRunConfigInput).
const LARGEST_BYTES: usize = 4 * 1024;

/// All of them: those of `spec.aws.env`, and those that a script of ours reads.
///
/// # Errors
/// When one of the user's has a name of ours, or all are more than AWS takes.
pub fn environment(spec: &CanarySpec) -> Result<BTreeMap<String, String>, Vec<Refusal>> {
    let all = spec.aws.as_ref().map(|aws| aws.env.clone()).unwrap_or_default();
    let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LARGEST_BYTES {
        return Err(vec![Refusal::new(
            "spec.aws.env",
            format!("{bytes} bytes in all, and AWS takes {LARGEST_BYTES}: shorten the values"),
        )]);
    }
    Ok(all)
}
