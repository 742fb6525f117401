//! What only AWS runs: pages in a browser, and scripts of the user's own.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::yes;
use crate::rules;

/// Pages that are loaded in a browser, one step each. AWS only.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatSpec {
    /// The pages, such as [https://shop.example.com/]; at most ten.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "set"), inner(length(max = 2048)))]
    #[x_kube(validation = Rule::new("size(self) > 0").message("no page is loaded: write at least one URL, such as https://shop.example.com/"))]
    #[x_kube(validation = Rule::new("self.all(u, u.matches('^https?://[^/@ ]+([/?#][^ ]*)?$'))").message("not an address: write it with its scheme and without login, such as https://shop.example.com/"))]
    pub urls: Vec<String>,
    /// Keep a picture of each page among the artifacts.
    #[serde(default = "yes")]
    pub screenshot: bool,
    /// The browser driver.
    #[serde(default)]
    pub framework: Framework,
    /// How long one page may take to load, such as 30s; from 1s to 5m. Absent: 30s, or less where the run's timeout asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('1s') && duration(self) <= duration('5m')").message("write a time limit from 1s to 5m, such as 30s"))]
    pub page_timeout: Option<String>,
}

/// Drivers of a browser.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Framework {
    #[default]
    Puppeteer,
    Playwright,
}

/// A script of the user's own. AWS only.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapRef) != has(self.s3)")
    .message("a script comes from one place: write either configMapRef or s3"))]
pub struct ScriptSpec {
    /// What runs it: a family such as syn-nodejs-puppeteer, whose newest version is taken, or one version such as
    /// syn-nodejs-puppeteer-17.0.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^syn-(nodejs-puppeteer|nodejs-playwright|nodejs|python-selenium|java)(-[0-9]+[.][0-9]+)?$')").message("not a runtime of CloudWatch Synthetics: write a family such as syn-nodejs-puppeteer, or a version such as syn-nodejs-puppeteer-17.0"))]
    pub runtime: String,
    /// Where it begins: file and function, such as index.handler; for Java, class and method, such as shop.Canary::run.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9a-zA-Z_-]+(/|[.]))*[0-9A-Za-z_-]+([.]|::)[A-Za-z_][A-Za-z0-9_]*$')").message("not a handler: write file and function, such as index.handler, or for Java class and method, such as shop.Canary::run"))]
    pub handler: String,
    /// A ConfigMap of this namespace; each key is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapRef>,
    /// A zip file in S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Object>,
}

/// A ConfigMap of the canary's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapRef {
    /// Its name, such as checkout-script.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::name_of("a ConfigMap", "checkout-script"))]
    pub name: String,
}

/// A zip file in S3.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct S3Object {
    /// The bucket, such as shop-canaries.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9-]*[a-z0-9]$')").message("not a bucket that Synthetics takes: write its name without dots, such as shop-canaries"))]
    pub bucket: String,
    /// The key, such as checkout.zip.
    #[schemars(length(min = 1, max = 1024))]
    pub key: String,
    /// The version of the object. Without it AWS may not see that the object changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub version: Option<String>,
}
