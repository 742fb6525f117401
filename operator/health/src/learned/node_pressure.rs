//! Nodes that are short of CPU or memory, as their own kernels report. Slow round trips at such a node are caused by
//! the node: a packet that waits for a CPU can't be told from one that the network delayed.
//!
//! Pressure (docs.kernel.org/accounting/psi) is the share of time in which at least one task was ready to run and had
//! to wait. On a node with idle CPUs it stays below a few percent; at 40% hardly a request is served without having
//! waited. A container that its CPU limit throttles counts as waiting too, even on an idle node, so the node has to be
//! busy as well. Steal is CPU time that the hypervisor gave to other guests, which no guest sees as pressure.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tidewatch_records::{Name, NodeFigures, NodeWindow};

use crate::input::names::{Id, Names};
use crate::verdict::{NodeShortage, Resource};

/// A shortage begins at the first and ends below the second.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    from: f64,
    until: f64,
}

/// Share of time in which some task waited for a CPU.
const CPU_PRESSURE: Bounds = Bounds { from: 0.40, until: 0.25 };
/// Share of CPU time that isn't idle. Below it, the pressure is that of containers throttled by their limits, not the
/// node's.
const BUSY: Bounds = Bounds { from: 0.70, until: 0.50 };
/// Share of CPU time that the hypervisor gave to others: a tenth are 100 ms of each second, in pieces of many round trips.
const STEAL: Bounds = Bounds { from: 0.10, until: 0.05 };
/// Share of time in which some task waited for memory: reclaim stops whoever asks for a page, soft interrupts among them.
const MEMORY_PRESSURE: Bounds = Bounds { from: 0.20, until: 0.10 };

/// Time over which figures are averaged, so that a job of a few seconds is no shortage.
const AVERAGED_SECONDS: f64 = 30.0;
/// A node that reports nothing for this long is forgotten.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(5);

impl Bounds {
    fn holds(self, value: f64, held: bool) -> bool {
        value >= if held { self.until } else { self.from }
    }
}

/// The recent pressure of each node, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct NodePressure(BTreeMap<Name, State>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct State {
    seen: Timestamp,
    cpu_pressure: f64,
    /// None if the kernel doesn't report it.
    busy: Option<f64>,
    steal: f64,
    memory_pressure: f64,
    short_of_cpu: bool,
    short_of_memory: bool,
}

/// Nodes that are short of something in one window.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shortages {
    /// The worst first.
    pub(crate) list: Vec<NodeShortage>,
    /// Number of nodes that reported their figures.
    pub(crate) nodes: usize,
    short: HashSet<Id>,
}

impl Shortages {
    /// True if slow round trips at the node may be caused by the node itself.
    pub(crate) fn is_short(&self, node: Id) -> bool {
        self.short.contains(&node)
    }
}

/// The figures of one node over one window, which may have come in several parts.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    seconds: f64,
    cpu_pressure: f64,
    busy: f64,
    busy_seconds: f64,
    steal: f64,
    memory_pressure: f64,
}

impl Mean {
    fn add(&mut self, seconds: u32, figures: &NodeFigures) {
        let seconds = f64::from(seconds.max(1));
        let share = |ratio: Option<f64>| ratio.unwrap_or(0.0).clamp(0.0, 1.0) * seconds;
        self.seconds += seconds;
        self.cpu_pressure += share(figures.cpu_pressure_ratio);
        self.steal += share(figures.steal_ratio);
        self.memory_pressure += share(figures.memory_pressure_ratio);
        if figures.cpu_busy_ratio.is_some() {
            self.busy += share(figures.cpu_busy_ratio);
            self.busy_seconds += seconds;
        }
    }
}

impl State {
    fn new(seen: Timestamp, mean: &Mean) -> Self {
        let mut state = Self {
            seen,
            cpu_pressure: mean.cpu_pressure / mean.seconds,
            busy: (mean.busy_seconds > 0.0).then(|| mean.busy / mean.busy_seconds),
            steal: mean.steal / mean.seconds,
            memory_pressure: mean.memory_pressure / mean.seconds,
            short_of_cpu: false,
            short_of_memory: false,
        };
        state.judge();
        state
    }

    fn judge(&mut self) {
        let cpu = self.short_of_cpu;
        let is_busy = self.busy.is_none_or(|busy| BUSY.holds(busy, cpu));
        self.short_of_cpu =
            (CPU_PRESSURE.holds(self.cpu_pressure, cpu) && is_busy) || STEAL.holds(self.steal, cpu);
        self.short_of_memory = MEMORY_PRESSURE.holds(self.memory_pressure, self.short_of_memory);
    }

    /// Moves the state towards `now`, the state that the new window alone would give.
    fn follow(&mut self, now: &Self, seconds: f64) {
        let step = 1.0 - (-seconds / AVERAGED_SECONDS).exp();
        let towards = |before: f64, now: f64| before + step * (now - before);
        self.seen = now.seen;
        self.cpu_pressure = towards(self.cpu_pressure, now.cpu_pressure);
        self.busy = now.busy.map(|busy| towards(self.busy.unwrap_or(busy), busy));
        self.steal = towards(self.steal, now.steal);
        self.memory_pressure = towards(self.memory_pressure, now.memory_pressure);
        self.judge();
    }
}

impl NodePressure {
    /// One window passes.
    pub(crate) fn step(&mut self, start: Timestamp, windows: &[NodeWindow], names: &Names) -> Shortages {
        let mut means: BTreeMap<&Name, Mean> = BTreeMap::new();
        for window in windows.iter().filter(|window| tells(&window.node)) {
            means.entry(&window.reporter).or_default().add(window.window_seconds, &window.node);
        }
        let mut shortages = Shortages { nodes: means.len(), ..Shortages::default() };
        for (name, mean) in means {
            let now = State::new(start, &mean);
            let state = self
                .0
                .entry(name.clone())
                .and_modify(|state| state.follow(&now, mean.seconds))
                .or_insert(now);
            // One bad window is no shortage yet, but its round trips are what they are.
            if state.short_of_cpu || state.short_of_memory || now.short_of_cpu || now.short_of_memory {
                shortages.short.extend(names.text(name));
            }
            shortages.list.extend(state.told(name));
        }
        self.0.retain(|_, state| start.duration_since(state.seen) < FORGOTTEN_AFTER);
        shortages.list.sort_by(|a, b| {
            b.severity()
                .total_cmp(&a.severity())
                .then_with(|| (&a.node, a.resource).cmp(&(&b.node, b.resource)))
        });
        shortages
    }
}

/// True if the kernel reports any of the figures by which a shortage is judged.
fn tells(figures: &NodeFigures) -> bool {
    [figures.cpu_pressure_ratio, figures.steal_ratio, figures.memory_pressure_ratio]
        .iter()
        .any(Option::is_some)
}

impl State {
    fn told(&self, name: &Name) -> impl Iterator<Item = NodeShortage> {
        let shortage = |resource, pressure: f64, steal: f64| NodeShortage {
            node: name.to_string(),
            resource,
            pressure_ratio: percent(pressure),
            steal_ratio: (steal >= STEAL.until).then(|| percent(steal)),
        };
        let cpu = self.short_of_cpu.then(|| shortage(Resource::Cpu, self.cpu_pressure, self.steal));
        let memory = self.short_of_memory.then(|| shortage(Resource::Memory, self.memory_pressure, 0.0));
        cpu.into_iter().chain(memory)
    }
}

impl NodeShortage {
    fn severity(&self) -> f64 {
        self.pressure_ratio.max(self.steal_ratio.unwrap_or(0.0))
    }
}

/// To whole percents, so that a figure in a status doesn't change for nothing.
fn percent(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn figures(pressure: f64, busy: f64) -> NodeFigures {
        NodeFigures {
            cpu_pressure_ratio: Some(pressure),
            cpu_busy_ratio: Some(busy),
            ..NodeFigures::default()
        }
    }

    /// The shortages that are reported for node a in windows of 15 s, one for each of its figures.
    fn told(all: &[NodeFigures]) -> Vec<Vec<NodeShortage>> {
        let names = Names::default();
        let mut nodes = NodePressure::default();
        let windows = all.iter().enumerate().map(|(number, node)| {
            let start = at(15 * i64::try_from(number).unwrap());
            let window =
                NodeWindow { window_start: start, window_seconds: 15, reporter: "a".into(), node: *node };
            nodes.step(start, &[window], &names).list
        });
        windows.collect()
    }

    fn is_short(figures: NodeFigures) -> bool {
        !told(&[figures; 4]).last().unwrap().is_empty()
    }

    #[test]
    fn a_busy_node_whose_tasks_wait_is_short_of_cpu() {
        let last = told(&[figures(0.62, 0.98); 4]).pop().unwrap();
        let expected = NodeShortage {
            node: "a".into(),
            resource: Resource::Cpu,
            pressure_ratio: 0.62,
            steal_ratio: None,
        };
        assert_eq!(last, [expected]);
    }

    #[test]
    fn what_is_a_shortage_and_what_is_not() {
        let steal = |ratio| NodeFigures { steal_ratio: Some(ratio), ..NodeFigures::default() };
        let memory = |ratio| NodeFigures { memory_pressure_ratio: Some(ratio), ..NodeFigures::default() };
        let cases = [
            ("idle", figures(0.01, 0.1), false),
            ("busy and nobody waits", figures(0.1, 0.95), false),
            ("one container held back by its limit", figures(0.9, 0.2), false),
            (
                "waiting, on a kernel without /proc/stat's share",
                NodeFigures { cpu_busy_ratio: None, ..figures(0.6, 0.0) },
                true,
            ),
            ("a fifth stolen", steal(0.2), true),
            ("a little stolen", steal(0.03), false),
            ("reclaim", memory(0.4), true),
            ("nothing told", NodeFigures::default(), false),
        ];
        for (what, figures, expected) in cases {
            assert_eq!(is_short(figures), expected, "{what}");
        }
    }

    #[test]
    fn a_pressure_about_the_bound_does_not_flicker() {
        let wavers: Vec<NodeFigures> =
            (0..60).map(|n| figures(if n % 2 == 0 { 0.5 } else { 0.3 }, 0.9)).collect();
        let told = told(&wavers);
        let changes = told
            .windows(2)
            .filter(|pair| pair.first().unwrap().is_empty() != pair.last().unwrap().is_empty());
        assert!(changes.count() <= 1);
    }

    #[test]
    fn a_job_of_some_seconds_is_no_shortage_but_its_trips_are_its_own() {
        let mut names = Names::default();
        let node = names.intern(&"a".into());
        let mut nodes = NodePressure::default();
        let mut window = |number: i64, pressure| {
            let window = NodeWindow {
                window_start: at(15 * number),
                window_seconds: 15,
                reporter: "a".into(),
                node: figures(pressure, 0.9),
            };
            nodes.step(at(15 * number), &[window], &names)
        };
        window(0, 0.02);
        let burst = window(1, 0.8);
        assert_eq!(burst.list, [], "{burst:?}");
        assert!(burst.is_short(node));
        assert!(!window(2, 0.02).is_short(node));
    }
}
