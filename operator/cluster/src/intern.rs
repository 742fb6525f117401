//! One copy of each name and label set, however many objects have it.

use std::collections::HashSet;
use std::sync::Arc;

use tidewatch_records::Name;

use super::facts::Labels;

/// Sweeps out what nobody holds any more whenever it has doubled since the last sweep.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized + std::hash::Hash + Eq> Pool<T> {
    const SWEEP: usize = 1024;

    fn new() -> Self {
        Self { known: HashSet::new(), sweep_at: Self::SWEEP }
    }

    fn keep(&mut self, value: Arc<T>) -> Arc<T> {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = (self.known.len() * 2).max(Self::SWEEP);
        }
        self.known.insert(value.clone());
        value
    }
}

#[derive(Debug)]
pub(super) struct Interner {
    names: Pool<str>,
    labels: Pool<std::collections::BTreeMap<String, String>>,
}

impl Interner {
    pub(super) fn new() -> Self {
        Self { names: Pool::new(), labels: Pool::new() }
    }

    pub(super) fn name(&mut self, text: &str) -> Name {
        match self.names.known.get(text) {
            Some(name) => name.clone(),
            None => self.names.keep(text.into()),
        }
    }

    pub(super) fn labels(&mut self, labels: std::collections::BTreeMap<String, String>) -> Labels {
        match self.labels.known.get(&labels) {
            Some(labels) => labels.clone(),
            None => self.labels.keep(Arc::new(labels)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_and_unused_ones_are_swept() {
        let mut interner = Interner::new();
        let kept = interner.name("node-a");
        assert!(Arc::ptr_eq(&kept, &interner.name("node-a")));
        for n in 0..10_000 {
            interner.name(&n.to_string());
        }
        assert!(interner.names.known.len() <= Pool::<str>::SWEEP + 1);
        assert!(Arc::ptr_eq(&kept, &interner.name("node-a")));
    }
}
