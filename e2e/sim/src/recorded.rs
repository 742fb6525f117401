//! Windows that were recorded on real software, replayed through the engine: was what it said true?
//!
//! A directory holds recordings: `NAME.jsonl` (or `.jsonl.zst`) with resolved flow windows and nodes' figures in time order,
//! or a directory `NAME` with the files that an operator recorded (`windows-15s-TIME.jsonl.zst`, docs/recording.md). Beside
//! each is `NAME.truth.jsonl` with a line for each span in which something was at fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tidewatch_health::{Attribution, Cause, Class, ComponentFault, Config, Engine, Verdict, Window};
use tidewatch_records::{FlowWindow, NodeWindow, Record, jsonl};

/// After a fault's end what was named for it may stand so long before it is wrong to say so.
const PASSING: SignedDuration = SignedDuration::from_secs(120);
/// More malformed lines than this in a hundred, and the recording isn't one.
const MOST_MALFORMED: u64 = 1;

/// A span of time in which something was at fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
    /// Components at fault, as verdicts name them; what is beside them in a verdict is wrong.
    pub components: Vec<String>,
    pub attribution: Attribution,
    /// The causes that are right for these components; any is where none is given.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// In words, for a person.
    #[serde(default)]
    pub what: String,
}

impl Span {
    fn allows(&self, fault: &ComponentFault) -> bool {
        self.components.contains(&fault.component.to_string())
            && (self.causes.is_empty() || self.causes.contains(&fault.cause))
    }
}

/// The engine's verdicts on one span.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    pub span: Span,
    /// Seconds from its beginning to the end of the first window that named one of its components.
    pub named_after: Option<i64>,
    /// The attribution in its last whole window is its own.
    pub attribution_is_right: bool,
}

/// Something named though it wasn't at fault, or not by this cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    pub at: Timestamp,
    pub component: String,
    pub cause: Cause,
    pub class: Class,
    pub sentence: String,
}

/// The engine's verdicts on one recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replay {
    pub name: String,
    pub windows: usize,
    pub records: usize,
    pub insufficient: usize,
    pub tellings: Vec<Telling>,
    /// One for each time that a component began to be named wrongly, or by a wrong cause.
    pub wrong: Vec<Wrong>,
}

/// Replays every recording of a directory, by name, in windows of so many seconds.
pub fn replay_all(directory: &Path, seconds: u32) -> anyhow::Result<Vec<Replay>> {
    let recordings = Recording::all(directory, seconds)?;
    if recordings.is_empty() {
        bail!(
            "{} holds no recording (NAME.jsonl, NAME.jsonl.zst, or a directory NAME with an operator's windows-*.jsonl.zst)",
            directory.display()
        );
    }
    recordings.iter().map(|recording| recording.replay(seconds)).collect()
}

/// A recording's name and its files, oldest first.
#[derive(Debug)]
struct Recording {
    name: String,
    files: Vec<PathBuf>,
    truth: PathBuf,
}

impl Recording {
    fn all(directory: &Path, seconds: u32) -> anyhow::Result<Vec<Self>> {
        let mut recordings = Vec::new();
        for path in sorted(directory)? {
            let files = if path.is_dir() {
                windows_of_operator(&path, seconds)?
            } else if stem(&path).is_some() {
                vec![path.clone()]
            } else {
                continue;
            };
            let name = stem(&path).or_else(|| path.file_name()?.to_str());
            let name =
                name.with_context(|| format!("{}: a name that isn't text", path.display()))?.to_owned();
            let truth = directory.join(format!("{name}.truth.jsonl"));
            if !files.is_empty() {
                recordings.push(Self { name, files, truth });
            }
        }
        Ok(recordings)
    }

    fn replay(&self, seconds: u32) -> anyhow::Result<Replay> {
        let mut follow = Follow::new(&self.name, spans(&self.truth)?, seconds);
        for path in &self.files {
            let mut reader = jsonl::open(path).with_context(|| format!("can't open {}", path.display()))?;
            for record in reader.by_ref() {
                match record {
                    Ok(Record::Flow(flow)) => follow.flow(flow),
                    Ok(Record::Node(node)) => follow.node(node),
                    // The operator was stopped while it wrote its last window.
                    Ok(Record::Accounting(_))
                    | Err(jsonl::ReadError::Malformed { .. } | jsonl::ReadError::Truncated { .. }) => {}
                    Err(error) => {
                        return Err(error).with_context(|| format!("can't read {}", path.display()));
                    }
                }
            }
            if reader.malformed() * 100 > reader.line() * MOST_MALFORMED {
                bail!("{}: {} of {} lines are malformed", path.display(), reader.malformed(), reader.line());
            }
        }
        follow.judge();
        Ok(follow.replay)
    }
}

fn sorted(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("can't read {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// A recording's name; none for other files: truths, and the verdicts that an operator keeps beside its windows.
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".zst").unwrap_or(name).strip_suffix(".jsonl")?;
    (!stem.ends_with(".truth") && !stem.starts_with("verdicts-")).then_some(stem)
}

/// An operator's files of the longest recorded windows that make up windows of so many seconds.
fn windows_of_operator(directory: &Path, seconds: u32) -> anyhow::Result<Vec<PathBuf>> {
    let mut lengths: BTreeMap<u32, Vec<PathBuf>> = BTreeMap::new();
    for path in sorted(directory)? {
        let length = stem(&path)
            .and_then(|stem| stem.strip_prefix("windows-")?.split_once("s-"))
            .and_then(|(length, _)| length.parse().ok());
        if let Some(length) = length {
            lengths.entry(length).or_default().push(path);
        }
    }
    let known: Vec<String> = lengths.keys().map(|length| format!("{length} s")).collect();
    let fits = lengths.into_iter().rev().find(|(length, _)| *length > 0 && seconds.is_multiple_of(*length));
    match fits {
        Some((_, files)) => Ok(files),
        None if known.is_empty() => Ok(Vec::new()),
        None => bail!(
            "{} holds windows of {}, which don't make up windows of {seconds} s: choose --window accordingly",
            directory.display(),
            known.join(" and ")
        ),
    }
}

fn spans(path: &Path) -> anyhow::Result<Vec<Span>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let file = fs::File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let lines = std::io::BufReader::new(file).lines();
    lines.map(|line| serde_json::from_str(&line?).with_context(|| format!("in {}", path.display()))).collect()
}

/// Collects records into windows and judges one after the other.
#[derive(Debug)]
struct Follow {
    engine: Engine,
    seconds: i64,
    start: Option<Timestamp>,
    flows: Vec<FlowWindow>,
    nodes: Vec<NodeWindow>,
    wrong_before: BTreeSet<String>,
    replay: Replay,
}

impl Follow {
    fn new(name: &str, spans: Vec<Span>, seconds: u32) -> Self {
        let telling = |span| Telling { span, named_after: None, attribution_is_right: false };
        Self {
            engine: Engine::new(Config::default()),
            seconds: i64::from(seconds.max(1)),
            start: None,
            flows: Vec::new(),
            nodes: Vec::new(),
            wrong_before: BTreeSet::new(),
            replay: Replay {
                name: name.to_owned(),
                tellings: spans.into_iter().map(telling).collect(),
                ..Replay::default()
            },
        }
    }

    fn flow(&mut self, flow: FlowWindow) {
        self.turn(flow.window_start);
        self.flows.push(flow);
    }

    fn node(&mut self, node: NodeWindow) {
        self.turn(node.window_start);
        self.nodes.push(node);
    }

    /// A record of a later window is there: the one before is complete.
    fn turn(&mut self, at: Timestamp) {
        let second = at.as_second();
        let Ok(start) = Timestamp::from_second(second - second.rem_euclid(self.seconds)) else { return };
        if self.start.is_some_and(|current| start > current) {
            self.judge();
        }
        self.start = Some(self.start.map_or(start, |current| current.max(start)));
    }

    fn judge(&mut self) {
        let Some(start) = self.start else { return };
        let seconds = u32::try_from(self.seconds).unwrap_or(u32::MAX);
        let window = Window { start, seconds, flows: &self.flows, nodes: &self.nodes };
        let verdict = self.engine.evaluate(&window);
        self.replay.windows += 1;
        self.replay.records += self.flows.len() + self.nodes.len();
        self.replay.insufficient +=
            usize::from(verdict.nhi == tidewatch_health::HealthIndicator::InsufficientData);
        self.score(start, &verdict);
        self.flows.clear();
        self.nodes.clear();
    }

    fn score(&mut self, start: Timestamp, verdict: &Verdict) {
        let end = start + SignedDuration::from_secs(self.seconds);
        let mut expected: Vec<&Span> = Vec::new();
        for telling in &mut self.replay.tellings {
            let span = &telling.span;
            if end > span.from && start < span.until + PASSING {
                expected.push(span);
            }
            let inside = start >= span.from && end <= span.until;
            if inside {
                telling.attribution_is_right = verdict.attribution == span.attribution;
            }
            let named = verdict.components.iter().any(|fault| {
                let name = fault.component.to_string();
                span.components.contains(&name)
            });
            if named && end > span.from && start < span.until && telling.named_after.is_none() {
                telling.named_after = Some(end.duration_since(span.from).as_secs());
            }
        }
        let wrongly =
            verdict.components.iter().filter(|fault| !expected.iter().any(|span| span.allows(fault)));
        let wrong: Vec<Wrong> = wrongly
            .map(|fault| Wrong {
                at: start,
                component: fault.component.to_string(),
                cause: fault.cause,
                class: fault.class,
                sentence: verdict.reason.clone(),
            })
            .collect();
        let names: BTreeSet<String> = wrong.iter().map(|wrong| wrong.component.clone()).collect();
        let news = wrong.into_iter().filter(|wrong| !self.wrong_before.contains(&wrong.component));
        self.replay.wrong.extend(news);
        self.wrong_before = names;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::clock::Clock;
    use crate::fault::FaultKind;
    use crate::mode::Mode;
    use crate::trial::Trial;

    /// Writes a trial as a recording, and its truth as a span.
    fn record(directory: &Path, kind: FaultKind) {
        let mut trial = Trial::real(Mode::Small, 3, kind, Clock { seconds: 15 }, false);
        let mut out = fs::File::create(directory.join("trial.jsonl")).unwrap();
        let mut span: Option<Span> = None;
        let mut records = Vec::new();
        let skipped = trial.history_windows() - 60;
        let mut windows = 0..;
        while let Some(truth) = trial.step(&mut records) {
            if windows.next().is_some_and(|window| window < skipped) {
                continue;
            }
            for record in &records {
                jsonl::write_flow(&mut out, record).unwrap();
            }
            for node in trial.nodes() {
                jsonl::write_node(&mut out, node).unwrap();
            }
            if !truth.components.is_empty() {
                let from = span.as_ref().map_or(truth.window_start, |span| span.from);
                let components = truth.components.iter().map(|c| c.component.to_string()).collect();
                let attribution = Attribution::Infrastructure;
                let until = truth.window_start + SignedDuration::from_secs(15);
                span =
                    Some(Span { from, until, components, attribution, causes: vec![], what: String::new() });
            }
        }
        if let Some(span) = span {
            let mut out = fs::File::create(directory.join("trial.truth.jsonl")).unwrap();
            writeln!(out, "{}", serde_json::to_string(&span).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_recorded_fault_is_told_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), FaultKind::HeavyNode);
        let replays = replay_all(directory.path(), 15).unwrap();
        let [replay] = replays.as_slice() else { panic!("one recording: {replays:?}") };
        let [telling] = replay.tellings.as_slice() else { panic!("one span: {replay:?}") };
        assert!(telling.named_after.is_some_and(|after| after <= 60), "{telling:?}");
        assert!(telling.attribution_is_right && replay.wrong.is_empty(), "{replay:?}");
        assert!(replay.windows > 60 && replay.records > 5_000);
    }

    #[test]
    fn a_component_at_fault_by_another_cause_is_named_wrongly() {
        let directory = tempfile::tempdir().unwrap();
        record(directory.path(), FaultKind::HeavyNode);
        let truth = directory.path().join("trial.truth.jsonl");
        let mut span: Span = serde_json::from_str(&fs::read_to_string(&truth).unwrap()).unwrap();
        span.causes = vec![Cause::Latency];
        fs::write(&truth, serde_json::to_string(&span).unwrap() + "\n").unwrap();
        let [replay] = replay_all(directory.path(), 15).unwrap().try_into().unwrap();
        assert_eq!(replay.wrong.iter().map(|wrong| wrong.cause).collect::<Vec<_>>(), [Cause::PacketLoss]);
    }

    /// Six faults at the chart's windows, on machines short of CPU.
    #[test]
    fn of_faults_on_real_software_nothing_untrue_is_said() {
        let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
        let replays = replay_all(&recordings, 15).unwrap();
        for replay in &replays {
            assert_eq!(replay.wrong, [], "{}", replay.name);
            for telling in &replay.tellings {
                let seconds = telling.named_after.unwrap_or_else(|| panic!("not named: {telling:?}"));
                assert!(seconds <= 60 && telling.attribution_is_right, "{telling:?}");
            }
        }
        assert_eq!(replays.iter().map(|replay| replay.tellings.len()).sum::<usize>(), 6);
    }

    #[test]
    fn an_operators_files_are_one_recording_and_their_truth_lies_beside_their_directory() {
        let (flat, lane) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        record(flat.path(), FaultKind::HeavyNode);
        let text = fs::read_to_string(flat.path().join("trial.jsonl")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        // As the operator leaves it after a restart: the windows go on in a second file.
        let starts =
            |line: &&str| serde_json::from_str::<serde_json::Value>(line).unwrap()["window_start"].clone();
        let middle = starts(&lines[lines.len() / 2]);
        let (before, after) = lines.split_at(lines.iter().position(|line| starts(line) == middle).unwrap());
        let directory = lane.path().join("faults-ease-default");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("windows-15s-20261127T140000Z.jsonl"), before.join("\n") + "\n").unwrap();
        fs::write(directory.join("windows-15s-20261127T150000Z.jsonl"), after.join("\n") + "\n").unwrap();
        fs::write(directory.join("verdicts-15s-Standard-20261127T140000Z.jsonl"), "{}\n").unwrap();
        let truth = lane.path().join("faults-ease-default.truth.jsonl");
        fs::copy(flat.path().join("trial.truth.jsonl"), truth).unwrap();
        let mut expected = replay_all(flat.path(), 15).unwrap();
        expected[0].name = "faults-ease-default".to_owned();
        assert_eq!(replay_all(lane.path(), 15).unwrap(), expected);
        let error = replay_all(lane.path(), 20).unwrap_err().to_string();
        assert!(error.contains("holds windows of 15 s, which don't make up windows of 20 s"), "{error}");
    }

    #[test]
    fn a_directory_without_recordings_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("notes.txt"), "none").unwrap();
        assert!(replay_all(directory.path(), 15).unwrap_err().to_string().contains("holds no recording"));
    }
}
