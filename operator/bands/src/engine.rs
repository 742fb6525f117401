//! The engine of one series: it judges each value by the values before it, and learns the value afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::LocalTime;
use crate::config::{Config, Kind};
use crate::counter::{Counter, Reading, looks_like_counter};
use crate::model::{Model, Verdict};
use crate::recent::Cause;

/// Number of values before the first band.
const FIRST_VALUES: usize = 12;
/// Seconds of data before the first band: two hours.
const FIRST_SECONDS: i64 = 2 * 3600;
/// Seconds of data after which the band includes the daily season: two days.
const TRAINED_SECONDS: i64 = 2 * 86_400;
/// Negative decimal logarithm of the p-value at which the score is ½.
const HALF_SCORE: f64 = 3.0;
/// Values are clamped to this magnitude, so that the difference of two values stays finite.
const LARGEST: f64 = 1e300;

/// Training state of the band, in CloudWatch's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    /// There is no band yet: fewer than twelve values, or less than two hours of data, have been learnt.
    PendingTraining,
    /// There is a band, learnt from less than two days of data.
    TrainedInsufficientData,
    /// The band is learnt from at least two days of data and includes the daily season.
    Trained,
}

/// Result of judging one value: the band at its time, how unusual the value is, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The band, in the unit of the value. None while training is pending, at a counter's reset and for a missing value.
    pub band: Option<Band>,
    /// Smallest p-value of the tests of the value and of the values before it, from 0 to 1, multiplied by 8 for the test of
    /// the single value and by 4 or 8 for the others, because several are made.
    pub p_value: f64,
    /// Anomaly score from 0 (usual) to 1, comparable between series: ½ is a p-value of 0.001.
    pub score: f64,
    /// Test that gave the smallest p-value.
    pub cause: Cause,
    /// Score above that of the recent values, whose peak halves every 288 values: a long anomaly has one peak of novelty, at
    /// its start.
    pub novelty: f64,
    /// Training state of the band when the value was judged.
    pub training: Training,
    /// Whether the value is outside the band.
    pub breach: bool,
}

/// The band at a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The expected value.
    pub expected: f64,
    /// Lower edge.
    pub lower: f64,
    /// Upper edge.
    pub upper: f64,
}

/// The engine of one series.
#[derive(Debug, Clone)]
pub struct Engine {
    config: Config,
    pub(crate) state: State,
}

/// Everything that has to survive a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Times and values collected before the model starts: at most twelve.
    first: Vec<(i64, f64)>,
    pub(crate) model: Option<Model>,
    counter: Option<Counter>,
    is_counter: bool,
    /// Whether a small fall of the values has shown that the series is no counter.
    never_counter: bool,
    /// Second of the first value.
    began: Option<i64>,
    /// Second of the newest value.
    last: Option<i64>,
}

/// A value to judge, after a counter's reading became a rate.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    value: f64,
    /// The value of a gauge, or the rate of a counter.
    learnable: f64,
    /// The previous reading, if the series is a counter.
    counter: Option<Counter>,
}

impl Engine {
    /// An engine that has learnt nothing.
    pub fn new(config: Config) -> Self {
        Self { config, state: State::default() }
    }

    pub(crate) fn with_state(config: Config, state: State) -> Self {
        Self { config, state }
    }

    /// Judges a value by the values before it, then learns it. A value that isn't finite counts as missing: it has no band
    /// and isn't learnt. A value in an excluded time range, or no later than the newest value, is judged but not learnt.
    pub fn observe(&mut self, at: Timestamp, value: f64) -> Judgement {
        if !value.is_finite() {
            return self.without_band();
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let second = at.as_second();
        let late = self.state.last.is_some_and(|last| second <= last);
        let learn = !late && !self.config.excludes(at);
        if self.state.model.is_none() {
            if learn {
                self.collect(second, value);
            }
            return self.without_band();
        }
        let Some(sample) = self.read(at, value, late) else { return self.without_band() };
        let Some(model) = &self.state.model else { return self.without_band() };
        let local = LocalTime::new(&self.config.time_zone, at);
        let seconds = self.state.last.map_or(1, |last| second.saturating_sub(last)).max(1) as f64;
        let verdict = model.judge(sample.learnable, local, seconds, self.config.width);
        let judgement = self.judgement(&sample, &verdict);
        if learn {
            self.learn(&sample, &verdict, local, seconds);
        } else if sample.counter.is_some() {
            // The growth within an excluded range isn't part of the first rate after it.
            self.state.counter = Some(Counter { value, second });
        }
        judgement
    }

    /// Training state of the band.
    pub fn training(&self) -> Training {
        let known = match (self.state.began, self.state.last) {
            (Some(began), Some(last)) => last.saturating_sub(began),
            _ => 0,
        };
        if self.state.model.is_none() || known < FIRST_SECONDS {
            Training::PendingTraining
        } else if known < TRAINED_SECONDS {
            Training::TrainedInsufficientData
        } else {
            Training::Trained
        }
    }

    fn without_band(&self) -> Judgement {
        let training = self.training();
        Judgement {
            band: None,
            p_value: 1.0,
            cause: Cause::Value,
            score: 0.0,
            novelty: 0.0,
            training,
            breach: false,
        }
    }

    /// Turns a counter's reading into its rate. None at a reset, and for a reading no later than the newest one.
    fn read(&mut self, at: Timestamp, value: f64, late: bool) -> Option<Sample> {
        if !self.state.is_counter {
            return Some(Sample { at, value, learnable: value, counter: None });
        }
        let before = self.state.counter?;
        if late {
            return None;
        }
        match before.read(value, at.as_second()) {
            Reading::Rate(rate) => Some(Sample { at, value, learnable: rate, counter: Some(before) }),
            Reading::NotACounter if self.config.kind == Kind::Detect => {
                // The model was learnt from rates, which a gauge doesn't have: start again.
                self.state = State { never_counter: true, ..State::default() };
                self.collect(at.as_second(), value);
                None
            }
            Reading::Reset | Reading::NotACounter => {
                self.state.counter = Some(Counter { value, second: at.as_second() });
                self.state.last = Some(at.as_second());
                None
            }
        }
    }

    fn judgement(&self, sample: &Sample, verdict: &Verdict) -> Judgement {
        let training = self.training();
        if training == Training::PendingTraining {
            return self.without_band();
        }
        let total = |rate: f64| match sample.counter {
            Some(before) => before.value + rate * sample.at.as_second().saturating_sub(before.second) as f64,
            None => rate,
        };
        let score = |orders: f64| orders / (orders + HALF_SCORE);
        Judgement {
            band: Some(Band {
                expected: total(verdict.middle),
                lower: total(verdict.lower),
                upper: total(verdict.upper),
            }),
            p_value: verdict.p_value,
            cause: verdict.cause,
            score: score(verdict.p_value.recip().log10()),
            novelty: score(verdict.novelty),
            training,
            breach: sample.learnable < verdict.lower || sample.learnable > verdict.upper,
        }
    }

    fn learn(&mut self, sample: &Sample, verdict: &Verdict, local: LocalTime, seconds: f64) {
        let second = sample.at.as_second();
        if let Some(model) = &mut self.state.model {
            model.learn(sample.learnable, verdict, local, seconds, self.config.speed());
        }
        if self.state.is_counter {
            self.state.counter = Some(Counter { value: sample.value, second });
        }
        self.state.last = Some(second);
    }

    /// Collects one of the first values. The twelfth decides whether the series is a counter, and starts the model.
    fn collect(&mut self, second: i64, value: f64) {
        self.state.began.get_or_insert(second);
        self.state.last = Some(second);
        self.state.first.push((second, value));
        if self.state.first.len() < FIRST_VALUES {
            return;
        }
        let first = std::mem::take(&mut self.state.first);
        self.state.is_counter = match self.config.kind {
            Kind::Gauge => false,
            Kind::Counter => true,
            Kind::Detect => {
                !self.state.never_counter && looks_like_counter(first.iter().map(|(_, value)| *value))
            }
        };
        let learnable: Vec<(i64, f64)> = if self.state.is_counter { rates(&first) } else { first.clone() };
        self.state.counter = first.last().map(|(second, value)| Counter { value: *value, second: *second });
        let span = second.saturating_sub(self.state.began.unwrap_or(second));
        let step = span as f64 / (FIRST_VALUES - 1) as f64;
        let values: Vec<f64> = learnable.iter().map(|(_, value)| *value).collect();
        let mut model = Model::new(&values, step);
        for (second, value) in learnable {
            let Ok(at) = Timestamp::from_second(second) else { continue };
            let local = LocalTime::new(&self.config.time_zone, at);
            let verdict = model.judge(value, local, step, self.config.width);
            model.learn(value, &verdict, local, step.max(1.0), self.config.speed());
        }
        self.state.model = Some(model);
    }
}

/// Rates between successive readings of a counter, without those across a reset.
fn rates(readings: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let pairs = readings.iter().zip(readings.iter().skip(1));
    pairs
        .filter_map(|((before_second, before), (second, value))| {
            let counter = Counter { value: *before, second: *before_second };
            match counter.read(*value, *second) {
                Reading::Rate(rate) => Some((*second, rate)),
                Reading::Reset | Reading::NotACounter => None,
            }
        })
        .collect()
}
