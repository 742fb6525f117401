//! Score by the rules of the Numenta Anomaly Benchmark (github.com/numenta/NAB, nab/sweeper.py). Each labelled window counts
//! once, and the more the earlier it is found; each row above the threshold outside the windows costs. One threshold is used
//! for all files: as in the benchmark, the one with the best score of each profile.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use tidewatch_bands::{Cause, Config, Engine, Kind};

/// Name of each profile, and its weights of a false positive and of a missed window.
const PROFILES: [(&str, f64, f64); 3] =
    [("standard", 0.11, 1.0), ("low-false-positive", 0.22, 1.0), ("low-false-negative", 0.11, 2.0)];

/// A row of a file, with what the score needs.
#[derive(Debug, Clone, Copy)]
struct Row {
    file: usize,
    statistic: f64,
    cause: Cause,
    window: Option<usize>,
    /// Score of a detection at this row by its position relative to the windows, before the weight of the profile.
    position_score: f64,
}

struct File {
    name: String,
    times: Vec<Timestamp>,
    values: Vec<f64>,
    /// Row numbers of the first and last row of each window.
    windows: Vec<(usize, usize)>,
}

pub(crate) fn run(directory: &Path, verbose: bool) -> anyhow::Result<()> {
    let files = read(directory)?;
    let mut rows = Vec::new();
    let mut windows = 0;
    for (number, file) in files.iter().enumerate() {
        rows.extend(rows_of(file, number, &judge(file), windows));
        windows += file.windows.len();
    }
    rows.sort_by(|a, b| b.statistic.total_cmp(&a.statistic));
    for (name, false_weight, missed_weight) in PROFILES {
        let (score, threshold) = best(&rows, windows, false_weight, missed_weight);
        println!(
            "BENCH {{\"bench\":\"nab\",\"profile\":\"{name}\",\"score\":{score:.2},\"threshold\":{threshold:.4}}}"
        );
        if verbose && name == "standard" {
            report(&files, &rows, threshold, false_weight);
        }
    }
    aws(&files, &rows);
    Ok(())
}

fn read(directory: &Path) -> anyhow::Result<Vec<File>> {
    let labels = directory.join("labels/combined_windows.json");
    let text = std::fs::read_to_string(&labels).with_context(|| {
        format!("read {}: is --nab a checkout of github.com/numenta/NAB?", labels.display())
    })?;
    let labels: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&text).with_context(|| format!("parse {}", labels.display()))?;
    labels.into_iter().map(|(name, windows)| read_file(directory, name, &windows)).collect()
}

fn read_file(directory: &Path, name: String, windows: &[(String, String)]) -> anyhow::Result<File> {
    let path = directory.join("data").join(&name);
    let mut reader = csv::Reader::from_path(&path).with_context(|| format!("read {}", path.display()))?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.with_context(|| format!("parse {}", path.display()))?;
        times.push(time(record.get(0).unwrap_or_default())?);
        values.push(
            record.get(1).unwrap_or_default().trim().parse().with_context(|| format!("a value of {name}"))?,
        );
    }
    let row = |text: &String| -> anyhow::Result<usize> {
        let at = time(text)?;
        times.iter().position(|time| *time == at).with_context(|| format!("{name} has no row at {text}"))
    };
    let windows =
        windows.iter().map(|(from, until)| Ok((row(from)?, row(until)?))).collect::<anyhow::Result<_>>()?;
    Ok(File { name, times, values, windows })
}

fn time(text: &str) -> anyhow::Result<Timestamp> {
    let civil: DateTime = text.trim().parse().with_context(|| format!("{text:?} as a time"))?;
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
}

/// Novelty of each row, and its cause. Novelty is used instead of the anomaly score because it peaks only once in an anomaly,
/// and each further row above the threshold may cost.
fn judge(file: &File) -> Vec<(f64, Cause)> {
    let mut engine = Engine::new(Config { kind: Kind::Gauge, ..Config::default() });
    file.times
        .iter()
        .zip(&file.values)
        .map(|(at, value)| engine.observe(*at, *value))
        .map(|judgement| (judgement.novelty, judgement.cause))
        .collect()
}

/// Scaled sigmoid of the benchmark: 1 at the start of a window (position -1), 0 at its end, and -1 far after it.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// Rows of a file after its probationary period, which is 15% of the rows and at most 750.
fn rows_of(file: &File, number: usize, novelties: &[(f64, Cause)], first_window: usize) -> Vec<Row> {
    let count = file.values.len();
    let probation = ((0.15 * count as f64).floor()).min(750.0);
    let mut rows = Vec::new();
    let mut previous: Option<(f64, f64)> = None;
    let mut windows = (first_window..).zip(&file.windows).peekable();
    for (index, (statistic, cause)) in novelties.iter().enumerate() {
        let inside =
            windows.peek().filter(|(_, (from, _))| index >= *from).map(|(id, window)| (*id, **window));
        let here = index as f64;
        let (window, position_score) = match (inside, previous) {
            (Some((id, (from, until))), _) => {
                let width = until as f64 - from as f64 + 1.0;
                (Some(id), sigmoid(-(until as f64 - here + 1.0) / width) / sigmoid(-1.0))
            }
            (None, Some((end, width))) => (None, sigmoid((here - end) / (width - 1.0))),
            (None, None) => (None, -1.0),
        };
        if here >= probation {
            rows.push(Row { file: number, statistic: *statistic, cause: *cause, window, position_score });
        }
        if let Some((_, (from, until))) = inside.filter(|(_, (_, until))| index == *until) {
            previous = Some((until as f64, until as f64 - from as f64 + 1.0));
            windows.next();
        }
    }
    rows
}

/// The best score over all thresholds, and that threshold. 0 is the score of a detector that never alarms, 100 is perfect.
fn best(rows: &[Row], windows: usize, false_weight: f64, missed_weight: f64) -> (f64, f64) {
    let mut found = vec![None::<f64>; windows];
    // A window whose rows all lie in the probationary period can't be missed.
    let scored: std::collections::BTreeSet<usize> = rows.iter().filter_map(|row| row.window).collect();
    let silent = -missed_weight * scored.len() as f64;
    let mut raw = silent;
    let score = |raw: f64| 100.0 * (raw - silent) / (windows as f64 - silent);
    let (mut best, mut threshold) = (score(raw), 1.0);
    for (row, next) in rows.iter().zip(rows.iter().skip(1).map(Some).chain([None])) {
        match row.window.and_then(|window| found.get_mut(window)) {
            Some(window) => {
                let before = window.unwrap_or(-missed_weight);
                let after = before.max(row.position_score);
                raw += after - before;
                *window = Some(after);
            }
            None => raw += false_weight * row.position_score,
        }
        if next.is_none_or(|next| next.statistic < row.statistic) && score(raw) > best {
            (best, threshold) = (score(raw), row.statistic);
        }
    }
    (best, threshold)
}

/// Prints the result of each file at this threshold.
fn report(files: &[File], rows: &[Row], threshold: f64, false_weight: f64) {
    for (number, file) in files.iter().enumerate() {
        let mine = || rows.iter().filter(move |row| row.file == number);
        let found: std::collections::BTreeSet<usize> =
            mine().filter(|row| row.statistic >= threshold).filter_map(|row| row.window).collect();
        let wrong = || mine().filter(|row| row.statistic >= threshold && row.window.is_none());
        let cost: f64 = wrong().map(|row| row.position_score * false_weight).sum();
        println!(
            "{:<62} found {} of {}, {} false rows at {cost:.2}",
            file.name,
            found.len(),
            file.windows.len(),
            wrong().count()
        );
        for (what, falsely) in [("true", false), ("false", true)] {
            let mut causes = BTreeMap::<String, usize>::new();
            mine()
                .filter(|row| row.statistic >= threshold && row.window.is_none() == falsely)
                .for_each(|row| *causes.entry(format!("{:?}", row.cause)).or_default() += 1);
            println!("    {what}: {causes:?}");
        }
    }
}

/// Largest recall on the series from CloudWatch with at most 0.3 false alarms a series-week. Each row above the threshold
/// outside the windows is a false alarm, even if several follow each other.
fn aws(files: &[File], rows: &[Row]) {
    let numbers: Vec<usize> = files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.name.starts_with("realAWSCloudwatch"))
        .map(|(number, _)| number)
        .collect();
    let windows: usize =
        numbers.iter().filter_map(|number| files.get(*number)).map(|file| file.windows.len()).sum();
    let weeks: f64 = numbers
        .iter()
        .filter_map(|number| files.get(*number))
        .filter_map(|file| Some((file.times.last()?.as_second() - file.times.first()?.as_second()) as f64))
        .sum::<f64>()
        / 604_800.0
        * 0.85;
    let mut mine: Vec<&Row> = rows.iter().filter(|row| numbers.contains(&row.file)).collect();
    mine.sort_by(|a, b| b.statistic.total_cmp(&a.statistic));
    let (mut found, mut wrong) = (std::collections::BTreeSet::new(), 0);
    let (mut recall, mut rate) = (0.0, 0.0);
    for row in mine {
        match row.window {
            Some(window) => _ = found.insert(window),
            None => wrong += 1,
        }
        if f64::from(wrong) / weeks > 0.3 {
            break;
        }
        (recall, rate) = (found.len() as f64 / windows.max(1) as f64, f64::from(wrong) / weeks);
    }
    println!(
        "BENCH {{\"bench\":\"nab-aws\",\"recall\":{recall:.3},\"false_alarms_per_series_week\":{rate:.3}}}"
    );
}
