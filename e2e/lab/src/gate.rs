//! What one thread gets ready and others wait for.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

/// Closed, then either opened with a value or abandoned.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    state: Mutex<Option<Option<T>>>,
    changed: Condvar,
}

impl<T: Clone> Gate<T> {
    pub(crate) fn closed() -> Self {
        Self { state: Mutex::new(None), changed: Condvar::new() }
    }

    /// Opens with the value of `result`, or is abandoned on its error, which is handed on.
    pub(crate) fn settle(&self, result: Result<T>) -> Result<()> {
        let (value, handed_on) = match result {
            Ok(value) => (Some(value), Ok(())),
            Err(error) => (None, Err(error)),
        };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        self.changed.notify_all();
        handed_on
    }

    /// Waits for the value.
    pub(crate) fn wait(&self, limit: Duration, what: &str) -> Result<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| state.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match state.as_ref() {
            Some(Some(value)) => Ok(value.clone()),
            Some(None) => Err(Error::Abandoned(what.to_owned())),
            None => Err(Error::TimedOut {
                step: format!("waiting for {what}"),
                limit,
                seen: "nothing yet".into(),
                log: None,
            }),
        }
    }
}
