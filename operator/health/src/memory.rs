//! What an engine knows, in a form that outlives the process: baselines and suspicions, with the names that they
//! refer to and no others.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidewatch_records::Name;

use crate::baseline::{Baselines, PathKey, PathSeries, Series, SeriesKey};
use crate::names::{Id, Names};
use crate::track::Tracks;

/// An engine's memory. Some 150 bytes a series as JSON; a series is one service in one direction.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    names: Vec<(Name, bool)>,
    series: Vec<(SeriesKey, Series)>,
    paths: Vec<(PathKey, PathSeries)>,
    tracks: Tracks,
}

impl Memory {
    pub(crate) fn of(names: &Names, baselines: &Baselines, tracks: &Tracks) -> Self {
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
        let tracks = tracks.renumbered(&mut number);
        Self { names: kept.listed(), series, paths, tracks }
    }

    pub(crate) fn recall(&self) -> (Names, Baselines, Tracks) {
        let baselines = Baselines {
            series: self.series.iter().copied().collect(),
            paths: self.paths.iter().copied().collect(),
        };
        (Names::of_list(&self.names), baselines, self.tracks.clone())
    }
}
