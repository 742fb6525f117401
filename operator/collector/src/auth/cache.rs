//! A bounded map whose entries expire.

use std::collections::HashMap;
use std::hash::Hash;

use jiff::Timestamp;

#[derive(Debug)]
pub(super) struct Cache<K, V> {
    entries: HashMap<K, (V, Timestamp)>,
    most: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), most }
    }

    pub(super) fn get(&mut self, key: &K, now: Timestamp) -> Option<V> {
        let (value, until) = self.entries.get(key)?;
        if *until <= now {
            self.entries.remove(key);
            return None;
        }
        Some(value.clone())
    }

    /// A full cache drops what has expired, or else a tenth of it, the soonest to expire first: room is made seldom, so
    /// that it costs little each time.
    pub(super) fn insert(&mut self, key: K, value: V, until: Timestamp, now: Timestamp) {
        if self.entries.len() >= self.most {
            self.entries.retain(|_, (_, until)| *until > now);
        }
        if self.entries.len() >= self.most {
            let mut soonest: Vec<(Timestamp, K)> =
                self.entries.iter().map(|(k, (_, u))| (*u, k.clone())).collect();
            soonest.sort_by_key(|(until, _)| *until);
            for (_, key) in soonest.into_iter().take(self.most / 10 + 1) {
                self.entries.remove(&key);
            }
        }
        self.entries.insert(key, (value, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_entry_expires() {
        let mut cache = Cache::new(10);
        cache.insert("a", 1, at(10), at(0));
        assert_eq!(cache.get(&"a", at(9)), Some(1));
        assert_eq!(cache.get(&"a", at(10)), None);
    }

    #[test]
    fn a_full_cache_makes_room() {
        let mut cache = Cache::new(10);
        for n in 0..1000 {
            cache.insert(n, n, at(1000 + n), at(0));
            assert!(cache.entries.len() <= 10);
        }
        assert_eq!(cache.get(&999, at(0)), Some(999), "the newest is there");
    }
}
