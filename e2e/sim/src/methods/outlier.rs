//! Passive Realtime Datacenter Fault Detection and Localization (Roy et al., NSDI 2017).
//!
//! Every host compares, for each link, the flows over that link with the flows over its peers in the same tier, by a
//! one-sided t test at p < 0.05; a controller then asks whether more hosts found the link guilty than a share of 5% of
//! errors explains.
//!
//! Adapted: tiers are our kinds of component; the flow's metric is its retransmission ratio; the controller's test is
//! the exact binomial tail at `CONTROLLER`. Several faults: the most significant component is blamed, its flows set
//! aside, and the test done again.

use std::collections::{BTreeMap, BTreeSet};

use super::path::{Crossing, Spot, Tally, Tier};
use super::{Atlas, Blamed, Finding, Method, Observed, Slide};

/// One-sided 5% quantile of the normal distribution; hosts have flows enough for it to stand for Student's t.
const HOST: f64 = 1.645;
const HOST_ERROR: f64 = 0.05;
const CONTROLLER: f64 = 1e-8;
const MOST_BLAMED: usize = 4;

#[derive(Debug, Default)]
pub struct Outlier {
    slide: Slide,
}

/// Running moments of flows' ratios.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, x: f64) {
        self.count += 1.0;
        self.sum += x;
        self.squares += x * x;
    }

    fn without(&self, other: &Self) -> Self {
        Self {
            count: self.count - other.count,
            sum: self.sum - other.sum,
            squares: self.squares - other.squares,
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1.0)
    }

    fn variance(&self) -> f64 {
        ((self.squares - self.sum * self.mean()) / (self.count - 1.0).max(1.0)).max(0.0)
    }
}

/// Is the mean of `these` above the mean of `others` (Welch's statistic)?
fn guilty(these: &Moments, others: &Moments) -> bool {
    if these.count < 2.0 || others.count < 2.0 {
        return false;
    }
    let error = (these.variance() / these.count + others.variance() / others.count).sqrt();
    these.mean() > others.mean() && these.mean() - others.mean() > HOST * error.max(1e-9)
}

/// Logarithm of the chance that at least `k` of `n` hosts err at [`HOST_ERROR`] each.
fn log_tail(n: u64, k: u64) -> f64 {
    let mut log_term = n as f64 * (1.0 - HOST_ERROR).ln();
    let mut tail = if k == 0 { log_term.exp() } else { 0.0 };
    for i in 1..=n {
        log_term += ((n - i + 1) as f64 / i as f64).ln() + (HOST_ERROR / (1.0 - HOST_ERROR)).ln();
        if i >= k {
            tail += log_term.exp();
        }
    }
    tail.max(1e-300).ln()
}

/// Votes of the hosts on each component: tested by, found guilty by.
fn hosts_verdicts(hosts: &BTreeMap<Spot, Vec<&Crossing>>, atlas: &Atlas) -> Tally<(u64, u64)> {
    let mut verdicts: Tally<(u64, u64)> = Tally::default();
    for (reporter, crossings) in hosts {
        let mut tiers: BTreeMap<Tier, Moments> = BTreeMap::new();
        let mut spots: BTreeMap<Spot, (Tier, Moments)> = BTreeMap::new();
        for crossing in crossings {
            let mut seen = BTreeSet::new();
            for spot in crossing.spots().iter().filter(|spot| *spot != reporter) {
                let Some(tier) = atlas.tier(*spot) else { continue };
                if seen.insert(tier) {
                    tiers.entry(tier).or_default().add(crossing.ratio());
                }
                spots.entry(*spot).or_insert((tier, Moments::default())).1.add(crossing.ratio());
            }
        }
        for (spot, (tier, these)) in spots {
            let (Some(all), Some((tested, found))) = (tiers.get(&tier), verdicts.at(spot)) else { continue };
            *tested += 1;
            *found += u64::from(guilty(&these, &all.without(&these)));
        }
    }
    verdicts
}

impl Method for Outlier {
    fn observe_history(&mut self, window: &Observed<'_>) {
        self.slide.push(window.crossings);
    }

    fn verdict(&mut self, window: &Observed<'_>) -> Finding {
        self.slide.push(window.crossings);
        let mut hosts: BTreeMap<Spot, Vec<&Crossing>> = BTreeMap::new();
        for crossing in self.slide.crossings().filter(|crossing| crossing.tried > 0) {
            hosts.entry(crossing.reporter).or_default().push(crossing);
        }
        let mut blamed = Vec::new();
        while blamed.len() < MOST_BLAMED {
            let worst = hosts_verdicts(&hosts, window.atlas)
                .iter()
                .map(|(spot, (tested, found))| (log_tail(*tested, *found), spot))
                .min_by(|(a, _), (b, _)| a.total_cmp(b));
            let Some((_, spot)) = worst.filter(|(tail, _)| *tail < CONTROLLER.ln()) else { break };
            blamed.push(spot);
            for crossings in hosts.values_mut() {
                crossings.retain(|crossing| !crossing.crosses(spot));
            }
        }
        let blamed = blamed.into_iter().filter_map(|spot| window.atlas.component(spot).cloned());
        Finding { blamed: blamed.map(Blamed::plainly).collect(), ..Finding::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_few_errors_is_likely_and_of_many_is_not() {
        assert!((log_tail(10, 0).exp() - 1.0).abs() < 1e-9);
        assert!((log_tail(10, 1).exp() - (1.0 - 0.95_f64.powi(10))).abs() < 1e-9);
        assert!(log_tail(10, 8).exp() < 1e-8);
    }
}
