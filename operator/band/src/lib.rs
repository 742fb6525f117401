//! `tidewatch band`: the band of usual values for a series in a CSV file, by the engine of tidewatch-bands.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use jiff::tz::TimeZone;
use tidewatch_bands::{Config, Engine, Kind, TimeRange};

mod alarm;
mod input;
mod plot;

use alarm::{Alarm, State};
use input::Row;

/// Compute the band of usual values for a series
///
/// Reads CSV with the columns timestamp and value (a header is optional; timestamps as RFC 3339, as
/// "YYYY-MM-DD HH:MM:SS" in --timezone, or in seconds or milliseconds since 1970), judges each value by those before it
/// and writes CSV: timestamp, value, expected, lower, upper, score, state, breach. The score is comparable between
/// series: 0 is usual, 0.5 one value in a thousand. The state is that of an alarm: OK, ALARM, or INSUFFICIENT_DATA until
/// --periods values have a band.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// CSV file with the series; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// Width of the band, in standard deviations of normal noise: the aim is 32% of usual values outside at 1, 4.6% at 2,
    /// 0.27% at 3, 0.006% at 4
    #[arg(long, default_value_t = 3.0, value_parser = width)]
    pub width: f64,
    /// Side of the band on which a value is a breach
    #[arg(long, value_name = "SIDE", default_value = "both")]
    pub breach: Side,
    /// Number of newest values that the alarm looks at
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub periods: u32,
    /// Number of breaches among them that raise the alarm; all of them by default
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub datapoints: Option<u32>,
    /// Time zone of the daily and weekly seasons, and of timestamps without one, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub timezone: TimeZone,
    /// Time range whose values aren't learnt, as START/END; may be given several times
    #[arg(long, value_name = "START/END")]
    pub exclude: Vec<String>,
    /// Kind of series
    #[arg(long, value_name = "KIND", default_value = "detect")]
    pub kind: SeriesKind,
    /// Speed of adaptation: 2 forgets twice as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = adaptation)]
    pub adaptation: f64,
    /// SVG file to draw the values, the band and the breaches into
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// File to write the CSV to; - is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

/// Side of the band on which a value is a breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    /// Above or below.
    Both,
    /// Above.
    Above,
    /// Below.
    Below,
}

/// Kind of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SeriesKind {
    /// Detected from the first twelve values.
    Detect,
    /// A value that goes up and down.
    Gauge,
    /// A running total, whose rate is judged.
    Counter,
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{text:?} is out of range; write a number from {least} to {most}"))
}

fn width(text: &str) -> Result<f64, String> {
    number(text, 0.1, 10.0)
}

fn adaptation(text: &str) -> Result<f64, String> {
    number(text, 0.1, 10.0)
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text)
        .map_err(|_| format!("{text:?} is no time zone; write one such as Europe/Berlin or UTC"))
}

/// A row with its band, score and alarm state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) row: Row,
    pub(crate) band: Option<tidewatch_bands::Band>,
    pub(crate) score: f64,
    pub(crate) state: State,
    pub(crate) breach: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let datapoints = args.datapoints.unwrap_or(args.periods);
    ensure!(
        datapoints <= args.periods,
        "--datapoints {datapoints} is more than --periods {}: an alarm can't need more breaches than the values that it looks at",
        args.periods
    );
    let exclude = args
        .exclude
        .iter()
        .map(|text| range(text, &args.timezone).with_context(|| format!("--exclude {text:?}")))
        .collect::<anyhow::Result<_>>()?;
    let config = Config {
        width: args.width,
        time_zone: args.timezone.clone(),
        exclude,
        kind: match args.kind {
            SeriesKind::Detect => Kind::Detect,
            SeriesKind::Gauge => Kind::Gauge,
            SeriesKind::Counter => Kind::Counter,
        },
        adaptation: args.adaptation,
    };
    let rows = if args.file == Path::new("-") {
        input::read(std::io::stdin().lock(), &args.timezone).context("standard input")?
    } else {
        let file = File::open(&args.file).with_context(|| format!("open {}", args.file.display()))?;
        input::read(file, &args.timezone).with_context(|| args.file.display().to_string())?
    };
    let judged = judge(&rows, config, Alarm::new(args.periods, datapoints), args.breach);
    if args.output == Path::new("-") {
        write(&judged, std::io::stdout().lock()).context("write to standard output")?;
    } else {
        let file = File::create(&args.output).with_context(|| format!("create {}", args.output.display()))?;
        write(&judged, BufWriter::new(file)).with_context(|| format!("write {}", args.output.display()))?;
    }
    if let Some(path) = &args.plot {
        std::fs::write(path, plot::svg(&judged, &args.timezone))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn range(text: &str, zone: &TimeZone) -> anyhow::Result<TimeRange> {
    let (from, until) = text.split_once('/').context("write START/END, such as 2026-12-24/2026-12-27")?;
    let range = TimeRange { from: input::time(from, zone)?, until: input::time(until, zone)? };
    ensure!(range.from < range.until, "the end isn't after the start");
    Ok(range)
}

fn judge(rows: &[Row], config: Config, mut alarm: Alarm, side: Side) -> Vec<Judged> {
    let mut engine = Engine::new(config);
    rows.iter()
        .map(|row| {
            let judgement = engine.observe(row.at, row.value);
            let breach = judgement.breach
                && judgement.band.is_some_and(|band| match side {
                    Side::Both => true,
                    Side::Above => row.value > band.upper,
                    Side::Below => row.value < band.lower,
                });
            let state = alarm.add(judgement.band.map(|_| breach));
            Judged { row: *row, band: judgement.band, score: judgement.score, state, breach }
        })
        .collect()
}

fn write(judged: &[Judged], to: impl Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(["timestamp", "value", "expected", "lower", "upper", "score", "state", "breach"])?;
    for judged in judged {
        let edge = |edge: fn(&tidewatch_bands::Band) -> f64| {
            judged.band.as_ref().map(|band| rounded(edge(band))).unwrap_or_default()
        };
        let value = if judged.row.value.is_nan() { String::new() } else { judged.row.value.to_string() };
        writer.write_record([
            judged.row.at.to_string(),
            value,
            edge(|band| band.expected),
            edge(|band| band.lower),
            edge(|band| band.upper),
            format!("{:.4}", judged.score),
            judged.state.as_str().to_owned(),
            u8::from(judged.breach).to_string(),
        ])?;
    }
    writer.flush()?;
    Ok(())
}

/// Rounds to nine significant digits, which is more than the precision of a band.
fn rounded(value: f64) -> String {
    format!("{value:.8e}").parse::<f64>().unwrap_or(value).to_string()
}

#[cfg(test)]
mod tests;
