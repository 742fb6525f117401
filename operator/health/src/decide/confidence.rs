//! From log-odds to a probability that a verdict is right.

use crate::verdict::Class;

/// Log-odds, and how often what was named with them was at fault: an isotonic fit to the simulator's `wild` mode, clusters
/// unlike those that the engine was tuned on, as `bench-nhi calibrate --trials 1000` prints it from development seeds.
///
/// Its steps from log-odds of 40 on are pooled here: what one cell can say is bounded, so that more evidence of the same
/// fault doesn't raise log-odds like these any more, and may even lower them a little.
const INFRASTRUCTURE: [(f64, f64); 1] = [
    // 42 of 43 at 38 on average, and 549 of 549 at 483: said no surer than this, since the world thinks of more than a
    // simulator does.
    (38.4, 0.990),
];
const OTHERS: [(f64, f64); 2] = [
    // 70 of 88.
    (22.2, 0.795),
    // 37 of 44 at 43, 82 of 88 at 65, 42 of 44 at 98, 87 of 88 at 148, 81 of 81 at 372.
    (42.6, 0.954),
];

/// Never falls as `log_odds` rise. To three digits, so that it doesn't flicker.
pub(crate) fn confidence(class: Class, log_odds: f64) -> f64 {
    let steps: &[(f64, f64)] = match class {
        Class::Infrastructure => &INFRASTRUCTURE,
        Class::Workload | Class::External => &OTHERS,
    };
    (between(steps, log_odds) * 1e3).round() / 1e3
}

/// On straight lines between the steps, over the logarithm of the log-odds; from even odds, where one thing is said for
/// it and nothing else; above the last step no surer than that is.
fn between(steps: &[(f64, f64)], log_odds: f64) -> f64 {
    let log_odds = log_odds.max(1.0).ln();
    let (mut below, mut probability) = (0.0, 0.5);
    for (at, share) in steps.iter().map(|(at, share)| (at.ln(), share)) {
        if log_odds < at {
            return probability + (log_odds - below) / (at - below) * (share - probability);
        }
        (below, probability) = (at, *share);
    }
    probability
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surer_evidence_is_never_less_confident() {
        for class in [Class::Infrastructure, Class::Workload, Class::External] {
            let all: Vec<f64> = (-10..2_000).map(|n| confidence(class, f64::from(n) / 4.0)).collect();
            assert!(all.is_sorted(), "{class:?}");
            assert!(all.iter().all(|probability| (0.5..1.0).contains(probability)), "{class:?}");
        }
    }
}
