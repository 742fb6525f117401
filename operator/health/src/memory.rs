//! An engine's knowledge in a form that outlives the process: baselines and suspicions, with only the names that they
//! refer to.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidewatch_records::Name;

use crate::decide::rare_attempts::RareAttempts;
use crate::decide::recent_traffic::RecentTraffic;
use crate::decide::track::Tracks;
use crate::input::names::{Id, Names};
use crate::learned::baseline::{Baselines, PathKey, PathSeries, Series, SeriesKey};
use crate::learned::node_pressure::NodePressure;

/// An engine's memory. Some 150 bytes a series as JSON; a series is one service in one direction.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The last window that it knows of.
    as_of: Option<Timestamp>,
    names: Vec<(Name, bool)>,
    series: Vec<(SeriesKey, Series)>,
    paths: Vec<(PathKey, PathSeries)>,
    tracks: Tracks,
    nodes: NodePressure,
    #[serde(rename = "lately")]
    recent_traffic: RecentTraffic,
    attempts: RareAttempts,
}

/// The parts of a memory, as an engine resumes from them.
#[derive(Debug)]
pub(crate) struct RestoredState {
    pub(crate) names: Names,
    pub(crate) baselines: Baselines,
    pub(crate) tracks: Tracks,
    pub(crate) nodes: NodePressure,
    pub(crate) recent_traffic: RecentTraffic,
    pub(crate) attempts: RareAttempts,
}

/// The parts of an engine that a memory is made from.
#[derive(Debug)]
pub(crate) struct EngineState<'a> {
    pub(crate) names: &'a Names,
    pub(crate) baselines: &'a Baselines,
    pub(crate) tracks: &'a Tracks,
    pub(crate) nodes: &'a NodePressure,
    pub(crate) recent_traffic: &'a RecentTraffic,
    pub(crate) attempts: &'a RareAttempts,
    pub(crate) as_of: Option<Timestamp>,
}

impl Memory {
    pub(crate) fn of(known: &EngineState<'_>) -> Self {
        let (names, baselines) = (known.names, known.baselines);
        let mut series: Vec<_> = baselines.series.iter().map(|(key, series)| (*key, *series)).collect();
        series.sort_unstable_by_key(|(key, _)| *key);
        let mut paths: Vec<_> = baselines.paths.iter().map(|(key, path)| (*key, *path)).collect();
        paths.sort_unstable_by_key(|(key, _)| *key);
        let mut kept = Names::default();
        let mut numbers: HashMap<Id, Id> = HashMap::new();
        let mut number = |id: Id| *numbers.entry(id).or_insert_with(|| kept.adopt(names, id));
        for (key, _) in &mut series {
            *key = key.renumbered(&mut number);
        }
        for (key, _) in &mut paths {
            *key = key.renumbered(&mut number);
        }
        let tracks = known.tracks.renumbered(&mut number);
        let attempts = known.attempts.renumbered(&mut number);
        Self {
            as_of: known.as_of,
            names: kept.listed(),
            series,
            paths,
            tracks,
            nodes: known.nodes.clone(),
            recent_traffic: known.recent_traffic.clone(),
            attempts,
        }
    }

    /// Series held: services by direction, and their paths.
    pub fn len(&self) -> usize {
        self.series.len() + self.paths.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No more than `most` series, those seen last.
    #[must_use]
    pub fn within(mut self, most: usize) -> Self {
        if self.len() <= most {
            return self;
        }
        // Paths are a service's by zones: there are more of them, and they are learned sooner.
        self.series.sort_by_key(|(_, series)| Reverse(series.seen));
        self.series.truncate(most);
        self.paths.sort_by_key(|(_, path)| Reverse(path.seen));
        self.paths.truncate(most.saturating_sub(self.series.len()));
        let recalled = self.recall();
        Self::of(&EngineState {
            names: &recalled.names,
            baselines: &recalled.baselines,
            tracks: &recalled.tracks,
            nodes: &recalled.nodes,
            recent_traffic: &recalled.recent_traffic,
            attempts: &recalled.attempts,
            as_of: self.as_of,
        })
    }

    /// Start of the last window that it knows of.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    pub(crate) fn recall(&self) -> RestoredState {
        let baselines = Baselines {
            series: self.series.iter().copied().collect(),
            paths: self.paths.iter().copied().collect(),
        };
        RestoredState {
            names: Names::of_list(&self.names),
            baselines,
            tracks: self.tracks.clone(),
            nodes: self.nodes.clone(),
            recent_traffic: self.recent_traffic.clone(),
            attempts: self.attempts.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use super::*;
    use crate::config::Config;
    use crate::engine::Engine;

    /// Memory of an older engine, which judged round trips by their medians and didn't know of nodes.
    const OLDER: &str = r#"{
        "as_of": "2026-11-20T12:00:00Z",
        "names": [["shop/cart", false], ["zone-1", false], ["zone-2", false]],
        "series": [[{"subject": {"Service": 1}, "role": "client", "reach": "Cluster"},
            {"segments": 9000.0, "retransmissions": 3.0, "attempts": 40.0, "unanswered": 0.0, "refused": 0.0,
             "excess": 0.0, "expected_squared": 1.0, "windows": 3, "seen": 1795348800}]],
        "paths": [[{"series": {"subject": {"Service": 1}, "role": "client", "reach": "Cluster"}, "from": 2, "to": 3,
            "same_node": false}, {"weight": 30.0, "mean_ln_us": 6.7, "variance": 0.01, "seen": 1795348800}]],
        "tracks": {"tracks": [], "cleared": []}
    }"#;

    #[test]
    fn what_an_older_engine_kept_is_gone_on_with() {
        let memory: Memory = serde_json::from_str(OLDER).unwrap();
        assert_eq!(memory.len(), 2);
        let kept = Engine::resume(Config::default(), &memory).memory();
        assert_eq!(kept.len(), 2);
        let again: Memory = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        assert_eq!(again.len(), 2);
    }
}
