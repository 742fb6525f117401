//! Saving and restoring the state of an engine, so that a restart doesn't lose what was learnt.

use crate::config::Config;
use crate::engine::{Engine, State};

/// Version of the format. A state of another version is refused, and its series is learnt again.
pub(crate) const VERSION: u8 = 3;

/// Reason that a saved state can't be used. The series then has to be learnt again.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StateError {
    /// The state has another version of the format.
    #[error("the band's state has format {found}, and this version reads {VERSION}")]
    Version {
        /// The format that was found.
        found: u8,
    },
    /// The bytes aren't a complete state, or don't match their checksum.
    #[error("the band's state is damaged: {0}")]
    Damaged(String),
}

impl Engine {
    /// The state as bytes, at most 16 KiB: the version, a CRC-32 of the rest, and the state in postcard's format.
    pub fn save(&self) -> Result<Vec<u8>, StateError> {
        let state = postcard::to_extend(&self.state, Vec::new())
            .map_err(|error| StateError::Damaged(error.to_string()))?;
        let checksum = crc32fast::hash(&state).to_le_bytes();
        Ok([&[VERSION], checksum.as_slice(), &state].concat())
    }

    /// An engine that continues from a saved state.
    pub fn restore(config: Config, bytes: &[u8]) -> Result<Self, StateError> {
        let Some((version, rest)) = bytes.split_first() else {
            return Err(StateError::Damaged("it is empty".to_owned()));
        };
        if *version != VERSION {
            return Err(StateError::Version { found: *version });
        }
        let Some((checksum, state)) = rest.split_first_chunk() else {
            return Err(StateError::Damaged("it has no checksum".to_owned()));
        };
        // A changed number would still parse, and a NaN among the numbers could panic much later.
        if u32::from_le_bytes(*checksum) != crc32fast::hash(state) {
            return Err(StateError::Damaged("its checksum is wrong".to_owned()));
        }
        let (state, left): (State, _) =
            postcard::take_from_bytes(state).map_err(|error| StateError::Damaged(error.to_string()))?;
        if !left.is_empty() {
            return Err(StateError::Damaged(format!("{} bytes are left over", left.len())));
        }
        if !state.model.as_ref().is_none_or(crate::model::Model::is_valid) {
            return Err(StateError::Damaged("a part of it has the wrong length".to_owned()));
        }
        Ok(Self::with_state(config, state))
    }
}
