//! From the DaemonSet that is to the one that should be. Pure.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;

use super::desired::{HASH, MANAGED_BY, Problem, Wanted};

/// What this process applied last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub hash: String,
    /// Generation that the API server gave it: a later one means that somebody changed the spec.
    pub generation: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum FleetAction {
    Nothing,
    Apply(Box<Wanted>),
    /// This very object, not a namesake made in between.
    Delete {
        uid: String,
    },
}

pub(super) fn plan(
    observed: Option<&DaemonSet>,
    wanted: Option<Wanted>,
    applied: Option<&Applied>,
) -> Result<FleetAction, Problem> {
    let ours = observed
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .map(|set| (set, set.labels().get(MANAGED_BY.0).is_some_and(|by| by == MANAGED_BY.1)));
    match (ours, wanted) {
        (None | Some((_, false)), None) => Ok(FleetAction::Nothing),
        (Some((_, false)), Some(_)) => Err(Problem::NotOurs),
        (Some((set, true)), None) => Ok(FleetAction::Delete { uid: set.uid().unwrap_or_default() }),
        (None, Some(wanted)) => Ok(FleetAction::Apply(Box::new(wanted))),
        (Some((set, true)), Some(wanted)) => {
            let current = set.annotations().get(HASH) == Some(&wanted.hash);
            // A process that just started doesn't know whether somebody changed it: it applies once, which writes
            // nothing if all is as it should be.
            let untouched = applied.is_some_and(|applied| {
                applied.hash == wanted.hash && applied.generation == set.metadata.generation
            });
            Ok(if current && untouched { FleetAction::Nothing } else { FleetAction::Apply(Box::new(wanted)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::super::desired::desired;
    use super::super::desired::tests::{YAML, template};
    use super::*;

    fn wanted(yaml: &str) -> Wanted {
        desired(Some(&template(yaml)), 1, "ns").unwrap().unwrap()
    }

    fn stored(generation: i64) -> DaemonSet {
        let mut set = wanted(YAML).object;
        set.metadata.uid = Some("d-1".to_owned());
        set.metadata.generation = Some(generation);
        set
    }

    fn applied(generation: i64) -> Applied {
        Applied { hash: wanted(YAML).hash, generation: Some(generation) }
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        assert_eq!(plan(Some(&stored(3)), Some(wanted(YAML)), Some(&applied(3))), Ok(FleetAction::Nothing));
        assert_eq!(plan(None, None, None), Ok(FleetAction::Nothing));
    }

    #[test]
    fn it_is_applied_when_missing_changed_by_hand_or_of_another_template() {
        let other = wanted(&YAML.replace("image: x", "image: y"));
        for (observed, wanted, applied) in [
            (None, wanted(YAML), None),
            (None, wanted(YAML), Some(applied(3))),
            (Some(stored(3)), wanted(YAML), None),
            (Some(stored(4)), wanted(YAML), Some(applied(3))),
            (Some(stored(3)), other, Some(applied(3))),
        ] {
            let action = plan(observed.as_ref(), Some(wanted), applied.as_ref());
            assert!(matches!(action, Ok(FleetAction::Apply(_))), "{action:?}");
        }
    }

    #[test]
    fn it_is_removed_after_the_last_monitor_by_its_uid() {
        let action = plan(Some(&stored(3)), None, Some(&applied(3)));
        assert_eq!(action, Ok(FleetAction::Delete { uid: "d-1".to_owned() }));
    }

    #[test]
    fn one_that_is_being_deleted_is_not_deleted_again() {
        let mut set = stored(3);
        set.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(plan(Some(&set), None, None), Ok(FleetAction::Nothing));
    }

    #[test]
    fn somebody_else_s_namesake_is_neither_overwritten_nor_deleted() {
        let mut set = stored(3);
        set.metadata.labels = None;
        assert_eq!(plan(Some(&set), Some(wanted(YAML)), None), Err(Problem::NotOurs));
        assert_eq!(plan(Some(&set), None, None), Ok(FleetAction::Nothing));
    }
}
