//! The logarithm of the gamma function, which the standard library has only behind a feature gate.

/// ln Γ(x) for x > 0, by Stirling's series after shifting x above 8 (Abramowitz & Stegun 6.1.41); error < 1e-10.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    let mut x = x.max(1e-9);
    let mut shift = 1.0;
    while x < 8.0 {
        shift *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_factorials_and_the_half() {
        for (x, expected) in [(1.0, 0.0), (2.0, 0.0), (5.0, 24_f64.ln()), (11.0, 3_628_800_f64.ln())] {
            assert!((ln_gamma(x) - expected).abs() < 1e-9, "ln_gamma({x})");
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
    }
}
