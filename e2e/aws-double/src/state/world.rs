//! Every account and Region, and what reads see of them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Region;

/// A write that reads don't see yet: what it does, to be done again to what they do see.
type Write = Box<dyn FnOnce(&mut Region) + Send>;

pub(crate) struct World {
    training: SignedDuration,
    places: BTreeMap<(String, String), Place>,
}

struct Place {
    /// What is so.
    truth: Region,
    /// What reads see while a write lags.
    seen: Option<Seen>,
}

struct Seen {
    region: Region,
    pending: Vec<(Timestamp, Write)>,
}

impl World {
    pub(crate) fn new(training: SignedDuration) -> Self {
        Self { training, places: BTreeMap::new() }
    }

    fn place(&mut self, account: &str, region: &str, now: Timestamp) -> &mut Place {
        let place = self
            .places
            .entry((account.to_owned(), region.to_owned()))
            .or_insert_with(|| Place { truth: Region::new(account, region, self.training, now), seen: None });
        place.tick(now);
        place
    }

    /// What is so; for writes, and for tests.
    pub(crate) fn truth(&mut self, account: &str, region: &str, now: Timestamp) -> &mut Region {
        &mut self.place(account, region, now).truth
    }

    /// What reads see.
    pub(crate) fn seen(&mut self, account: &str, region: &str, now: Timestamp) -> &mut Region {
        let place = self.place(account, region, now);
        match &mut place.seen {
            Some(seen) => &mut seen.region,
            None => &mut place.truth,
        }
    }

    /// Runs a write on what is so. What reads see follows at once, or after `lag`; a refused write changes neither.
    pub(crate) fn write<R, E>(
        &mut self,
        (account, region): (&str, &str),
        now: Timestamp,
        lag: Option<SignedDuration>,
        write: impl Fn(&mut Region) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E> {
        let place = self.place(account, region, now);
        let before = (lag.is_some() && place.seen.is_none()).then(|| place.truth.clone());
        let result = write(&mut place.truth)?;
        if let Some(region) = before {
            place.seen = Some(Seen { region, pending: Vec::new() });
        }
        if let Some(seen) = &mut place.seen {
            let again = Box::new(move |region: &mut Region| drop(write(region)));
            match lag {
                None => again(&mut seen.region),
                Some(lag) => seen.pending.push((now.saturating_add(lag).unwrap_or(now), again)),
            }
        }
        Ok(result)
    }

    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.places.values_mut().for_each(|place| place.tick(now));
    }

    pub(crate) fn regions(&mut self) -> impl Iterator<Item = &Region> {
        self.places.values().map(|place| &place.truth)
    }
}

impl Place {
    fn tick(&mut self, now: Timestamp) {
        self.truth.tick(now);
        let Some(seen) = &mut self.seen else { return };
        seen.region.tick(now);
        let due = seen.pending.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        due.into_iter().for_each(|(_, write)| write(&mut seen.region));
        if seen.pending.is_empty() {
            // Caught up: also with what was changed by hand.
            self.seen = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(region: &Region) -> Vec<&str> {
        region.detectors.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_lagging_write_is_so_at_once_and_seen_later_while_others_are_seen_at_once() {
        let mut world = World::new(SignedDuration::from_hours(3));
        let start = Timestamp::UNIX_EPOCH;
        let put = |id: &'static str| {
            move |region: &mut Region| {
                let subject = super::super::Subject::Math(Vec::new());
                let id_of = region.put_detector(subject, None, None);
                let detector = region.detectors.remove(&id_of).unwrap();
                region.detectors.insert(id.to_owned(), detector);
                Ok::<_, ()>(())
            }
        };
        world.write(("1", "r"), start, Some(SignedDuration::from_secs(5)), put("late")).unwrap();
        world.write(("1", "r"), start, None, put("prompt")).unwrap();
        assert_eq!(names(world.truth("1", "r", start)), ["late", "prompt"]);
        assert_eq!(names(world.seen("1", "r", start)), ["prompt"]);
        let later = start + SignedDuration::from_secs(5);
        assert_eq!(names(world.seen("1", "r", later)), ["late", "prompt"]);
    }
}
