//! The share of named components that were at fault, by the log-odds that they were named with. From development seeds,
//! this prints the table in `operator/health` that turns log-odds into a confidence.

use std::fmt::Write as _;

use tidewatch_health::Class;

use crate::score::Statement;

/// Named components in a step of the table, at least.
const IN_A_STEP: usize = 40;

/// A step of an isotonic regression: so sure on average, and so often right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Mean of the logarithms: log-odds reach from ten to thousands.
    pub ln_log_odds: f64,
    pub right: f64,
    pub all: f64,
}

impl Step {
    /// By the rule of succession: that none of n was wrong isn't certainty.
    pub fn probability(&self) -> f64 {
        (self.right + 1.0) / (self.all + 2.0)
    }

    fn with(self, next: Self) -> Self {
        let all = self.all + next.all;
        Self {
            ln_log_odds: (self.ln_log_odds * self.all + next.ln_log_odds * next.all) / all,
            right: self.right + next.right,
            all,
        }
    }
}

/// Isotonic regression by pooling adjacent violators (Ayer et al., Annals of Mathematical Statistics 1955), over groups
/// of neighbours so that no step stands on a handful.
pub fn fit(statements: impl Iterator<Item = Statement>) -> Vec<Step> {
    let mut sorted: Vec<Statement> = statements.collect();
    sorted.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
    let groups = (sorted.len() / IN_A_STEP).max(1);
    let size = sorted.len().div_ceil(groups).max(1);
    let mut steps: Vec<Step> = Vec::new();
    for group in sorted.chunks(size) {
        let all = group.len() as f64;
        let mut step = Step {
            ln_log_odds: group.iter().map(|s| s.log_odds.max(1.0).ln()).sum::<f64>() / all,
            right: group.iter().filter(|s| s.right).count() as f64,
            all,
        };
        while let Some(before) = steps.pop_if(|before| before.probability() >= step.probability()) {
            step = before.with(step);
        }
        steps.push(step);
    }
    steps
}

/// The steps of each class, as they stand in the engine's source.
pub fn table(statements: &[Statement]) -> String {
    let mut out = String::new();
    for (name, is) in [
        ("INFRASTRUCTURE", (|class| class == Class::Infrastructure) as fn(Class) -> bool),
        ("OTHERS", |class| class != Class::Infrastructure),
    ] {
        let of_class = statements.iter().copied().filter(|statement| is(statement.class));
        let steps = fit(of_class);
        let _ = writeln!(out, "const {name}: [(f64, f64); {}] = [", steps.len());
        for step in &steps {
            let _ = writeln!(
                out,
                "    ({:.1}, {:.3}), // {} of {}",
                step.ln_log_odds.exp(),
                step.probability(),
                step.right,
                step.all
            );
        }
        let _ = writeln!(out, "];");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_never_less_probable_than_the_one_below() {
        let statements = (0..1_200).map(|n| Statement {
            class: Class::Workload,
            confidence: 0.5,
            log_odds: f64::from(n),
            // Right more and more often, with a dent in the middle.
            right: n % 10 < n / 120 && !(500..620).contains(&n),
        });
        let steps = fit(statements);
        assert!(steps.len() > 3, "{steps:?}");
        assert!(steps.is_sorted_by(|a, b| a.probability() < b.probability()), "{steps:?}");
        assert!((steps.iter().map(|step| step.all).sum::<f64>() - 1_200.0).abs() < 1e-9);
    }
}
