//! The plan of a TCP check.

use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use regex::bytes::Regex;
use tidewatch_crds::canary::{Encoding, TcpCheck};

use super::error::{Field, PlanError, Problem};
use super::{Planning, Template, duration, pattern};

pub(crate) struct TcpPlan {
    pub(crate) host: Template,
    pub(crate) port: u16,
    pub(crate) send: Option<Vec<u8>>,
    pub(crate) contains: Option<Vec<u8>>,
    pub(crate) starts_with: Option<Vec<u8>>,
    /// Against the answer as text, or as lower-case hexadecimal digits.
    pub(crate) matches: Option<Regex>,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) encoding: Encoding,
}

impl TcpPlan {
    /// Whether an answer is awaited.
    pub(crate) fn listens(&self) -> bool {
        self.contains.is_some() || self.starts_with.is_some() || self.matches.is_some()
    }
}

impl Planning<'_> {
    pub(super) fn tcp(&self, field: &Field, check: &TcpCheck) -> Result<TcpPlan, PlanError> {
        let expect = check.expect.clone().unwrap_or_default();
        let rules = field.field("expect");
        let bytes = |field: Field, text: Option<&str>| {
            text.map(|text| decode(&field, text, check.encoding)).transpose()
        };
        Ok(TcpPlan {
            host: self.template(&field.field("host"), &check.host)?,
            port: check.port,
            send: bytes(field.field("send"), check.send.as_deref())?,
            contains: bytes(rules.field("contains"), expect.contains.as_deref())?,
            starts_with: bytes(rules.field("startsWith"), expect.starts_with.as_deref())?,
            matches: pattern(&rules.field("matches"), expect.matches.as_deref())?,
            max_duration: duration(&rules.field("maxDuration"), expect.max_duration.as_deref())?,
            encoding: check.encoding,
        })
    }
}

fn decode(field: &Field, text: &str, encoding: Encoding) -> Result<Vec<u8>, PlanError> {
    match encoding {
        Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
        Encoding::Hex => {
            let digits: String = text.split_ascii_whitespace().collect();
            HEXLOWER_PERMISSIVE
                .decode(digits.as_bytes())
                .map_err(|_| field.problem(Problem::Hex(text.to_owned())))
        }
    }
}
