//! The trace that a run's requests carry: W3C Trace Context and X-Ray's header, of one id.

use std::fmt;

use jiff::Timestamp;

/// A W3C trace id that X-Ray takes too: it begins with the time in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

impl TraceId {
    pub(crate) fn new(at: Timestamp, random: u128) -> Self {
        let seconds = u128::from(u32::try_from(at.as_second()).unwrap_or_default());
        Self(seconds << 96 | random & (u128::MAX >> 32))
    }

    /// <https://www.w3.org/TR/trace-context/#traceparent-header>
    pub(crate) fn traceparent(self, span: u64) -> String {
        format!("00-{self}-{span:016x}-01")
    }

    /// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
    pub(crate) fn x_ray(self, span: u64) -> String {
        let (seconds, rest) = (self.0 >> 96, self.0 & (u128::MAX >> 32));
        format!("Root=1-{seconds:08x}-{rest:024x};Parent={span:016x};Sampled=1")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A span id; zero is none.
pub(crate) fn span() -> u64 {
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_tell_the_same_trace() {
        let at = Timestamp::from_second(0x6931_2345).unwrap();
        let id = TraceId::new(at, u128::MAX / 3);
        let w3c = id.to_string();
        assert_eq!(w3c.len(), 32);
        assert!(w3c.starts_with("69312345"), "{w3c}");
        assert_eq!(id.traceparent(7), format!("00-{w3c}-0000000000000007-01"));
        assert_eq!(
            id.x_ray(7),
            format!("Root=1-{}-{};Parent=0000000000000007;Sampled=1", &w3c[..8], &w3c[8..])
        );
    }
}
