//! From log-odds to a probability that a verdict is right.

/// Scores at which a verdict is right as often as not, and how fast that grows; fitted on the simulator's development
/// seeds (`make bench-nhi` prints the reliability on held-out ones).
const MIDDLE: f64 = 5.0;
const STEEPNESS: f64 = 0.35;
/// Nothing is certain.
const MOST: f64 = 0.995;

/// Never falls as `score` rises. To three digits, so that it doesn't flicker.
pub(crate) fn confidence(score: f64) -> f64 {
    let probability = 1.0 / (1.0 + (-STEEPNESS * (score - MIDDLE)).exp());
    (probability.min(MOST) * 1e3).round() / 1e3
}
