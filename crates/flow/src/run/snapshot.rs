//! States as they are kept: written out, and read only by who needs what is in them.

use model::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::state::State;

/// A state as the JSON that it is kept as, which may be megabytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(Box<RawValue>);

impl Snapshot {
    /// Writes a state out.
    ///
    /// # Errors
    /// [`Error::Internal`] if it holds what is not JSON.
    pub fn of(state: &State) -> Result<Self> {
        let raw = to_raw_value(state);
        raw.map(Self).map_err(|error| Error::Internal(format!("a state is no JSON: {error}")))
    }

    /// Reads the state.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is damaged.
    pub fn read(&self) -> Result<State> {
        serde_json::from_str(self.0.get())
            .map_err(|error| Error::Internal(format!("a kept state is damaged: {error}")))
    }
}
