//! The holders of each address, or of a port at an address, over time: records of the past keep their names when an
//! address changes hands.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

/// More tenancies of one address than this within the history are forgotten, the oldest first.
const TENANCIES_PER_ADDRESS: usize = 16;

/// A holder that is gone is still named for this long where nobody else holds the address: its peers go on dialling it.
pub(super) const LINGER: SignedDuration = SignedDuration::from_mins(2);

#[derive(Debug, Clone)]
struct Tenancy<T> {
    holder: T,
    from: Timestamp,
    until: Option<Timestamp>,
    /// Time of the claim. Of two holders that claim the address at the same time, the one with the later claim holds
    /// it.
    claimed: Timestamp,
}

impl<T> Tenancy<T> {
    /// The length of its overlap with `[from, to)`.
    fn overlap(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        let end = self.until.map_or(to, |until| until.min(to));
        end.duration_since(self.from.max(from))
    }
}

/// A claim that a later one has superseded while its object still lists the address, such as a pod of a lost node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<T> {
    claimed: Timestamp,
    holder: T,
}

#[derive(Debug)]
pub(super) struct History<K, T> {
    tenancies: HashMap<K, Vec<Tenancy<T>>>,
    /// Nearly always empty.
    put_aside: HashMap<K, Vec<Claim<T>>>,
    ended: VecDeque<(Timestamp, K)>,
}

impl<K, T> Default for History<K, T> {
    fn default() -> Self {
        Self { tenancies: HashMap::new(), put_aside: HashMap::new(), ended: VecDeque::new() }
    }
}

impl<K: Hash + Eq + Clone, T: Ord + Clone> History<K, T> {
    /// Begins the tenancy of `holder` at `from`, or at the end of the tenancy before it if that is later. If another
    /// holder claims `key` too, the one with the later claim has it, in whichever order the two are reported, and the
    /// tenancy of the other ends where that of the later one begins.
    pub(super) fn begin(&mut self, key: K, holder: T, from: Timestamp, claimed: Timestamp) {
        let tenancies = self.tenancies.entry(key.clone()).or_insert_with(|| Vec::with_capacity(1));
        let mut until = None;
        let from = match tenancies.iter_mut().find(|t| t.until.is_none()) {
            Some(open) if open.holder == holder => return,
            Some(open) if (open.claimed, &open.holder) > (claimed, &holder) => {
                self.put_aside
                    .entry(key.clone())
                    .or_default()
                    .push(Claim { claimed, holder: holder.clone() });
                let Some((free_from, free_until)) = gap(tenancies, from) else { return };
                until = Some(free_until);
                free_from
            }
            Some(open) => {
                let aside = self.put_aside.entry(key.clone()).or_default();
                aside.push(Claim { claimed: open.claimed, holder: open.holder.clone() });
                // It may have started before the other one did, and been given the address only now.
                let from = if from > open.from { from } else { claimed.max(open.from) };
                open.until = Some(from);
                self.ended.push_back((from, key.clone()));
                from
            }
            None => tenancies.iter().filter_map(|t| t.until).max().map_or(from, |free| free.max(from)),
        };
        if tenancies.len() >= TENANCIES_PER_ADDRESS
            && let Some(oldest) = tenancies.iter().position(|t| t.until.is_some())
        {
            tenancies.remove(oldest);
        }
        tenancies.push(Tenancy { holder, from, until, claimed });
        self.ended.extend(until.map(|until| (until, key)));
    }

    /// Ends the tenancy of `holder` at `at`. A holder whose earlier claim still stands has `key` again.
    pub(super) fn end(&mut self, key: &K, holder: &T, at: Timestamp) {
        let Some(tenancies) = self.tenancies.get_mut(key) else { return };
        let mut next = None;
        if let Some(aside) = self.put_aside.get_mut(key) {
            aside.retain(|claim| claim.holder != *holder);
            next = aside.iter().max().cloned();
            if aside.is_empty() {
                self.put_aside.remove(key);
            }
        }
        let Some(tenancy) = tenancies.iter_mut().find(|t| t.until.is_none() && t.holder == *holder) else {
            return;
        };
        let at = at.max(tenancy.from);
        tenancy.until = Some(at);
        self.ended.push_back((at, key.clone()));
        if let Some(Claim { claimed, holder }) = next {
            if let Some(aside) = self.put_aside.get_mut(key) {
                aside.retain(|claim| claim.holder != holder);
            }
            tenancies.push(Tenancy { holder, from: at, until: None, claimed });
        }
    }

    /// The holder of `key` for most of `[from, to)`; of two with equal shares the later one. If nobody held it then,
    /// the last holder, if it held it shortly before.
    pub(super) fn holder(&self, key: &K, from: Timestamp, to: Timestamp) -> Option<&T> {
        let tenancies = self.tenancies.get(key)?;
        tenancies
            .iter()
            .map(|tenancy| (tenancy.overlap(from, to), tenancy))
            .filter(|(overlap, _)| overlap.is_positive())
            .max_by_key(|(overlap, tenancy)| (*overlap, tenancy.from))
            .or_else(|| {
                tenancies
                    .iter()
                    .filter_map(|tenancy| Some((tenancy.until?, tenancy)))
                    .filter(|(until, _)| *until <= from && from.duration_since(*until) <= LINGER)
                    .max_by_key(|(until, tenancy)| (*until, tenancy.from))
                    .map(|(_, tenancy)| (SignedDuration::ZERO, tenancy))
            })
            .map(|(_, tenancy)| &tenancy.holder)
    }

    /// Forgets the tenancies that ended before `horizon`, and beyond `keep` ended ones the oldest.
    pub(super) fn forget(&mut self, horizon: Timestamp, keep: usize) {
        while let Some((at, key)) = self.ended.front() {
            if *at >= horizon && self.ended.len() <= keep {
                break;
            }
            if let Some(tenancies) = self.tenancies.get_mut(key) {
                tenancies.retain(|tenancy| tenancy.until.is_none_or(|until| until > *at));
                if tenancies.is_empty() {
                    self.tenancies.remove(key);
                }
            }
            self.ended.pop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tenancies.len()
    }
}

/// The time from `from` on, before the tenancies that began later, in which nobody is known to have held the address.
fn gap<T>(tenancies: &[Tenancy<T>], from: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let before = tenancies.iter().filter(|t| t.from <= from).filter_map(|t| t.until).max();
    let from = before.map_or(from, |before| before.max(from));
    let until = tenancies.iter().map(|t| t.from).filter(|began| *began > from).min()?;
    Some((from, until))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ip() -> IpAddr {
        "198.18.1.7".parse().unwrap()
    }

    /// a holds the address over [0, 100), nobody over [100, 110), b from 110 on.
    fn reused() -> History<IpAddr, char> {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0), at(0));
        history.end(&ip(), &'a', at(100));
        history.begin(ip(), 'b', at(110), at(110));
        history
    }

    #[test]
    fn a_reused_address_names_who_held_it_then() {
        let history = reused();
        for (from, to, holder, why) in [
            (0, 30, Some('a'), "before"),
            (60, 90, Some('a'), "before"),
            (90, 120, Some('b'), "10 s of each: the later"),
            (95, 125, Some('b'), "5 s of a, 15 s of b"),
            (120, 150, Some('b'), "after"),
            (102, 108, Some('a'), "nobody then, a shortly before"),
        ] {
            assert_eq!(history.holder(&ip(), at(from), at(to)).copied(), holder, "[{from}, {to}): {why}");
        }
    }

    #[test]
    fn a_new_holder_ends_the_old_ones_tenancy_even_if_its_deletion_was_never_seen() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0), at(0));
        history.begin(ip(), 'b', at(50), at(50));
        assert_eq!(history.holder(&ip(), at(0), at(30)), Some(&'a'));
        assert_eq!(history.holder(&ip(), at(60), at(90)), Some(&'b'));
    }

    #[test]
    fn a_pod_started_before_it_was_given_the_address_has_it_only_from_when_it_was_free() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0), at(0));
        history.end(&ip(), &'a', at(105));
        history.begin(ip(), 'b', at(60), at(60));
        assert_eq!(history.holder(&ip(), at(60), at(90)), Some(&'a'));
    }

    #[test]
    fn of_two_that_list_it_the_one_that_started_last_holds_it() {
        for order in [[('o', 0), ('n', 110)], [('n', 110), ('o', 0)]] {
            let mut history = History::default();
            for (holder, started) in order {
                history.begin(ip(), holder, at(started), at(started));
            }
            for (from, to, holder) in [(0, 30, 'o'), (60, 90, 'o'), (105, 120, 'n'), (300, 330, 'n')] {
                assert_eq!(
                    history.holder(&ip(), at(from), at(to)),
                    Some(&holder),
                    "[{from}, {to}) {order:?}"
                );
            }
            // The old one's object goes at last, which changes nothing.
            history.end(&ip(), &'o', at(400));
            assert_eq!(history.holder(&ip(), at(405), at(420)), Some(&'n'), "{order:?}");
            assert!(history.put_aside.is_empty());
        }
    }

    #[test]
    fn of_three_the_last_holds_it_in_whichever_order() {
        let holders = [('a', 0), ('b', 100), ('c', 200)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut history = History::default();
            for (holder, started) in order.map(|n| holders[n]) {
                history.begin(ip(), holder, at(started), at(started));
            }
            assert_eq!(history.holder(&ip(), at(300), at(330)), Some(&'c'), "{order:?}");
            assert_eq!(history.holder(&ip(), at(0), at(30)), Some(&'a'), "{order:?}");
        }
    }

    #[test]
    fn two_that_started_at_once_are_the_same_in_any_order() {
        for order in [['x', 'y'], ['y', 'x']] {
            let mut history = History::default();
            order.into_iter().for_each(|holder| history.begin(ip(), holder, at(0), at(0)));
            assert_eq!(history.holder(&ip(), at(10), at(20)), Some(&'y'), "{order:?}");
        }
    }

    #[test]
    fn an_earlier_claim_holds_again_when_the_later_one_ends() {
        let mut history = History::default();
        history.begin(ip(), 'n', at(110), at(110));
        history.begin(ip(), 'o', at(0), at(0));
        history.end(&ip(), &'n', at(200));
        assert_eq!(history.holder(&ip(), at(150), at(180)), Some(&'n'));
        assert_eq!(history.holder(&ip(), at(210), at(240)), Some(&'o'));
        history.end(&ip(), &'o', at(300));
        assert_eq!(history.holder(&ip(), at(500), at(530)), None);
        assert!(history.put_aside.is_empty());
    }

    #[test]
    fn a_late_claim_leaves_the_past_to_who_had_it() {
        let mut history = History::default();
        history.begin(ip(), 'p', at(200), at(200));
        // Started at 60, and told at 400 to have the address, before the watch has told that p is gone.
        history.begin(ip(), 'c', at(60), at(400));
        history.end(&ip(), &'p', at(405));
        for (from, to, holder) in [(300, 330, 'p'), (410, 440, 'c')] {
            assert_eq!(history.holder(&ip(), at(from), at(to)), Some(&holder), "[{from}, {to})");
        }
    }

    #[test]
    fn a_departed_holder_lingers_only_so_long() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0), at(0));
        history.end(&ip(), &'a', at(100));
        assert_eq!(history.holder(&ip(), at(150), at(180)), Some(&'a'));
        assert_eq!(history.holder(&ip(), at(300), at(330)), None);
    }

    #[test]
    fn the_past_is_forgotten_by_time_and_by_count() {
        let mut history = reused();
        history.forget(at(101), 10);
        assert_eq!(history.holder(&ip(), at(0), at(30)), None, "b did not have it then");
        let mut history = History::default();
        for n in 0..100 {
            history.begin(ip(), n, at(n), at(n));
        }
        assert_eq!(history.tenancies.get(&ip()).unwrap().len(), TENANCIES_PER_ADDRESS);
        history.forget(at(0), 3);
        assert!(history.ended.len() <= 3);
    }

    #[test]
    fn nothing_is_kept_of_an_address_whose_tenancies_are_all_forgotten() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0), at(0));
        history.end(&ip(), &'a', at(1));
        history.forget(at(2), 10);
        assert_eq!(history.len(), 0);
    }
}
