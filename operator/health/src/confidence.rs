//! From log-odds to a probability that a verdict is right.

/// Where a verdict would be right as often as not, and how fast that grows with the score. Fitted by eye to the
/// reliability table of the simulator's `wild` mode, development seeds 1 to 1,200: clusters unlike those that the engine
/// was tuned on. Of what scored 9 to 18 three quarters were right.
const MIDDLE: f64 = 0.0;
const STEEPNESS: f64 = 0.12;
/// However high the score, one in twenty was wrong there: a service that changed for good looks like one at fault.
const MOST: f64 = 0.95;

/// Never falls as `score` rises. To three digits, so that it doesn't flicker.
pub(crate) fn confidence(score: f64) -> f64 {
    let probability = 1.0 / (1.0 + (-STEEPNESS * (score - MIDDLE)).exp());
    (probability.min(MOST) * 1e3).round() / 1e3
}
