//! Points in time.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// "No time" is `Option::None` everywhere inside; on the wire the ancestor's zero time
/// (`0001-01-01T00:00:00Z`) stands for it, see [`Time::to_wire`] and [`Time::from_wire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(description = "An RFC 3339 time in UTC.", extend("format" = "date-time"))]
pub struct Time(#[schemars(with = "String")] pub i64);

const ZERO_ON_THE_WIRE: &str = "0001-01-01T00:00:00Z";

impl Time {
    /// The earliest time that can be said.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time that can be said (in the year 2262).
    pub const MAX: Self = Self(i64::MAX);

    /// Adds a span, stopping at [`Time::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(span))
    }

    /// Measures the span since an earlier time; zero if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Gives whole seconds since 1970, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Reads an RFC 3339 time, such as `2026-11-22T10:00:00.5Z`.
    pub fn parse(text: &str) -> Result<Self> {
        let stamp: Timestamp = text
            .parse()
            .map_err(|_| Error::bad_input(format!("{text:?} is not an RFC 3339 time")))?;
        i64::try_from(stamp.as_nanosecond())
            .map(Self)
            .map_err(|_| Error::bad_input(format!("time {text:?} is outside 1678 to 2262")))
    }

    /// Writes an optional time as the ancestor's clients expect it.
    pub fn to_wire(time: Option<Self>) -> String {
        time.map_or_else(|| ZERO_ON_THE_WIRE.to_owned(), |time| time.to_string())
    }

    /// Reads an optional time as the ancestor's clients write it: absent, empty or year 1 is none.
    pub fn from_wire(text: &str) -> Result<Option<Self>> {
        if text.is_empty() || text == ZERO_ON_THE_WIRE {
            return Ok(None);
        }
        Self::parse(text).map(Some)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(stamp) => stamp.fmt(f),
            Err(_) => f.write_str("(a time out of range)"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&smol_str::SmolStr::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds() {
        let time = Time::parse("2026-11-22T10:00:00.123456789Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T10:00:00.123456789Z");
        assert_eq!(Time::from_wire("0001-01-01T00:00:00Z").unwrap(), None);
        assert_eq!(Time::to_wire(None), "0001-01-01T00:00:00Z");
        assert_eq!(Time::MAX.plus(Duration::from_secs(1)), Time::MAX);
    }
}
