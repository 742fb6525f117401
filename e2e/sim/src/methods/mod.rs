//! The published localisation methods and ours, behind one trait, so that all judge the same records.
//!
//! The published ones were made for links of a Clos fabric, per packet or per flow, in one tier at a time. Here their
//! "links" are the components of a flow's path (nodes, zones, zone pair, service, pods, remote), a retransmission or a
//! failed connection attempt is their lost packet, and they judge the last [`SLIDE`] windows together, since they have
//! no memory of their own. Each module says what else had to be adapted; constants were tuned on development seeds.

mod flock;
mod outlier;
mod path;
mod threshold;
mod tidewatch;
mod voting;

use std::collections::VecDeque;

use jiff::Timestamp;
use tidewatch_health::{Attribution, Cause, ComponentId, Sensitivity};
use tidewatch_records::{FlowWindow, NodeWindow};

pub use flock::Flock;
pub use outlier::Outlier;
pub use path::{Atlas, Crossing};
pub use threshold::Threshold;
pub use tidewatch::Tidewatch;
pub use voting::Voting;

/// Windows that a method without memory judges together: two minutes, the whole of a "hard" fault.
pub const SLIDE: usize = 4;

/// One window as every method gets it.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    pub start: Timestamp,
    pub seconds: u32,
    pub flows: &'a [FlowWindow],
    /// Figures of the nodes in this window, where their agents report them.
    pub nodes: &'a [NodeWindow],
    /// The same records as paths over components.
    pub crossings: &'a [Crossing],
    pub atlas: &'a Atlas,
}

/// A component that a method blames.
#[derive(Debug, Clone, PartialEq)]
pub struct Blamed {
    pub component: ComponentId,
    /// Where the method states one.
    pub confidence: Option<f64>,
    /// The log-odds that the confidence is made from.
    pub log_odds: Option<f64>,
    pub cause: Option<Cause>,
    /// For a person who looks at misses.
    pub note: String,
}

impl Blamed {
    fn plainly(component: ComponentId) -> Self {
        Self { component, confidence: None, log_odds: None, cause: None, note: String::new() }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finding {
    pub blamed: Vec<Blamed>,
    /// The method says that it can't tell.
    pub insufficient: bool,
    /// The class at fault, where the method states it.
    pub attribution: Option<Attribution>,
    /// The sentence that goes with it.
    pub sentence: String,
}

pub trait Method {
    /// A window that is known to be healthy.
    fn observe_history(&mut self, window: &Observed<'_>);

    /// The components at fault as of this window.
    fn verdict(&mut self, window: &Observed<'_>) -> Finding;
}

impl Method for Box<dyn Method> {
    fn observe_history(&mut self, window: &Observed<'_>) {
        self.as_mut().observe_history(window);
    }

    fn verdict(&mut self, window: &Observed<'_>) -> Finding {
        self.as_mut().verdict(window)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum MethodName {
    Threshold,
    #[value(name = "007")]
    Voting,
    Outlier,
    Flock,
    FlockLearned,
    Tidewatch,
    TidewatchLow,
    TidewatchHigh,
}

impl MethodName {
    pub const ALL: [Self; 8] = [
        Self::Threshold,
        Self::Voting,
        Self::Outlier,
        Self::Flock,
        Self::FlockLearned,
        Self::Tidewatch,
        Self::TidewatchLow,
        Self::TidewatchHigh,
    ];

    /// True for our engine, which needs no paths prepared for it.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Tidewatch | Self::TidewatchLow | Self::TidewatchHigh)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Voting => "007",
            Self::Outlier => "outlier",
            Self::Flock => "flock",
            Self::FlockLearned => "flock-learned",
            Self::Tidewatch => "tidewatch",
            Self::TidewatchLow => "tidewatch-low",
            Self::TidewatchHigh => "tidewatch-high",
        }
    }

    pub fn make(self) -> Box<dyn Method> {
        match self {
            Self::Threshold => Box::new(Threshold::default()),
            Self::Voting => Box::new(Voting::default()),
            Self::Outlier => Box::new(Outlier::default()),
            Self::Flock => Box::new(Flock::tuned()),
            Self::FlockLearned => Box::new(Flock::learned()),
            Self::Tidewatch => Box::new(Tidewatch::with(Sensitivity::Standard)),
            Self::TidewatchLow => Box::new(Tidewatch::with(Sensitivity::Low)),
            Self::TidewatchHigh => Box::new(Tidewatch::with(Sensitivity::High)),
        }
    }
}

/// The last [`SLIDE`] windows' crossings.
#[derive(Debug, Clone, Default)]
struct Slide(VecDeque<Vec<Crossing>>);

impl Slide {
    fn push(&mut self, crossings: &[Crossing]) {
        if self.0.len() >= SLIDE {
            self.0.pop_front();
        }
        self.0.push_back(crossings.to_vec());
    }

    fn crossings(&self) -> impl Iterator<Item = &Crossing> {
        self.0.iter().flatten()
    }
}
