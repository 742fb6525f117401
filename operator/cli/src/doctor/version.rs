//! Versions of images and objects, and the distance between two.

use std::collections::BTreeMap;

use semver::Version;

/// Label that the chart puts on everything.
const LABEL: &str = "app.kubernetes.io/version";

/// The version of an image by its tag, else by the chart's label: a digest names none.
pub(super) fn of(image: Option<&str>, labels: Option<&BTreeMap<String, String>>) -> Option<Version> {
    let tag = image.filter(|image| !image.contains('@')).and_then(|image| image.rsplit_once(':'));
    let tagged = tag.and_then(|(_, tag)| Version::parse(tag.trim_start_matches('v')).ok());
    tagged.or_else(|| Version::parse(labels?.get(LABEL)?.trim_start_matches('v')).ok())
}

/// Number of minor versions that `this` is ahead of `other`, negative where it is behind. A major version counts as a
/// thousand.
pub(super) fn minors_ahead(this: &Version, other: &Version) -> i64 {
    let number = |version: &Version| {
        let (major, minor) = (i64::try_from(version.major), i64::try_from(version.minor));
        major.unwrap_or(i64::MAX).saturating_mul(1000).saturating_add(minor.unwrap_or(i64::MAX))
    };
    number(this).saturating_sub(number(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_tags_or_else_the_labels() {
        let labels = BTreeMap::from([(LABEL.to_owned(), "0.3.0".to_owned())]);
        let of = |image: &str| of(Some(image), Some(&labels)).map(|it| it.to_string());
        assert_eq!(of("example.com:5000/tidewatch:0.2.1").as_deref(), Some("0.2.1"));
        assert_eq!(of("example.com/tidewatch:v0.2.1").as_deref(), Some("0.2.1"));
        assert_eq!(of("example.com/tidewatch:latest").as_deref(), Some("0.3.0"));
        assert_eq!(of("example.com/tidewatch:0.1.0@sha256:00").as_deref(), Some("0.3.0"));
        assert_eq!(super::of(Some("a:b"), None), None);
    }

    #[test]
    fn versions_are_apart_by_minors() {
        let ahead = |a: &str, b: &str| minors_ahead(&Version::parse(a).unwrap(), &Version::parse(b).unwrap());
        assert_eq!(ahead("0.3.0", "0.1.9"), 2);
        assert_eq!(ahead("0.1.0", "0.2.0"), -1);
        assert!(ahead("1.0.0", "0.9.0") > 1);
    }
}
