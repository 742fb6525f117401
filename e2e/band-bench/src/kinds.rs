//! The generated kinds of series: 21 days at 5 minutes, of which the last 11 are judged, with four anomalies. Their
//! sizes are such that a method with a model of the season finds most but not all: otherwise several methods would find all
//! of them, and couldn't be compared.

use crate::series::{DAY, Random, START, Series};

const STEP: i64 = 300;
const DAYS: i64 = 21;
const JUDGED_FROM_DAY: i64 = 10;
const PER_DAY: i64 = 288;
/// Number of anomalies in a series.
const ANOMALIES: i64 = 4;

macro_rules! kinds {
    ($($kind:ident $name:literal),* $(,)?) => {
        /// A kind of series with the anomalies that belong to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind),* }
        pub(crate) const ALL: [Kind; [$($name),*].len()] = [$(Kind::$kind),*];
        impl Kind {
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

kinds! {
    Spikes "spikes", Dips "dips", LevelShift "level-shift", Variance "variance", MissingPeak "missing-peak",
    FlatLine "flat-line", Drift "drift", Bursts "bursts", CounterReset "counter", Deploy "deploy", Ratio "ratio",
    HeavyTail "heavy-tail", Weekend "weekend", Multiplicative "multiplicative", Irregular "irregular", Cron "cron",
}

/// An anomaly: its first and last value, its sign, and a factor on its usual size.
#[derive(Debug, Clone, Copy)]
struct Anomaly {
    first: i64,
    last: i64,
    sign: f64,
    size: f64,
}

pub(crate) fn generate(kind: Kind, seed: u64) -> Series {
    let mut random = Random::new(seed, kind as u64);
    let anomalies = place(kind, &mut random);
    let mut series =
        Series { judged_from: START + JUDGED_FROM_DAY * PER_DAY * STEP, step: STEP, ..Series::default() };
    let base = Base::new(&mut random);
    let (mut total, mut noise, mut level, mut stuck) = (0.0, 0.0, 0.0, 0.0);
    for index in 0..DAYS * PER_DAY {
        let active =
            anomalies.iter().find(|anomaly| (anomaly.first..=anomaly.last).contains(&index)).copied();
        noise = base.memory * noise + random.normal() * (1.0 - base.memory * base.memory).sqrt();
        level += 0.002 * random.normal();
        let mut instant = Instant { kind, index, noise: noise * base.noise, level, base: &base, active };
        let mut second = START + index * STEP;
        if kind == Kind::Irregular {
            if random.chance(0.15) || (index % 700) < 20 {
                continue;
            }
            second += random.uniform(-60.0, 60.0) as i64;
        }
        instant.level *= base.noise;
        let mut value = instant.value(&mut random);
        if kind == Kind::FlatLine {
            match active {
                Some(anomaly) if index > anomaly.first => value = stuck,
                _ => stuck = value,
            }
        }
        if kind == Kind::CounterReset {
            total = if index % 1500 == 1499 { 0.0 } else { total + value.max(0.0) * STEP as f64 };
            value = total;
        }
        series.values.push((second, value));
    }
    series.anomalies = anomalies
        .iter()
        .map(|anomaly| (START + anomaly.first * STEP, START + (anomaly.last + 1) * STEP))
        .collect();
    series
}

/// Places one anomaly at random in each quarter of the judged days.
fn place(kind: Kind, random: &mut Random) -> Vec<Anomaly> {
    let judged = (DAYS - JUDGED_FROM_DAY) * PER_DAY;
    let part = judged / ANOMALIES;
    (0..ANOMALIES)
        .map(|number| {
            let mut first =
                JUDGED_FROM_DAY * PER_DAY + number * part + (random.uniform(0.1, 0.6) * part as f64) as i64;
            let length = match kind {
                Kind::Spikes | Kind::Dips | Kind::HeavyTail => random.uniform(1.0, 4.0) as i64,
                Kind::Cron => 1,
                Kind::LevelShift | Kind::Variance | Kind::Deploy => random.uniform(60.0, 140.0) as i64,
                Kind::Drift | Kind::MissingPeak => 144,
                Kind::FlatLine => random.uniform(18.0, 60.0) as i64,
                Kind::Weekend => 96,
                _ => random.uniform(6.0, 24.0) as i64,
            };
            // These anomalies have fixed times of day, where the usual peak or spike would be.
            match kind {
                Kind::MissingPeak => first = first - first % PER_DAY + 72,
                // A working day becomes as quiet as a weekend, or a weekend day as busy as a working day.
                Kind::Weekend => first = first - first % PER_DAY + 96,
                Kind::Cron if number % 2 == 0 => first = first - first % PER_DAY + 30,
                _ => {}
            }
            Anomaly { first, last: first + length - 1, sign: random.sign(), size: random.uniform(0.8, 1.6) }
        })
        .collect()
}

/// Random parameters of a series.
#[derive(Debug)]
struct Base {
    level: f64,
    daily: f64,
    second: f64,
    phase: f64,
    noise: f64,
    memory: f64,
    weekend: f64,
}

impl Base {
    fn new(random: &mut Random) -> Self {
        let level = 10.0_f64.powf(random.uniform(0.0, 4.0));
        Self {
            level,
            daily: level * random.uniform(0.1, 0.5),
            second: level * random.uniform(0.0, 0.15),
            phase: random.uniform(0.0, 1.0),
            noise: level * random.uniform(0.01, 0.05),
            memory: random.uniform(0.0, 0.7),
            weekend: random.uniform(0.3, 0.7),
        }
    }
}

/// The state of a series at one value.
struct Instant<'a> {
    kind: Kind,
    index: i64,
    noise: f64,
    level: f64,
    base: &'a Base,
    active: Option<Anomaly>,
}

impl Instant<'_> {
    fn place(&self) -> f64 {
        self.index as f64 * STEP as f64 / DAY
    }

    fn shape(&self) -> f64 {
        let turn = (self.place() + self.base.phase) * std::f64::consts::TAU;
        self.base.level + self.base.daily * turn.sin() + self.base.second * (2.0 * turn).cos()
    }

    /// Signed size of the anomaly, or 0 without one; `noises` is its usual size in standard deviations of the noise.
    fn push(&self, noises: f64) -> f64 {
        self.active.map_or(0.0, |anomaly| anomaly.sign * anomaly.size * noises * self.base.noise)
    }

    fn value(&self, random: &mut Random) -> f64 {
        let usual = self.shape() + self.level + self.noise;
        let size = self.active.map_or(0.0, |anomaly| anomaly.size);
        match self.kind {
            Kind::Spikes => usual + self.push(5.0).abs(),
            Kind::Dips => usual - self.push(5.0).abs(),
            Kind::LevelShift => usual + self.push(3.5),
            Kind::Irregular => usual + self.push(6.0),
            Kind::Variance => usual + if self.active.is_some() { 1.5 * size * self.noise } else { 0.0 },
            Kind::MissingPeak => {
                let peak = (std::f64::consts::PI * ((self.place().fract() - 0.25) / 0.5)).sin().max(0.0);
                let share = if self.active.is_some() { 0.3 } else { 1.0 };
                self.base.level + 4.0 * self.base.daily * peak * share + self.noise + self.level
            }
            Kind::FlatLine => usual,
            Kind::Drift => {
                let done = self.active.map_or(0.0, |anomaly| (self.index - anomaly.first) as f64 / 144.0);
                usual + self.push(8.0) * done
            }
            Kind::Bursts => {
                let mean = 0.08 * self.base.weekend;
                random.poisson(if self.active.is_some() { 0.5 + 0.5 * size } else { mean })
            }
            Kind::CounterReset => (usual + self.push(8.0)).max(0.0),
            Kind::Deploy => {
                // A latency with skewed noise, which a deploy multiplies.
                let skewed = (0.25 * random.normal()).exp();
                self.shape() * skewed * (1.0 + 0.5 * size)
            }
            Kind::Ratio => {
                let mean =
                    0.004 * self.base.weekend * (1.0 + 0.5 * (self.place() * std::f64::consts::TAU).sin());
                let requests = 500.0;
                let errors = if self.active.is_some() { mean + 0.008 * size } else { mean };
                (random.poisson(errors * requests) / requests).min(1.0)
            }
            Kind::HeavyTail => {
                let usual = self.base.level * random.pareto(3.0);
                if self.active.is_some() { self.base.level * 25.0 * size } else { usual }
            }
            Kind::Weekend => {
                let quiet = self.index / PER_DAY % 7 >= 5;
                let quiet = if self.active.is_some() { !quiet } else { quiet };
                let shape = self.shape() * if quiet { self.base.weekend } else { 1.0 };
                shape + self.noise + self.level
            }
            Kind::Multiplicative => {
                let turn = (self.place() + self.base.phase) * std::f64::consts::TAU;
                let shape = self.base.level * (1.2 * turn.sin()).exp();
                let unit = self.noise / self.base.level;
                shape * (1.0 + unit + self.push(7.0) / self.base.level)
            }
            Kind::Cron => {
                let spike = self.index % PER_DAY == 30;
                let spike = if self.active.is_some() { !spike } else { spike };
                self.base.level + self.noise + if spike { 10.0 * self.base.noise } else { 0.0 }
            }
        }
    }
}
