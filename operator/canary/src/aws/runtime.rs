//! Which runtime version a canary gets, and when that one ends. Pure.

use jiff::{SignedDuration, Timestamp};
use tidewatch_aws::synthetics::types::RuntimeSeen;
use tidewatch_synthetics::{Refusal, Runtime, RuntimeChoice, RuntimeVersion, Wanted, choose};

/// How long before its deprecation a runtime is spoken of, and left where the newest is asked for.
const NOTICE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The versions of which our packages know what they run.
pub(super) fn known(offered: &[RuntimeSeen]) -> Vec<Runtime> {
    let runtime = |seen: &RuntimeSeen| {
        let version = seen.name.parse().ok()?;
        Some(Runtime { version, released: seen.released, deprecated: seen.deprecated })
    };
    offered.iter().filter_map(runtime).collect()
}

/// The version for a canary that is on `current` now. Where the newest is asked for, that one stays until its deprecation
/// comes near: another version is an update, and every update restarts the canary's schedule.
pub(super) fn staying(
    choice: &RuntimeChoice,
    current: Option<&str>,
    offered: &[Runtime],
    now: Timestamp,
) -> Result<RuntimeVersion, Refusal> {
    let current: Option<RuntimeVersion> = current.and_then(|name| name.parse().ok());
    let stays = match (choice.wanted, current) {
        (Wanted::Newest(family), Some(current)) => {
            current.family == family
                && offered.iter().any(|it| it.version == current && !is_near(it.deprecated, now))
        }
        // AWS makes no more of it, but what there is runs on: that isn't an error of the spec.
        (Wanted::Exactly(version), Some(current)) => current == version,
        (_, None) => false,
    };
    match current {
        Some(current) if stays => Ok(current),
        _ => choose(choice, offered, now),
    }
}

/// The version for a canary that is made or updated anyway.
pub(super) fn newest(
    choice: &RuntimeChoice,
    current: Option<&str>,
    offered: &[Runtime],
    now: Timestamp,
) -> Result<RuntimeVersion, Refusal> {
    match choice.wanted {
        Wanted::Newest(_) => choose(choice, offered, now),
        Wanted::Exactly(_) => staying(choice, current, offered, now),
    }
}

pub(super) fn is_near(deprecated: Option<Timestamp>, now: Timestamp) -> bool {
    deprecated.is_some_and(|date| date.duration_since(now) < NOTICE)
}

#[cfg(test)]
mod tests {
    use tidewatch_synthetics::Family;

    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn now() -> Timestamp {
        "2026-11-25T00:00:00Z".parse().unwrap()
    }

    fn offered(of: &[(&str, Option<i32>)]) -> Vec<Runtime> {
        of.iter()
            .map(|(name, days)| Runtime {
                version: name.parse().unwrap(),
                released: None,
                deprecated: days.map(|days| now() + DAY * days),
            })
            .collect()
    }

    #[test]
    fn the_newest_is_taken_at_first_and_left_only_when_it_nears_its_end() {
        let choice = RuntimeChoice { wanted: Wanted::Newest(Family::Nodejs), field: "f" };
        let all =
            offered(&[("syn-nodejs-3.0", Some(60)), ("syn-nodejs-4.0", Some(200)), ("syn-nodejs-5.2", None)]);
        let staying = |current| staying(&choice, current, &all, now()).unwrap().to_string();
        assert_eq!(staying(None), "syn-nodejs-5.2");
        assert_eq!(staying(Some("syn-nodejs-4.0")), "syn-nodejs-4.0");
        assert_eq!(staying(Some("syn-nodejs-3.0")), "syn-nodejs-5.2");
        assert_eq!(staying(Some("syn-nodejs-puppeteer-17.0")), "syn-nodejs-5.2");
        assert_eq!(staying(Some("syn-1.0")), "syn-nodejs-5.2");
        assert_eq!(
            newest(&choice, Some("syn-nodejs-4.0"), &all, now()).unwrap().to_string(),
            "syn-nodejs-5.2"
        );
    }

    #[test]
    fn one_that_is_named_is_kept_past_its_deprecation_but_not_begun_with() {
        let version: RuntimeVersion = "syn-nodejs-3.0".parse().unwrap();
        let choice = RuntimeChoice { wanted: Wanted::Exactly(version), field: "f" };
        let all = offered(&[("syn-nodejs-3.0", Some(-1)), ("syn-nodejs-5.2", None)]);
        assert_eq!(staying(&choice, Some("syn-nodejs-3.0"), &all, now()), Ok(version));
        assert!(staying(&choice, None, &all, now()).is_err());
        assert!(newest(&choice, Some("syn-nodejs-5.2"), &all, now()).is_err());
    }
}
