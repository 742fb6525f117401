//! Runtime versions: what DescribeRuntimeVersions tells, and what each family asks of its package
//! (AWS: CloudWatch_Synthetics_Canaries_Library, CloudWatch_Synthetics_Runtime_Support_Policy).

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Runtime {
    pub version_name: String,
    pub description: String,
    pub release_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<Timestamp>,
}

impl Runtime {
    pub(crate) fn deprecated(&self, now: Timestamp) -> bool {
        self.deprecation_date.is_some_and(|date| date <= now)
    }
}

/// What a name of a runtime says; `syn-nodejs-puppeteer-9.1` is puppeteer 9.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) family: Family,
    pub(crate) number: (u32, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Puppeteer,
    Playwright,
    Selenium,
    Java,
    /// Node.js without a browser, for API and multi-checks canaries.
    Node,
}

impl Version {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (family, number) = name.rsplit_once('-')?;
        let family = match family {
            "syn-nodejs-puppeteer" => Family::Puppeteer,
            "syn-nodejs-playwright" => Family::Playwright,
            "syn-python-selenium" => Family::Selenium,
            "syn-java" => Family::Java,
            "syn-nodejs" => Family::Node,
            _ => return None,
        };
        let (major, minor) = number.split_once('.')?;
        Some(Self { family, number: (major.parse().ok()?, minor.parse().ok()?) })
    }

    /// "multi-checks" needs syn-nodejs-3.0 or later (CloudWatch_Synthetics_Canaries_MultiCheck_Blueprint).
    pub(crate) fn runs_blueprints(self) -> bool {
        self.family == Family::Node && self.number >= (3, 0)
    }

    /// Which runtimes have dry runs (performing-safe-canary-upgrades).
    pub(crate) fn has_dry_runs(self) -> bool {
        let least = match self.family {
            Family::Puppeteer => (10, 0),
            Family::Playwright => (2, 0),
            Family::Selenium => (5, 1),
            Family::Node => (3, 0),
            Family::Java => return false,
        };
        self.number >= least
    }

    /// Which runtimes have replicas in other Regions (CloudWatch_Synthetics_MultiLocation).
    pub(crate) fn has_replicas(self) -> bool {
        match self.family {
            Family::Puppeteer => self.number >= (16, 0),
            Family::Playwright => self.number >= (7, 0),
            _ => false,
        }
    }

    pub(crate) fn traces(self) -> bool {
        matches!(self.family, Family::Puppeteer | Family::Java)
    }
}

/// Name, release and deprecation. The names are AWS's; dates of runtimes after 2025 are guesses that keep their order.
const KNOWN: [(&str, &str, Option<&str>); 22] = [
    ("syn-1.0", "2020-04-25", Some("2021-05-28")),
    ("syn-nodejs-2.2", "2020-10-30", Some("2021-05-28")),
    ("syn-nodejs-puppeteer-3.9", "2022-12-21", Some("2024-01-08")),
    ("syn-nodejs-puppeteer-5.2", "2023-10-17", Some("2024-03-08")),
    ("syn-nodejs-puppeteer-6.2", "2024-02-02", Some("2025-11-19")),
    ("syn-nodejs-puppeteer-7.0", "2024-03-08", Some("2025-11-19")),
    ("syn-nodejs-puppeteer-9.1", "2024-10-02", None),
    ("syn-nodejs-puppeteer-10.0", "2025-05-07", None),
    ("syn-nodejs-puppeteer-11.0", "2025-08-05", None),
    ("syn-nodejs-puppeteer-16.0", "2026-04-14", None),
    ("syn-nodejs-puppeteer-17.0", "2026-07-21", None),
    ("syn-nodejs-playwright-1.0", "2024-11-21", None),
    ("syn-nodejs-playwright-2.0", "2025-03-25", None),
    ("syn-nodejs-playwright-7.0", "2026-04-14", None),
    ("syn-nodejs-playwright-8.0", "2026-07-21", None),
    ("syn-python-selenium-3.0", "2024-03-12", Some("2026-02-03")),
    ("syn-python-selenium-5.1", "2025-03-13", None),
    ("syn-python-selenium-8.0", "2026-04-14", None),
    ("syn-java-1.0", "2025-11-19", None),
    ("syn-nodejs-3.0", "2025-10-14", None),
    ("syn-nodejs-4.0", "2026-02-24", None),
    ("syn-nodejs-5.2", "2026-08-11", None),
];

pub(crate) fn known() -> Vec<Runtime> {
    let midnight = |date: &str| {
        let date: Date = date.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let runtime = |(name, released, deprecated): (&str, &str, Option<&str>)| {
        Some(Runtime {
            version_name: name.to_owned(),
            description: format!("Dependencies of {name}"),
            release_date: midnight(released)?,
            deprecation_date: deprecated.and_then(midnight),
        })
    };
    KNOWN.into_iter().filter_map(runtime).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_runtime_has_its_dates_and_the_newer_ones_their_family() {
        let known = known();
        assert_eq!(known.len(), KNOWN.len());
        assert!(known.iter().all(|it| it.deprecation_date.is_none_or(|date| date > it.release_date)));
        let unnumbered: Vec<_> =
            known.iter().filter(|it| Version::parse(&it.version_name).is_none()).collect();
        assert_eq!(unnumbered.len(), 1, "{unnumbered:?}");
        let version = |name| Version::parse(name).unwrap();
        assert!(
            version("syn-nodejs-3.0").runs_blueprints()
                && !version("syn-nodejs-puppeteer-11.0").runs_blueprints()
        );
        assert!(version("syn-nodejs-puppeteer-10.0").has_dry_runs());
        assert!(!version("syn-nodejs-puppeteer-9.1").has_dry_runs());
        assert!(
            version("syn-nodejs-playwright-7.0").has_replicas() && !version("syn-nodejs-5.2").has_replicas()
        );
    }
}
