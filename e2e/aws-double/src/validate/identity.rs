//! What identifies a metric (AWS: API_Dimension; API_PutMetricData, Namespace), and names of time zones.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::{Verdict, ensure};
use crate::state::Dimension;

/// A metric's namespace and name, where they are given, and its dimensions: each once, all in ASCII without control
/// characters, "at least one non-whitespace character".
pub(crate) fn metric(namespace: Option<&str>, name: Option<&str>, dimensions: &[Dimension]) -> Verdict {
    for (member, text) in [("Namespace", namespace), ("MetricName", name)] {
        ensure(text.is_none_or(is_plain), || {
            format!("{member} must contain only ASCII characters: {}", text.unwrap_or_default())
        })?;
    }
    let mut seen = BTreeSet::new();
    for Dimension { name, value } in dimensions {
        ensure(seen.insert(name), || format!("Dimension {name} is given twice"))?;
        ensure(!name.starts_with(':'), || format!("Dimension {name} must not begin with a colon"))?;
        ensure(is_plain(name) && is_plain(value), || {
            format!("Dimension {name} must contain only ASCII characters: {value}")
        })?;
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) && text.chars().any(|c| c != ' ')
}

/// "use the name of the time zone as specified in the standard tz database" (AnomalyDetectorConfiguration).
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok()?;
    (name == "UTC" || zone.iana_name() == Some(name)).then_some(zone)
}
