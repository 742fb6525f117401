//! The scenarios, and their order.

mod aws;
mod bad_input;
mod blocked;
mod canary;
pub mod faults;
mod healthy;
mod lifecycle;
pub mod real;
mod resilience;
mod rogue;

use anyhow::bail;

use crate::bed::Bed;
use crate::workload::Workload;

/// One thing that is tried on the bed.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// The sentence it proves.
    pub proves: &'static str,
    pub run: fn(&Bed) -> anyhow::Result<()>,
}

/// The scenarios that run on one cluster, in order. Lanes run at the same time, each on a cluster of its own, since
/// most of a scenario is waiting for windows to pass.
#[derive(Debug, Clone)]
pub struct Lane {
    pub name: &'static str,
    /// The workload of its cluster.
    pub workload: Workload,
    pub scenarios: Vec<Scenario>,
}

/// The scenarios that are run where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One of each kind, and a shorter time of health: what `make test` has time for.
    Main,
    /// All of them, at full length.
    All,
}

impl Extent {
    /// `SCENARIOS=main` or `SCENARIOS=all`; main where nothing is said.
    pub fn chosen() -> anyhow::Result<Self> {
        match std::env::var("SCENARIOS").as_deref() {
            Ok("all") => Ok(Self::All),
            Ok("main") | Err(_) => Ok(Self::Main),
            Ok(other) => bail!("SCENARIOS={other}: write main or all"),
        }
    }

    pub fn includes(self, scenario: &Scenario) -> bool {
        self == Self::All || !faults::ANOTHER_OF_A_KIND.contains(&scenario.name)
    }
}

/// All scenarios: those of a cluster's life, from an untouched one to an uninstalled one, and the faults.
pub fn lanes() -> Vec<Lane> {
    vec![
        Lane { name: "life", workload: Workload::Shop, scenarios: LIFE.to_vec() },
        Lane { name: "faults", workload: Workload::Shop, scenarios: faults::SCENARIOS.to_vec() },
    ]
}

const LIFE: [Scenario; 10] = [
    Scenario {
        name: "healthy",
        proves: "a healthy cluster stays Healthy, costs no API write, and its counters are the kernel's own",
        run: healthy::run,
    },
    Scenario {
        name: "bad-input",
        proves: "a monitor that can't be meant is refused, or says what to write instead",
        run: bad_input::run,
    },
    Scenario {
        name: "rogue-otlp",
        proves: "forged tokens and broken bodies are rejected and counted, and the collector goes on",
        run: rogue::run,
    },
    Scenario {
        name: "canary",
        proves: "a canary passes, tells how long it took, and says why where it can't pass or run",
        run: canary::run,
    },
    Scenario {
        name: "agent-killed",
        proves: "agents that crash are back, and the status is right again, within two windows",
        run: resilience::agent_killed,
    },
    Scenario {
        name: "operator-killed",
        proves: "an operator that crashes in the middle of a fault names it again",
        run: resilience::operator_killed,
    },
    Scenario {
        name: "collector-unreachable",
        proves: "two minutes without the collector show in the coverage, and then the status is right again",
        run: resilience::collector_unreachable,
    },
    Scenario {
        name: "aws",
        proves: "alarms and canaries of AWS come to be by the chart's values, tell what happens there, and go without a trace",
        run: aws::run,
    },
    Scenario {
        name: "agents-come-and-go",
        proves: "the agents go with the last monitor and return with the next",
        run: lifecycle::agents_come_and_go,
    },
    Scenario { name: "uninstall", proves: "helm uninstall leaves nothing behind", run: lifecycle::uninstall },
];
