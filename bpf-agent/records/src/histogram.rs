//! A log-linear sketch of durations: 32 buckets an octave, so that a bucket's middle is at most 1/64 (1.6%) from
//! what was recorded. Sketches merge by adding bucket counts, which is why records carry their buckets.

use crate::schema::Latency;

/// Buckets per octave, as a power of two.
const PRECISION_BITS: u32 = 5;
const PER_OCTAVE: u64 = 1 << PRECISION_BITS;
/// Longer durations are recorded as this one (71 minutes in microseconds).
pub const MAX_VALUE: u64 = u32::MAX as u64;
/// One more than the largest bucket number.
pub const BUCKETS: u16 = ((32 - PRECISION_BITS) * PER_OCTAVE as u32 + PER_OCTAVE as u32) as u16;

/// A sparse sketch; buckets are kept sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<(u16, u32)>,
    count: u64,
    min: Option<u64>,
    max: Option<u64>,
}

/// The bucket of a value.
pub fn bucket_of(value: u64) -> u16 {
    let value = value.min(MAX_VALUE);
    if value < PER_OCTAVE {
        return value as u16;
    }
    let exponent = 63 - value.leading_zeros();
    let shift = exponent - PRECISION_BITS;
    let within = (value >> shift) & (PER_OCTAVE - 1);
    (u64::from(shift + 1) * PER_OCTAVE + within) as u16
}

/// The middle of a bucket.
pub fn value_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket.min(BUCKETS - 1));
    if bucket < PER_OCTAVE {
        return bucket;
    }
    let shift = bucket / PER_OCTAVE - 1;
    let low = (PER_OCTAVE + bucket % PER_OCTAVE) << shift;
    low + (1 << shift) / 2
}

impl Histogram {
    /// A sketch of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of recorded values.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of buckets that are in use, which determines its size in memory.
    pub fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// Records one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records `n` values that are the same.
    pub fn record_n(&mut self, value: u64, n: u32) {
        if n == 0 {
            return;
        }
        self.add(bucket_of(value), n);
        self.note_extremes(value, value);
    }

    /// Widens what the exact minimum is known to be, without recording a value (the kernel's windowed minimum).
    pub fn note_min(&mut self, value: u64) {
        if !self.is_empty() {
            self.note_extremes(value, value);
        }
    }

    /// Adds another sketch.
    pub fn merge(&mut self, other: &Histogram) {
        for &(bucket, n) in &other.buckets {
            self.add(bucket, n);
        }
        if let (Some(min), Some(max)) = (other.min, other.max) {
            self.note_extremes(min, max);
        }
    }

    /// Adds a record's summary; see [`Histogram::from_latency`].
    pub fn merge_latency(&mut self, latency: &Latency) {
        if latency.buckets.is_empty() {
            return self.merge(&Self::of_quantiles(latency));
        }
        for &(bucket, n) in &latency.buckets {
            if n > 0 && bucket < BUCKETS {
                self.add(bucket, n);
            }
        }
        if let (Some(first), Some(last)) = (latency.buckets.first(), latency.buckets.last()) {
            self.note_extremes(
                latency.min.unwrap_or_else(|| value_of(first.0)),
                latency.max.unwrap_or_else(|| value_of(last.0)),
            );
        }
    }

    /// The sketch of a record's summary: exact where it carries buckets, else built from its quantiles.
    pub fn from_latency(latency: &Latency) -> Self {
        let mut sketch = Self::new();
        sketch.merge_latency(latency);
        sketch
    }

    /// The value below which the share `q` of all lies; none if nothing was recorded.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank == self.count {
            return self.max;
        }
        let mut below = 0;
        for &(bucket, n) in &self.buckets {
            below += u64::from(n);
            if below >= rank {
                let value = value_of(bucket);
                return Some(value.clamp(self.min.unwrap_or(0), self.max.unwrap_or(MAX_VALUE)));
            }
        }
        self.max
    }

    /// The summary that a record carries; `None` if no value was recorded.
    pub fn summary(&self) -> Option<Latency> {
        Some(Latency {
            count: self.count,
            min: self.min,
            p50: self.quantile(0.50)?,
            p90: self.quantile(0.90),
            p99: self.quantile(0.99)?,
            max: self.max,
            buckets: self.buckets.clone(),
        })
    }

    fn add(&mut self, bucket: u16, n: u32) {
        self.count += u64::from(n);
        match self.buckets.binary_search_by_key(&bucket, |&(b, _)| b) {
            Ok(at) => {
                if let Some(entry) = self.buckets.get_mut(at) {
                    entry.1 = entry.1.saturating_add(n);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, n)),
        }
    }

    fn note_extremes(&mut self, min: u64, max: u64) {
        self.min = Some(self.min.map_or(min, |known| known.min(min)));
        self.max = Some(self.max.map_or(max, |known| known.max(max)));
    }

    /// Half of the values at the median, the rest at the quantiles above; the best guess without buckets.
    fn of_quantiles(latency: &Latency) -> Self {
        let mut sketch = Self::new();
        let count = u32::try_from(latency.count).unwrap_or(u32::MAX);
        if count == 0 {
            return sketch;
        }
        // The value of rank ⌈q·count⌉ is the quantile, so that one and all above it belong to the tail.
        let tail = |percent: u64| (count - (u64::from(count) * percent).div_ceil(100) as u32 + 1).min(count);
        let from_p99 = tail(99);
        let from_p90 = if latency.p90.is_some() { tail(90) } else { from_p99 };
        sketch.record_n(latency.p50, count - from_p90);
        sketch.record_n(latency.p90.unwrap_or(latency.p50), from_p90 - from_p99);
        sketch.record_n(latency.p99, from_p99);
        sketch.note_extremes(latency.min.unwrap_or(latency.p50), latency.max.unwrap_or(latency.p99));
        sketch
    }
}
