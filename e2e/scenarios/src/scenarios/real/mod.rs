//! Real software under real load: what is said of it in ordinary life, and in each fault, when there is CPU to spare and when
//! there is none.

mod allowed;
mod form;
mod life;
mod listener;
mod load;
mod odd;
mod recording;
mod trials;

use form::Form;

use super::{Lane, Scenario};
use crate::workload::Workload;

/// The lane, in the form that `REAL` chooses.
pub fn lane() -> anyhow::Result<Lane> {
    let short = [LIFE, FAULTS, LIFE_SATURATED, FAULTS_SATURATED];
    let whole = [
        LIFE,
        FAULTS,
        ODD,
        LIFE_SATURATED,
        FAULTS_SATURATED,
        LIFE_DEFAULTS,
        FAULTS_DEFAULTS,
        LIFE_SATURATED_DEFAULTS,
        FAULTS_SATURATED_DEFAULTS,
    ];
    Form::check_names(&[trials::names(), odd::names()].concat())?;
    let scenarios = match Form::chosen()? {
        Form::Short => short.to_vec(),
        Form::Whole => whole.to_vec(),
    };
    Ok(Lane { name: "real", workload: Workload::Real, scenarios })
}

const LIFE: Scenario = Scenario {
    name: "real-life",
    proves: "in the ordinary life of real software nothing untrue is said",
    run: life::at_ease,
};
const FAULTS: Scenario = Scenario {
    name: "real-faults",
    proves: "each fault on real software is put down to the right component, and nothing beside it",
    run: trials::at_ease,
};
const ODD: Scenario = Scenario {
    name: "real-odd",
    proves: "of software that hangs, queues or dials wrongly what is said is true, or nothing is said",
    run: odd::run,
};
const LIFE_SATURATED: Scenario = Scenario {
    name: "real-life-saturated",
    proves: "without a free CPU nothing untrue is said in ordinary life",
    run: life::at_saturation,
};
const FAULTS_SATURATED: Scenario = Scenario {
    name: "real-faults-saturated",
    proves: "without a free CPU each fault is put down to the right component, and nothing beside it",
    run: trials::at_saturation,
};
const LIFE_DEFAULTS: Scenario = Scenario {
    name: "real-life-defaults",
    proves: "with the default windows nothing untrue is said in ordinary life",
    run: life::at_ease_with_defaults,
};
const FAULTS_DEFAULTS: Scenario = Scenario {
    name: "real-faults-defaults",
    proves: "with the default windows each fault is put down to the right component",
    run: trials::at_ease_with_defaults,
};
const LIFE_SATURATED_DEFAULTS: Scenario = Scenario {
    name: "real-life-saturated-defaults",
    proves: "with the default windows and no free CPU nothing untrue is said in ordinary life",
    run: life::at_saturation_with_defaults,
};
const FAULTS_SATURATED_DEFAULTS: Scenario = Scenario {
    name: "real-faults-saturated-defaults",
    proves: "with the default windows and no free CPU each fault is put down to the right component",
    run: trials::at_saturation_with_defaults,
};
