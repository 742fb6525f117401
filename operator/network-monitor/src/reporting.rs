//! Whether enough of the nodes that a monitor is about reported a window: what few nodes saw says nothing of the others.
//! Pure.

use std::collections::BTreeSet;

use tidewatch_evaluation::ClusterWindow;
use tidewatch_records::Name;

/// How many of the nodes that run a monitor's local endpoints reported a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reporting {
    pub reported: u64,
    pub expected: u64,
    /// Nodes besides that run endpoints and can't have an agent: Fargate, virtual kubelets, Windows.
    pub agentless: u64,
}

impl Reporting {
    /// Of `nodes`, which run the monitor's local endpoints, without those that can't have an agent: they would be missed
    /// for ever. Where there are none, as for addresses outside the cluster, the nodes whose agent was ready are meant. A
    /// node has reported if it did for at least half of the window.
    pub(super) fn of(
        nodes: &BTreeSet<Name>,
        is_agentless: impl Fn(&Name) -> bool,
        window: &ClusterWindow,
    ) -> Self {
        let (agentless, able): (BTreeSet<&Name>, BTreeSet<&Name>) =
            nodes.iter().partition(|node| is_agentless(node));
        let nodes = if nodes.is_empty() { window.expected.iter().collect() } else { able };
        let has_reported = |node: &&&Name| {
            let reported = window.accounting.get(**node).map_or(0, |accounting| accounting.window_seconds);
            reported > 0 && 2 * u64::from(reported) >= u64::from(window.seconds)
        };
        Self {
            reported: nodes.iter().filter(has_reported).count() as u64,
            expected: nodes.len() as u64,
            agentless: agentless.len() as u64,
        }
    }

    /// Fewer than half of the nodes that can reported, or none of them can.
    pub(super) fn is_too_little(self) -> bool {
        2 * self.reported < self.expected || (self.expected == 0 && self.agentless > 0)
    }

    /// What to say where it is too little.
    pub(super) fn sentence(self) -> String {
        let Self { reported, expected, agentless } = self;
        match reported {
            0 if expected == 0 && agentless > 0 => {
                "its endpoints run where no agent can (Fargate, a virtual kubelet, or Windows), so that their traffic is seen from its other end at most".to_owned()
            }
            0 if expected == 1 => "the node that runs its endpoints did not report".to_owned(),
            0 => format!("none of the {expected} nodes that run its endpoints reported"),
            _ => format!("only {reported} of the {expected} nodes that run its endpoints reported"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::at;

    fn names(of: &[&str]) -> BTreeSet<Name> {
        of.iter().map(|name| Name::from(*name)).collect()
    }

    /// A window of 60 s in which each node reported so many seconds, with agents ready on a to d.
    fn window(reported: &[(&str, u32)]) -> ClusterWindow {
        let accounting = |node: &str, seconds: u32| {
            let value = serde_json::json!({
                "window_start": at(0), "window_seconds": seconds, "reporter": node, "seen": 1, "reported": 1,
                "sampled_out": 0, "buffer_full": 0, "dropped": 0, "invalid": 0
            });
            (Name::from(node), serde_json::from_value(value).unwrap())
        };
        ClusterWindow {
            start: at(0),
            seconds: 60,
            flows: vec![],
            nodes: vec![],
            accounting: reported.iter().map(|(node, s)| accounting(node, *s)).collect::<BTreeMap<_, _>>(),
            expected: names(&["a", "b", "c", "d"]),
        }
    }

    #[test]
    fn fewer_than_half_of_the_nodes_that_are_meant_is_too_little() {
        for (nodes, reported, counts, too_little) in [
            (&["a", "b", "c", "d"][..], &[("a", 60), ("b", 60), ("c", 60), ("d", 60)][..], (4, 4), false),
            (&["a", "b", "c", "d"], &[("a", 60), ("b", 60)], (2, 4), false),
            (&["a", "b", "c", "d"], &[("a", 60)], (1, 4), true),
            (&["a", "b", "c"], &[("a", 60)], (1, 3), true),
            (&["a"], &[("a", 60)], (1, 1), false),
            (&["a"], &[("b", 60), ("c", 60), ("d", 60)], (0, 1), true),
            // Other nodes' reports are no substitute, and nodes without agents count.
            (&["a", "x", "y"], &[("a", 60), ("b", 60), ("c", 60)], (1, 3), true),
            (&["a", "b"], &[("a", 30), ("b", 29)], (1, 2), false),
            (&["a", "b"], &[("a", 15), ("b", 15)], (0, 2), true),
            (&[], &[("a", 60), ("b", 60)], (2, 4), false),
            (&[], &[("a", 60)], (1, 4), true),
        ] {
            let reporting = Reporting::of(&names(nodes), |_| false, &window(reported));
            assert_eq!((reporting.reported, reporting.expected), counts, "{nodes:?} {reported:?}");
            assert_eq!(reporting.is_too_little(), too_little, "{nodes:?} {reported:?}");
        }
        let nobody = ClusterWindow { expected: BTreeSet::new(), ..window(&[]) };
        assert!(!Reporting::of(&BTreeSet::new(), |_| false, &nobody).is_too_little());
    }

    #[test]
    fn nodes_that_cant_have_an_agent_are_not_missed_and_vouch_for_nothing() {
        let on_fargate = |node: &Name| node.starts_with("fargate");
        for (nodes, reported, counts, too_little) in [
            (&["a", "fargate-1", "fargate-2"][..], &[("a", 60)][..], (1, 1, 2), false),
            (&["a", "fargate-1"], &[("b", 60)], (0, 1, 1), true),
            // The other nodes' reports say nothing of these pods.
            (&["fargate-1", "fargate-2"], &[("a", 60), ("b", 60)], (0, 0, 2), true),
        ] {
            let reporting = Reporting::of(&names(nodes), on_fargate, &window(reported));
            let Reporting { reported, expected, agentless } = reporting;
            assert_eq!((reported, expected, agentless), counts, "{nodes:?}");
            assert_eq!(reporting.is_too_little(), too_little, "{nodes:?}");
        }
        let nowhere = Reporting { reported: 0, expected: 0, agentless: 2 };
        assert!(nowhere.sentence().contains("where no agent can"), "{}", nowhere.sentence());
    }

    #[test]
    fn the_sentence_says_how_many_of_which_nodes_reported() {
        for (reported, expected, sentence) in [
            (1, 3, "only 1 of the 3 nodes that run its endpoints reported"),
            (0, 3, "none of the 3 nodes that run its endpoints reported"),
            (0, 1, "the node that runs its endpoints did not report"),
        ] {
            assert_eq!(Reporting { reported, expected, agentless: 0 }.sentence(), sentence);
        }
    }
}
