//! Who held an address when, so that an address that changed hands doesn't rewrite the past.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

/// More tenancies of one address than this within the history are forgotten, the oldest first.
const TENANCIES_PER_ADDRESS: usize = 16;

/// A holder that is gone is still named for this long where nobody else holds the address: its peers go on dialling it.
const LINGER: SignedDuration = SignedDuration::from_mins(2);

#[derive(Debug, Clone)]
struct Tenancy<T> {
    holder: T,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl<T> Tenancy<T> {
    /// How much of `[from, to)` it covers.
    fn overlap(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        let end = self.until.map_or(to, |until| until.min(to));
        end.duration_since(self.from.max(from))
    }
}

#[derive(Debug)]
pub(super) struct History<T> {
    tenancies: HashMap<IpAddr, Vec<Tenancy<T>>>,
    ended: VecDeque<(Timestamp, IpAddr)>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self { tenancies: HashMap::new(), ended: VecDeque::new() }
    }
}

impl<T: PartialEq> History<T> {
    /// `holder` has `ip` from `from` on, or from when the one before it was seen to give it back; whoever still has it
    /// loses it then.
    pub(super) fn begin(&mut self, ip: IpAddr, holder: T, from: Timestamp) {
        let tenancies = self.tenancies.entry(ip).or_insert_with(|| Vec::with_capacity(1));
        for tenancy in tenancies.iter_mut().filter(|t| t.until.is_none()) {
            if tenancy.holder == holder {
                return;
            }
            tenancy.until = Some(from.max(tenancy.from));
            self.ended.push_back((from, ip));
        }
        let from = tenancies.iter().filter_map(|t| t.until).max().map_or(from, |until| until.max(from));
        if tenancies.len() >= TENANCIES_PER_ADDRESS {
            tenancies.remove(0);
        }
        tenancies.push(Tenancy { holder, from, until: None });
    }

    /// `holder` gave `ip` back at `at`.
    pub(super) fn end(&mut self, ip: IpAddr, holder: &T, at: Timestamp) {
        let Some(tenancies) = self.tenancies.get_mut(&ip) else { return };
        if let Some(tenancy) = tenancies.iter_mut().find(|t| t.until.is_none() && t.holder == *holder) {
            tenancy.until = Some(at.max(tenancy.from));
            self.ended.push_back((at, ip));
        }
    }

    /// Who held `ip` for most of `[from, to)`; the later one of two who held it equally long. Where nobody did, who
    /// last did, shortly before.
    pub(super) fn holder(&self, ip: IpAddr, from: Timestamp, to: Timestamp) -> Option<&T> {
        let tenancies = self.tenancies.get(&ip)?;
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
                    .max_by_key(|(until, _)| *until)
                    .map(|(_, tenancy)| (SignedDuration::ZERO, tenancy))
            })
            .map(|(_, tenancy)| &tenancy.holder)
    }

    /// Forgets the tenancies that ended before `horizon`, and beyond `keep` ended ones the oldest.
    pub(super) fn forget(&mut self, horizon: Timestamp, keep: usize) {
        while let Some((at, ip)) = self.ended.front().copied() {
            if at >= horizon && self.ended.len() <= keep {
                break;
            }
            self.ended.pop_front();
            if let Some(tenancies) = self.tenancies.get_mut(&ip) {
                tenancies.retain(|tenancy| tenancy.until.is_none_or(|until| until > at));
                if tenancies.is_empty() {
                    self.tenancies.remove(&ip);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tenancies.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ip() -> IpAddr {
        "198.18.1.7".parse().unwrap()
    }

    /// a holds the address over [0, 100), nobody over [100, 110), b from 110 on.
    fn reused() -> History<char> {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0));
        history.end(ip(), &'a', at(100));
        history.begin(ip(), 'b', at(110));
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
            assert_eq!(history.holder(ip(), at(from), at(to)).copied(), holder, "[{from}, {to}): {why}");
        }
    }

    #[test]
    fn a_new_holder_ends_the_old_ones_tenancy_even_if_its_deletion_was_never_seen() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0));
        history.begin(ip(), 'b', at(50));
        assert_eq!(history.holder(ip(), at(0), at(30)), Some(&'a'));
        assert_eq!(history.holder(ip(), at(60), at(90)), Some(&'b'));
    }

    #[test]
    fn a_pod_started_before_it_was_given_the_address_has_it_only_from_when_it_was_free() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0));
        history.end(ip(), &'a', at(105));
        history.begin(ip(), 'b', at(60));
        assert_eq!(history.holder(ip(), at(60), at(90)), Some(&'a'));
    }

    #[test]
    fn a_departed_holder_lingers_only_so_long() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0));
        history.end(ip(), &'a', at(100));
        assert_eq!(history.holder(ip(), at(150), at(180)), Some(&'a'));
        assert_eq!(history.holder(ip(), at(300), at(330)), None);
    }

    #[test]
    fn the_past_is_forgotten_by_time_and_by_count() {
        let mut history = reused();
        history.forget(at(101), 10);
        assert_eq!(history.holder(ip(), at(0), at(30)), None, "b did not have it then");
        let mut history = History::default();
        for n in 0..100 {
            history.begin(ip(), n, at(n));
        }
        assert_eq!(history.tenancies.get(&ip()).unwrap().len(), TENANCIES_PER_ADDRESS);
        history.forget(at(0), 3);
        assert!(history.ended.len() <= 3);
    }

    #[test]
    fn nothing_is_kept_of_an_address_whose_tenancies_are_all_forgotten() {
        let mut history = History::default();
        history.begin(ip(), 'a', at(0));
        history.end(ip(), &'a', at(1));
        history.forget(at(2), 10);
        assert_eq!(history.len(), 0);
    }
}
