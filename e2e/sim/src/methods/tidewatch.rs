//! Ours: the engine that the operator runs, at one of its sensitivities, window by window.

use std::collections::HashMap;

use tidewatch_health::{ComponentId, Config, Engine, HealthIndicator, Sensitivity, Window};

use super::{Blamed, Finding, Method, Observed};

#[derive(Debug, Clone)]
pub struct Tidewatch {
    engine: Engine,
}

impl Tidewatch {
    pub fn with(sensitivity: Sensitivity) -> Self {
        Self { engine: Engine::new(Config { sensitivity }) }
    }
}

impl Method for Tidewatch {
    /// The engine isn't told that the history is healthy: in a cluster nobody tells it either.
    fn observe_history(&mut self, window: &Observed<'_>) {
        self.verdict(window);
    }

    fn verdict(&mut self, window: &Observed<'_>) -> Finding {
        let verdict = self.engine.evaluate(&Window {
            start: window.start,
            seconds: window.seconds,
            flows: window.flows,
            nodes: window.nodes,
        });
        let log_odds: HashMap<ComponentId, f64> = self.engine.log_odds().collect();
        let blamed = verdict.components.iter().map(|fault| Blamed {
            component: fault.component.clone(),
            confidence: Some(fault.confidence),
            log_odds: log_odds.get(&fault.component).copied(),
            cause: Some(fault.cause),
            note: format!("{:?} {:?}", fault.cause, fault.evidence),
        });
        Finding {
            blamed: blamed.collect(),
            insufficient: verdict.nhi == HealthIndicator::InsufficientData,
            attribution: Some(verdict.attribution),
            sentence: verdict.reason,
        }
    }
}
