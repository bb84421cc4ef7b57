//! Spans of time as people write them: `250ms`, `30s`, `5m`, `2h`, `30d`.

use std::time::Duration;

use model::{Error, Result};

/// Reads a span; a number without a unit is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::bad_input(format!(
            "{text:?} is not a span of time: write a number and ms, s, m, h or d, such as 90s"
        ))
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let seconds = |text| parse(text).unwrap().as_secs_f64();
        assert_eq!(seconds("90"), 90.0);
        assert_eq!(seconds("250ms"), 0.25);
        assert_eq!(seconds("1.5h"), 5_400.0);
        assert_eq!(seconds("30d"), 2_592_000.0);
        for wrong in ["", "s", "5 m", "-3s", "1w", "1..2s", "1e3s"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
