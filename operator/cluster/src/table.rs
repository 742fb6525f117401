//! Objects of one kind by key: live ones, and for a while those that departed.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

#[derive(Debug)]
struct Entry<F> {
    fact: Arc<F>,
    /// The list (or the watch that followed it) that last named the object.
    listing: u64,
    departed: Option<Timestamp>,
}

/// Result of [`Table::apply`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied<F> {
    Unchanged,
    /// It wasn't known, or had departed.
    New,
    /// Another fact stood there.
    Replaced(Arc<F>),
}

#[derive(Debug)]
pub(super) struct Table<K, F> {
    entries: HashMap<K, Entry<F>>,
    departed: VecDeque<(Timestamp, K)>,
    listing: u64,
    live: usize,
}

impl<K, F> Default for Table<K, F> {
    fn default() -> Self {
        Self { entries: HashMap::new(), departed: VecDeque::new(), listing: 0, live: 0 }
    }
}

impl<K: Hash + Eq + Clone, F: PartialEq> Table<K, F> {
    pub(super) fn apply(&mut self, key: K, fact: F) -> Applied<F> {
        let listing = self.listing;
        let Some(entry) = self.entries.get_mut(&key) else {
            self.entries.insert(key, Entry { fact: Arc::new(fact), listing, departed: None });
            self.live += 1;
            return Applied::New;
        };
        entry.listing = listing;
        let returned = entry.departed.take().is_some();
        self.live += usize::from(returned);
        if returned {
            entry.fact = Arc::new(fact);
            return Applied::New;
        }
        if *entry.fact == fact {
            return Applied::Unchanged;
        }
        Applied::Replaced(std::mem::replace(&mut entry.fact, Arc::new(fact)))
    }

    /// Marks the object as departed, and returns its fact if it was live.
    pub(super) fn depart(&mut self, key: &K, now: Timestamp) -> Option<Arc<F>> {
        let entry = self.entries.get_mut(key).filter(|entry| entry.departed.is_none())?;
        entry.departed = Some(now);
        self.live -= 1;
        self.departed.push_back((now, key.clone()));
        Some(entry.fact.clone())
    }

    /// A list begins: what it doesn't name by [`Table::end_list`] has departed unseen.
    pub(super) fn begin_list(&mut self) {
        self.listing += 1;
    }

    pub(super) fn end_list(&mut self, now: Timestamp) -> Vec<Arc<F>> {
        let listing = self.listing;
        let gone: Vec<K> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.departed.is_none() && entry.listing != listing)
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().filter_map(|key| self.depart(key, now)).collect()
    }

    /// Forgets what departed before `horizon`, and beyond `keep` departed objects the oldest.
    pub(super) fn forget(&mut self, horizon: Timestamp, keep: usize) -> Vec<Arc<F>> {
        let mut forgotten = Vec::new();
        while let Some((at, _)) = self.departed.front() {
            if *at >= horizon && self.departed.len() <= keep {
                break;
            }
            let Some((at, key)) = self.departed.pop_front() else { break };
            // The object may have come back under the same key, and even have departed once more.
            if self.entries.get(&key).is_some_and(|entry| entry.departed == Some(at))
                && let Some(entry) = self.entries.remove(&key)
            {
                forgotten.push(entry.fact);
            }
        }
        forgotten
    }

    /// Live or departed.
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&Arc<F>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.fact)
    }

    pub(super) fn departed_at(&self, key: &K) -> Option<Timestamp> {
        self.entries.get(key)?.departed
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Arc<F>> {
        self.entries.values().filter(|entry| entry.departed.is_none()).map(|entry| &entry.fact)
    }

    /// Live ones, and those not yet forgotten.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<F>> {
        self.entries.values().map(|entry| &entry.fact)
    }

    pub(super) fn live_count(&self) -> usize {
        self.live
    }

    pub(super) fn departed_count(&self) -> usize {
        self.entries.len() - self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_a_list_does_not_name_has_departed() {
        let mut table = Table::default();
        table.apply("a", 1);
        table.apply("b", 2);
        table.begin_list();
        assert_eq!(table.apply("b", 2), Applied::Unchanged);
        let gone = table.end_list(at(10));
        assert_eq!(gone.iter().map(|f| **f).collect::<Vec<_>>(), [1]);
        assert_eq!(table.live_count(), 1);
        assert_eq!(table.get("a").map(|f| **f), Some(1), "departed, not forgotten");
    }

    #[test]
    fn departed_objects_are_forgotten_by_time_and_by_count() {
        let mut table = Table::default();
        for (key, second) in [("a", 1), ("b", 2), ("c", 3)] {
            table.apply(key, second);
            table.depart(&key, at(second));
        }
        assert_eq!(table.forget(at(2), 10).len(), 1);
        assert_eq!(table.forget(at(0), 1).len(), 1);
        assert_eq!((table.get("a"), table.get("b")), (None, None));
        assert!(table.get("c").is_some());
    }

    #[test]
    fn an_object_that_came_back_is_not_forgotten() {
        let mut table = Table::default();
        table.apply("a", 1);
        table.depart(&"a", at(1));
        assert_eq!(table.apply("a", 1), Applied::New);
        assert!(table.forget(at(100), 0).is_empty());
        assert_eq!((table.live_count(), table.departed_count()), (1, 0));
    }
}
