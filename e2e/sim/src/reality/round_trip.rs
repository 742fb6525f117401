//! Round-trip times as agents report them: one smoothed value a socket, and the shortest that was seen.

use tidewatch_records::{Histogram, Latency};

use super::shortage::Shortage;
use crate::random::Dice;

/// Packets of which the kernel's smoothed round-trip time remembers about as many (RFC 6298: a weight of 1/8).
const SMOOTHED: u64 = 8;
/// Sockets drawn one by one; where there are more, each stands for several.
const DRAWN: u64 = 12;

/// One flow's round trips in one window.
#[derive(Debug, Clone)]
pub(crate) struct RoundTrips {
    /// Round-trip time of the idle path.
    pub floor_us: f64,
    /// Factor by which an overloaded service lengthens round trips.
    pub factor: f64,
    /// Shortages at either end; one within a node.
    pub shortages: Vec<Shortage>,
}

impl RoundTrips {
    /// One round trip.
    fn one(&self, dice: &mut Dice) -> f64 {
        let jitter = (0.12 * self.floor_us + 15.0) * dice.log_normal(1.0, 0.7);
        let waits = self.shortages.iter().map(|short| {
            if dice.chance(short.delayed) { short.delay_us * dice.log_normal(1.0, 0.9) } else { 0.0 }
        });
        let waits: f64 = waits.collect::<Vec<f64>>().into_iter().sum();
        (self.floor_us + jitter + waits) * self.factor.max(1.0)
    }

    /// The kernel's smoothed value.
    fn smoothed(&self, dice: &mut Dice) -> f64 {
        let jitter = (0.12 * self.floor_us + 15.0) * 1.28 * dice.log_normal(1.0, 0.25);
        let waits = self.shortages.iter().map(|short| {
            let hit = dice.binomial(SMOOTHED, short.delayed) as f64;
            // The mean of a log-normal of that spread is 1.5 times its median.
            let mean = 1.5 * short.delay_us * dice.gamma_factor(1.0 + hit);
            hit / SMOOTHED as f64 * mean
        });
        let waits: f64 = waits.collect::<Vec<f64>>().into_iter().sum();
        (self.floor_us + jitter + waits) * self.factor
    }

    /// The shortest of `samples`. Waits come together, so that it takes more of them than if they didn't.
    fn shortest(&self, samples: f64, dice: &mut Dice) -> f64 {
        let samples = samples.max(1.0);
        let jitter = (0.12 * self.floor_us + 15.0) * dice.log_normal(0.7 * samples.powf(-0.3), 0.4);
        let apart = samples.powf(0.7);
        let waits = self.shortages.iter().map(|short| {
            if dice.chance(short.delayed.powf(apart)) {
                short.delay_us * dice.log_normal(1.0, 0.9) / apart
            } else {
                0.0
            }
        });
        let waits: f64 = waits.collect::<Vec<f64>>().into_iter().sum();
        (self.floor_us + jitter + waits) * self.factor.powf(0.3)
    }

    /// `closed` connections of so many packets each, and `open` ones that are older: of those only the smoothed value
    /// and the latest sample are known.
    pub(crate) fn sockets(&self, closed: u64, open: u64, packets: f64, dice: &mut Dice) -> Option<Latency> {
        let sockets = closed + open;
        if sockets == 0 {
            return None;
        }
        let drawn = sockets.min(DRAWN);
        let mut seen = Histogram::new();
        for n in 0..drawn {
            let each = sockets / drawn + u64::from(n < sockets % drawn);
            seen.record_n(self.smoothed(dice) as u64, u32::try_from(each).unwrap_or(u32::MAX));
        }
        let samples = closed as f64 * (packets / 2.0).clamp(1.0, 50.0) + open as f64;
        seen.note_min(self.shortest(samples, dice) as u64);
        seen.summary()
    }

    /// Times from SYN to its answer of so many connections, `late` of which needed a second SYN.
    pub(crate) fn handshakes(&self, count: u64, late: u64, dice: &mut Dice) -> Option<Latency> {
        if count == 0 {
            return None;
        }
        let drawn = count.min(DRAWN);
        let mut seen = Histogram::new();
        let quick = count - late.min(count);
        for n in 0..drawn {
            let each = quick / drawn + u64::from(n < quick % drawn);
            seen.record_n(self.one(dice) as u64, u32::try_from(each).unwrap_or(u32::MAX));
        }
        if late > 0 {
            // The kernel's own measure starts from the SYN that was answered; the agent's from the first.
            seen.record_n((self.one(dice) + 1e6) as u64, u32::try_from(late).unwrap_or(u32::MAX));
        }
        seen.summary()
    }
}
