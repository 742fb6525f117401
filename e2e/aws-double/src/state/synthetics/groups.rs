//! Groups of canaries.

use std::collections::BTreeMap;

use jiff::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// ARNs of canaries.
    pub resources: Vec<String>,
}

impl Group {
    /// Requests name a group by its name, ARN or id (API_GetGroup).
    pub(crate) fn is(&self, identifier: &str) -> bool {
        [&self.id, &self.name, &self.arn].into_iter().any(|it| it == identifier)
    }
}
