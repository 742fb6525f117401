//! One direction of a link: read, maybe lose, hold, write.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::sys;

/// What each direction adds without any fault: two zones are about half a millisecond of round trip farther apart than two
/// nodes of one zone.
pub(crate) const BASE_DELAY: Duration = Duration::from_micros(250);

/// Packets held at once: at 20 ms and 100,000 packets a second 2,000; more is an overload and counted as such.
const HELD_LIMIT: usize = 16_384;
/// Largest packet: the devices' MTU is 1500.
const PACKET_LIMIT: usize = 2048;
/// Packets read before looking at the clock for those that are due.
const BURST: usize = 32;

/// What a fault changes, while packets flow.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    loss_per_million: AtomicU32,
    extra_delay_us: AtomicU64,
}

impl Settings {
    pub(crate) fn set(&self, loss_per_million: u32, extra_delay: Duration) {
        self.loss_per_million.store(loss_per_million, Relaxed);
        self.extra_delay_us.store(u64::try_from(extra_delay.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn loss_per_million(&self) -> u32 {
        self.loss_per_million.load(Relaxed)
    }

    pub(crate) fn extra_delay(&self) -> Duration {
        Duration::from_micros(self.extra_delay_us.load(Relaxed))
    }
}

/// What became of the packets.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Handed on.
    pub(crate) forwarded: AtomicU64,
    /// Lost as the fault asked.
    pub(crate) lost: AtomicU64,
    /// Lost because too many were held or the device took no more; nobody asked for these.
    pub(crate) overflowed: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Link {
    input: File,
    output: File,
    settings: Arc<Settings>,
    counters: Arc<Counters>,
    held: VecDeque<(Instant, Vec<u8>)>,
    /// Buffers of packets that are gone, for those to come.
    spare: Vec<Vec<u8>>,
    dice: Dice,
}

impl Link {
    pub(crate) fn new(
        input: File,
        output: File,
        settings: Arc<Settings>,
        counters: Arc<Counters>,
        seed: u64,
    ) -> Self {
        Self {
            input,
            output,
            settings,
            counters,
            held: VecDeque::new(),
            spare: Vec::new(),
            dice: Dice::new(seed),
        }
    }

    /// Carries packets until a device fails.
    pub(crate) fn run(&mut self) -> io::Error {
        loop {
            let limit = self.held.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
            let result = sys::wait_readable(&self.input, limit)
                .and_then(|readable| if readable { self.take() } else { Ok(()) })
                .map(|()| self.hand_on(Instant::now()));
            if let Err(error) = result {
                return error;
            }
        }
    }

    fn take(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let due = now + BASE_DELAY + self.settings.extra_delay();
        let loss = self.settings.loss_per_million();
        for _ in 0..BURST {
            let mut buffer = self.spare.pop().unwrap_or_default();
            buffer.resize(PACKET_LIMIT, 0);
            match self.input.read(&mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    self.hold(due, buffer, loss);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.spare.push(buffer);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn hold(&mut self, due: Instant, packet: Vec<u8>, loss_per_million: u32) {
        if self.dice.below(1_000_000) < loss_per_million {
            self.counters.lost.fetch_add(1, Relaxed);
            self.spare.push(packet);
        } else if self.held.len() >= HELD_LIMIT {
            self.counters.overflowed.fetch_add(1, Relaxed);
            self.spare.push(packet);
        } else {
            // A link doesn't reorder: when the delay shrinks, a packet isn't due before the one ahead of it.
            let due = self.held.back().map_or(due, |(before, _)| due.max(*before));
            self.held.push_back((due, packet));
        }
    }

    fn hand_on(&mut self, now: Instant) {
        while self.held.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, packet)) = self.held.pop_front() else { return };
            let counter = match self.output.write(&packet) {
                Ok(_) => &self.counters.forwarded,
                Err(_) => &self.counters.overflowed,
            };
            counter.fetch_add(1, Relaxed);
            if self.spare.len() < BURST * 4 {
                self.spare.push(packet);
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): independent losses need no better, and a seed makes a run repeatable.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The product of a 32-bit number and the limit, divided by 2^32: below the limit.
        u32::try_from(((z >> 32) * u64::from(limit)) >> 32).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_lose_the_share_they_are_asked_for() {
        let mut dice = Dice::new(1 << 8 | 2);
        let lost = (0..1_000_000).filter(|_| dice.below(1_000_000) < 20_000).count();
        assert!((19_400..20_600).contains(&lost), "{lost}");
    }

    fn link() -> (Link, Arc<Counters>) {
        let null = || File::options().read(true).write(true).open("/dev/null").unwrap();
        let counters = Arc::new(Counters::default());
        (Link::new(null(), null(), Arc::default(), Arc::clone(&counters), 7), counters)
    }

    #[test]
    fn a_packet_is_handed_on_when_due_and_not_before() {
        let (mut link, counters) = link();
        let now = Instant::now();
        link.hold(now + Duration::from_millis(1), vec![1], 0);
        link.hand_on(now);
        assert_eq!(counters.forwarded.load(Relaxed), 0);
        link.hand_on(now + Duration::from_millis(1));
        assert_eq!(counters.forwarded.load(Relaxed), 1);
    }

    #[test]
    fn a_shrinking_delay_does_not_reorder() {
        let (mut link, _) = link();
        let now = Instant::now();
        link.hold(now + Duration::from_millis(20), vec![1], 0);
        link.hold(now + Duration::from_millis(1), vec![2], 0);
        assert!(link.held[1].0 >= link.held[0].0);
    }

    #[test]
    fn what_is_held_has_a_bound_and_what_exceeds_it_is_counted() {
        let (mut link, counters) = link();
        let now = Instant::now();
        for _ in 0..HELD_LIMIT + 3 {
            link.hold(now, vec![], 0);
        }
        assert_eq!(link.held.len(), HELD_LIMIT);
        assert_eq!(counters.overflowed.load(Relaxed), 3);
        link.hold(now, vec![], 1_000_000);
        assert_eq!(counters.lost.load(Relaxed), 1);
    }
}
