//! Whom a service calls, how and how often: `NAME=HOST:PORT[,key=value]…`.

use std::str::FromStr;

/// How connections to an upstream are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionMode {
    /// A pool of connections that stay open.
    KeepAlive,
    /// A connection a request.
    Short,
}

/// One upstream of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    pub name: String,
    /// Host and port; the host is looked up again as addresses age.
    pub address: String,
    /// Requests a second, all connections together.
    pub requests_per_second: f64,
    pub mode: ConnectionMode,
    /// Size of the keep-alive pool.
    pub connections: u16,
    pub request_bytes: u32,
    pub response_bytes: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("`{0}` names no upstream: write NAME=HOST:PORT[,rps=2,mode=keepalive|short]")]
    NoAddress(String),
    #[error("`{0}` has no port: write HOST:PORT")]
    NoPort(String),
    #[error("`{key}` can't be `{value}`: {expected}")]
    Value { key: String, value: String, expected: &'static str },
    #[error("unknown setting `{0}`: there are rps, mode, connections, request-bytes and response-bytes")]
    UnknownKey(String),
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let no_address = || UpstreamError::NoAddress(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(no_address)?;
        let mut parts = rest.split(',');
        let address = parts.next().filter(|address| !address.is_empty()).ok_or_else(no_address)?;
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if name.is_empty() || port.is_none() {
            return Err(UpstreamError::NoPort(address.to_owned()));
        }
        let mut upstream = Self {
            name: name.to_owned(),
            address: address.to_owned(),
            requests_per_second: 2.0,
            mode: ConnectionMode::KeepAlive,
            connections: 4,
            request_bytes: 600,
            response_bytes: 8000,
        };
        for setting in parts {
            let (key, value) =
                setting.split_once('=').ok_or_else(|| UpstreamError::UnknownKey(setting.to_owned()))?;
            upstream.set(key, value)?;
        }
        Ok(upstream)
    }
}

impl Upstream {
    fn set(&mut self, key: &str, value: &str) -> Result<(), UpstreamError> {
        let wrong =
            |expected| UpstreamError::Value { key: key.to_owned(), value: value.to_owned(), expected };
        match key {
            "rps" => {
                let rate = value.parse().map_err(|_| wrong("requests a second, such as 2.5"))?;
                if !(0.001..=10_000.0).contains(&rate) {
                    return Err(wrong("between 0.001 and 10000 requests a second"));
                }
                self.requests_per_second = rate;
            }
            "mode" => {
                self.mode = match value {
                    "keepalive" => ConnectionMode::KeepAlive,
                    "short" => ConnectionMode::Short,
                    _ => return Err(wrong("keepalive or short")),
                };
            }
            "connections" => {
                let connections = value.parse().map_err(|_| wrong("how many connections stay open"))?;
                if connections == 0 {
                    return Err(wrong("at least one connection"));
                }
                self.connections = connections;
            }
            "request-bytes" => {
                self.request_bytes = bytes(value).ok_or_else(|| wrong("bytes, at most 1 MiB"))?
            }
            "response-bytes" => {
                self.response_bytes = bytes(value).ok_or_else(|| wrong("bytes, at most 1 MiB"))?
            }
            _ => return Err(UpstreamError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }
}

fn bytes(text: &str) -> Option<u32> {
    text.parse().ok().filter(|bytes| *bytes <= crate::wire::MAX_BODY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_read_with_its_settings() {
        let upstream: Upstream =
            "payments=payments.shop:8080,rps=5.5,mode=short,response-bytes=4096".parse().unwrap();
        assert_eq!(upstream.name, "payments");
        assert_eq!(upstream.address, "payments.shop:8080");
        assert_eq!(upstream.mode, ConnectionMode::Short);
        assert_eq!(upstream.response_bytes, 4096);
        assert!((upstream.requests_per_second - 5.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_mistake_is_answered_with_what_to_write() {
        for (text, hint) in [
            ("payments", "NAME=HOST:PORT"),
            ("payments=host", "HOST:PORT"),
            ("payments=host:1,mode=often", "keepalive or short"),
            ("payments=host:1,rps=-1", "between 0.001"),
            ("payments=host:1,connections=0", "at least one"),
            ("payments=host:1,speed=3", "unknown setting"),
        ] {
            let error = text.parse::<Upstream>().unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
