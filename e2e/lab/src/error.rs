//! What can go wrong, said so that the reader knows which step it was, what was seen, and where to look.

use std::path::PathBuf;
use std::time::Duration;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something the caller wrote can't be meant.
    #[error("{0}")]
    Invalid(String),
    /// The machine lacks something; the text says what to do.
    #[error("{0}")]
    Unsupported(String),
    /// `up` of a name that is up.
    #[error(
        "lab {0:?} is up already: use it, choose another --name, or end it by `tidewatch-lab down --name {0}`"
    )]
    AlreadyUp(String),
    /// A lab that isn't there.
    #[error("there is no lab {0:?}: start one by `tidewatch-lab up --name {0}`")]
    NoSuchLab(String),
    /// A file or directory.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A system call other than on a file.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command ended with a failure.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A command or a step took too long.
    #[error("{step} took more than {} s; last seen: {seen}{}", limit.as_secs(), log_hint(log.as_ref()))]
    TimedOut {
        /// Which step.
        step: String,
        /// Its limit.
        limit: Duration,
        /// What was seen last.
        seen: String,
        /// The component's log.
        log: Option<PathBuf>,
    },
    /// A component that the lab started has ended.
    #[error("{component} ended by itself; the end of its log {}:\n{tail}", log.display())]
    Died {
        /// Which component.
        component: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Another part of the same `up` failed first; that error is the one to read.
    #[error("gave up waiting for {0}, which failed")]
    Abandoned(String),
    /// JSON that can't be read or written.
    #[error("{what}: {source}")]
    Json {
        /// What was read or written.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// Certificates.
    #[error("making a certificate for {subject}: {source}")]
    Certificate {
        /// For whom.
        subject: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// `down` could not remove everything.
    #[error("left behind after `down`: {0}")]
    LeftBehind(String),
}

fn log_hint(log: Option<&PathBuf>) -> String {
    log.map(|p| format!(" (log: {})", p.display())).unwrap_or_default()
}

impl Error {
    /// For `map_err` on a file operation.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// For `map_err` on another system call.
    pub(crate) fn system<E: Into<std::io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |source| Self::System { action, source: source.into() }
    }

    /// For `map_err` on JSON.
    pub(crate) fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}
