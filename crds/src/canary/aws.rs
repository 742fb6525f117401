//! How AWS runs a canary.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::rules;

/// How AWS runs a canary.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AwsSpec {
    /// Region of the canary, such as ap-northeast-1. Absent: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::region())]
    pub region: Option<String>,
    /// IAM role that the operator assumes for this canary, such as one of another account. It must be in the list that
    /// the chart has for this namespace (`aws.roles`). Absent: the operator's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::role("tidewatch-canaries"))]
    pub role_arn: Option<String>,
    /// IAM role that the canary runs as, such as arn:aws:iam::123456789012:role/canary-run. It must be in the list that the chart has for this namespace (`aws.roles`).
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::role("canary-run"))]
    pub execution_role_arn: String,
    /// Where the results are kept, such as s3://shop-canaries/checkout.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^s3://[a-z0-9][a-z0-9-]{1,61}[a-z0-9](/.*)?$')").message("not a place that Synthetics takes: write s3:// and a bucket without dots, such as s3://shop-canaries/checkout"))]
    pub artifacts: String,
    /// Runtime version of the canary, such as syn-nodejs-5.2, or latest. It doesn't apply to `script`, which names its own.
    #[serde(default = "latest")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self == 'latest' || self.matches('^syn-[a-z-]+-[0-9]+[.][0-9]+$')").message("not a runtime version: write latest, or one such as syn-nodejs-5.2"))]
    pub runtime_version: String,
    /// Memory in MB: 960 to 3008, a multiple of 64. Absent: 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 960, max = 3008), extend("multipleOf" = 64))]
    pub memory: Option<i32>,
    /// Ephemeral storage in MB: 1024 to 10240. Absent: 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 10240))]
    pub ephemeral_storage: Option<i32>,
    /// Environment variables; 4 KB in all. AWS shows them to whoever may read the canary's function: nothing secret
    /// belongs here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "env")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z]([a-zA-Z0-9_])+$') && !k.startsWith('AWS_'))").message("not an environment variable that Lambda takes: write a letter, then letters, digits and _, not beginning with AWS_"))]
    pub env: BTreeMap<String, String>,
    /// The VPC that the canary runs in. Absent: none; it reaches the internet only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<VpcSpec>,
    /// How the results are encrypted. Absent: by a key that AWS keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionSpec>,
    /// For how long AWS keeps the results of runs.
    #[serde(default)]
    pub retention: RetentionSpec,
}

/// A VPC. It needs a NAT gateway, or endpoints for CloudWatch and S3.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VpcSpec {
    /// Subnets, such as [subnet-0a1b2c3d]; at most 16.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), inner(length(max = 64)))]
    #[x_kube(validation = Rule::new("size(self) > 0 && self.all(s, s.matches('^subnet-[0-9a-f]+$'))").message("a VPC needs at least one subnet: write its id, such as subnet-0a1b2c3d"))]
    pub subnet_ids: Vec<String>,
    /// Security groups, such as [sg-0a1b2c3d]; at most five.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"), inner(length(max = 64)))]
    #[x_kube(validation = Rule::new("size(self) > 0 && self.all(s, s.matches('^sg-[0-9a-f]+$'))").message("a VPC needs at least one security group: write its id, such as sg-0a1b2c3d"))]
    pub security_group_ids: Vec<String>,
    /// Allow IPv6 out of dual-stack subnets.
    #[serde(default)]
    pub ipv6: bool,
}

/// How the results are encrypted.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionSpec {
    /// A key of AWS KMS. Absent: a key that S3 keeps (SSE-S3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$')").message("not the ARN of a key: write it in full, such as arn:aws:kms:ap-northeast-1:123456789012:key/1a2b…"))]
    pub kms_key_arn: Option<String>,
}

/// For how long AWS keeps the results of runs.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RetentionSpec {
    /// Days for which successful runs are kept: 1 to 455.
    #[serde(default = "a_month")]
    #[schemars(range(min = 1, max = 455))]
    pub success_days: i32,
    /// Days for which failed runs are kept: 1 to 455.
    #[serde(default = "a_month")]
    #[schemars(range(min = 1, max = 455))]
    pub failure_days: i32,
}

impl Default for RetentionSpec {
    fn default() -> Self {
        Self { success_days: a_month(), failure_days: a_month() }
    }
}

fn latest() -> String {
    "latest".to_owned()
}

fn a_month() -> i32 {
    31
}

fn env(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4096},
    })
}
