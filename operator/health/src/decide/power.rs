//! The amount of traffic that is too little to judge by. The rule: with this window's traffic, a loss of 1% on all of it would have been
//! seen with a probability of at least 0.9, at a chance of 1 in 1000 of seeing it where there is none.
//!
//! Retransmissions are counted as Poisson here: with m expected benignly, "seen" means at least c of them, where c is
//! the least count with P(X ≥ c | m) ≤ 0.001; the traffic has power if P(X ≥ c | m + n / 100) ≥ 0.9. With nothing
//! benign that is n ≥ 231 segments, at a usual ratio of 5·10⁻⁴ some 670. A connection request that was decided
//! is two packets' worth of trial.

/// The loss that has to be visible.
const LOSS: f64 = 0.01;
const FALSE_POSITIVE: f64 = 1e-3;
const POWER: f64 = 0.9;
/// Traffic that is enough whatever its ratio, so that the sum below stays short.
const PLENTY: f64 = 1e5;

/// True if `segments`, of which `benign` are expected to be retransmissions, would have shown a loss of 1%.
pub(crate) fn suffices(segments: f64, benign: f64) -> bool {
    if segments <= 0.0 {
        return false;
    }
    if segments >= PLENTY {
        return true;
    }
    let benign = benign.max(1e-9);
    let hurt = benign + segments * LOSS;
    // Walk both distributions together: P(X < c) of each.
    let (mut benign_term, mut hurt_term) = ((-benign).exp(), (-hurt).exp());
    let (mut benign_below, mut hurt_below) = (0.0, 0.0);
    let mut count = 0.0;
    while 1.0 - benign_below > FALSE_POSITIVE && count < 2.0 * PLENTY {
        benign_below += benign_term;
        hurt_below += hurt_term;
        count += 1.0;
        benign_term *= benign / count;
        hurt_term *= hurt / count;
    }
    1.0 - hurt_below >= POWER
}

/// Segments that it takes where this share of them is retransmitted benignly.
pub(crate) fn needed(benign_ratio: f64) -> u64 {
    let suffices = |segments: u64| suffices(segments as f64, segments as f64 * benign_ratio);
    let (mut too_few, mut enough) = (0, 256);
    while !suffices(enough) {
        (too_few, enough) = (enough, enough * 2);
    }
    while enough - too_few > 1 + enough / 200 {
        let middle = too_few.midpoint(enough);
        if suffices(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_hundred_segments_suffice_where_nothing_is_ever_lost() {
        assert!(!suffices(0.0, 0.0));
        assert!(!suffices(200.0, 0.0));
        assert!(suffices(240.0, 0.0));
    }

    #[test]
    fn what_is_needed_is_what_just_suffices() {
        for ratio in [0.0, 5e-5, 5e-4, 2e-3, 1e-2] {
            let needed = needed(ratio) as f64;
            assert!(suffices(needed, needed * ratio), "{needed} at {ratio}");
            let fewer = needed * 0.9;
            assert!(!suffices(fewer, fewer * ratio), "{fewer} at {ratio}");
        }
    }

    #[test]
    fn the_noisier_the_more_are_needed() {
        assert!(!suffices(500.0, 0.25));
        assert!(suffices(900.0, 0.45));
        assert!(!suffices(900.0, 9.0));
        assert!(suffices(PLENTY, 1e3));
    }
}
