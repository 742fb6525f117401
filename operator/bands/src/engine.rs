//! The engine of one series: judges a value, then learns it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::LocalTime;
use crate::config::{Config, Kind};
use crate::counter::{Counter, Reading, looks_like_counter};
use crate::model::{Model, Verdict};
use crate::recent::Cause;

/// Values before the first band.
const FIRST_VALUES: usize = 12;
/// Seconds of data before the first band: two hours.
const FIRST_SECONDS: i64 = 2 * 3600;
/// Seconds of data before the band knows the daily shape: two days.
const TRAINED_SECONDS: i64 = 2 * 86_400;
/// Evidence, in decimal orders of magnitude, that scores ½.
const HALF_SCORE: f64 = 3.0;
/// Values beyond this size are cut to it, so that no difference overflows.
const LARGEST: f64 = 1e300;

/// How far the band is learnt, as CloudWatch calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Training {
    /// There is no band yet: less than two hours or twelve values are known.
    PendingTraining,
    /// There is a band, learnt from less than two days.
    TrainedInsufficientData,
    /// There is a band that knows the daily shape.
    Trained,
}

/// What is said of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The band, in the unit of the value; none while the training is pending or at a counter's reset.
    pub band: Option<Band>,
    /// Share of normal values that are at least as unusual with those before them, from 0 to 1; for a value that is unusual
    /// only by itself, 8 times that share.
    pub rarity: f64,
    /// The rarity as a score from 0 (usual) to 1, comparable between series: ½ is one value in a thousand.
    pub score: f64,
    /// What the rarity is of.
    pub cause: Cause,
    /// The score beyond that of the anomaly before it, which fades over a few hundred values: one peak an episode.
    pub novelty: f64,
    /// How far the band is learnt.
    pub training: Training,
    /// The value is outside the band.
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

/// Everything that a restart must keep.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// The first values, until the kind of series is known.
    first: Vec<(i64, f64)>,
    pub(crate) model: Option<Model>,
    counter: Option<Counter>,
    is_counter: bool,
    /// The first fall of the series showed that it is no counter.
    never_counter: bool,
    began: Option<i64>,
    last: Option<i64>,
    learnt: u64,
}

/// A value on its way through the engine.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    value: f64,
    /// The value, or a counter's rate.
    learnable: f64,
    /// The counter before, if the value is one's.
    counter: Option<Counter>,
}

impl Engine {
    /// An engine that knows nothing.
    pub fn new(config: Config) -> Self {
        Self { config, state: State::default() }
    }

    pub(crate) fn with_state(config: Config, state: State) -> Self {
        Self { config, state }
    }

    /// Judges a value by what is known, then learns it. A value that isn't finite is missing: it gets no band and isn't
    /// learnt. Nor is one inside an excluded range, or no later than the last one.
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
        let place = LocalTime::new(&self.config.time_zone, at);
        let seconds = self.state.last.map_or(1, |last| second.saturating_sub(last)).max(1) as f64;
        let verdict = model.judge(sample.learnable, place, seconds, self.config.width);
        let judgement = self.judgement(&sample, &verdict);
        if learn {
            self.learn(&sample, &verdict, place, seconds);
        } else if sample.counter.is_some() {
            // The growth within an excluded range isn't part of the first rate after it.
            self.state.counter = Some(Counter { value, second });
        }
        judgement
    }

    /// How far the band is learnt.
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
            rarity: 1.0,
            cause: Cause::Value,
            score: 0.0,
            novelty: 0.0,
            training,
            breach: false,
        }
    }

    /// Turns a counter's reading into its rate; none where it has none.
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
                // All that was learnt is of rates: begin anew.
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
        let evidence = |orders: f64| orders / (orders + HALF_SCORE);
        Judgement {
            band: Some(Band {
                expected: total(verdict.middle),
                lower: total(verdict.lower),
                upper: total(verdict.upper),
            }),
            rarity: verdict.rarity,
            cause: verdict.cause,
            score: evidence(-verdict.rarity.log10()),
            novelty: evidence(verdict.novelty),
            training,
            breach: sample.learnable < verdict.lower || sample.learnable > verdict.upper,
        }
    }

    fn learn(&mut self, sample: &Sample, verdict: &Verdict, place: LocalTime, seconds: f64) {
        let second = sample.at.as_second();
        if let Some(model) = &mut self.state.model {
            model.learn(sample.learnable, verdict, place, seconds, self.config.speed());
        }
        if self.state.is_counter {
            self.state.counter = Some(Counter { value: sample.value, second });
        }
        self.state.last = Some(second);
        self.state.learnt = self.state.learnt.saturating_add(1);
    }

    /// Keeps one of the first values; the last of them decides the kind of series and starts the model.
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
            let place = LocalTime::new(&self.config.time_zone, at);
            let verdict = model.judge(value, place, step, self.config.width);
            model.learn(value, &verdict, place, step.max(1.0), self.config.speed());
        }
        self.state.model = Some(model);
    }
}

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
