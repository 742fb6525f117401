//! Blips: bad windows of a path that nothing comes of. A microburst fills a queue, a card resets, a guest is moved: half
//! a percent is lost for some seconds, on all flows, and it is over. In that window a blip looks like a fault, and no
//! amount of traffic tells them apart; that it lasts does. So how much a window counts against a path is bounded by how
//! often such a path blips as badly as that.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::input::component::Component;
use crate::input::names::Id;
use crate::input::window::slot;

/// A path that never did is taken to blip in one slot (half a minute, or a longer window) of so many. That none was seen lately doesn't make it less: a
/// fault that is taken for a blip costs a window, a blip that is taken for a fault costs trust.
const SLOTS_A_BLIP: f64 = 1_000.0;
/// Harm up to which a blip is no rarer. One of twice as much comes a quarter as often: the heavy tail that bursts of
/// traffic have.
pub(crate) const COMMON_LOSS: f64 = 0.004;
/// Paths whose blips are remembered, at most.
const MOST: usize = 1_000;
/// A faded count below this is forgotten.
const FADED: f64 = 0.05;

/// Blips seen lately, by component: a blip counts 1/e after [`SLOTS_A_BLIP`] slots.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Blips(Vec<Blip>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Blip {
    component: Component,
    count: f64,
    as_of: Timestamp,
}

impl Blips {
    /// The most that one window says for a component's fault, in log-odds: against a blip as bad or worse. `surely_more`
    /// are the log-odds for as much harm against [`COMMON_LOSS`]: what a few flows suffered may be a common blip's all the same.
    pub(crate) fn bound(
        &self,
        component: Component,
        harm: f64,
        surely_more: f64,
        start: Timestamp,
        seconds: u32,
    ) -> f64 {
        let recent = self.0.iter().find(|blip| blip.component == component);
        let recent = recent.map_or(0.0, |blip| blip.faded(start, seconds));
        let chance = ((1.0 + recent) / SLOTS_A_BLIP).min(0.5);
        let rarer = 2.0 * (harm.max(COMMON_LOSS) / COMMON_LOSS).ln();
        rarer.min(surely_more.max(0.0)) - chance.ln()
    }

    /// A suspicion of this component came to nothing.
    pub(crate) fn learn(&mut self, component: Component, start: Timestamp, seconds: u32) {
        let mut count = 1.0;
        self.0.retain(|blip| {
            let left = blip.faded(start, seconds);
            if blip.component == component {
                count += left;
            }
            blip.component != component && left > FADED
        });
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Blip { component, count, as_of: start });
    }

    pub(crate) fn renumbered(&self, number: &mut impl FnMut(Id) -> Id) -> Self {
        let blips = self.0.iter();
        Self(blips.map(|blip| Blip { component: blip.component.renumbered(number), ..*blip }).collect())
    }
}

impl Blip {
    fn faded(&self, now: Timestamp, seconds: u32) -> f64 {
        let slots = now.duration_since(self.as_of).as_secs_f64() / slot(seconds).as_secs_f64();
        self.count * (-slots.max(0.0) / SLOTS_A_BLIP).exp()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;
    use crate::input::names::Names;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn nodes() -> (Component, Component) {
        let mut names = Names::default();
        (Component::Node(names.intern(&"a".into())), Component::Node(names.intern(&"b".into())))
    }

    #[test]
    fn the_worse_a_window_is_the_less_it_is_a_blip() {
        let (node, _) = nodes();
        let most = |harm| Blips::default().bound(node, harm, f64::INFINITY, at(0), 30);
        assert!((most(0.001) - 1_000_f64.ln()).abs() < 1e-9);
        assert!((most(0.004) - most(0.001)).abs() < 1e-9);
        assert!((most(0.008) - most(0.004) - 4_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn what_may_as_well_be_a_common_blip_counts_as_one() {
        let (node, _) = nodes();
        let most = |surely_more| Blips::default().bound(node, 0.016, surely_more, at(0), 30);
        assert!((most(0.0) - 1_000_f64.ln()).abs() < 1e-9);
        assert!((most(1.0) - most(0.0) - 1.0).abs() < 1e-9);
        assert!((most(30.0) - most(0.0) - 16_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn a_path_that_blips_has_to_say_more_and_others_have_not() {
        let (node, other) = nodes();
        let mut blips = Blips::default();
        let before = blips.bound(node, 0.004, 0.0, at(0), 30);
        for hour in 0..4 {
            blips.learn(node, at(hour * 3_600), 30);
        }
        let after = blips.bound(node, 0.004, 0.0, at(4 * 3_600), 30);
        assert!(after < before - 1.0, "{after} after {before}");
        assert!((blips.bound(other, 0.004, 0.0, at(4 * 3_600), 30) - before).abs() < 1e-9);
        let forgiven = blips.bound(node, 0.004, 0.0, at(7 * 86_400), 30);
        assert!((forgiven - before).abs() < 0.01, "a week later it is as before");
    }
}
