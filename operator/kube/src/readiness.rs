//! Whether the process is ready, as /readyz says it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::watch_health::WatchHealth;

/// Whether the process can do its job: a standby that can reach the API server can, as can a leader that may watch what it
/// stands on.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    answered: Arc<AtomicBool>,
    watches: WatchHealth,
}

impl Readiness {
    pub fn new(watches: WatchHealth) -> Self {
        Self { watches, ..Self::default() }
    }

    /// The API server has answered.
    pub fn set(&self, answered: bool) {
        self.answered.store(answered, Ordering::Relaxed);
    }

    /// Why it isn't ready, if it isn't.
    pub fn problem(&self) -> Option<String> {
        if !self.answered.load(Ordering::Relaxed) {
            return Some("the API server hasn't answered yet".to_owned());
        }
        self.watches.cant_work()
    }
}
