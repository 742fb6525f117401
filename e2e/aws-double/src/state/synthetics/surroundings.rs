//! What is around canaries: the roles, subnets and objects that they name, and what Synthetics makes of its own.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use jiff::Timestamp;

use super::config::{Code, VpcConfig};

/// Everything is usable unless said otherwise.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Roles that Lambda can't assume yet, by ARN, and from when it can; none is never.
    pub unassumable_roles: BTreeMap<String, Option<Timestamp>>,
    /// Ids of subnets and security groups that don't exist.
    pub unusable_networks: BTreeSet<String>,
    /// By name. A bucket that isn't here is one whose content nobody knows.
    pub buckets: BTreeMap<String, Bucket>,
    pub functions: BTreeSet<String>,
    pub layers: BTreeSet<String>,
    /// By name.
    pub log_groups: BTreeMap<String, LogGroup>,
}

/// Versions of objects by key, oldest first, each with its id.
pub type Bucket = BTreeMap<String, Vec<(String, Vec<u8>)>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    pub created: Timestamp,
    pub stored_bytes: i64,
}

/// What Lambda appends to its refusals.
const FROM_LAMBDA: &str = "(Service: AWSLambda; Status Code: 400; Error Code: InvalidParameterValueException; \
                           Request ID: 00000000-0000-4000-8000-000000000000; Proxy: null)";

impl Surroundings {
    /// Puts an object of S3 and returns its version.
    pub fn put_object(&mut self, bucket: &str, key: &str, content: Vec<u8>) -> String {
        let versions = self.buckets.entry(bucket.to_owned()).or_default().entry(key.to_owned()).or_default();
        let version = format!("v{}", versions.len() + 1);
        versions.push((version.clone(), content));
        version
    }

    /// What is in a package; none if nobody knows.
    pub(crate) fn package(&self, code: &Code) -> Result<Option<Vec<u8>>, String> {
        if let Some(zip) = &code.zip_file {
            return Ok(BASE64.decode(zip.as_bytes()).ok());
        }
        let (Some(bucket), Some(key)) = (&code.s3_bucket, &code.s3_key) else { return Ok(None) };
        let Some(keys) = self.buckets.get(bucket) else { return Ok(None) };
        let versions = keys.get(key).map(Vec::as_slice).unwrap_or_default();
        let found = match &code.s3_version {
            Some(wanted) => versions.iter().find(|(version, _)| version == wanted),
            None => versions.last(),
        };
        match found {
            Some((_, content)) => Ok(Some(content.clone())),
            None => Err(
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified \
                         key does not exist."
                    .to_owned(),
            ),
        }
    }

    /// Why Lambda can't make a function that runs as this role in this VPC.
    pub(crate) fn refusal(&self, role: &str, vpc: Option<&VpcConfig>, now: Timestamp) -> Option<String> {
        if self.unassumable_roles.get(role).is_some_and(|from| from.is_none_or(|from| now < from)) {
            return Some(format!(
                "The role defined for the function cannot be assumed by Lambda. {FROM_LAMBDA}"
            ));
        }
        let vpc = vpc?;
        let named = |ids: &[String]| ids.iter().find(|id| self.unusable_networks.contains(*id)).cloned();
        if let Some(subnet) = named(&vpc.subnet_ids) {
            return Some(format!("The subnet ID '{subnet}' does not exist {FROM_LAMBDA}"));
        }
        let group = named(&vpc.security_group_ids)?;
        Some(format!("The security group '{group}' does not exist {FROM_LAMBDA}"))
    }
}
