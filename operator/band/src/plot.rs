//! A picture of the series, its band and the breaches, as SVG.

use std::fmt::Write;

use jiff::tz::TimeZone;

use crate::Judged;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// Points that are drawn: more than pixels are thinned to each pixel's least and greatest.
const COLUMNS: f64 = WIDTH - LEFT - RIGHT;

/// From values to places in the picture.
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
        // A band that is wide while it is young doesn't shrink the values to a line.
        let room = (most - least).max(1e-9 * most.abs()).max(f64::MIN_POSITIVE);
        for band in judged.iter().filter_map(|judged| judged.band) {
            least = least.min(band.lower.max(least - 0.3 * room));
            most = most.max(band.upper.min(most + 0.3 * room));
        }
        let margin = 0.05 * (most - least).max(room * 0.2);
        Self { first, last: last.max(first + 1.0), least: least - margin, most: most + margin }
    }

    fn x(&self, judged: &Judged) -> f64 {
        LEFT + COLUMNS * (judged.row.at.as_second() as f64 - self.first) / (self.last - self.first)
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
    legend(&mut out);
    out.push_str("</svg>\n");
    out
}

fn grid(out: &mut String, axes: &Axes, zone: &TimeZone) {
    let step = round_step((axes.most - axes.least) / 5.0);
    let mut value = (axes.least / step).ceil() * step;
    let mut lines = 0;
    while value <= axes.most && lines < 20 {
        let y = axes.y(value);
        let label = label(value, step);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e3e6ea\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0
        );
        value += step;
        lines += 1;
    }
    for mark in 0..=6 {
        let share = f64::from(mark) / 6.0;
        let second = axes.first + (axes.last - axes.first) * share;
        let Ok(at) = jiff::Timestamp::from_second(second as i64) else { continue };
        let format = if axes.last - axes.first > 3.0 * 86_400.0 { "%Y-%m-%d %H:%M" } else { "%m-%d %H:%M" };
        let anchor = match mark {
            0 => "start",
            6 => "end",
            _ => "middle",
        };
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"#444\">{}</text>",
            LEFT + COLUMNS * share,
            HEIGHT - 14.0,
            at.to_zoned(zone.clone()).strftime(format)
        );
    }
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

/// One polygon for each stretch that has a band.
fn band(out: &mut String, axes: &Axes, judged: &[Judged]) {
    for stretch in judged.split(|judged| judged.band.is_none()) {
        let columns = columns(axes, stretch);
        let mut upper = String::new();
        let mut lower: Vec<String> = Vec::new();
        for column in columns {
            let bands = || column.iter().filter_map(|judged| judged.band);
            let Some(first) = column.first() else { continue };
            let x = axes.x(first);
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

/// Rows that fall on the same pixel column, in order.
fn columns<'a>(axes: &Axes, judged: &'a [Judged]) -> Vec<&'a [Judged]> {
    judged.chunk_by(|a, b| axes.x(a).floor() == axes.x(b).floor()).collect()
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
                let _ = write!(points, "{:.1},{:.1} ", axes.x(judged), axes.y(judged.row.value));
            }
        }
        let _ = writeln!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"#1f2d3d\" stroke-width=\"1.1\"/>"
        );
    }
}

fn breaches(out: &mut String, axes: &Axes, judged: &[Judged]) {
    for judged in judged.iter().filter(|judged| judged.breach) {
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"#d92d20\"/>",
            axes.x(judged),
            axes.y(judged.row.value)
        );
    }
}

fn legend(out: &mut String) {
    let _ = writeln!(
        out,
        "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"20\" y2=\"20\" stroke=\"#1f2d3d\" stroke-width=\"2\"/><text x=\"{}\" y=\"24\">value</text>\
         <rect x=\"{}\" y=\"13\" width=\"24\" height=\"14\" fill=\"#9cc3f0\"/><text x=\"{}\" y=\"24\">band</text>\
         <circle cx=\"{}\" cy=\"20\" r=\"4\" fill=\"#d92d20\"/><text x=\"{}\" y=\"24\">breach</text>",
        LEFT + 24.0,
        LEFT + 30.0,
        LEFT + 90.0,
        LEFT + 120.0,
        LEFT + 180.0,
        LEFT + 192.0
    );
}
