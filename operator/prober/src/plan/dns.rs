//! The plan of a DNS check.

use std::time::Duration;

use tidewatch_crds::canary::{DnsCheck, DnsProtocol, RecordType};

use super::error::{Field, PlanError};
use super::{Planning, Template, duration};

pub(crate) struct DnsPlan {
    pub(crate) name: Template,
    pub(crate) record_type: RecordType,
    /// `None`: the cluster's own resolver.
    pub(crate) server: Option<(String, u16)>,
    pub(crate) protocol: DnsProtocol,
    pub(crate) values: Vec<String>,
    pub(crate) min_count: usize,
    pub(crate) min_ttl: Option<Duration>,
    pub(crate) authoritative: Option<bool>,
    pub(crate) max_duration: Option<Duration>,
}

impl Planning<'_> {
    pub(super) fn dns(&self, field: &Field, check: &DnsCheck) -> Result<DnsPlan, PlanError> {
        let rules = field.field("expect");
        let expect = check.expect.clone().unwrap_or_default();
        Ok(DnsPlan {
            name: self.template(&field.field("name"), &check.name)?,
            record_type: check.record_type,
            server: check.server.clone().map(|server| (server, check.port.unwrap_or(53))),
            protocol: check.protocol,
            values: expect.values,
            min_count: expect.min_count.map_or(1, usize::from),
            min_ttl: duration(&rules.field("minTtl"), expect.min_ttl.as_deref())?,
            authoritative: expect.authoritative,
            max_duration: duration(&rules.field("maxDuration"), expect.max_duration.as_deref())?,
        })
    }
}
