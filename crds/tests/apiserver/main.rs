//! The rules of the CRDs, as a real API server enforces them: each mistake is refused with a sentence that says what to
//! write, and the samples of the documentation are accepted.
//!
//! etcd and kube-apiserver run on loopback, without root; their binaries are those of the lab (`make tools`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic fails the test, as it should"
)]

mod anomaly_alarm;
mod canary;
mod control_plane;

use std::path::{Path, PathBuf};

use control_plane::ControlPlane;

/// Specs that are refused, and what the answer must say.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "an empty selector",
        "local: [{pods: {selector: {}}}]",
        "write at least one label, such as matchLabels: {app: checkout}",
    ),
    ("no local endpoint", "local: []", "name at least one local endpoint"),
    (
        "no spec.local",
        "remote: [{zone: a}]",
        "spec.local: Required value: the near ends of the traffic, such as [{namespace: shop}]",
    ),
    (
        "a service without a name",
        "local: [{service: {}}]",
        "service.name: Required value: name of the Service, such as payments",
    ),
    ("a window as a number", "local: [{zone: a}]\n  evaluation: {window: 60}", "such as 15s or 1m"),
    (
        "a selector without an operator",
        "local: [{pods: {selector: {matchExpressions: [{key: a}]}}}]",
        "operator: Required value: how the label's value relates to `values`, such as In",
    ),
    (
        "a metric namespace after a colon",
        "local: [{zone: a}]\n  publish: {cloudWatch: {namespace: ':A'}}",
        "not a CloudWatch namespace",
    ),
    ("an empty list of remotes", "local: [{zone: a}]\n  remote: []", "leave remote out to watch everything"),
    ("an item that selects nothing", "local: [{}]", "write one of pods, service, namespace"),
    ("two ways in one item", "local: [{zone: a, cidr: 10.0.0.0/8}]", "each item selects in exactly one way"),
    ("a null", "local: [{zone: null}]", "each item selects in exactly one way"),
    ("an AWS service as local", "local: [{awsService: S3}]", "move awsService to spec.remote"),
    ("a prefix length that can't be", "local: [{cidr: 10.20.0.0/33}]", "such as 10.20.0.0/16"),
    ("an address without a prefix length", "local: [{cidr: 10.20.0.1}]", "a slash and a prefix length"),
    ("a CIDR with host bits", "local: [{cidr: 10.20.3.4/16}]", "bits set beyond its prefix length"),
    ("a misspelt field", "local: [{pod: {}}]", "unknown field \"spec.local[0].pod\""),
    ("a service by its name alone", "local: [{service: payments}]", "must be of type object"),
    (
        "a service with its namespace in its name",
        "local: [{service: {name: shop/payments}}]",
        "its namespace goes into service.namespace",
    ),
    ("a namespace in capitals", "local: [{namespace: Shop}]", "not the name of a namespace"),
    ("an empty zone", "local: [{zone: \"\"}]", "topology.kubernetes.io/zone"),
    (
        "a node both by name and by label",
        "local: [{node: {name: a, selector: {matchLabels: {a: b}}}}]",
        "write either name or selector",
    ),
    ("a node in no way", "local: [{node: {}}]", "write either name or selector"),
    (
        "In without values",
        "local: [{pods: {selector: {matchExpressions: [{key: a, operator: In}]}}}]",
        "In and NotIn need values",
    ),
    (
        "an unknown operator",
        "local: [{pods: {selector: {matchExpressions: [{key: a, operator: Is}]}}}]",
        "\"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"",
    ),
    ("a window that is too short", "local: [{zone: a}]\n  evaluation: {window: 9s}", "from 10s to 10m"),
    ("a window that is too long", "local: [{zone: a}]\n  evaluation: {window: 11m}", "from 10s to 10m"),
    ("a window in words", "local: [{zone: a}]\n  evaluation: {window: soon}", "such as 15s or 1m"),
    ("a window in milliseconds", "local: [{zone: a}]\n  evaluation: {window: 60000ms}", "such as 15s or 1m"),
    ("a window without a unit", "local: [{zone: a}]\n  evaluation: {window: \"60\"}", "such as 15s or 1m"),
    (
        "an unknown sensitivity",
        "local: [{zone: a}]\n  evaluation: {sensitivity: Medium}",
        "\"Low\", \"Standard\", \"High\"",
    ),
    (
        "a metric namespace of AWS",
        "local: [{zone: a}]\n  publish: {cloudWatch: {namespace: AWS/EC2}}",
        "that is reserved",
    ),
    (
        "a Region by its city",
        "local: [{zone: a}]\n  publish: {cloudWatch: {region: tokyo}}",
        "such as ap-northeast-1",
    ),
];

/// Specs that are accepted.
const ACCEPTED: &[&str] = &[
    "local: [{pods: {selector: {matchLabels: {app: checkout}}}}]",
    "local: [{pods: {selector: {matchExpressions: [{key: app, operator: Exists}]}, namespaceSelector: {matchLabels: {team: a}}}}]",
    "local: [{service: {name: cart}}, {namespace: shop}, {zone: ap-northeast-1a}, {node: {name: ip-10-0-0-1.ec2.internal}}]",
    "local: [{node: {selector: {matchLabels: {pool: gpu}}}}, {namespaceSelector: {matchLabels: {team: a}}}]",
    "local: [{namespace: shop}]\n  remote: [{awsService: DynamoDB}, {cidr: 10.20.0.0/16}, {cidr: \"2001:db8::/32\"}, {cidr: 192.0.2.7/32}]",
    "local: [{namespace: shop}]\n  evaluation: {window: 1m30s, sensitivity: High}",
    "local: [{namespace: shop}]\n  publish: {cloudWatch: {namespace: Tidewatch, region: ap-northeast-1}}",
];

fn manifest(spec: &str) -> String {
    format!(
        "apiVersion: tidewatch.dev/v1alpha1\nkind: NetworkMonitor\nmetadata: {{name: t}}\nspec:\n  {spec}\n"
    )
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The YAML files of a directory of the repository.
pub(crate) fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let directory = repository().join(directory);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no YAML in {}", directory.display());
    files
}

#[test]
fn an_api_server_refuses_mistakes_with_what_to_write_and_accepts_the_samples() {
    let server = ControlPlane::start();
    for plural in ["networkmonitors", "anomalyalarms", "canaries"] {
        install(&server, plural);
    }

    let refused = REFUSED.iter().map(|(what, spec, says)| (*what, manifest(spec), *says));
    let accepted = ACCEPTED.iter().map(|spec| manifest(spec));
    judge(&server, refused, accepted, &yaml_files("docs/samples"));

    defaults_are_filled_in(&server);
    names_and_columns_are_as_documented(&server);
}

/// What is `refused` (what is wrong, the manifest, what the answer must say) is, and what is `accepted` and the `files`
/// of the documentation are accepted.
pub(crate) fn judge<'a>(
    server: &ControlPlane,
    refused: impl Iterator<Item = (&'a str, String, &'a str)>,
    accepted: impl Iterator<Item = String>,
    files: &[PathBuf],
) {
    let create = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    let mut wrong = Vec::new();
    for (what, manifest, says) in refused {
        match server.kubectl(&create, Some(&manifest)) {
            Ok(_) => wrong.push(format!("{what}: accepted")),
            Err(answer) if !answer.contains(says) => {
                wrong.push(format!("{what}: doesn't say {says:?}: {answer}"))
            }
            Err(_) => {}
        }
    }
    let files = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    for manifest in accepted.chain(files) {
        if let Err(answer) = server.kubectl(&create, Some(&manifest)) {
            wrong.push(format!("{manifest}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Installs the CRD as the chart ships it.
pub(crate) fn install(server: &ControlPlane, plural: &str) {
    let crd = repository().join(format!("charts/tidewatch-crds/templates/{plural}.yaml"));
    server.kubectl(&["apply", "--server-side", "-f", crd.to_str().unwrap()], None).unwrap();
    let name = format!("crd/{plural}.tidewatch.dev");
    let wait = ["wait", "--for=condition=Established", &name, "--timeout=30s"];
    server.kubectl(&wait, None).unwrap();
}

fn defaults_are_filled_in(server: &ControlPlane) {
    server.kubectl(&["create", "-f", "-"], Some(&manifest("local: [{namespace: shop}]"))).unwrap();
    let evaluation =
        server.kubectl(&["get", "netmon", "t", "-o", "jsonpath={.spec.evaluation}"], None).unwrap();
    assert_eq!(evaluation, r#"{"sensitivity":"Standard","window":"15s"}"#);
}

fn names_and_columns_are_as_documented(server: &ControlPlane) {
    let table = server.kubectl(&["get", "netmon", "--all-namespaces"], None).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        header,
        [
            "NAMESPACE",
            "NAME",
            "NHI",
            "ATTRIBUTION",
            "COMPONENT",
            "RTT-P99",
            "RETRANS",
            "COVERAGE",
            "AS-OF",
            "AGE"
        ]
    );
}
