//! What the canary of an object is called in AWS.

use tidewatch_managed::{AwsPolicy, identity};

/// AWS takes 255 characters (API_CreateCanary), but makes names of Lambda functions (64), of layers and of log groups out
/// of them, and doesn't say how it shortens these. So that people still tell functions apart, names are kept shorter.
const LONGEST: usize = 80;
const HASH: usize = 9;

/// What the canary of an object is called.
pub(super) fn canary(policy: &AwsPolicy, namespace: &str, name: &str) -> String {
    let hash = identity(policy, namespace, name);
    let base = format!("{}-{namespace}-{name}", policy.prefix);
    // AWS takes [0-9a-z_-]; names of objects may have dots.
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_' | '-') => c,
        _ => '-',
    };
    let short: String = base.chars().map(plain).take(LONGEST - HASH).collect();
    format!("{short}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_read_the_same_differ_and_every_name_is_one_that_aws_takes() {
        let policy = AwsPolicy::default();
        let other = AwsPolicy {
            cluster_name: "other".to_owned(),
            prefix: "My.Prefix".to_owned(),
            ..AwsPolicy::default()
        };
        let names = [
            canary(&policy, "a-b", "c"),
            canary(&policy, "a", "b-c"),
            canary(&policy, "a", "b.c"),
            canary(&other, "a", "b-c"),
            canary(&policy, &"n".repeat(63), &"o".repeat(253)),
            canary(&policy, &"n".repeat(63), &"o".repeat(252)),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
            assert!(name.len() <= LONGEST, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
        }
        assert!(names[0].starts_with("tidewatch-a-b-c-"), "{names:?}");
    }
}
