//! How a run went.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

/// A run, check by check.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, with all attempts.
    pub duration: Duration,
    /// How many times it was tried.
    pub attempts: u32,
    /// The trace that its requests carried (W3C trace id); `None` where tracing is off.
    pub trace_id: Option<String>,
    /// The checks of the last attempt that were made.
    pub checks: Vec<CheckReport>,
    /// Why the last attempt failed.
    pub failure: Option<FailureReport>,
}

impl RunReport {
    /// Whether every check was made and passed.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// How a check went.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    pub name: String,
    pub kind: CheckKind,
    pub passed: bool,
    pub duration: Duration,
    /// Summed over the requests where redirects were followed.
    pub phases: PhaseTimes,
    /// Of the last answer.
    pub http_status: Option<u16>,
    pub http_version: Option<HttpVersion>,
    /// Such as `TLS 1.3`.
    pub tls_version: Option<String>,
    /// When the first certificate of the chain ends.
    pub certificate_expiry: Option<Timestamp>,
    /// The address that was connected to last.
    pub ip: Option<IpAddr>,
    /// Redirects that were followed.
    pub redirects: u32,
    /// Bytes of the last answer's body that were read.
    pub body_bytes: Option<u64>,
}

impl CheckReport {
    pub(crate) fn new(name: &str, kind: CheckKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            passed: false,
            duration: Duration::ZERO,
            phases: PhaseTimes::default(),
            http_status: None,
            http_version: None,
            tls_version: None,
            certificate_expiry: None,
            ip: None,
            redirects: 0,
            body_bytes: None,
        }
    }
}

/// What a check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckKind {
    Http,
    Dns,
    Tls,
    Tcp,
}

impl CheckKind {
    /// In lower case, as metrics label it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }
}

/// Versions of HTTP that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    Http1,
    Http2,
}

impl HttpVersion {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// How long the phases of a check took; `None` for those that it didn't come to. A phase that ran out of time counts
/// until then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseTimes {
    /// Finding the address; for a DNS check, the query.
    pub dns: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    /// From what was sent to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Reading the rest.
    pub body: Option<Duration>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    pub check: String,
    pub message: String,
    /// What was expected, where an expectation wasn't met.
    pub expected: Option<String>,
    /// What came instead.
    pub got: Option<String>,
    pub phases: PhaseTimes,
}
