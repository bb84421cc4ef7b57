//! A value that may be missing, and may be `null`, which is not the same.

use serde::{Deserialize, Deserializer};

/// Reads a value that is there; of one that is missing, the default is taken.
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
