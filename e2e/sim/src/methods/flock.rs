//! Flock: Accurate Network Fault Localization at Scale (Harsh, Meng, Agrawal, Godfrey; PACMNET 2023).
//!
//! A Bayesian model of packets: one that crosses no failed component goes wrong with probability `p_good`, one that
//! crosses a failed one with `p_bad`; a component fails with prior `prior`. The most likely set of failed components
//! is sought greedily: add the component that raises the posterior most, until none does.
//!
//! Our paths are known, so that a flow's likelihood needs no sum over paths. `learned` replaces the one `p_good` by
//! each service's own ratio in the history, as the nearest thing to fairness on traffic whose benign ratios differ by
//! orders.

use std::collections::HashMap;

use super::path::{Crossing, Spot, Tally};
use super::{Blamed, Finding, Method, Observed, Slide};

const MOST_BLAMED: usize = 8;

#[derive(Debug)]
pub struct Flock {
    p_good: f64,
    p_bad: f64,
    /// Log-odds of the prior: what a component's evidence has to exceed.
    penalty: f64,
    learned: Option<HashMap<Spot, (u64, u64)>>,
    slide: Slide,
}

impl Flock {
    pub fn tuned() -> Self {
        Self { p_good: 4e-3, p_bad: 2e-2, penalty: 100.0, learned: None, slide: Slide::default() }
    }

    pub fn learned() -> Self {
        Self {
            p_good: 5e-4,
            p_bad: 2e-2,
            penalty: 60.0,
            learned: Some(HashMap::new()),
            slide: Slide::default(),
        }
    }

    fn learn(&mut self, crossings: &[Crossing]) {
        let Some(learned) = &mut self.learned else { return };
        for crossing in crossings {
            let (tried, bad) = learned.entry(crossing.subject).or_default();
            *tried += crossing.tried;
            *bad += crossing.bad;
        }
    }

    /// Log-likelihood ratio of "crosses a failed component" against "crosses none".
    fn ratio(&self, crossing: &Crossing) -> f64 {
        let good = match self.learned.as_ref().and_then(|learned| learned.get(&crossing.subject)) {
            // Shrunk towards the common ratio where little was seen.
            Some((tried, bad)) => (*bad as f64 + 1_000.0 * self.p_good) / (*tried as f64 + 1_000.0),
            None => self.p_good,
        }
        .clamp(1e-6, 0.5);
        let bad = self.p_bad.max(4.0 * good).min(0.9);
        let wrong = crossing.bad as f64;
        wrong * (bad / good).ln() + (crossing.tried as f64 - wrong) * ((1.0 - bad) / (1.0 - good)).ln()
    }
}

impl Method for Flock {
    fn observe_history(&mut self, window: &Observed<'_>) {
        self.learn(window.crossings);
        self.slide.push(window.crossings);
    }

    fn verdict(&mut self, window: &Observed<'_>) -> Finding {
        self.slide.push(window.crossings);
        let mut gains: Tally<f64> = Tally::default();
        let mut left: Vec<(&Crossing, f64)> = self.slide.crossings().map(|c| (c, self.ratio(c))).collect();
        for (crossing, ratio) in &left {
            for spot in crossing.spots() {
                if let Some(gain) = gains.at(*spot) {
                    *gain += ratio;
                }
            }
        }
        let mut blamed = Vec::new();
        while blamed.len() < MOST_BLAMED {
            let best = gains
                .iter()
                .map(|(spot, gain)| (spot, *gain))
                .max_by(|(a, x), (b, y)| x.total_cmp(y).then(b.cmp(a)));
            let Some((spot, _)) = best.filter(|(_, gain)| *gain > self.penalty) else { break };
            blamed.push(spot);
            left.retain(|(crossing, ratio)| {
                let explained = crossing.crosses(spot);
                if explained {
                    for other in crossing.spots() {
                        if let Some(gain) = gains.at(*other) {
                            *gain -= *ratio;
                        }
                    }
                }
                !explained
            });
        }
        let blamed = blamed.into_iter().filter_map(|spot| window.atlas.component(spot).cloned());
        Finding { blamed: blamed.map(Blamed::plainly).collect(), ..Finding::default() }
    }
}
