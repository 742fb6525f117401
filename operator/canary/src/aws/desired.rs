//! From the spec to what should be in AWS. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidewatch_aws::synthetics::types::{
    CanaryConfig, CanaryParts, CanarySeen, Code, Encryption, Entry, Field, RunConfig, Schedule, Vpc,
};
use tidewatch_aws::types::Tags;
use tidewatch_crds::canary::{AwsSpec, ScriptSpec, Tracing};
use tidewatch_crds::{Canary, CanarySpec, parse_duration};
use tidewatch_managed::owner::{Owner, SPEC_HASH};
use tidewatch_managed::{Shared, short_hash};
use tidewatch_synthetics as synthetics;
use tidewatch_synthetics::{Family, Refusal, Runtime, RuntimeVersion};

use super::place::{Place, Wanted, aws};
use super::reason::Problem;
use super::runs::Runs;
use super::{runtime, schedule};

/// Hashes of what AWS doesn't tell again.
pub(super) const CODE_HASH: &str = "tidewatch.dev/code-hash";
pub(super) const ENVIRONMENT_HASH: &str = "tidewatch.dev/environment-hash";

/// What the operator asks for where the spec doesn't: AWS's own 1000 isn't a multiple of 64, so that nobody could go back
/// to it.
const MEMORY_MB: i32 = 1024;
const EPHEMERAL_STORAGE_MB: i32 = 1024;
const MINUTE_SECONDS: u64 = 60;
const MULTI_CHECKS: &str = "multi-checks";

/// What should be in AWS.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Desired {
    pub place: Place,
    pub parts: CanaryParts,
    /// The user's, the owner's, and the hashes.
    pub tags: Tags,
    /// Those of the owner's alone: what is taken over gets them before it is changed.
    pub ownership: Tags,
    pub adopts: bool,
    pub running: bool,
    /// The hash of what it would be on the runtime that it is on.
    pub stands_as: String,
    pub runs: Runs,
    /// When AWS deprecates its runtime, where that is known.
    pub runtime_deprecation: Option<Timestamp>,
}

/// What it takes besides the object itself.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    pub offered: &'a [Runtime],
    /// The files of the script's ConfigMap.
    pub script: Option<&'a BTreeMap<String, Vec<u8>>>,
    /// The runtime that the canary is on now.
    pub current: Option<&'a str>,
    pub now: Timestamp,
}

/// Whether a canary that could stay on its runtime does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefer {
    Staying,
    Newest,
}

impl Desired {
    /// What should be there for `canary`, or why that can't be told.
    pub(super) fn new(
        canary: &Canary,
        wanted: &Wanted,
        facts: &Facts<'_>,
        prefer: Prefer,
    ) -> Result<Self, Problem> {
        let spec = &canary.spec;
        let aws = aws(canary)?;
        let choice = synthetics::runtime(spec).map_err(|refusal| refused(&[refusal]))?;
        let choose = match prefer {
            Prefer::Staying => runtime::staying,
            Prefer::Newest => runtime::newest,
        };
        let version = choose(&choice, facts.current, facts.offered, facts.now)
            .map_err(|refusal| refused(&[refusal]))?;
        let (config, Content { code, code_hash, environment, .. }) = config(spec, aws, version, facts.script)
            .map_err(|refused| Problem::new(Shared::InvalidSpec, refused.join("; ")))?;
        let runs = Runs {
            max_retries: spec.retries.into(),
            names: named_in_reasons(spec),
            interval: schedule::interval(&spec.schedule),
        };
        let parts = CanaryParts { name: wanted.place.name.clone(), config, code, environment };
        let deprecation = facts.offered.iter().find(|it| it.version == version).and_then(|it| it.deprecated);
        let tags = tags(canary, &parts, &code_hash);
        Ok(Self {
            place: wanted.place.clone(),
            stands_as: tags.get(SPEC_HASH).cloned().unwrap_or_default(),
            tags,
            ownership: owner(canary).tags(&Tags::new()),
            parts,
            adopts: wanted.adopts,
            running: !spec.suspend,
            runs,
            runtime_deprecation: deprecation,
        })
    }

    pub(super) fn hash(&self) -> &str {
        self.tags.get(SPEC_HASH).map(String::as_str).unwrap_or_default()
    }

    /// The tags without the hashes of what was written.
    pub(super) fn tags_without_hashes(&self) -> Tags {
        let mut tags = self.tags.clone();
        tags.retain(|key, _| ![SPEC_HASH, CODE_HASH, ENVIRONMENT_HASH].contains(&key.as_str()));
        tags
    }

    /// The fields in which what is there differs. `written` are those that were written since its tags were: of some, AWS
    /// doesn't tell what they are.
    pub(super) fn differing(&self, there: &CanarySeen, written: &BTreeSet<Field>) -> BTreeSet<Field> {
        let (wanted, is) = (&self.parts.config, &there.config);
        let untold = |field: Field, hash: &str| {
            !written.contains(&field) && there.tags.get(hash) != self.tags.get(hash)
        };
        let differs = |field: &Field| match field {
            Field::Role => wanted.role != is.role,
            Field::Artifacts => wanted.artifacts != is.artifacts,
            Field::Encryption => wanted.encryption != is.encryption,
            Field::Runtime => wanted.runtime != is.runtime,
            Field::Code => wanted.entry != is.entry || untold(Field::Code, CODE_HASH),
            Field::Schedule => wanted.schedule != is.schedule,
            Field::Run => wanted.run != is.run || untold(Field::Run, ENVIRONMENT_HASH),
            Field::SuccessDays => wanted.success_days != is.success_days,
            Field::FailureDays => wanted.failure_days != is.failure_days,
            Field::Vpc => wanted.vpc != is.vpc,
            Field::Cleanup => wanted.cleans_up != is.cleans_up,
        };
        Field::ALL.into_iter().filter(differs).collect()
    }
}

fn refused(refusals: &[Refusal]) -> Problem {
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    Problem::new(Shared::InvalidSpec, sentences.join("; "))
}

/// "ActiveTracing … for canaries that use the syn-nodejs-2.0 or later runtime" of Puppeteer, and of Java
/// (CloudWatch_Synthetics_Canaries_tracing); AWS refuses it with the others.
fn untraceable(spec: &CanarySpec, version: RuntimeVersion) -> Option<String> {
    if spec.tracing == Tracing::Off || matches!(version.family, Family::NodejsPuppeteer | Family::Java) {
        return None;
    }
    Some(format!(
        "spec.tracing: AWS traces what runs on Puppeteer or Java, and this canary runs on {version}: leave tracing out, or write provider: Embedded for checks"
    ))
}

/// What the canary runs.
struct Content {
    entry: Entry,
    code: Code,
    code_hash: String,
    environment: BTreeMap<String, String>,
}

fn content(
    spec: &CanarySpec,
    version: RuntimeVersion,
    script: Option<&BTreeMap<String, Vec<u8>>>,
) -> Result<Content, Vec<String>> {
    let sentences = |refusals: Vec<Refusal>| refusals.iter().map(ToString::to_string).collect::<Vec<_>>();
    if let Some(ScriptSpec { handler, s3: Some(s3), .. }) = &spec.script {
        let handled = synthetics::handler(handler, &version).map_err(|refusal| vec![refusal]);
        let environment = both(handled.map_err(sentences), synthetics::environment(spec).map_err(sentences));
        let (_, environment) = environment?;
        let code_hash = short_hash(format!("{s3:?}").as_bytes());
        let code = Code::S3 { bucket: s3.bucket.clone(), key: s3.key.clone(), version: s3.version.clone() };
        return Ok(Content { entry: Entry::Handler(handler.clone()), code, code_hash, environment });
    }
    let package = synthetics::package(spec, &version, script).map_err(sentences)?;
    let archive = synthetics::archive(&package.files).map_err(|error| vec![error.to_string()])?;
    let entry = match package.entry {
        synthetics::Entry::Handler(handler) => Entry::Handler(handler),
        synthetics::Entry::MultiChecks => Entry::Blueprints(vec![MULTI_CHECKS.to_owned()]),
    };
    let code = Code::Zip(archive.bytes);
    Ok(Content { entry, code, code_hash: archive.hash, environment: package.environment })
}

/// Both, or all that is wrong with either.
fn both<A, B>(first: Result<A, Vec<String>>, second: Result<B, Vec<String>>) -> Result<(A, B), Vec<String>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => Err([first.err(), second.err()].into_iter().flatten().flatten().collect()),
    }
}

/// The configuration and what it runs, or every field that AWS can't run.
fn config(
    spec: &CanarySpec,
    aws: &AwsSpec,
    version: RuntimeVersion,
    script: Option<&BTreeMap<String, Vec<u8>>>,
) -> Result<(CanaryConfig, Content), Vec<String>> {
    let tracing =
        untraceable(spec, version).map_or(Ok(spec.tracing == Tracing::Active), |mend| Err(vec![mend]));
    let expression = schedule::expression(&spec.schedule).map_err(|mend| vec![mend]);
    let timing = both(expression, timeout_seconds(spec).map_err(|mend| vec![mend]));
    let ((expression, timeout_seconds), (tracing, content)) =
        both(timing, both(tracing, content(spec, version, script)))?;
    let config = CanaryConfig {
        role: aws.execution_role_arn.clone(),
        artifacts: aws.artifacts.trim_start_matches("s3://").trim_end_matches('/').to_owned(),
        encryption: aws.encryption.as_ref().map(|encryption| match &encryption.kms_key_arn {
            Some(arn) => Encryption::Kms(arn.clone()),
            None => Encryption::S3,
        }),
        runtime: version.to_string(),
        entry: content.entry.clone(),
        schedule: Schedule { expression, max_retries: spec.retries.into(), duration_seconds: 0 },
        run: RunConfig {
            timeout_seconds,
            memory_mb: aws.memory.unwrap_or(MEMORY_MB),
            ephemeral_storage_mb: aws.ephemeral_storage.unwrap_or(EPHEMERAL_STORAGE_MB),
            tracing,
        },
        success_days: aws.retention.success_days,
        failure_days: aws.retention.failure_days,
        vpc: aws.vpc.as_ref().map(|vpc| Vpc {
            subnets: vpc.subnet_ids.iter().cloned().collect(),
            security_groups: vpc.security_group_ids.iter().cloned().collect(),
            ipv6: vpc.ipv6,
        }),
        cleans_up: true,
    };
    Ok((config, content))
}

fn timeout_seconds(spec: &CanarySpec) -> Result<i32, String> {
    let seconds = |text: &str| parse_duration(text).map(|duration| duration.as_secs());
    let seconds = match (&spec.timeout, &spec.schedule.every) {
        (Some(timeout), _) => seconds(timeout),
        (None, Some(every)) => seconds(every).map(|interval| interval.min(MINUTE_SECONDS)),
        (None, None) => Ok(MINUTE_SECONDS),
    };
    let seconds = seconds.map_err(|error| format!("spec.timeout: {error}"))?;
    Ok(i32::try_from(seconds).unwrap_or(i32::MAX))
}

/// What AWS's words about a failed run may have in them.
fn named_in_reasons(spec: &CanarySpec) -> Vec<String> {
    let checks = spec.checks.iter().flatten().map(|check| check.name.clone());
    let pages = spec.heartbeat.iter().flat_map(|heartbeat| heartbeat.urls.iter().cloned());
    checks.chain(pages).collect()
}

fn tags(canary: &Canary, parts: &CanaryParts, code_hash: &str) -> Tags {
    let environment = short_hash(format!("{:?}", parts.environment).as_bytes());
    let spec = short_hash(format!("{:?} {code_hash} {environment}", parts.config).as_bytes());
    let mut tags = owner(canary).tags(&canary.spec.tags);
    for (key, value) in
        [(CODE_HASH, code_hash.to_owned()), (ENVIRONMENT_HASH, environment), (SPEC_HASH, spec)]
    {
        tags.insert(key.to_owned(), value);
    }
    tags
}

/// Whose an object's canaries are.
pub(super) fn owner(canary: &Canary) -> Owner<'_> {
    Owner::of("Canary", &canary.metadata)
}
