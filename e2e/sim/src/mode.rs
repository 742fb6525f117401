//! The two benchmark settings, and how seeds are split between tuning and judging.

use serde::Serialize;

use crate::build::Shape;
use crate::random::Dice;

/// Seconds of one window.
pub const WINDOW_SECONDS: u32 = 30;
/// 30 minutes of healthy history before a fault.
pub const HISTORY_WINDOWS: usize = 60;
/// The last windows of the history, on which a method that names anything raises a false alarm.
pub const QUIET_WINDOWS: usize = 10;
/// Windows watched after the fault's end, for the time to recover.
pub const RECOVERY_WINDOWS: usize = 8;

/// First seed of the development range: for looking at and tuning on.
pub const DEVELOPMENT_SEEDS: u64 = 1;
/// First seed of the held-out range: figures that are published come from here, and nothing is tuned on it.
pub const HELD_OUT_SEEDS: u64 = 1_000_001;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Easy,
    Hard,
    /// A cluster whose size and messiness the seed draws too, wider than the others: for finding out what a method has
    /// been fitted to.
    Wild,
    /// Six nodes and few services, as in a lab or a small company.
    Small,
}

impl Mode {
    /// Those that targets are set for.
    pub const JUDGED: [Self; 2] = [Self::Easy, Self::Hard];

    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Hard => "hard",
            Self::Wild => "wild",
            Self::Small => "small",
        }
    }

    pub fn fault_windows(self) -> usize {
        match self {
            Self::Easy => 10,
            Self::Hard => 4,
            Self::Wild | Self::Small => 6,
        }
    }

    /// The cluster of a trial; only a wild one depends on its seed.
    pub fn shape(self, seed: u64) -> Shape {
        match self {
            Self::Easy => Shape {
                zones: 3,
                nodes: 36,
                services: 30,
                replicas: (3, 6),
                servers_per_client: 3,
                segments: 300.0,
                benign: (3e-5, 2e-3),
                benign_shape: 1.5,
                fault_shape: 4.0,
                both_report: true,
                bursts_per_service: 0.004,
                blips_per_node: 0.0005,
            },
            Self::Hard => Shape {
                zones: 3,
                nodes: 18,
                services: 20,
                replicas: (2, 5),
                servers_per_client: 2,
                segments: 150.0,
                benign: (3e-5, 4e-3),
                benign_shape: 0.7,
                fault_shape: 2.5,
                both_report: true,
                bursts_per_service: 0.01,
                blips_per_node: 0.001,
            },
            Self::Wild => wild(seed),
            Self::Small => Shape {
                zones: 3,
                nodes: 6,
                services: 10,
                replicas: (2, 4),
                servers_per_client: 3,
                segments: 300.0,
                benign: (3e-5, 2e-3),
                benign_shape: 1.0,
                fault_shape: 3.0,
                both_report: true,
                bursts_per_service: 0.006,
                blips_per_node: 0.001,
            },
        }
    }

    /// The loss that faults are drawn between, evenly on a logarithmic scale.
    pub fn loss(self) -> (f64, f64) {
        match self {
            Self::Easy => (0.004, 0.05),
            Self::Hard | Self::Wild | Self::Small => (0.006, 0.05),
        }
    }
}

fn wild(seed: u64) -> Shape {
    // A stream of its own: the cluster's dice are seeded with about twice the seed.
    let mut dice = Dice::new(!seed);
    let zones = dice.integer(2, 5);
    let replicas = dice.integer(2, 4);
    let benign = dice.log_uniform(1e-5, 3e-4);
    Shape {
        zones,
        nodes: zones * dice.integer(3, 12),
        services: dice.integer(10, 40),
        replicas: (replicas, replicas + dice.integer(0, 6)),
        servers_per_client: dice.integer(1, 5),
        segments: dice.log_uniform(60.0, 1_500.0),
        benign: (benign, benign * dice.log_uniform(10.0, 200.0)),
        benign_shape: dice.log_uniform(0.4, 3.0),
        fault_shape: dice.log_uniform(1.5, 8.0),
        both_report: dice.chance(0.75),
        bursts_per_service: dice.log_uniform(0.002, 0.02),
        blips_per_node: dice.log_uniform(0.0002, 0.002),
    }
}
