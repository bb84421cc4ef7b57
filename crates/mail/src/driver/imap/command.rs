//! How parts of commands are written.

/// Writes a text as a quoted string, if it has only characters that may stand in one.
pub(super) fn quoted(text: &str) -> Option<String> {
    if !text.chars().all(|char| (' '..='~').contains(&char)) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes a time in seconds since 1970 as IMAP writes it, in UTC.
pub(super) fn date(seconds: i64) -> Option<String> {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    let month = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    Some(format!("\"{day:2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000\""))
}

/// Gives the year, month and day of a number of days since 1970, counting years from March so that
/// the day that leap years add is the last one.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_imap_wants_them() {
        assert_eq!(date(0).unwrap(), "\" 1-Jan-1970 00:00:00 +0000\"");
        assert_eq!(date(951_827_696).unwrap(), "\"29-Feb-2000 12:34:56 +0000\"");
        assert_eq!(date(-1).unwrap(), "\"31-Dec-1969 23:59:59 +0000\"");
        assert_eq!(date(1_795_332_792).unwrap(), "\"22-Nov-2026 07:33:12 +0000\"");
        assert_eq!(date(i64::MAX / 2), None);
    }

    #[test]
    fn texts_are_quoted_or_refused() {
        assert_eq!(quoted("a\"b\\c").unwrap(), r#""a\"b\\c""#);
        assert_eq!(quoted("").unwrap(), "\"\"");
        for text in ["a\r\nb", "ü", "\0", "\u{7f}"] {
            assert_eq!(quoted(text), None, "{text:?}");
        }
    }
}
