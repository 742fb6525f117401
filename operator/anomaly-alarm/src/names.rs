//! What the things of one object are called in AWS: at most 255 characters.

use tidewatch_managed::{AwsPolicy, identity};

/// Room that is left for the object's name.
const NAME: usize = 100;

/// What the things of one object are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub metric: String,
    pub network: String,
    pub composite: String,
    pub mute: String,
}

impl Names {
    pub(super) fn new(policy: &AwsPolicy, namespace: &str, name: &str) -> Self {
        let hash = identity(policy, namespace, name);
        // Names of objects are ASCII, so that characters are bytes.
        let short: String = name.chars().take(NAME).collect();
        let base = format!("{}-{namespace}-{short}-{hash}", policy.prefix);
        Self {
            network: format!("{base}-network"),
            composite: format!("{base}-composite"),
            mute: format!("{base}-mute"),
            metric: base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_read_the_same_differ() {
        let policy = AwsPolicy::default();
        let names = [
            Names::new(&policy, "a-b", "c").metric,
            Names::new(&policy, "a", "b-c").metric,
            Names::new(&AwsPolicy { cluster_name: "other".to_owned(), ..policy }, "a", "b-c").metric,
        ];
        assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
        assert!(names[0].starts_with("tidewatch-a-b-c-"), "{names:?}");
    }

    #[test]
    fn the_longest_name_fits() {
        let policy = AwsPolicy { prefix: "p".repeat(64), ..AwsPolicy::default() };
        let names = Names::new(&policy, &"n".repeat(63), &"o".repeat(253));
        for name in [names.metric, names.network, names.composite, names.mute] {
            assert!(name.len() <= 255, "{name}");
        }
    }
}
