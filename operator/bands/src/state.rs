//! The state of an engine as bytes, so that a restart neither retrains nor judges anew.

use crate::config::Config;
use crate::engine::{Engine, State};

/// Version of the format: another's state is refused, and its series learnt anew.
const VERSION: u8 = 2;

/// Why a state can't be used; the series is then learnt anew.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StateError {
    /// Another version of the engine wrote it.
    #[error("the band's state has format {found}, and this version reads {VERSION}")]
    Version {
        /// The format that was found.
        found: u8,
    },
    /// The bytes aren't a whole state.
    #[error("the band's state is damaged: {0}")]
    Damaged(String),
}

impl Engine {
    /// The state, at most 16 KiB.
    pub fn save(&self) -> Result<Vec<u8>, StateError> {
        postcard::to_extend(&self.state, vec![VERSION])
            .map_err(|error| StateError::Damaged(error.to_string()))
    }

    /// An engine that goes on where the saved one stopped.
    pub fn restore(config: Config, bytes: &[u8]) -> Result<Self, StateError> {
        let Some((version, rest)) = bytes.split_first() else {
            return Err(StateError::Damaged("it is empty".to_owned()));
        };
        if *version != VERSION {
            return Err(StateError::Version { found: *version });
        }
        let (state, left): (State, _) =
            postcard::take_from_bytes(rest).map_err(|error| StateError::Damaged(error.to_string()))?;
        if !left.is_empty() {
            return Err(StateError::Damaged(format!("{} bytes are left over", left.len())));
        }
        if !state.model.as_ref().is_none_or(crate::model::Model::is_valid) {
            return Err(StateError::Damaged("a part of it has the wrong length".to_owned()));
        }
        Ok(Self::with_state(config, state))
    }
}
