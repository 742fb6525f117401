//! The rule of most dashboards: a component that retransmits more than 0.5% is at fault.

use super::path::Tally;
use super::{Blamed, Finding, Method, Observed, Slide};

const RATIO: f64 = 0.005;
/// Fewer trials than this say nothing.
const ENOUGH: u64 = 200;

#[derive(Debug, Default)]
pub struct Threshold {
    slide: Slide,
}

impl Method for Threshold {
    fn observe_history(&mut self, window: &Observed<'_>) {
        self.slide.push(window.crossings);
    }

    fn verdict(&mut self, window: &Observed<'_>) -> Finding {
        self.slide.push(window.crossings);
        let mut sums: Tally<(u64, u64)> = Tally::default();
        for crossing in self.slide.crossings() {
            for spot in crossing.spots() {
                if let Some((tried, bad)) = sums.at(*spot) {
                    *tried += crossing.tried;
                    *bad += crossing.bad;
                }
            }
        }
        let above = |(tried, bad): (u64, u64)| tried >= ENOUGH && bad as f64 > RATIO * tried as f64;
        let blamed = sums.iter().filter(|(_, sum)| above(**sum));
        let blamed =
            blamed.filter_map(|(spot, _)| window.atlas.component(spot).cloned().map(Blamed::plainly));
        Finding { blamed: blamed.collect(), ..Finding::default() }
    }
}
