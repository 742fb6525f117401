//! The usual behaviour of each service: learned ratios that follow slow changes, and that are not learned from a fault.
//!
//! A series is one service (or what stands for one) in one direction and reach; a path series is one service between
//! two zones. Memory is bounded by [`MAX_SERIES`] of each, the least recently seen going first: 100,000 pods of 5,000
//! services in three zones make some 20,000 series of about 100 bytes.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};
use tidewatch_records::Role;

use crate::input::cell::{Cell, Flow, Reach, Subject};
use crate::input::names::Id;

/// Series kept of each kind.
pub(crate) const MAX_SERIES: usize = 100_000;

/// After this long a past observation counts 1/e: ratios swing by the hour.
const MEMORY_SECONDS: f64 = 1_500.0;

/// No gap fades what was learned before it by more than this: while a service is at fault it isn't learned from, and what
/// it was used to must be known when the fault is over, however long it took.
const MOST_FADING_SECONDS: f64 = MEMORY_SECONDS;

/// Share of the weight of past observations that is left after a gap of so many seconds.
fn kept(seconds: i64) -> f64 {
    (-(seconds.max(0) as f64).min(MOST_FADING_SECONDS) / MEMORY_SECONDS).exp()
}

/// Before anything is learned: a ratio that healthy networks stay below, worth this many segments of history.
const PRIOR_RATIO: f64 = 5e-4;
const PRIOR_SEGMENTS: f64 = 4_000.0;
/// No ratio is believed to be less: one stray retransmission isn't a sensation.
const LEAST_RATIO: f64 = 5e-5;

/// Windows after which a service can be blamed for retransmitting more than it used to.
const KNOWN_WINDOWS: u8 = 3;

/// Segments sent and attempts accepted, as far as they are remembered, by which a port is known to be served.
const ANSWERED: f64 = 1.0;

const PRIOR_UNANSWERED: f64 = 2e-3;
const PRIOR_REFUSED: f64 = 5e-3;
const PRIOR_ATTEMPTS: f64 = 200.0;

/// Unevenness of benign loss, as the shape of a gamma distribution of a flow's ratio about its service's: prior, its
/// weight in squared expected retransmissions, and bounds.
const PRIOR_UNEVENNESS: f64 = 1.4;
const PRIOR_UNEVENNESS_WEIGHT: f64 = 20.0;
const UNEVENNESS: (f64, f64) = (0.3, 4.0);

/// Round trips of a path, each of one flow in one window, from which on what is usual there is known.
const KNOWN_TRIPS: f64 = 3.0;

/// Spread of ln(round-trip time) of a service's flows on a path before it is learned, and its bounds.
const PRIOR_RTT_SPREAD: f64 = 0.35;
const PRIOR_RTT_WEIGHT: f64 = 3.0;
const RTT_SPREAD: (f64, f64) = (0.2, 1.0);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SeriesKey {
    pub(crate) subject: Subject,
    pub(crate) role: Role,
    pub(crate) reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PathKey {
    pub(crate) series: SeriesKey,
    pub(crate) from: Option<Id>,
    pub(crate) to: Option<Id>,
    pub(crate) same_node: bool,
}

impl SeriesKey {
    pub(crate) fn renumbered(self, number: &mut impl FnMut(Id) -> Id) -> Self {
        Self { subject: self.subject.renumbered(number), ..self }
    }

    pub(crate) fn of(flow: &Flow) -> Self {
        Self { subject: flow.subject, role: flow.role, reach: flow.reach }
    }
}

impl PathKey {
    pub(crate) fn renumbered(self, number: &mut impl FnMut(Id) -> Id) -> Self {
        Self {
            series: self.series.renumbered(number),
            from: self.from.map(&mut *number),
            to: self.to.map(&mut *number),
            same_node: self.same_node,
        }
    }

    pub(crate) fn of(flow: &Flow) -> Self {
        Self {
            series: SeriesKey::of(flow),
            from: flow.local_zone,
            to: flow.remote_zone,
            same_node: !flow.leaves_node(),
        }
    }
}

/// Decayed counts of one service's one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) segments: f64,
    pub(crate) retransmissions: f64,
    pub(crate) attempts: f64,
    pub(crate) unanswered: f64,
    pub(crate) refused: f64,
    /// Σ ((x − m)² − m) and Σ m² over flows: their quotient is the unevenness.
    pub(crate) excess: f64,
    pub(crate) expected_squared: f64,
    /// Connections accepted, and segments that arrived.
    #[serde(default)]
    pub(crate) answered: f64,
    /// Windows learned from, up to [`KNOWN_WINDOWS`].
    pub(crate) windows: u8,
    /// Unix seconds.
    pub(crate) seen: i64,
}

/// The behaviour that is expected of a service's flows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub(crate) ratio: f64,
    /// Shape of the gamma distribution of a flow's ratio: 1 / unevenness.
    pub(crate) shape: f64,
    pub(crate) unanswered: f64,
    pub(crate) refused: f64,
    /// Enough windows have been seen to say that the service isn't as it was.
    pub(crate) known: bool,
    /// Something answered there before.
    pub(crate) answers: bool,
}

impl Series {
    fn decay(&mut self, seconds: i64) {
        let keep = kept(seconds);
        for value in [
            &mut self.segments,
            &mut self.retransmissions,
            &mut self.attempts,
            &mut self.unanswered,
            &mut self.refused,
            &mut self.excess,
            &mut self.expected_squared,
            &mut self.answered,
        ] {
            *value *= keep;
        }
    }

    pub(crate) fn expected(&self) -> Expected {
        let ratio = (self.retransmissions + PRIOR_RATIO * PRIOR_SEGMENTS) / (self.segments + PRIOR_SEGMENTS);
        let unevenness = (self.excess + PRIOR_UNEVENNESS * PRIOR_UNEVENNESS_WEIGHT)
            / (self.expected_squared + PRIOR_UNEVENNESS_WEIGHT);
        let attempts = self.attempts + PRIOR_ATTEMPTS;
        Expected {
            ratio: ratio.max(LEAST_RATIO),
            shape: 1.0 / unevenness.clamp(UNEVENNESS.0, UNEVENNESS.1),
            unanswered: (self.unanswered + PRIOR_UNANSWERED * PRIOR_ATTEMPTS) / attempts,
            refused: (self.refused + PRIOR_REFUSED * PRIOR_ATTEMPTS) / attempts,
            known: self.windows >= KNOWN_WINDOWS,
            answers: self.answered >= ANSWERED,
        }
    }

    fn learn(&mut self, cell: &Cell, expected: &Expected) {
        let segments = cell.data.segments as f64;
        let mean = segments * expected.ratio;
        // A flow that stands out teaches no more than a bad but ordinary one would.
        let retransmissions = (cell.data.retransmissions as f64).min(3.0 * mean + 4.0);
        self.segments += segments;
        self.retransmissions += retransmissions;
        self.excess += (retransmissions - mean).powi(2) - retransmissions;
        self.expected_squared += mean * mean;
        self.answered += cell.handshakes.established as f64 + segments - cell.data.retransmissions as f64;
        let attempts = cell.handshakes.decided() as f64;
        self.attempts += attempts;
        self.unanswered += (cell.handshakes.unanswered as f64).min(0.2 * attempts);
        self.refused += (cell.handshakes.refused as f64).min(0.5 * attempts);
    }
}

/// Decayed moments of ln(round-trip time) of one service's flows between two zones: of the median of a window, and of
/// the quickest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PathSeries {
    pub(crate) weight: f64,
    pub(crate) mean_ln_us: f64,
    /// Mean squared deviation.
    pub(crate) variance: f64,
    /// The same of the quickest round trips. An engine that learned medians alone has none.
    #[serde(default)]
    pub(crate) quickest: Moments,
    pub(crate) seen: i64,
}

/// Decayed moments of ln(round-trip time).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub(crate) weight: f64,
    pub(crate) mean_ln_us: f64,
    /// Mean squared deviation.
    pub(crate) variance: f64,
}

/// The usual round-trip times on a path, in microseconds, and the standard deviation of the logarithm of the quickest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UsualTrips {
    pub(crate) median_us: f64,
    pub(crate) quickest_us: f64,
    pub(crate) spread: f64,
}

impl Moments {
    fn is_known(&self) -> bool {
        self.weight >= KNOWN_TRIPS
    }

    fn spread(&self) -> f64 {
        let variance = (self.variance * self.weight + PRIOR_RTT_SPREAD.powi(2) * PRIOR_RTT_WEIGHT)
            / (self.weight + PRIOR_RTT_WEIGHT);
        variance.sqrt().clamp(RTT_SPREAD.0, RTT_SPREAD.1)
    }

    fn learn(&mut self, us: f64) {
        let ln_us = us.ln();
        self.weight += 1.0;
        let step = 1.0 / self.weight;
        let deviation = ln_us - self.mean_ln_us;
        if self.weight <= 1.0 {
            self.mean_ln_us = ln_us;
        } else {
            // Winsorised at a factor of three.
            let deviation = deviation.clamp(-1.1, 1.1);
            self.mean_ln_us += step * deviation;
            self.variance += step * (deviation * deviation - self.variance);
        }
    }
}

impl PathSeries {
    fn median(&self) -> Moments {
        Moments { weight: self.weight, mean_ln_us: self.mean_ln_us, variance: self.variance }
    }

    fn learn(&mut self, median_us: f64, quickest_us: f64) {
        let mut median = self.median();
        median.learn(median_us);
        (self.weight, self.mean_ln_us, self.variance) = (median.weight, median.mean_ln_us, median.variance);
        self.quickest.learn(quickest_us);
    }

    fn fade(&mut self, seconds: i64) {
        self.weight *= kept(seconds);
        self.quickest.weight *= kept(seconds);
    }

    fn usual(&self) -> Option<UsualTrips> {
        let (median, quickest) = (self.median(), &self.quickest);
        (median.is_known() && quickest.is_known()).then(|| UsualTrips {
            median_us: median.mean_ln_us.exp(),
            quickest_us: quickest.mean_ln_us.exp(),
            spread: quickest.spread(),
        })
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Baselines {
    pub(crate) series: HashMap<SeriesKey, Series>,
    pub(crate) paths: HashMap<PathKey, PathSeries>,
}

impl Baselines {
    pub(crate) fn expected(&self, key: SeriesKey) -> Expected {
        self.series.get(&key).copied().unwrap_or_default().expected()
    }

    /// The usual round-trip times on the path of `flow`, where enough of it is known.
    pub(crate) fn usual_trips(&self, flow: &Flow) -> Option<UsualTrips> {
        self.paths.get(&PathKey::of(flow))?.usual()
    }

    /// Learns from the cells of one window; those that cross something at fault have to be left out by the caller.
    pub(crate) fn learn<'a>(&mut self, now: i64, cells: impl Iterator<Item = &'a Cell>) {
        // Cells come sorted by subject, role and reach, so each series is looked up once; `expected` stays that of
        // the windows before.
        let mut current: Option<(SeriesKey, Expected, Series)> = None;
        for cell in cells {
            let key = SeriesKey::of(&cell.flow);
            if current.as_ref().is_none_or(|(held, ..)| *held != key) {
                if let Some((held, _, series)) = current.take() {
                    self.series.insert(held, series);
                }
                let mut series =
                    self.series.get(&key).copied().unwrap_or(Series { seen: now, ..Series::default() });
                let expected = series.expected();
                series.decay(now.saturating_sub(series.seen));
                series.windows = series.windows.saturating_add(1).min(KNOWN_WINDOWS);
                series.seen = now;
                current = Some((key, expected, series));
            }
            if let Some((_, expected, series)) = &mut current {
                series.learn(cell, expected);
            }
            self.learn_path(now, cell);
        }
        if let Some((held, _, series)) = current {
            self.series.insert(held, series);
        }
        forget(&mut self.series, |series| series.seen);
        forget(&mut self.paths, |path| path.seen);
    }

    fn learn_path(&mut self, now: i64, cell: &Cell) {
        let trips = &cell.round_trips;
        let (Some(median), Some(quickest)) = (trips.p50_us(), trips.quickest_us()) else { return };
        if median <= 0.0 {
            return;
        }
        let path = self.paths.entry(PathKey::of(&cell.flow)).or_default();
        if path.seen != now && path.seen != 0 {
            path.fade(now.saturating_sub(path.seen));
        }
        path.seen = now;
        path.learn(median, quickest);
    }
}

/// Drops the least recently seen above the bound, a tenth at a time so that it isn't done each window.
fn forget<K: Copy + Eq + Hash + Ord, V>(map: &mut HashMap<K, V>, seen: impl Fn(&V) -> i64) {
    if map.len() <= MAX_SERIES {
        return;
    }
    let mut oldest: Vec<(i64, K)> = map.iter().map(|(key, value)| (seen(value), *key)).collect();
    oldest.sort_unstable();
    let excess = map.len() - MAX_SERIES * 9 / 10;
    for (_, key) in oldest.into_iter().take(excess) {
        map.remove(&key);
    }
}
