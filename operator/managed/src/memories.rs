//! What is remembered of objects between their passes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By object. A pass takes its object's out, and puts it back at its end.
#[derive(Debug)]
pub struct Memories<M>(Mutex<HashMap<String, Option<M>>>);

/// What a pass begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken<M> {
    Kept(M),
    /// The object wasn't seen before by this process.
    Never,
    /// The last pass didn't end by itself: what it wrote isn't known, and what was read before it may be behind.
    Interrupted,
}

impl<M> Default for Memories<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M> Memories<M> {
    pub fn take(&self, key: &str) -> Taken<M> {
        match self.lock().insert(key.to_owned(), None) {
            Some(Some(memory)) => Taken::Kept(memory),
            Some(None) => Taken::Interrupted,
            None => Taken::Never,
        }
    }

    pub fn put(&self, key: &str, memory: M) {
        self.lock().insert(key.to_owned(), Some(memory));
    }

    /// The object is gone, or this isn't where it is reconciled any more.
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Option<M>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_put_nothing_back_was_interrupted() {
        let memories = Memories::default();
        assert_eq!(memories.take("a"), Taken::Never);
        memories.put("a", 1);
        assert_eq!(memories.take("a"), Taken::Kept(1));
        assert_eq!(memories.take("a"), Taken::Interrupted);
        memories.forget("a");
        assert_eq!(memories.take("a"), Taken::Never);
    }
}
