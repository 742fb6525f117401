//! Diagnosis of the engine: for each kind of series its missed anomalies, delays and false alarms, with the test that raised
//! them; and the trace of one series as CSV.

use jiff::Timestamp;
use tidewatch_bands::{Cause, Config, Engine, Judgement};

use crate::judge::in_aftermath;
use crate::kinds::{Kind, generate};
use crate::series::Series;

/// False alarms a series-week at which the score is diagnosed.
const BUDGET: f64 = 0.5;
const CAUSES: [Cause; 6] = [
    Cause::Value,
    Cause::Mean,
    Cause::SeasonalDeviation,
    Cause::HighVariance,
    Cause::LowVariance,
    Cause::FlatLine,
];

fn judge(series: &Series) -> Vec<Judgement> {
    let mut engine = Engine::new(Config::default());
    let values = series.values.iter();
    values
        .map(|(second, value)| engine.observe(Timestamp::from_second(*second).unwrap_or_default(), *value))
        .collect()
}

/// Missed anomalies, delays and false alarms, summed over series.
#[derive(Default)]
struct Losses {
    weeks: f64,
    missed: u32,
    /// Delay of each anomaly that was found, in values.
    delays: Vec<f64>,
    /// False alarms by cause.
    false_alarms: [u32; CAUSES.len()],
    /// False alarms within a day and a half after an anomaly.
    after: u32,
}

impl Losses {
    fn add(&mut self, series: &Series, judged: &[Judgement], alarm: impl Fn(&Judgement) -> bool) {
        let grace = 12 * series.step;
        let end = series.values.last().map_or(series.judged_from, |(second, _)| *second);
        self.weeks += (end - series.judged_from) as f64 / 604_800.0;
        let alarms: Vec<(i64, Cause)> = series
            .values
            .iter()
            .zip(judged)
            .filter(|((second, _), judgement)| *second >= series.judged_from && alarm(judgement))
            .map(|((second, _), judgement)| (*second, judgement.cause))
            .collect();
        for (from, until) in &series.anomalies {
            match alarms.iter().find(|(second, _)| from <= second && *second < until + grace) {
                Some((second, _)) => self.delays.push((second - from) as f64 / series.step as f64),
                None => self.missed += 1,
            }
        }
        let mut last = i64::MIN;
        for (second, cause) in alarms {
            let new = second.saturating_sub(last) > grace;
            last = second;
            let inside =
                series.anomalies.iter().any(|(from, until)| (*from..until + grace).contains(&second));
            if !new || inside || in_aftermath(series, second) {
                continue;
            }
            let after =
                series.anomalies.iter().any(|(_, until)| *until <= second && second < until + 86_400 * 3 / 2);
            self.after += u32::from(after);
            if let Some(index) = CAUSES.iter().position(|one| *one == cause)
                && let Some(count) = self.false_alarms.get_mut(index)
            {
                *count += 1;
            }
        }
    }

    fn total(&self) -> u32 {
        self.false_alarms.iter().sum()
    }

    fn print(&self) {
        let found = self.delays.len().max(1) as f64;
        print!(
            " | missed {:>3}, late {:>5.1}, false/week {:>5.2} (after an anomaly {:>3.0}%;",
            self.missed,
            self.delays.iter().sum::<f64>() / found,
            f64::from(self.total()) / self.weeks.max(1e-9),
            100.0 * f64::from(self.after) / f64::from(self.total().max(1)),
        );
        for (cause, count) in CAUSES.iter().zip(self.false_alarms).filter(|(_, count)| *count > 0) {
            print!(" {cause:?} {count}");
        }
        print!(")");
    }
}

/// Prints the diagnosis of the breaches at width 3, and of the score at the budget of false alarms.
pub(crate) fn run(kinds: &[Kind], seeds: &[u64]) {
    for kind in kinds {
        let series: Vec<Series> = seeds.iter().map(|seed| generate(*kind, *seed)).collect();
        let judged: Vec<Vec<Judgement>> = series.iter().map(judge).collect();
        let losses = |alarm: &dyn Fn(&Judgement) -> bool| {
            let mut losses = Losses::default();
            for (series, judged) in series.iter().zip(&judged) {
                losses.add(series, judged, alarm);
            }
            losses
        };
        print!("{:<15} width 3", kind.name());
        losses(&|judgement| judgement.breach).print();
        print!("\n{:<15} score  ", "");
        let mut scores: Vec<f64> = judged.iter().flatten().map(|judgement| judgement.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let mut best = Losses::default();
        let (mut rank, mut cut) = (1, 1.0);
        while let Some(threshold) = scores.get(rank) {
            let now = losses(&|judgement| judgement.score > *threshold);
            if f64::from(now.total()) / now.weeks.max(1e-9) > BUDGET {
                break;
            }
            (best, cut, rank) = (now, *threshold, rank + 1 + rank / 10);
        }
        best.print();
        println!(" at {cut:.3}");
    }
}

/// Prints each value of a series with its judgement, as CSV.
pub(crate) fn trace(kind: Kind, seed: u64) {
    let series = generate(kind, seed);
    println!("day,value,expected,lower,upper,score,novelty,cause,breach,anomaly");
    for ((second, value), judgement) in series.values.iter().zip(judge(&series)) {
        let anomaly = series.anomalies.iter().any(|(from, until)| from <= second && second < until);
        let band = judgement.band.map_or((f64::NAN, f64::NAN, f64::NAN), |b| (b.expected, b.lower, b.upper));
        println!(
            "{:.4},{value:.4},{:.4},{:.4},{:.4},{:.3},{:.3},{:?},{},{}",
            (second - series.judged_from) as f64 / 86_400.0,
            band.0,
            band.1,
            band.2,
            judgement.score,
            judgement.novelty,
            judgement.cause,
            u8::from(judgement.breach),
            u8::from(anomaly)
        );
    }
}
