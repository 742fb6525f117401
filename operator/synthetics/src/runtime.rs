//! Runtime versions: which one a canary asks for, and which one it gets
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Canaries_Library.html>).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use tidewatch_crds::CanarySpec;
use tidewatch_crds::canary::Framework;

use crate::refusal::Refusal;

/// A family of runtimes: a language, and what drives the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    NodejsPuppeteer,
    NodejsPlaywright,
    /// Node.js without a browser.
    Nodejs,
    PythonSelenium,
    Java,
}

impl Family {
    const ALL: [Self; 5] =
        [Self::NodejsPuppeteer, Self::NodejsPlaywright, Self::Nodejs, Self::PythonSelenium, Self::Java];

    /// As AWS writes it, such as `syn-nodejs-puppeteer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodejsPuppeteer => "syn-nodejs-puppeteer",
            Self::NodejsPlaywright => "syn-nodejs-playwright",
            Self::Nodejs => "syn-nodejs",
            Self::PythonSelenium => "syn-python-selenium",
            Self::Java => "syn-java",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no family, or no version of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} isn't a runtime of CloudWatch Synthetics")]
pub struct UnknownRuntime(String);

impl FromStr for Family {
    type Err = UnknownRuntime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let family = Self::ALL.into_iter().find(|family| family.as_str() == text);
        family.ok_or_else(|| UnknownRuntime(text.to_owned()))
    }
}

/// A version of a runtime, such as `syn-nodejs-puppeteer-17.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuntimeVersion {
    pub family: Family,
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for RuntimeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", self.family, self.major, self.minor)
    }
}

impl FromStr for RuntimeVersion {
    type Err = UnknownRuntime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (family, number) = text.rsplit_once('-')?;
            let (major, minor) = number.split_once('.')?;
            Some(Self {
                family: family.parse().ok()?,
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        };
        parse().ok_or_else(|| UnknownRuntime(text.to_owned()))
    }
}

/// What a spec asks for, and where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeChoice {
    pub wanted: Wanted,
    /// The field that a refusal names.
    pub field: &'static str,
}

/// The newest version of a family that isn't deprecated, or one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Newest(Family),
    Exactly(RuntimeVersion),
}

/// A version that AWS offers, as DescribeRuntimeVersions tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    pub version: RuntimeVersion,
    pub released: Option<Timestamp>,
    /// From when on AWS makes no canary of it; it may lie ahead.
    pub deprecated: Option<Timestamp>,
}

impl Runtime {
    fn is_deprecated(&self, now: Timestamp) -> bool {
        self.deprecated.is_some_and(|date| date <= now)
    }
}

const OF_AWS: &str = "spec.aws.runtimeVersion";
const OF_SCRIPT: &str = "spec.script.runtime";
const LATEST: &str = "latest";

/// The first that runs multi-checks documents (CloudWatch_Synthetics_Canaries_MultiCheck_Blueprint).
const FIRST_OF_CHECKS: RuntimeVersion = RuntimeVersion { family: Family::Nodejs, major: 3, minor: 0 };

/// The runtime that `spec` asks for.
///
/// # Errors
/// When it names none, or one that can't run what the spec declares.
pub fn runtime(spec: &CanarySpec) -> Result<RuntimeChoice, Refusal> {
    if let Some(script) = &spec.script {
        return of_script(&script.runtime);
    }
    let asked = spec.aws.as_ref().map_or(LATEST, |aws| aws.runtime_version.as_str());
    let Some(heartbeat) = &spec.heartbeat else {
        let choice = pinned(asked, Family::Nodejs, "checks")?;
        return match choice.wanted {
            Wanted::Exactly(version) => runs_checks(version).map(|()| choice),
            Wanted::Newest(_) => Ok(choice),
        };
    };
    match heartbeat.framework {
        Framework::Puppeteer => pinned(asked, Family::NodejsPuppeteer, "a heartbeat by Puppeteer"),
        Framework::Playwright => pinned(asked, Family::NodejsPlaywright, "a heartbeat by Playwright"),
    }
}

fn of_script(text: &str) -> Result<RuntimeChoice, Refusal> {
    let family = text.parse().map(Wanted::Newest);
    let wanted = family.or_else(|_| text.parse().map(Wanted::Exactly)).map_err(|error: UnknownRuntime| {
        Refusal::new(
            OF_SCRIPT,
            format!("{error}: write a family such as syn-nodejs-puppeteer, or a version such as syn-nodejs-puppeteer-17.0"),
        )
    })?;
    Ok(RuntimeChoice { wanted, field: OF_SCRIPT })
}

fn pinned(text: &str, family: Family, what: &str) -> Result<RuntimeChoice, Refusal> {
    if text == LATEST {
        return Ok(RuntimeChoice { wanted: Wanted::Newest(family), field: OF_AWS });
    }
    let version: RuntimeVersion = text.parse().map_err(|error: UnknownRuntime| {
        Refusal::new(OF_AWS, format!("{error}: write latest, or a version of {family}"))
    })?;
    if version.family != family {
        return Err(Refusal::new(
            OF_AWS,
            format!("{what} can't run on {version}: write latest, or a version of {family}"),
        ));
    }
    Ok(RuntimeChoice { wanted: Wanted::Exactly(version), field: OF_AWS })
}

/// Whether `version` runs multi-checks documents.
pub(crate) fn runs_checks(version: RuntimeVersion) -> Result<(), Refusal> {
    if version.family == Family::Nodejs && version >= FIRST_OF_CHECKS {
        return Ok(());
    }
    Err(Refusal::new(
        OF_AWS,
        format!("checks can't run on {version}: write latest, or {FIRST_OF_CHECKS} or a later one"),
    ))
}

/// The version that `choice` gets of what AWS offers.
///
/// # Errors
/// When AWS offers none of its family, or not the one that is asked for, or that one is deprecated.
pub fn choose(
    choice: &RuntimeChoice,
    offered: &[Runtime],
    now: Timestamp,
) -> Result<RuntimeVersion, Refusal> {
    let family = match choice.wanted {
        Wanted::Newest(family) => family,
        Wanted::Exactly(version) => version.family,
    };
    let alive = offered.iter().filter(|it| it.version.family == family && !it.is_deprecated(now));
    let newest = alive.map(|it| it.version).max();
    let Wanted::Exactly(version) = choice.wanted else {
        return newest.ok_or_else(|| {
            Refusal::new(
                choice.field,
                format!("AWS offers no runtime of {family} here: choose another Region"),
            )
        });
    };
    let mend = || match newest {
        Some(newest) => format!("write {newest}"),
        None => "choose another Region".to_owned(),
    };
    match offered.iter().find(|it| it.version == version) {
        None => Err(Refusal::new(choice.field, format!("AWS doesn't offer {version} here: {}", mend()))),
        Some(found) if found.is_deprecated(now) => {
            Err(Refusal::new(choice.field, format!("AWS has deprecated {version}: {}", mend())))
        }
        Some(_) => Ok(version),
    }
}
