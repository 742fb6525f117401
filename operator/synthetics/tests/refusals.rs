//! What AWS can't run of heartbeats, scripts, runtimes and environments: the field that is named, and what to write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic fails the test, as it should"
)]

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidewatch_crds::CanarySpec;
use tidewatch_synthetics::{Refusal, Runtime, choose, package, run_timeout, runtime};

const PAGE: &str = "urls: ['https://a.example/']";
const PUPPETEER: &str = "syn-nodejs-puppeteer-17.0";
const SCRIPT: &str = "runtime: syn-nodejs-puppeteer, configMapRef: {name: shop}";

/// The runtime, the spec (PAGE and SCRIPT stand for the constants), the field, the mend.
const HEARTBEATS: &[(&str, &str, &str, &str)] = &[
    (PUPPETEER, "{heartbeat: {urls: []}}", "spec.heartbeat.urls", "at least one URL"),
    (
        PUPPETEER,
        "{heartbeat: {urls: ['https://a:99999/']}}",
        "spec.heartbeat.urls[0]",
        "its port isn't a number",
    ),
    (
        PUPPETEER,
        "{heartbeat: {urls: ['https://a/', 'https://u:p@b/']}}",
        "spec.heartbeat.urls[1]",
        "which doesn't belong into an address",
    ),
    (
        PUPPETEER,
        "{heartbeat: {urls: ['file:///etc/passwd']}}",
        "spec.heartbeat.urls[0]",
        "only http and https",
    ),
    (PUPPETEER, "{heartbeat: {urls: [shop.example.com]}}", "spec.heartbeat.urls[0]", "with its scheme"),
    (PUPPETEER, "{heartbeat: {urls: [\"https://a/?\\nb\"]}}", "spec.heartbeat.urls[0]", "line breaks"),
    (PUPPETEER, "{heartbeat: {PAGE, pageTimeout: 50s}}", "spec.heartbeat.pageTimeout", "write 45s or less"),
    (
        PUPPETEER,
        "{heartbeat: {PAGE, pageTimeout: soon}}",
        "spec.heartbeat.pageTimeout",
        "a number and a unit",
    ),
    (
        PUPPETEER,
        "{timeout: 14m, schedule: {every: 1h}, heartbeat: {PAGE, pageTimeout: 6m}}",
        "spec.heartbeat.pageTimeout",
        "1s to 5m",
    ),
    (PUPPETEER, "{timeout: 10s, heartbeat: {PAGE}}", "spec.timeout", "write 20s or more"),
    (PUPPETEER, "{timeout: 15m, schedule: {every: 1h}, heartbeat: {PAGE}}", "spec.timeout", "from 3s to 14m"),
    (
        PUPPETEER,
        "{timeout: 2m, schedule: {every: 1m}, heartbeat: {PAGE}}",
        "spec.timeout",
        "before the next begins",
    ),
    (
        "syn-nodejs-playwright-8.0",
        "{heartbeat: {PAGE}}",
        "spec.heartbeat.framework",
        "needs a runtime of syn-nodejs-puppeteer",
    ),
    (
        PUPPETEER,
        "{heartbeat: {PAGE}, checks: [{name: a, tcp: {host: a, port: 1}}]}",
        "spec",
        "exactly one of checks, heartbeat or script",
    ),
];

/// The runtime, what spec.script has beside SCRIPT, the ConfigMap's keys, the field, the mend.
const SCRIPTS: &[(&str, &str, &[&str], &str, &str)] = &[
    (
        PUPPETEER,
        "handler: index.handler",
        &["main.js", "README"],
        "spec.script.handler",
        "no key index.js or index.mjs, only README, main.js: or write main.handler, rename the key",
    ),
    (
        PUPPETEER,
        "handler: index.handler",
        &[],
        "spec.script.handler",
        "the ConfigMap is empty: add a key index.js",
    ),
    (PUPPETEER, "handler: shop/index.handler", &["index.js"], "spec.script.handler", "have no folders"),
    (
        PUPPETEER,
        "handler: index",
        &["index.js"],
        "spec.script.handler",
        "file and function, such as index.handler",
    ),
    (PUPPETEER, "handler: 'shop.Index::run'", &["index.js"], "spec.script.handler", "such as index.handler"),
    (
        PUPPETEER,
        "handler: index.handler",
        &["index.js", "../x"],
        "spec.script.configMapRef",
        "isn't the name of a file",
    ),
    (
        PUPPETEER,
        "handler: index.handler",
        &["index.js", "/x"],
        "spec.script.configMapRef",
        "isn't the name of a file",
    ),
    (
        PUPPETEER,
        "handler: index.handler",
        &["index.js", "."],
        "spec.script.configMapRef",
        "isn't the name of a file",
    ),
    (
        PUPPETEER,
        "handler: index.handler",
        &["index.js", "a\\b"],
        "spec.script.configMapRef",
        "isn't the name of a file",
    ),
    (
        "syn-nodejs-puppeteer-10.0",
        "handler: index.handler",
        &["index.mjs"],
        "spec.script.handler",
        "no key index.js, only index.mjs",
    ),
    (
        "syn-python-selenium-8.0",
        "handler: index.handler",
        &["index.js"],
        "spec.script.handler",
        "no key index.py, only index.js",
    ),
    (
        "syn-nodejs-playwright-8.0",
        "handler: index.handler",
        &["index.js", "synthetics.json"],
        "spec.script.configMapRef",
        "synthetics.json isn't a JSON object",
    ),
    ("syn-java-1.0", "handler: 'shop.Canary::run'", &["shop.jar"], "spec.script.configMapRef", "into S3"),
];

/// The spec, the field, the mend.
const RUNTIMES: &[(&str, &str, &str)] = &[
    (
        "{script: {runtime: syn-cobol, handler: a.b, configMapRef: {name: a}}}",
        "spec.script.runtime",
        "write a family such as syn-nodejs-puppeteer",
    ),
    (
        "{script: {runtime: syn-nodejs-puppeteer-17, handler: a.b, configMapRef: {name: a}}}",
        "spec.script.runtime",
        "a version such as syn-nodejs-puppeteer-17.0",
    ),
    (
        "{CHECKS, aws: {AWS, runtimeVersion: syn-nodejs-2.2}}",
        "spec.aws.runtimeVersion",
        "syn-nodejs-3.0 or a later",
    ),
    ("{CHECKS, aws: {AWS, runtimeVersion: newest}}", "spec.aws.runtimeVersion", "write latest"),
    (
        "{CHECKS, aws: {AWS, runtimeVersion: syn-nodejs-puppeteer-17.0}}",
        "spec.aws.runtimeVersion",
        "checks can't run on syn-nodejs-puppeteer-17.0",
    ),
    (
        "{heartbeat: {PAGE}, aws: {AWS, runtimeVersion: syn-nodejs-playwright-8.0}}",
        "spec.aws.runtimeVersion",
        "a heartbeat by Puppeteer can't run on syn-nodejs-playwright-8.0",
    ),
    (
        "{heartbeat: {PAGE, framework: Playwright}, aws: {AWS, runtimeVersion: syn-nodejs-5.2}}",
        "spec.aws.runtimeVersion",
        "a heartbeat by Playwright can't run on syn-nodejs-5.2",
    ),
];

/// A version, and since when it is deprecated.
type Offer = (&'static str, Option<&'static str>);

/// What AWS offers, the spec, the field, the mend.
const OFFERS: &[(&[Offer], &str, &str, &str)] = &[
    (
        &[("syn-nodejs-5.2", None)],
        "{heartbeat: {PAGE}}",
        "spec.aws.runtimeVersion",
        "no runtime of syn-nodejs-puppeteer here",
    ),
    (
        &[("syn-nodejs-puppeteer-7.0", Some("2025-11-19T00:00:00Z"))],
        "{script: {SCRIPT, handler: a.b}}",
        "spec.script.runtime",
        "no runtime of syn-nodejs-puppeteer here",
    ),
    (
        &[("syn-nodejs-3.0", None), ("syn-nodejs-5.2", None)],
        "{CHECKS, aws: {AWS, runtimeVersion: syn-nodejs-4.0}}",
        "spec.aws.runtimeVersion",
        "AWS doesn't offer syn-nodejs-4.0 here: write syn-nodejs-5.2",
    ),
    (
        &[("syn-nodejs-3.0", Some("2026-01-01T00:00:00Z")), ("syn-nodejs-5.2", None)],
        "{CHECKS, aws: {AWS, runtimeVersion: syn-nodejs-3.0}}",
        "spec.aws.runtimeVersion",
        "AWS has deprecated syn-nodejs-3.0: write syn-nodejs-5.2",
    ),
];

const ENVIRONMENTS: &[(&str, &str, &str)] = &[
    (
        "{heartbeat: {PAGE}, aws: {AWS, env: {TIDEWATCH_URLS: a}}}",
        "spec.aws.env[TIDEWATCH_URLS]",
        "write another",
    ),
    ("{CHECKS, aws: {AWS, env: {AWS_REGION: a}}}", "spec.aws.env[AWS_REGION]", "none of Lambda's own names"),
    (
        "{CHECKS, aws: {AWS, env: {LAMBDA_TASK_ROOT: a}}}",
        "spec.aws.env[LAMBDA_TASK_ROOT]",
        "none of Lambda's own",
    ),
    ("{CHECKS, aws: {AWS, env: {_X: a}}}", "spec.aws.env[_X]", "write a letter"),
    ("{CHECKS, aws: {AWS, env: {a-b: a}}}", "spec.aws.env[a-b]", "write a letter"),
];

fn written(text: &str) -> CanarySpec {
    let text = text
        .replace("PAGE", PAGE)
        .replace("SCRIPT", SCRIPT)
        .replace("CHECKS", "checks: [{name: a, tcp: {host: a, port: 1}}]")
        .replace("{AWS,", "{executionRoleArn: r, artifacts: 's3://a',");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn packaged(runtime: &str, spec: &CanarySpec, keys: &[&str]) -> Vec<Refusal> {
    let files: BTreeMap<String, Vec<u8>> =
        keys.iter().map(|key| ((*key).to_owned(), b"x".to_vec())).collect();
    package(spec, &runtime.parse().unwrap(), Some(&files)).err().unwrap_or_default()
}

fn one(refused: &[Refusal], field: &str, mend: &str, case: &str) {
    assert_eq!(refused.len(), 1, "{case}: {refused:?}");
    assert_eq!(refused[0].field, field, "{case}: {refused:?}");
    assert!(refused[0].mend.contains(mend), "{case}: {refused:?}");
}

#[test]
fn heartbeats_that_can_t_run_are_refused() {
    for (runtime, text, field, mend) in HEARTBEATS {
        one(&packaged(runtime, &written(text), &[]), field, mend, text);
    }
}

#[test]
fn eleven_pages_and_addresses_beyond_four_kilobytes_are_refused() {
    let many = |pages: usize, length: usize| {
        let urls: Vec<String> =
            (0..pages).map(|n| format!("https://a.example/{n}{}", "x".repeat(length))).collect();
        packaged(PUPPETEER, &written(&format!("{{timeout: 4m, heartbeat: {{urls: {urls:?}}}}}")), &[])
    };
    one(&many(11, 0), "spec.heartbeat.urls", "a run loads 10: write two canaries", "eleven");
    one(&many(10, 500), "spec.heartbeat.urls", "AWS takes 4096: write shorter addresses", "long ones");
    assert_eq!(many(10, 300), []);
}

#[test]
fn scripts_that_can_t_run_are_refused() {
    for (runtime, text, keys, field, mend) in SCRIPTS {
        let spec = written(&format!("{{script: {{SCRIPT, {text}}}}}"));
        one(&packaged(runtime, &spec, keys), field, mend, &format!("{runtime} {text} {keys:?}"));
    }
}

#[test]
fn a_config_map_that_isn_t_there_or_is_too_large_is_refused() {
    let spec = written("{script: {SCRIPT, handler: index.handler}}");
    let runtime = PUPPETEER.parse().unwrap();
    let missing = package(&spec, &runtime, None).unwrap_err();
    one(&missing, "spec.script.configMapRef", "there is no ConfigMap shop: create it", "missing");
    // What doesn't pack.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let files = BTreeMap::from([("index.js".to_owned(), noise.take(300_000).collect())]);
    let large = package(&spec, &runtime, Some(&files)).unwrap_err();
    one(&large, "spec.script.configMapRef", "AWS takes less than 225000: put the zip file into S3", "large");
}

#[test]
fn runtimes_that_can_t_run_a_spec_are_refused() {
    for (text, field, mend) in RUNTIMES {
        one(&[runtime(&written(text)).expect_err(text)], field, mend, text);
    }
}

#[test]
fn runtimes_that_aws_doesn_t_offer_are_refused_with_the_newest() {
    let now: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
    for (offers, text, field, mend) in OFFERS {
        let offered: Vec<Runtime> =
            offers.iter().map(|(name, deprecated)| offer(name, *deprecated)).collect();
        let choice = runtime(&written(text)).unwrap();
        one(&[choose(&choice, &offered, now).expect_err(text)], field, mend, text);
    }
}

fn offer(name: &str, deprecated: Option<&str>) -> Runtime {
    Runtime {
        version: name.parse().unwrap(),
        released: None,
        deprecated: deprecated.map(|date| date.parse().unwrap()),
    }
}

#[test]
fn the_newest_version_that_isn_t_deprecated_is_taken() {
    let now: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
    let offered = [
        offer("syn-nodejs-puppeteer-9.1", None),
        offer("syn-nodejs-puppeteer-10.0", None),
        offer("syn-nodejs-puppeteer-17.0", Some("2026-01-01T00:00:00Z")),
        // It still counts: its day lies ahead.
        offer("syn-nodejs-puppeteer-16.2", Some("2027-01-01T00:00:00Z")),
        offer("syn-nodejs-playwright-8.0", None),
        offer("syn-nodejs-5.2", None),
    ];
    for (text, expected) in [
        ("{heartbeat: {PAGE}}", "syn-nodejs-puppeteer-16.2"),
        ("{heartbeat: {PAGE, framework: Playwright}}", "syn-nodejs-playwright-8.0"),
        ("{CHECKS}", "syn-nodejs-5.2"),
        ("{script: {SCRIPT, handler: a.b}}", "syn-nodejs-puppeteer-16.2"),
        (
            "{heartbeat: {PAGE}, aws: {AWS, runtimeVersion: syn-nodejs-puppeteer-9.1}}",
            "syn-nodejs-puppeteer-9.1",
        ),
    ] {
        let choice = runtime(&written(text)).unwrap();
        assert_eq!(choose(&choice, &offered, now).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn environments_that_aws_doesn_t_take_are_refused() {
    for (text, field, mend) in ENVIRONMENTS {
        let spec = written(text);
        let runtime = if spec.heartbeat.is_some() { PUPPETEER } else { "syn-nodejs-5.2" };
        one(&packaged(runtime, &spec, &[]), field, mend, text);
    }
    let long = format!("{{CHECKS, aws: {{AWS, env: {{LONG: {}}}}}}}", "x".repeat(4096));
    one(&packaged("syn-nodejs-5.2", &written(&long), &[]), "spec.aws.env", "write shorter values", "long");
}

#[test]
fn a_run_s_time_is_what_the_spec_says_or_a_minute_or_the_interval() {
    for (text, seconds) in [
        ("{CHECKS}", 60),
        ("{CHECKS, schedule: {every: 30s}}", 30),
        ("{CHECKS, schedule: {cron: '0 9 * * *'}}", 60),
        ("{CHECKS, timeout: 14m, schedule: {every: 1h}}", 840),
    ] {
        assert_eq!(run_timeout(&written(text)).unwrap().as_secs(), seconds, "{text}");
    }
}
