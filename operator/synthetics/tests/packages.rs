//! Packages hold against the double's reading of what each runtime can run, which was written apart from the packaging.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic fails the test, as it should"
)]

use std::collections::BTreeMap;

use tidewatch_aws_double::package_defect;
use tidewatch_crds::CanarySpec;
use tidewatch_synthetics::{Entry, Package, RuntimeVersion, archive, package};

const HEARTBEAT: &str = "heartbeat: {urls: ['https://a.example/', 'https://b.example/?q=1']}";
const PLAYWRIGHT: &str = "heartbeat: {framework: Playwright, urls: ['https://a.example/']}";

/// The runtime, the spec, the ConfigMap's keys, the paths of the archive.
const GOOD: &[(&str, &str, &[&str], &[&str])] = &[
    ("syn-nodejs-3.0", "checks: [{name: a, tcp: {host: a, port: 1}}]", &[], &["blueprint-config.json"]),
    (
        "syn-nodejs-puppeteer-9.1",
        HEARTBEAT,
        &[],
        &["nodejs/node_modules/heartbeat.js", "nodejs/node_modules/pages.js"],
    ),
    (
        "syn-nodejs-puppeteer-10.0",
        HEARTBEAT,
        &[],
        &["nodejs/node_modules/heartbeat.js", "nodejs/node_modules/pages.js"],
    ),
    ("syn-nodejs-puppeteer-11.0", HEARTBEAT, &[], &["heartbeat.js", "pages.js"]),
    ("syn-nodejs-puppeteer-17.0", HEARTBEAT, &[], &["heartbeat.js", "pages.js"]),
    ("syn-nodejs-playwright-1.0", PLAYWRIGHT, &[], &["heartbeat.js", "pages.js", "synthetics.json"]),
    ("syn-nodejs-playwright-8.0", PLAYWRIGHT, &[], &["heartbeat.js", "pages.js", "synthetics.json"]),
    (
        "syn-nodejs-puppeteer-10.0",
        "script: {runtime: syn-nodejs-puppeteer, handler: index.handler, configMapRef: {name: s}}",
        &["index.js", "lib.js"],
        &["nodejs/node_modules/index.js", "nodejs/node_modules/lib.js"],
    ),
    (
        "syn-nodejs-puppeteer-17.0",
        "script: {runtime: syn-nodejs-puppeteer, handler: index.handler, configMapRef: {name: s}}",
        &["index.mjs"],
        &["index.mjs"],
    ),
    (
        "syn-nodejs-puppeteer-17.0",
        "script: {runtime: syn-nodejs-puppeteer, handler: shop/index.v2.handler, configMapRef: {name: s}}",
        &["shop/index.v2.js", ".settings"],
        &[".settings", "shop/index.v2.js"],
    ),
    (
        "syn-nodejs-playwright-8.0",
        "script: {runtime: syn-nodejs-playwright, handler: index.handler, configMapRef: {name: s}}",
        &["index.js"],
        &["index.js", "synthetics.json"],
    ),
    (
        "syn-nodejs-playwright-8.0",
        "script: {runtime: syn-nodejs-playwright, handler: shop/index.handler, configMapRef: {name: s}}",
        &["shop/index.js"],
        &["shop/index.js", "shop/synthetics.json"],
    ),
    (
        "syn-nodejs-5.2",
        "script: {runtime: syn-nodejs, handler: index.handler, configMapRef: {name: s}}",
        &["index.js"],
        &["index.js"],
    ),
    (
        "syn-python-selenium-8.0",
        "script: {runtime: syn-python-selenium, handler: shop.check, configMapRef: {name: s}}",
        &["shop.py", "lib.py"],
        &["python/lib.py", "python/shop.py"],
    ),
];

fn spec(text: &str) -> CanarySpec {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn config_map(keys: &[&str]) -> BTreeMap<String, Vec<u8>> {
    keys.iter().map(|key| ((*key).to_owned(), b"{}".to_vec())).collect()
}

fn packed(runtime: &str, text: &str, keys: &[&str]) -> Package {
    let runtime: RuntimeVersion = runtime.parse().unwrap();
    package(&spec(text), &runtime, Some(&config_map(keys)))
        .unwrap_or_else(|refused| panic!("{runtime} {text}: {refused:?}"))
}

#[test]
fn every_runtime_finds_what_it_begins_with() {
    for (runtime, text, keys, paths) in GOOD {
        let package = packed(runtime, text, keys);
        let found: Vec<&str> = package.files.keys().map(String::as_str).collect();
        assert_eq!(found, *paths, "{runtime} {text}");
        let handler = match &package.entry {
            Entry::Handler(handler) => Some(handler.as_str()),
            Entry::MultiChecks => None,
        };
        let bytes = archive(&package.files).unwrap().bytes;
        let defect = package_defect(runtime, handler, &bytes);
        assert_eq!(defect, None, "{runtime} {text}");
    }
}

#[test]
fn a_package_is_the_same_bytes_each_time_and_its_addresses_are_no_part_of_it() {
    let hash = |text: &str| archive(&packed("syn-nodejs-puppeteer-17.0", text, &[]).files).unwrap();
    assert_eq!(hash(HEARTBEAT), hash(HEARTBEAT));
    assert_eq!(hash(HEARTBEAT).hash, hash("heartbeat: {urls: ['https://c.example/']}").hash);
}

#[test]
fn a_heartbeat_s_settings_are_in_its_environment_beside_the_user_s() {
    let text = "
timeout: 2m
heartbeat: {urls: ['https://a.example/', 'https://b.example/?q=\"1\"'], pageTimeout: 20s, screenshot: false}
aws: {executionRoleArn: r, artifacts: 's3://a', env: {LOG_LEVEL: debug}}
";
    let expected = [
        ("LOG_LEVEL", "debug"),
        ("TIDEWATCH_BUDGET_MS", "105000"),
        ("TIDEWATCH_PAGE_TIMEOUT_MS", "20000"),
        ("TIDEWATCH_SCREENSHOT", "false"),
        ("TIDEWATCH_URLS", r#"["https://a.example/","https://b.example/?q=\"1\""]"#),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(packed("syn-nodejs-puppeteer-17.0", text, &[]).environment, expected.into());
}

#[test]
fn settings_of_the_user_s_own_stay_as_they_are() {
    let text = "script: {runtime: syn-nodejs-playwright, handler: index.handler, configMapRef: {name: s}}";
    let runtime = "syn-nodejs-playwright-8.0".parse().unwrap();
    let mut files = config_map(&["index.js"]);
    files.insert("synthetics.json".to_owned(), br#"{"har": false}"#.to_vec());
    let package = package(&spec(text), &runtime, Some(&files)).unwrap();
    assert_eq!(package.files, files);
}
