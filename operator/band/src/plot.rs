//! Plot of the series, its band and its breaches, as SVG.

use std::fmt::Write;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::Judged;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// Width of the plot area in pixels. Of the values on one pixel column only the lowest and the highest are drawn.
const COLUMNS: f64 = WIDTH - LEFT - RIGHT;

const DAY: i64 = 86_400;
/// Seconds between labels of the time axis: the shortest with at most MOST_TICKS labels is used.
const TIME_STEPS: [i64; 13] =
    [60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, DAY, 2 * DAY, 7 * DAY, 28 * DAY, 91 * DAY, 365 * DAY];
/// Largest number of labels on the time axis.
const MOST_TICKS: f64 = 9.0;

/// Mapping of times and values to coordinates in the plot.
struct Axes {
    first: f64,
    last: f64,
    least: f64,
    most: f64,
}

impl Axes {
    fn new(judged: &[Judged]) -> Self {
        let second = |judged: &Judged| judged.row.at.as_second() as f64;
        let first = judged.iter().map(second).fold(f64::INFINITY, f64::min);
        let last = judged.iter().map(second).fold(f64::NEG_INFINITY, f64::max);
        let values = || judged.iter().map(|judged| judged.row.value).filter(|value| value.is_finite());
        let (mut least, mut most) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        // The axis includes at most 30% of the values' range above and below them, because a band may be far wider than the
        // values while it is learnt.
        let room = (most - least).max(1e-9 * most.abs()).max(f64::MIN_POSITIVE);
        for band in judged.iter().filter_map(|judged| judged.band) {
            least = least.min(band.lower.max(least - 0.3 * room));
            most = most.max(band.upper.min(most + 0.3 * room));
        }
        let margin = 0.05 * (most - least).max(room * 0.2);
        Self { first, last: last.max(first + 1.0), least: least - margin, most: most + margin }
    }

    fn x(&self, at: Timestamp) -> f64 {
        LEFT + COLUMNS * (at.as_second() as f64 - self.first) / (self.last - self.first)
    }

    fn y(&self, value: f64) -> f64 {
        let share = ((value - self.least) / (self.most - self.least)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
    }
}

pub(crate) fn svg(judged: &[Judged], zone: &TimeZone) -> String {
    let axes = Axes::new(judged);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    grid(&mut out, &axes, zone);
    band(&mut out, &axes, judged);
    line(&mut out, &axes, judged);
    breaches(&mut out, &axes, judged);
    legend(&mut out, zone);
    out.push_str("</svg>\n");
    out
}

fn grid(out: &mut String, axes: &Axes, zone: &TimeZone) {
    let step = round_step((axes.most - axes.least) / 5.0);
    let first = (axes.least / step).ceil();
    for line in 0..20 {
        // The sum with 0 turns -0 into 0.
        let value = (first + f64::from(line)) * step + 0.0;
        if value > axes.most || !value.is_finite() {
            break;
        }
        let y = axes.y(value);
        let label = label(value, step);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e3e6ea\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0
        );
    }
    let (ticks, format) = time_ticks(axes, zone);
    for tick in ticks {
        let x = axes.x(tick.timestamp());
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"#e3e6ea\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - 14.0,
            tick.strftime(format)
        );
    }
}

/// Times to label on the axis, which are round in the time zone (such as every midnight), and the format of their labels.
fn time_ticks(axes: &Axes, zone: &TimeZone) -> (Vec<Zoned>, &'static str) {
    let span = axes.last - axes.first;
    let last_step = TIME_STEPS.last().copied().unwrap_or(DAY);
    let step = TIME_STEPS.into_iter().find(|step| span / *step as f64 <= MOST_TICKS).unwrap_or_else(|| {
        // A multiple of the longest step, for series of many years.
        last_step.saturating_mul((span / MOST_TICKS / last_step as f64).ceil() as i64)
    });
    // Wall-clock seconds, as if the local time were UTC, are multiples of the step at round local times.
    let wall_clock = |second: f64| {
        let second = second as i64;
        let offset = Timestamp::from_second(second).map_or(0, |at| zone.to_offset(at).seconds());
        second.saturating_add(i64::from(offset))
    };
    let (first, last) = (wall_clock(axes.first), wall_clock(axes.last));
    let ticks = (0..=MOST_TICKS as i64 + 1)
        .map(|number| first.div_euclid(step).saturating_add(1).saturating_add(number).saturating_mul(step))
        .take_while(|second| *second <= last)
        .filter_map(|second| {
            let civil = TimeZone::UTC.to_datetime(Timestamp::from_second(second).ok()?);
            civil.to_zoned(zone.clone()).ok()
        })
        .collect();
    (ticks, if step < DAY { "%m-%d %H:%M" } else { "%Y-%m-%d" })
}

/// 1, 2 or 5 times a power of ten.
fn round_step(about: f64) -> f64 {
    let power = 10.0_f64.powf(about.max(f64::MIN_POSITIVE).log10().floor());
    let unit = about / power;
    let round = if unit < 1.5 {
        1.0
    } else if unit < 3.5 {
        2.0
    } else if unit < 7.5 {
        5.0
    } else {
        10.0
    };
    round * power
}

fn label(value: f64, step: f64) -> String {
    if value != 0.0 && !(1e-4..1e7).contains(&value.abs().max(step)) {
        return format!("{value:.2e}");
    }
    let digits = (-step.log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{value:.digits$}")
}

/// Draws one polygon for each stretch of values that have a band.
fn band(out: &mut String, axes: &Axes, judged: &[Judged]) {
    for stretch in judged.split(|judged| judged.band.is_none()) {
        let columns = columns(axes, stretch);
        let mut upper = String::new();
        let mut lower: Vec<String> = Vec::new();
        for column in columns {
            let bands = || column.iter().filter_map(|judged| judged.band);
            let Some(first) = column.first() else { continue };
            let x = axes.x(first.row.at);
            let most = bands().map(|band| band.upper).fold(f64::NEG_INFINITY, f64::max);
            let least = bands().map(|band| band.lower).fold(f64::INFINITY, f64::min);
            let _ = write!(upper, "{x:.1},{:.1} ", axes.y(most));
            lower.push(format!("{x:.1},{:.1}", axes.y(least)));
        }
        if lower.len() > 1 {
            lower.reverse();
            let _ = writeln!(
                out,
                "<polygon points=\"{upper}{}\" fill=\"#9cc3f0\" fill-opacity=\"0.55\"/>",
                lower.join(" ")
            );
        }
    }
}

/// Groups successive rows that fall on the same pixel column.
fn columns<'a>(axes: &Axes, judged: &'a [Judged]) -> Vec<&'a [Judged]> {
    judged.chunk_by(|a, b| axes.x(a.row.at).floor() == axes.x(b.row.at).floor()).collect()
}

fn line(out: &mut String, axes: &Axes, judged: &[Judged]) {
    for stretch in judged.split(|judged| !judged.row.value.is_finite()) {
        let mut points = String::new();
        for column in columns(axes, stretch) {
            let least = column.iter().min_by(|a, b| a.row.value.total_cmp(&b.row.value));
            let most = column.iter().max_by(|a, b| a.row.value.total_cmp(&b.row.value));
            let mut ends: Vec<&Judged> = least.into_iter().chain(most).collect();
            ends.sort_by_key(|judged| judged.row.at);
            for judged in ends {
                let _ = write!(points, "{:.1},{:.1} ", axes.x(judged.row.at), axes.y(judged.row.value));
            }
        }
        let _ = writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"#1f2d3d\" stroke-width=\"1.1\"/>"
        );
    }
}

/// Draws each breach as a dot at the value, with a bar at the edge of the band that it crossed. The dot of a small breach may
/// lie inside the drawn band, because that is the widest of all values on a pixel column.
fn breaches(out: &mut String, axes: &Axes, judged: &[Judged]) {
    for judged in judged.iter().filter(|judged| judged.breach) {
        let Some(band) = judged.band else { continue };
        let (x, y) = (axes.x(judged.row.at), axes.y(judged.row.value));
        let edge = axes.y(if judged.row.value > band.upper { band.upper } else { band.lower });
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {y:.1}V{edge:.1}m-5 0h10\" fill=\"none\" stroke=\"#d92d20\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#d92d20\"/>"
        );
    }
}

fn legend(out: &mut String, zone: &TimeZone) {
    let zone = zone.iana_name().unwrap_or("the local time zone");
    let _ = writeln!(
        out,
        "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"20\" y2=\"20\" stroke=\"#1f2d3d\" stroke-width=\"2\"/><text x=\"{}\" y=\"24\">value</text>\
         <rect x=\"{}\" y=\"13\" width=\"24\" height=\"14\" fill=\"#9cc3f0\"/><text x=\"{}\" y=\"24\">band</text>\
         <circle cx=\"{}\" cy=\"20\" r=\"4\" fill=\"#d92d20\"/><text x=\"{}\" y=\"24\">breach, with the edge of the band that it crossed</text>\
         <text x=\"{}\" y=\"24\" text-anchor=\"end\" fill=\"#444\">times in {zone}</text>",
        LEFT + 24.0,
        LEFT + 30.0,
        LEFT + 90.0,
        LEFT + 120.0,
        LEFT + 180.0,
        LEFT + 192.0,
        WIDTH - RIGHT
    );
}
