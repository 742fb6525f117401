//! Properties of the engine as a whole, on generated series.

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

use crate::state::VERSION;
use crate::{Config, Engine, Judgement, Kind, StateError, TimeRange, Training};

const START: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z

/// Reproducible pseudo-random noise, nearly normal with mean 0 and deviation 1.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn daily(second: i64) -> f64 {
    let place = second as f64 / 86_400.0 * std::f64::consts::TAU;
    100.0 - 40.0 * place.cos()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Lets the engine observe values this many seconds apart, and returns the judgement of each.
fn run(engine: &mut Engine, step: i64, values: impl IntoIterator<Item = f64>) -> Vec<Judgement> {
    (0..).zip(values).map(|(index, value)| engine.observe(at(START + step * index), value)).collect()
}

fn daily_series(count: i64, step: i64, seed: u64) -> Vec<f64> {
    let mut noise = Noise(seed);
    (0..count).map(|index| daily(step * index) + 2.0 * noise.normal()).collect()
}

#[test]
fn a_value_is_judged_before_it_is_learnt() {
    let mut values = daily_series(2000, 300, 7);
    let first = run(&mut Engine::new(Config::default()), 300, values.clone());
    for value in values.iter_mut().skip(1500) {
        *value = 1e6;
    }
    let second = run(&mut Engine::new(Config::default()), 300, values);
    assert_eq!(first[..1500], second[..1500]);
    assert_eq!(first[1500].band, second[1500].band);
    assert!(second[1500].breach);
}

#[test]
fn a_restored_engine_goes_on_as_if_never_stopped() {
    let values = daily_series(3000, 300, 11);
    let mut whole = Engine::new(Config::default());
    let expected = run(&mut whole, 300, values.clone());
    for stop in [1, 11, 12, 13, 700, 2999] {
        let mut engine = Engine::new(Config::default());
        run(&mut engine, 300, values[..stop].to_vec());
        let saved = engine.save().unwrap();
        assert!(saved.len() <= 16 * 1024, "{} bytes", saved.len());
        let mut engine = Engine::restore(Config::default(), &saved).unwrap();
        for (index, value) in (0..).zip(&values).skip(stop) {
            let judgement = engine.observe(at(START + 300 * index), *value);
            assert_eq!(
                judgement,
                expected[usize::try_from(index).unwrap()],
                "stopped at {stop}, value {index}"
            );
        }
    }
}

#[test]
fn a_state_of_another_version_or_a_damaged_one_is_refused() {
    let mut engine = Engine::new(Config::default());
    run(&mut engine, 300, daily_series(100, 300, 3));
    let saved = engine.save().unwrap();
    for length in 0..saved.len() {
        assert!(Engine::restore(Config::default(), &saved[..length]).is_err(), "{length} bytes");
    }
    let mut longer = saved.clone();
    longer.push(0);
    assert!(matches!(Engine::restore(Config::default(), &longer), Err(StateError::Damaged(_))));
    let mut other = saved;
    other[0] = 200;
    let error = Engine::restore(Config::default(), &other).unwrap_err();
    assert_eq!(error, StateError::Version { found: 200 });
}

#[test]
fn a_daily_shape_is_known_after_two_days() {
    let mut engine = Engine::new(Config::default());
    let judgements = run(&mut engine, 300, daily_series(288 * 4, 300, 5));
    assert_eq!(judgements[20].training, Training::PendingTraining);
    assert_eq!(judgements[300].training, Training::TrainedInsufficientData);
    assert_eq!(judgements[288 * 3].training, Training::Trained);
    for (index, judgement) in (0..).zip(&judgements).skip(288 * 3) {
        let band = judgement.band.unwrap();
        let truth = daily(300 * index);
        assert!((band.expected - truth).abs() < 4.0, "value {index}: {band:?}, truth {truth}");
        assert!((8.0..28.0).contains(&(band.upper - band.lower)), "value {index}: {band:?}");
    }
}

#[test]
fn an_outlier_does_not_poison_the_band() {
    let mut values = daily_series(288 * 5, 300, 9);
    let clean = run(&mut Engine::new(Config::default()), 300, values.clone());
    for value in &mut values[1000..1003] {
        *value = 1e5;
    }
    let judgements = run(&mut Engine::new(Config::default()), 300, values);
    assert!(judgements[1000..1003].iter().all(|judgement| judgement.breach));
    for index in [1005, 1010, 1050, 1000 + 288, 1001 + 288] {
        let (clean, now) = (clean[index].band.unwrap(), judgements[index].band.unwrap());
        let width = clean.upper - clean.lower;
        assert!((clean.expected - now.expected).abs() < 0.4 * width, "{index}: {clean:?} {now:?}");
        assert!(now.upper - now.lower < 2.0 * width, "{index}: {clean:?} {now:?}");
    }
}

#[test]
fn a_level_shift_is_noticed_and_then_followed() {
    let mut values = daily_series(288 * 6, 300, 13);
    for value in &mut values[1200..] {
        *value += 60.0;
    }
    let judgements = run(&mut Engine::new(Config::default()), 300, values);
    assert!(judgements[1200..1206].iter().all(|judgement| judgement.breach));
    let late = judgements[1260..1700].iter().filter(|judgement| judgement.breach).count();
    assert!(late <= 20, "{late} of 440 values long after the shift");
}

#[test]
fn a_constant_series_is_quiet_until_it_moves() {
    let mut values = vec![5.0; 2000];
    values[1500] = 6.0;
    let judgements = run(&mut Engine::new(Config::default()), 60, values);
    let breaches: Vec<usize> = (0..2000).filter(|index| judgements[*index].breach).collect();
    assert_eq!(breaches, [1500], "{:?}", &judgements[1499..1502]);
    assert!(judgements[1500].score > 0.5, "{:?}", judgements[1500]);
    assert!(judgements[1499].score < 0.3, "{:?}", judgements[1499]);
}

#[test]
fn the_shape_stays_in_place_when_clocks_change() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let config = Config { time_zone: zone.clone(), ..Config::default() };
    let mut engine = Engine::new(config);
    let mut noise = Noise(21);
    let start: Timestamp = "2026-03-16T00:00:00Z".parse().unwrap();
    let mut wrong = 0;
    for index in 0..288 * 17 {
        let now = at(start.as_second() + 300 * index);
        let hour = now.to_zoned(zone.clone()).hour();
        let truth = if (9..17).contains(&hour) { 100.0 } else { 20.0 };
        let judgement = engine.observe(now, truth + noise.normal());
        // From the change of the clocks on: the 29th of March.
        if index > 288 * 13 {
            wrong += i64::from(judgement.breach);
        }
    }
    assert!(wrong < 288 * 4 / 50, "{wrong} breaches");
}

#[test]
fn values_that_are_missing_late_or_excluded_are_not_learnt() {
    let values = daily_series(1000, 300, 17);
    let excluded = TimeRange { from: at(START + 300 * 500), until: at(START + 300 * 520) };
    let config = Config { exclude: vec![excluded], ..Config::default() };
    let mut engine = Engine::new(config);
    run(&mut engine, 300, values[..500].to_vec());
    let before = engine.save().unwrap();
    let judgement = engine.observe(at(START + 300 * 510), 1e6);
    assert!(judgement.breach && judgement.band.is_some());
    assert!(engine.observe(at(START + 300 * 499), 1e6).breach);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(engine.observe(at(START + 300 * 530), value).band, None);
    }
    assert_eq!(engine.save().unwrap(), before);
}

#[test]
fn a_counter_is_judged_by_its_rate_and_a_reset_is_no_anomaly() {
    let mut noise = Noise(23);
    let mut total = 0.0;
    let mut values = Vec::new();
    for index in 0..2000 {
        total = if index == 1000 { 0.0 } else { total + 60.0 + 5.0 * noise.normal() };
        if index == 1500 {
            total += 600.0;
        }
        values.push(total);
    }
    let judgements = run(&mut Engine::new(Config::default()), 60, values.clone());
    assert_eq!(judgements[1000].band, None);
    assert!(!judgements[1001].breach);
    assert!(judgements[1500].breach);
    let band = judgements[1499].band.unwrap();
    assert!(
        band.lower > values[1498] && band.upper < values[1498] + 120.0,
        "{band:?} after {}",
        values[1498]
    );
    let breaches = judgements.iter().filter(|judgement| judgement.breach).count();
    assert!(breaches <= 20, "{breaches} breaches");
}

#[test]
fn a_ramp_that_falls_was_no_counter() {
    let mut engine = Engine::new(Config::default());
    let mut noise = Noise(29);
    run(&mut engine, 60, (0..30).map(|index| 100.0 + f64::from(index)));
    for index in 30..2000 {
        engine.observe(at(START + 60 * index), 130.0 + noise.normal());
    }
    let band = engine.observe(at(START + 60 * 2000), 130.0).band.unwrap();
    assert!((125.0..135.0).contains(&band.expected), "{band:?}");
}

#[test]
fn a_spike_at_the_same_time_each_day_is_expected() {
    let mut noise = Noise(31);
    let values = (0..288 * 7).map(|index| {
        let spike = if index % 288 == 30 { 80.0 } else { 0.0 };
        20.0 + spike + noise.normal()
    });
    let judgements = run(&mut Engine::new(Config::default()), 300, values);
    assert!(judgements[30 + 288].breach);
    assert!(!judgements[30 + 288 * 5].breach, "{:?}", judgements[30 + 288 * 5]);
    assert!(!judgements[30 + 288 * 6].breach, "{:?}", judgements[30 + 288 * 6]);
}

#[test]
fn a_flat_line_among_lively_values_is_an_anomaly() {
    let mut values = daily_series(288 * 5, 300, 37);
    let stuck = values[1200];
    for value in &mut values[1200..1230] {
        *value = stuck;
    }
    let judgements = run(&mut Engine::new(Config::default()), 300, values);
    assert!(judgements[1200..1230].iter().any(|judgement| judgement.score > 0.5));
}

/// Counts that are nearly always 0, with a burst of 1s.
fn sparse_counts(seed: u64) -> Vec<f64> {
    let mut noise = Noise(seed);
    (0..288 * 14)
        .map(|index| {
            let chance = if (3500..3515).contains(&index) { 0.7 } else { 0.04 };
            if noise.uniform() < chance { 1.0 } else { 0.0 }
        })
        .collect()
}

#[test]
fn a_burst_of_sparse_counts_is_an_anomaly() {
    for seed in [3, 41, 43] {
        let judgements = run(&mut Engine::new(Config::default()), 300, sparse_counts(seed));
        let burst = judgements[3500..3515].iter().map(|judgement| judgement.score).fold(0.0, f64::max);
        let calm = judgements[2000..3500].iter().map(|judgement| judgement.score).fold(0.0, f64::max);
        assert!(burst > 0.55 && calm < burst, "seed {seed}: {burst} in the burst, {calm} before");
        let breaches = judgements[1000..3500].iter().filter(|judgement| judgement.breach).count();
        assert!(breaches <= 25, "seed {seed}: {breaches} of 2500 single counts are breaches");
    }
}

#[test]
fn the_return_from_an_anomaly_is_no_anomaly() {
    let mut values = daily_series(288 * 6, 300, 47);
    for value in &mut values[1300..1318] {
        *value += 40.0;
    }
    let judgements = run(&mut Engine::new(Config::default()), 300, values);
    assert!(judgements[1300..1318].iter().all(|judgement| judgement.breach));
    let after: Vec<_> = judgements[1318..1350].iter().filter(|judgement| judgement.breach).collect();
    assert!(after.len() <= 1, "{after:?}");
    let scores: Vec<f64> = judgements[1318..1350].iter().map(|judgement| judgement.score).collect();
    assert!(scores[3..].iter().all(|score| *score < 0.5), "{scores:.2?}");
}

#[test]
fn a_missing_peak_that_begins_slowly_is_an_anomaly() {
    let mut values = daily_series(288 * 9, 300, 53);
    for (index, value) in (0..).zip(&mut values).skip(288 * 8) {
        // The day keeps only a third of its shape.
        *value -= 0.7 * (daily(300 * index) - 60.0);
    }
    let judgements = run(&mut Engine::new(Config::default()), 300, values);
    let day = &judgements[288 * 8..];
    assert!(day.iter().any(|judgement| judgement.score > 0.6));
    assert!(judgements[288 * 5..288 * 8].iter().all(|judgement| judgement.score < 0.6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_values_give_ordered_finite_answers(
        kind in prop_oneof![Just(Kind::Detect), Just(Kind::Gauge), Just(Kind::Counter)],
        size in prop_oneof![Just(1.0), Just(1e300), Just(1e-300), Just(f64::MAX), Just(f64::MIN_POSITIVE)],
        steps in prop::collection::vec((-100_i64..100_000, -1.0..1.0_f64), 1..400),
        width in prop_oneof![Just(0.0), Just(3.0), Just(f64::NAN), Just(1e9)],
    ) {
        let mut engine = Engine::new(Config { kind, width, ..Config::default() });
        let mut second = START;
        for (step, value) in steps {
            second += step;
            let judgement = engine.observe(at(second), value * size);
            prop_assert!((0.0..=1.0).contains(&judgement.score), "{judgement:?}");
            prop_assert!((0.0..=1.0).contains(&judgement.novelty), "{judgement:?}");
            if let Some(band) = judgement.band {
                prop_assert!(band.lower <= band.upper, "{band:?}");
                prop_assert!(band.expected.is_finite(), "{band:?}");
            }
        }
        let saved = engine.save().unwrap();
        prop_assert!(saved.len() <= 16 * 1024);
        prop_assert!(Engine::restore(Config::default(), &saved).is_ok());
    }

    #[test]
    fn any_bytes_with_a_checksum_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut state = vec![VERSION];
        state.extend(crc32fast::hash(&bytes).to_le_bytes());
        state.extend(bytes);
        let _ = Engine::restore(Config::default(), &state);
    }

    #[test]
    fn a_state_with_a_changed_byte_is_refused(index in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let mut engine = Engine::new(Config::default());
        run(&mut engine, 300, daily_series(50, 300, 3));
        let mut saved = engine.save().unwrap();
        let index = index.index(saved.len());
        saved[index] ^= change;
        prop_assert!(Engine::restore(Config::default(), &saved).is_err());
    }
}
