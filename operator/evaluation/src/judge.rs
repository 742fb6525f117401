//! What judges windows: an engine of `tidewatch-health`, with what its predecessor had learned.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tidewatch_health::{Config, Engine, Memory, Sensitivity, Verdict, Window};

use super::ClusterWindow;

/// Which engine: the length of its windows, and its sensitivity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub window_seconds: u32,
    pub sensitivity: Sensitivity,
}

/// What earlier engines had learned.
pub type Memories = BTreeMap<Key, Memory>;

/// Judges windows, one after the other, remembering what it needs.
pub(super) trait Judge: Send {
    fn judge(&mut self, window: &ClusterWindow) -> Verdict;

    /// What a successor goes on with; `None` where there is nothing to keep.
    fn memory(&self) -> Option<Memory>;
}

pub(super) type MakeJudge = dyn Fn(Key) -> Box<dyn Judge> + Send + Sync;

/// A new engine, or one that goes on where `memory` ends.
pub(super) fn engine(key: Key, memory: Option<&Memory>) -> Box<dyn Judge> {
    let config = Config { sensitivity: key.sensitivity };
    Box::new(memory.map_or_else(|| Engine::new(config), |memory| Engine::resume(config, memory)))
}

impl Judge for Engine {
    fn judge(&mut self, window: &ClusterWindow) -> Verdict {
        self.evaluate(&Window {
            start: window.start,
            seconds: window.seconds,
            flows: &window.flows,
            nodes: &window.nodes,
        })
    }

    fn memory(&self) -> Option<Memory> {
        Some(Engine::memory(self))
    }
}

/// As `60s-Standard`: fit for a ConfigMap's key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s-{:?}", self.window_seconds, self.sensitivity)
    }
}

/// A text that isn't an engine's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} names no engine; such a name is 60s-Standard")]
pub struct NotAKey(String);

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let parsed = text.split_once("s-").and_then(|(seconds, sensitivity)| {
            let sensitivity = match sensitivity {
                "Low" => Sensitivity::Low,
                "Standard" => Sensitivity::Standard,
                "High" => Sensitivity::High,
                _ => return None,
            };
            Some(Self { window_seconds: seconds.parse().ok()?, sensitivity })
        });
        parsed.ok_or_else(|| NotAKey(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_s_name_is_read_back() {
        for sensitivity in [Sensitivity::Low, Sensitivity::Standard, Sensitivity::High] {
            let key = Key { window_seconds: 60, sensitivity };
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for wrong in ["", "60s-", "s-Low", "60-Low", "60s-low"] {
            assert_eq!(wrong.parse::<Key>(), Err(NotAKey(wrong.to_owned())));
        }
    }
}
