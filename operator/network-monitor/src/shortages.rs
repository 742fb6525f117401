//! The nodes of a monitor's traffic that are short of CPU or memory, as the status shows them. Pure.
//!
//! A shortage that lasts one window is no news, and one that pauses isn't over: a node under load would have the status
//! rewritten all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_crds::network_monitor::{NodeShortage, ShortResource};
use tidewatch_health::{self as health, Resource};

use super::hysteresis::Presence;
use super::traffic::percent_text;

/// Shown at most.
const MOST: usize = 10;
/// Windows in a row in which a node must be short.
const WINDOWS: u32 = 2;
/// How long a node must be short no more.
const OVER: Duration = Duration::from_secs(300);

type Key = (String, ShortResource);

/// What is remembered of the nodes that are or were short.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shortages {
    last_window: Option<Timestamp>,
    nodes: BTreeMap<Key, Short>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Short {
    /// Windows in a row, this one the last.
    windows: u32,
    presence: Presence,
}

impl Shortages {
    /// What the status shows from the window that starts at `now` on, where `short` are those of the window and `shown` is
    /// what it showed until now.
    pub(super) fn show(
        &mut self,
        short: &[health::NodeShortage],
        shown: &[NodeShortage],
        now: Timestamp,
    ) -> Vec<NodeShortage> {
        let is_new = self.last_window != Some(now);
        self.last_window = Some(now);
        let of_window: BTreeMap<Key, &health::NodeShortage> =
            short.iter().map(|one| ((one.node.clone(), resource(one.resource)), one)).collect();
        let standing: BTreeMap<Key, &NodeShortage> =
            shown.iter().map(|one| ((one.node.clone(), one.resource), one)).collect();
        let keys: BTreeSet<Key> =
            of_window.keys().chain(standing.keys()).chain(self.nodes.keys()).cloned().collect();
        let mut next = Vec::new();
        for key in keys {
            let node = self.nodes.entry(key.clone()).or_default();
            if is_new {
                node.windows = if of_window.contains_key(&key) { node.windows.saturating_add(1) } else { 0 };
            }
            let there = node.windows >= WINDOWS || (node.windows > 0 && standing.contains_key(&key));
            if node.presence.show(there, standing.contains_key(&key), OVER, now) {
                let was = standing.get(&key).map(|was| (*was).clone());
                next.extend(of_window.get(&key).map(|is| as_shown(is)).or(was));
            }
        }
        self.nodes.retain(|key, node| node.windows > 0 || next.iter().any(|one| is_of(one, key)));
        // Those that are shown stay, so that the ten aren't others in each window.
        next.sort_by_key(|one| {
            let is_shown = standing.contains_key(&(one.node.clone(), one.resource));
            (!is_shown, std::cmp::Reverse(severity(one)))
        });
        next.truncate(MOST);
        next.sort_by_key(|one| (std::cmp::Reverse(severity(one)), one.node.clone()));
        next
    }
}

fn is_of(shown: &NodeShortage, (node, resource): &Key) -> bool {
    shown.node == *node && shown.resource == *resource
}

fn resource(resource: Resource) -> ShortResource {
    match resource {
        Resource::Cpu => ShortResource::Cpu,
        Resource::Memory => ShortResource::Memory,
    }
}

fn as_shown(short: &health::NodeShortage) -> NodeShortage {
    let (node, resource) = (&short.node, resource(short.resource));
    let pressure = tens(short.pressure_ratio);
    let steal = short.steal_ratio.map(tens).filter(|steal| steal != "0%");
    // Time that others take shows as no pressure.
    let why = match &steal {
        Some(steal) if pressure == "0%" => {
            format!("the hypervisor gave {steal} of its CPU time to other machines")
        }
        Some(steal) => format!(
            "for {pressure} of the time some task waited for it (the hypervisor gave {steal} of its CPU time to other machines)"
        ),
        None => format!("for {pressure} of the time some task waited for it"),
    };
    NodeShortage {
        node: node.clone(),
        resource,
        message: format!(
            "node {node} is short of {}: {why}; round trips there are the node's own",
            resource_name(resource)
        ),
        pressure,
        steal,
    }
}

/// In tens of percent: more than that is noise.
fn tens(ratio: f64) -> String {
    percent_text((ratio.clamp(0.0, 1.0) * 10.0).round() / 10.0)
}

/// Share of time that the node goes without, in percent.
fn severity(short: &NodeShortage) -> u32 {
    let of = |percent: &str| -> u32 { percent.trim_end_matches('%').parse().unwrap_or(0) };
    of(&short.pressure).max(short.steal.as_deref().map_or(0, of))
}

pub(super) fn resource_name(resource: ShortResource) -> &'static str {
    match resource {
        ShortResource::Cpu => "CPU",
        ShortResource::Memory => "memory",
    }
}

/// Which nodes are short of what, in half a sentence; nothing where none is. It has no figures, so that it stands as long
/// as the nodes are the same.
pub(super) fn sentence(shown: &[NodeShortage]) -> Option<String> {
    let parts: Vec<String> = [ShortResource::Cpu, ShortResource::Memory]
        .into_iter()
        .filter_map(|resource| {
            let mut nodes: Vec<&str> =
                shown.iter().filter(|one| one.resource == resource).map(|one| one.node.as_str()).collect();
            nodes.sort_unstable();
            (!nodes.is_empty()).then(|| format!("short of {}: {}", resource_name(resource), nodes.join(", ")))
        })
        .collect();
    (!parts.is_empty()).then(|| format!("{}: round trips there are the nodes' own", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::at;
    use super::*;

    fn short(node: &str, pressure_ratio: f64) -> health::NodeShortage {
        health::NodeShortage {
            node: node.to_owned(),
            resource: Resource::Cpu,
            pressure_ratio,
            steal_ratio: None,
        }
    }

    /// The nodes that are shown after each window of 15 s.
    fn shown(windows: &[Vec<health::NodeShortage>]) -> Vec<Vec<String>> {
        let (mut memory, mut standing) = (Shortages::default(), Vec::new());
        let mut shown = Vec::new();
        for (n, short) in (0_i64..).zip(windows) {
            standing = memory.show(short, &standing, at(15 * n));
            assert_eq!(memory.show(short, &standing, at(15 * n)), standing, "the same window again");
            shown.push(standing.iter().map(|one| format!("{} {}", one.node, one.pressure)).collect());
        }
        shown
    }

    #[test]
    fn a_shortage_is_shown_from_its_second_window_on() {
        let windows = [vec![short("a", 0.62)], vec![short("a", 0.58)], vec![short("a", 0.6)]];
        assert_eq!(shown(&windows), [vec![], vec!["a 60%"], vec!["a 60%"]]);
    }

    #[test]
    fn one_window_is_no_news_and_a_pause_is_no_end() {
        let mut windows = vec![vec![], vec![short("a", 0.9)], vec![]];
        windows.extend([vec![short("b", 0.5)], vec![short("b", 0.5)]]);
        windows.extend(vec![vec![]; 25]);
        let shown = shown(&windows);
        assert!(shown.iter().flatten().all(|one| one == "b 50%"), "{shown:?}");
        assert_eq!(shown.iter().filter(|shown| !shown.is_empty()).count(), 1 + 20, "{shown:?}");
    }

    #[test]
    fn a_node_whose_time_others_take_is_told_by_that() {
        let mut stolen = short("a", 0.02);
        stolen.steal_ratio = Some(0.3);
        let mut memory = Shortages::default();
        let window = [stolen, short("b", 0.2)];
        let standing = memory.show(&window, &[], at(0));
        let standing = memory.show(&window, &standing, at(15));
        assert_eq!(standing[0].node, "a", "30% is more than 20%");
        assert_eq!(
            standing[0].message,
            "node a is short of CPU: the hypervisor gave 30% of its CPU time to other machines; round trips there are the node's own"
        );
    }

    #[test]
    fn of_many_the_worst_ten_are_shown_and_stay() {
        let many = |order: f64| -> Vec<health::NodeShortage> {
            (0..30).map(|n| short(&format!("n{n:02}"), 0.5 + order * 0.01 * f64::from(n))).collect()
        };
        let shown = shown(&[many(1.0), many(1.0), many(-1.0)]);
        assert_eq!(shown[1].len(), MOST);
        let names = |shown: &[String]| -> BTreeSet<String> {
            shown.iter().filter_map(|one| one.split(' ').next()).map(str::to_owned).collect()
        };
        assert_eq!(names(&shown[1]), names(&shown[2]));
    }

    #[test]
    fn the_sentence_says_who_is_short_of_what() {
        let mut memory = Shortages::default();
        let window = [short("b", 0.7), short("a", 0.5)];
        let mut standing = memory.show(&window, &[], at(0));
        standing = memory.show(&window, &standing, at(15));
        assert_eq!(
            sentence(&standing).as_deref(),
            Some("short of CPU: a, b: round trips there are the nodes' own")
        );
        assert_eq!(
            standing[0].message,
            "node b is short of CPU: for 70% of the time some task waited for it; round trips there are the node's own"
        );
        assert_eq!(sentence(&[]), None);
    }
}
