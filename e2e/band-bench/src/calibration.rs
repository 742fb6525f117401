//! Calibration of the widths: the measured share of values outside the band, divided by the stated share, for several
//! distributions of the noise.

use jiff::Timestamp;
use tidewatch_bands::{Config, Engine, Kind};

use crate::series::{Random, START};

const DAYS: usize = 28;
const JUDGED_FROM: usize = 14 * 288;

/// Stated share of values outside the band at widths 1 to 4: erfc(width / √2).
const STATED: [f64; 4] = [0.317_310_5, 0.045_500_3, 0.002_699_8, 0.000_063_3];

type Draw = fn(&mut Random, f64) -> f64;

const DISTRIBUTIONS: [(&str, Draw); 7] = [
    ("normal", |random, shape| 100.0 + 30.0 * shape + random.normal()),
    ("log-normal", |random, shape| (20.0 + 5.0 * shape) * (0.6 * random.normal()).exp()),
    ("pareto-3", |random, _| random.pareto(3.0)),
    ("laplace", |random, shape| 50.0 + 10.0 * shape + random.sign() * -random.uniform(1e-12, 1.0).ln()),
    ("poisson-100", |random, shape| random.poisson(100.0 + 40.0 * shape)),
    ("poisson-5", |random, _| random.poisson(5.0)),
    ("ratio", |random, _| random.poisson(20.0).min(1000.0) / 1000.0),
];

pub(crate) fn run(seeds: &[u64]) {
    println!("calibration: share of values outside, real over stated, at widths 1 to 4");
    for (number, (name, draw)) in (100..).zip(DISTRIBUTIONS) {
        print!("{name:<16}");
        for (width, stated) in (1..).zip(STATED) {
            let (mut outside, mut all) = (0_u32, 0_u32);
            for seed in seeds {
                let mut random = Random::new(*seed, number);
                let width = f64::from(width);
                let mut engine = Engine::new(Config { width, kind: Kind::Gauge, ..Config::default() });
                for index in 0..DAYS * 288 {
                    let shape = (index as f64 / 288.0 * std::f64::consts::TAU).sin();
                    let second = START + i64::try_from(index).unwrap_or(0) * 300;
                    let at = Timestamp::from_second(second).unwrap_or_default();
                    let judgement = engine.observe(at, draw(&mut random, shape));
                    if index >= JUDGED_FROM {
                        all += 1;
                        outside += u32::from(judgement.breach);
                    }
                }
            }
            print!("{:>9.2}", f64::from(outside) / f64::from(all.max(1)) / stated);
        }
        println!();
    }
}
