//! Logs and metrics of the operator itself.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for log stores
    Json,
    /// For people
    Pretty,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "log level {level:?}: {source}; write error, warn, info, debug or trace, or filters such as info,tidewatch=debug"
    )]
    Filter { level: String, source: tracing_subscriber::filter::ParseError },
    #[error("logs are set up already: {0}")]
    Installed(Box<dyn std::error::Error + Send + Sync>),
}

/// Sends the process's logs to standard error.
pub fn install_logs(level: &str, format: LogFormat) -> Result<(), Error> {
    let filter =
        EnvFilter::try_new(level).map_err(|source| Error::Filter { level: level.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty => builder.try_init(),
    }
    .map_err(Error::Installed)
}

/// The process's metrics. Cheap to clone; all clones are one registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    registries: Arc<Mutex<Registries>>,
}

#[derive(Debug)]
struct Registries {
    own: Registry,
    /// For names that others gave.
    plain: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let registries = Registries { own: Registry::with_prefix("tidewatch"), plain: Registry::default() };
        Self { registries: Arc::new(Mutex::new(registries)) }
    }
}

impl Metrics {
    /// Lets `register` add metrics, whose names begin with tidewatch.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        self.register_with_plain(|own, _| register(own))
    }

    /// Lets `register` add metrics also under names that are taken as they are.
    pub fn register_with_plain<T>(&self, register: impl FnOnce(&mut Registry, &mut Registry) -> T) -> T {
        let registries = &mut *self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        register(&mut registries.own, &mut registries.plain)
    }

    /// The OpenMetrics text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        encode_registry(&mut text, &registries.own)?;
        encode_registry(&mut text, &registries.plain)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}
