//! The rules of Canary: what can't run is refused at apply, with what to write.

use crate::control_plane::ControlPlane;
use crate::{install, judge, yaml_files};

/// Good checks, and good words for AWS, so that each case shows one mistake.
const HOME: &str = "checks: [{name: home, http: {url: 'https://shop.example.com/'}}]";
const AWS: &str =
    "aws: {executionRoleArn: 'arn:aws:iam::123456789012:role/run', artifacts: 's3://shop-canaries'}";

/// What is wrong, the lines of the spec (HOME and AWS stand for the constants), what the answer must say.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("nothing at all", &[], "exactly one of checks, heartbeat or script"),
    ("no checks", &["checks: []"], "write at least one check"),
    ("two things", &["HOME", "heartbeat: {urls: ['https://a.example']}"], "exactly one of checks, heartbeat"),
    ("an unknown field", &["HOME", "frequency: 1m"], "unknown field \"spec.frequency\""),
    ("a provider that isn't", &["HOME", "provider: GCP"], "\"AWS\", \"Embedded\""),
    (
        "a browser in the cluster",
        &["provider: Embedded", "heartbeat: {urls: ['https://a.example']}"],
        "run in AWS only",
    ),
    ("AWS without its words", &["HOME", "provider: AWS"], "executionRoleArn: …"),
    (
        "AWS every 90s",
        &["HOME", "AWS", "provider: AWS", "schedule: {every: 90s}"],
        "whole minutes from 1m to 1h",
    ),
    ("AWS every 2h", &["HOME", "AWS", "provider: AWS", "schedule: {every: 2h}"], "cron for longer ones"),
    (
        "AWS in another zone",
        &["HOME", "AWS", "provider: AWS", "schedule: {cron: '0 9 * * *', timeZone: Asia/Tokyo}"],
        "AWS knows cron in UTC only",
    ),
    // The schedule.
    ("no schedule", &["HOME", "schedule: {}"], "write either every, such as every: 1m, or cron"),
    ("two schedules", &["HOME", "schedule: {every: 1m, cron: '0 9 * * *'}"], "write either every"),
    ("a zone without cron", &["HOME", "schedule: {every: 1m, timeZone: UTC}"], "a time zone belongs to cron"),
    ("too often", &["HOME", "schedule: {every: 9s}"], "from 10s to 24h"),
    ("too seldom", &["HOME", "schedule: {every: 25h}"], "from 10s to 24h"),
    (
        "an interval in words",
        &["HOME", "schedule: {every: daily}"],
        "daily has no unit, or isn't allowed: write an interval from 10s to 24h, such as 1m",
    ),
    (
        "an interval without a unit",
        &["HOME", "schedule: {every: 5}"],
        "5 has no unit, or isn't allowed: write an interval from 10s to 24h, such as 1m",
    ),
    (
        "AWS and an interval without a unit",
        &["HOME", "AWS", "provider: AWS", "schedule: {every: 5}"],
        "5 has no unit, or isn't allowed: write an interval",
    ),
    ("a run without a unit", &["HOME", "timeout: 30"], "write a time limit from 3s to 14m, such as 1m"),
    (
        "a time zone that isn't",
        &["HOME", "schedule: {cron: '0 9 * * *', timeZone: Mars/Olympus}"],
        "unknown time zone Mars/Olympus",
    ),
    ("minute 61", &["HOME", "schedule: {cron: '61 9 * * *'}"], "minute 0-59"),
    ("hour 24", &["HOME", "schedule: {cron: '0 24 * * *'}"], "hour 0-23"),
    ("day 32", &["HOME", "schedule: {cron: '0 9 32 * *'}"], "day of month 1-31"),
    ("month 13", &["HOME", "schedule: {cron: '0 9 1 13 *'}"], "month 1-12"),
    ("an eighth day of the week", &["HOME", "schedule: {cron: '0 9 * * 8'}"], "day of week 0-7"),
    (
        "a day of the week by its full name",
        &["HOME", "schedule: {cron: '0 9 * * MONDAY'}"],
        "such as 0 9 * * 1-5",
    ),
    ("a range that goes back", &["HOME", "schedule: {cron: '0 9-17,5-1/2 * * *'}"], "a range goes backwards"),
    ("six fields of cron", &["HOME", "schedule: {cron: '0 0 9 * * *'}"], "five fields of cron"),
    (
        "a run longer than the interval",
        &["HOME", "schedule: {every: 1m}", "timeout: 2m"],
        "before the next begins",
    ),
    ("a run of a second", &["HOME", "timeout: 1s"], "from 3s to 14m"),
    ("three retries", &["HOME", "retries: 3"], "less than or equal to 2"),
    // Checks.
    ("a check of nothing", &["checks: [{name: a}]"], "exactly one of http, dns, tls or tcp"),
    (
        "a check of two things",
        &["checks: [{name: a, dns: {name: a.example}, tcp: {host: a, port: 1}}]"],
        "exactly one of http, dns, tls or tcp",
    ),
    ("a check without a name", &["checks: [{tcp: {host: a, port: 1}}]"], "checks[0].name: Required value"),
    (
        "a check of no address",
        &["checks: [{name: a, http: {}}]"],
        "http.url: Required value: the address, such as https://",
    ),
    ("a name with a space", &["checks: [{name: a b, tcp: {host: a, port: 1}}]"], "not the name of a check"),
    (
        "a name twice",
        &["checks: [{name: a, tcp: {host: a, port: 1}}, {name: a, tcp: {host: a, port: 2}}]"],
        "Duplicate value",
    ),
    (
        "a check of six minutes",
        &["checks: [{name: a, timeout: 6m, tcp: {host: a, port: 1}}]"],
        "from 1s to 5m",
    ),
    // HTTP.
    ("an address without scheme", &["checks: [{name: a, http: {url: shop.example.com}}]"], "with its scheme"),
    (
        "a verified path without verification",
        &["checks: [{name: a, tls: {host: bücher.example, verify: false, validityOf: VerifiedPath}}]"],
        "without verification no path is verified",
    ),
    (
        "a host with a path",
        &["checks: [{name: a, tls: {host: shop.example.com/a}}]"],
        "without scheme and path",
    ),
    (
        "a login in the address",
        &["checks: [{name: a, http: {url: 'https://u:p@a.example/'}}]"],
        "without login",
    ),
    (
        "a body of GET",
        &["checks: [{name: a, http: {url: 'https://a', body: x}}]"],
        "GET and HEAD have no body",
    ),
    (
        "a method that isn't",
        &["checks: [{name: a, http: {url: 'https://a', method: get}}]"],
        "\"GET\", \"HEAD\"",
    ),
    (
        "a header with a colon",
        &["checks: [{name: a, http: {url: 'https://a', headers: {'A:': b}}}]"],
        "not a header",
    ),
    (
        "two logins",
        &[
            "checks: [{name: a, http: {url: 'https://a', authentication: {bearer: {secretRef: {name: a, key: b}}, basic: {username: a, password: {secretRef: {name: a, key: b}}}}}}]",
        ],
        "logs in one way",
    ),
    (
        "a login beside a header",
        &[
            "checks: [{name: a, http: {url: 'https://a', headers: {authorization: x}, authentication: {bearer: {secretRef: {name: a, key: b}}}}}]",
        ],
        "two ways to authenticate",
    ),
    (
        "a secret from nowhere",
        &["checks: [{name: a, http: {url: 'https://a', authentication: {bearer: {}}}}]"],
        "a secret comes from one place",
    ),
    (
        "a user name with a colon",
        &[
            "checks: [{name: a, http: {url: 'https://a', authentication: {basic: {username: 'a:b', password: {awsSecret: {name: a}}}}}}]",
        ],
        "has no colon",
    ),
    (
        "a secret's ARN",
        &[
            "checks: [{name: a, http: {url: 'https://a', authentication: {bearer: {awsSecret: {name: 'arn:aws:secretsmanager:a'}}}}}]",
        ],
        "not its ARN",
    ),
    (
        "status 99",
        &["checks: [{name: a, http: {url: 'https://a', expect: {status: [99]}}}]"],
        "greater than or equal to 100",
    ),
    (
        "a status in words",
        &["checks: [{name: a, http: {url: 'https://a', expect: {status: [OK]}}}]"],
        "must be of type integer",
    ),
    (
        "a time without unit",
        &["checks: [{name: a, http: {url: 'https://a', expect: {maxDuration: '800'}}}]"],
        "such as 800ms",
    ),
    (
        "an empty expectation",
        &["checks: [{name: a, http: {url: 'https://a', expect: {json: [{path: $.a}]}}}]"],
        "exactly one of equals, notEquals, contains or exists",
    ),
    (
        "a path without $",
        &["checks: [{name: a, http: {url: 'https://a', expect: {json: [{path: a, exists: true}]}}}]"],
        "begin with $",
    ),
    (
        "a header that expects two things",
        &[
            "checks: [{name: a, http: {url: 'https://a', expect: {headers: [{name: a, equals: b, contains: c}]}}}]",
        ],
        "an item expects one thing",
    ),
    (
        "a value found in no way",
        &["checks: [{name: a, http: {url: 'https://a', extract: [{name: t}]}}]"],
        "exactly one of jsonPath, regex or header",
    ),
    (
        "a variable with a dash",
        &["checks: [{name: a, http: {url: 'https://a', extract: [{name: a-b, header: x}]}}]"],
        "not the name of a variable",
    ),
    ("a variable in the spec likewise", &["HOME", "variables: {a-b: c}"], "not the name of a variable"),
    // DNS, TLS, TCP.
    ("a URL for a name", &["checks: [{name: a, dns: {name: 'https://a.example'}}]"], "not a DNS name"),
    (
        "a record type that isn't",
        &["checks: [{name: a, dns: {name: a.example, type: PTR}}]"],
        "supported values: \"A\", \"CNAME\"",
    ),
    (
        "a port without a server",
        &["checks: [{name: a, dns: {name: a.example, port: 53}}]"],
        "a port belongs to a server",
    ),
    (
        "a server with its port",
        &["checks: [{name: a, dns: {name: a.example, server: '10.0.0.1/53'}}]"],
        "not a server",
    ),
    ("a URL for a host", &["checks: [{name: a, tls: {host: 'https://a.example'}}]"], "not a host"),
    ("a validity in weeks", &["checks: [{name: a, tls: {host: a.example, minValidity: 2w}}]"], "such as 14d"),
    (
        "no port",
        &["checks: [{name: a, tcp: {host: a}}]"],
        "tcp.port: Required value: port of the server, such as 5432",
    ),
    ("port 0", &["checks: [{name: a, tcp: {host: a, port: 0}}]"], "greater than or equal to 1"),
    ("port 65536", &["checks: [{name: a, tcp: {host: a, port: 65536}}]"], "less than or equal to 65535"),
    // AWS only.
    ("no page", &["heartbeat: {urls: []}", "AWS"], "write at least one URL"),
    ("a page without scheme", &["heartbeat: {urls: [a.example]}", "AWS"], "with its scheme"),
    (
        "a script from nowhere",
        &["script: {runtime: syn-nodejs, handler: a.b}", "AWS"],
        "write either configMapRef or s3",
    ),
    (
        "a runtime that isn't",
        &["script: {runtime: nodejs20, handler: a.b, configMapRef: {name: a}}", "AWS"],
        "not a runtime of CloudWatch Synthetics",
    ),
    (
        "a handler without function",
        &["script: {runtime: syn-nodejs-puppeteer, handler: index, configMapRef: {name: a}}", "AWS"],
        "write file and function",
    ),
    (
        "a bucket with dots",
        &["HOME", "aws: {executionRoleArn: 'arn:aws:iam::123456789012:role/run', artifacts: 's3://a.b'}"],
        "a bucket without dots",
    ),
    (
        "a role by its name",
        &["HOME", "aws: {executionRoleArn: run, artifacts: 's3://shop-canaries'}"],
        "not the ARN of a role",
    ),
    (
        "memory that isn't a multiple of 64",
        &[
            "HOME",
            "aws: {executionRoleArn: 'arn:aws:iam::123456789012:role/run', artifacts: 's3://shop-canaries', memory: 1000}",
        ],
        "multiple of 64",
    ),
    (
        "a VPC without groups",
        &[
            "HOME",
            "aws: {executionRoleArn: 'arn:aws:iam::123456789012:role/run', artifacts: 's3://shop-canaries', vpc: {subnetIds: [subnet-1], securityGroupIds: []}}",
        ],
        "at least one security group",
    ),
    (
        "a canary's role that is missing",
        &["HOME", "aws: {artifacts: 's3://shop-canaries'}"],
        "aws.executionRoleArn: Required value: IAM role that the canary runs as, such as arn:aws:iam::123456789012:role/canary-run",
    ),
    ("a tag with a space", &["HOME", "AWS", "tags: {cost centre: b}"], "no spaces"),
    (
        "a tag in Unicode letters",
        &["HOME", "AWS", "tags: {部署: b}"],
        "not a tag that CloudWatch Synthetics takes",
    ),
    ("a tag of AWS's", &["HOME", "AWS", "tags: {'aws:a': b}"], "not a tag that CloudWatch Synthetics takes"),
];

const ACCEPTED: &[&[&str]] = &[
    &["HOME"],
    &[
        "HOME",
        "AWS",
        "provider: AWS",
        "schedule: {every: 5m}",
        "timeout: 2m",
        "retries: 2",
        "tracing: Active",
    ],
    &["HOME", "schedule: {cron: '*/5 8-18 * * MON-FRI', timeZone: Europe/Berlin}"],
    &["HOME", "schedule: {cron: '0-30/10,45 0 L,15W JAN,7 *'}"],
    &["HOME", "schedule: {cron: '0 9 * * 5L,MON#1,fri'}", "tags: {team: 決済 a@b}"],
    &["HOME", "schedule: {cron: '05 09 1-7 */2 7', timeZone: UTC}", "tags: {cost-centre: '1'}"],
    &[
        "variables: {host: shop.example.com}",
        "checks:",
        "- {name: login, http: {url: 'https://${host}/login', method: POST, body: '{}', extract: [{name: token, jsonPath: $.token}]}}",
        "- {name: orders, ipFamily: IPv6, http: {url: 'https://${host}/orders', headers: {Authorization: 'Bearer ${token}'}, expect: {status: [200, 204], json: [{path: '$.ok', equals: 'true'}], headers: [{name: Content-Type, contains: json}], maxDuration: 800ms}}}",
        "- {name: cert, tls: {host: '${host}', minValidity: 14d12h, issuerContains: Amazon}}",
        "- {name: mx, dns: {name: example.com, type: MX, server: 10.96.0.10, port: 53, protocol: TCP, expect: {values: [10 mail.example.com], minTtl: 60s}}}",
        "- {name: db, tcp: {host: db.shop, port: 5432, send: 0a0b, encoding: HEX, expect: {startsWith: 0c, maxDuration: 1s}}}",
    ],
    &["heartbeat: {urls: ['https://shop.example.com/'], framework: Playwright}", "provider: AWS", "AWS"],
    &[
        "script: {runtime: syn-nodejs-puppeteer-17.0, handler: index.handler, s3: {bucket: a-b, key: c.zip, version: d}}",
        "AWS",
    ],
    &["script: {runtime: syn-java, handler: 'shop.Canary::run', s3: {bucket: a-b, key: c.zip}}", "AWS"],
    &["script: {runtime: syn-python-selenium, handler: a/my-shop.check, configMapRef: {name: a}}", "AWS"],
];

fn manifest(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| match *line {
            "HOME" => HOME,
            "AWS" => AWS,
            line => line,
        })
        .collect();
    let spec = if lines.is_empty() { "  {}".to_owned() } else { format!("  {}", lines.join("\n  ")) };
    format!("apiVersion: tidewatch.dev/v1alpha1\nkind: Canary\nmetadata: {{name: t}}\nspec:\n{spec}\n")
}

#[test]
fn an_api_server_refuses_what_can_t_run_with_what_to_write() {
    let server = ControlPlane::start();
    install(&server, "canaries");

    let refused = REFUSED.iter().map(|(what, lines, says)| (*what, manifest(lines), *says));
    let accepted = ACCEPTED.iter().map(|lines| manifest(lines));
    judge(&server, refused, accepted, &yaml_files("docs/canary-recipes"));

    defaults_are_filled_in(&server);
    names_and_columns_are_as_documented(&server);
}

fn defaults_are_filled_in(server: &ControlPlane) {
    server.kubectl(&["create", "-f", "-"], Some(&manifest(&["HOME"]))).unwrap();
    let spec = server.kubectl(&["get", "syncanary", "t", "-o", "jsonpath={.spec}"], None).unwrap();
    for part in [
        r#""schedule":{"every":"5m"}"#,
        r#""method":"GET""#,
        r#""followRedirects":true"#,
        r#""retries":0"#,
        r#""tracing":"Off""#,
        r#""deletionPolicy":"Delete""#,
    ] {
        assert!(spec.contains(part), "{part} isn't in {spec}");
    }
}

fn names_and_columns_are_as_documented(server: &ControlPlane) {
    let table = server.kubectl(&["get", "canaries.tidewatch.dev"], None).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        header,
        [
            "NAME",
            "RESULT",
            "SINCE",
            "SUCCESS-24H",
            "FAILURE",
            "PROVIDER",
            "STATE",
            "READY",
            "LAST-RUN",
            "AGE"
        ]
    );
}
