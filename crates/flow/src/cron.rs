//! Cron expressions: five fields, checked to come true some day.

use jiff::civil;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::{
    node::Node,
    problem::Code,
    shape::{Reader, SchemaName, Shape, listed},
};

/// A cron expression: minute, hour, day of the month, month, day of the week.
///
/// A field is `*`, numbers, ranges, steps, or a list of them; months and weekdays may be named.
/// If day of the month and day of the week both do not begin with `*`, either is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    source: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

impl Cron {
    /// Reads an expression, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = MACROS.iter().find(|(name, _)| *name == text).map_or(text, |(_, text)| *text);
        if text.starts_with('@') {
            let names: Vec<&str> = MACROS.iter().map(|(name, _)| *name).collect();
            return Err(format!("{text:?} is none of {}", listed(&names)));
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("it has {} fields instead of 5", fields.len()));
        };
        let mut weekdays = set(weekday, "day of the week", 0, 7, &WEEKDAYS)?;
        // Sunday is 0 and 7.
        weekdays = (weekdays | weekdays >> 7) & 0x7f;
        let cron = Self {
            source: fields.join(" "),
            minutes: set(minute, "minute", 0, 59, &[])?,
            hours: set(hour, "hour", 0, 23, &[])?,
            days: set(day, "day of the month", 1, 31, &[])?,
            months: set(month, "month", 1, 12, &MONTHS)?,
            weekdays,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        if cron.either_day || cron.has_a_day() {
            return Ok(cron);
        }
        Err("none of its months has any of its days".to_owned())
    }

    /// Says whether the expression comes true in a minute of the calendar; `weekday` counts from
    /// Sunday, which is 0.
    pub fn matches(&self, month: u8, day: u8, weekday: u8, hour: u8, minute: u8) -> bool {
        let has = |set: u64, value: u8| value < 64 && set >> value & 1 == 1;
        let (by_day, by_weekday) = (has(self.days, day), has(self.weekdays, weekday));
        has(self.months, month)
            && has(self.hours, hour)
            && has(self.minutes, minute)
            && if self.either_day { by_day || by_weekday } else { by_day && by_weekday }
    }

    /// Gives the text, its fields one space apart.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Says whether a date is one of its days.
    pub(crate) fn has_day(&self, date: civil::Date) -> bool {
        let has = |set: u64, value: i8| u32::try_from(value).is_ok_and(|v| set >> v & 1 == 1);
        let weekday = date.weekday().to_sunday_zero_offset();
        let (by_day, by_weekday) = (has(self.days, date.day()), has(self.weekdays, weekday));
        has(self.months, date.month())
            && if self.either_day { by_day || by_weekday } else { by_day && by_weekday }
    }

    /// Gives its times of the day, hour and minute, in order.
    pub(crate) fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        let bits = |set: u64| (0..60).filter(move |bit: &i8| set >> bit & 1 == 1);
        bits(self.hours).flat_map(move |hour| bits(self.minutes).map(move |minute| (hour, minute)))
    }

    /// Says whether it is for every hour of its days.
    pub(crate) fn is_hourly(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    fn has_a_day(&self) -> bool {
        const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let first = self.days.trailing_zeros();
        (1..).zip(LENGTHS).any(|(month, length)| self.months >> month & 1 == 1 && first <= length)
    }
}

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const MONTHS: [&str; 13] =
    ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Reads one field as a set of bits.
fn set(field: &str, what: &str, min: u32, max: u32, names: &[&str]) -> Result<u64, String> {
    let mut bits = 0;
    for part in field.split(',') {
        let wrong = || format!("{part:?} is not a {what} from {min} to {max}");
        let number = |text: &str| {
            let name = text.to_ascii_lowercase();
            let named = names.iter().position(|known| !known.is_empty() && **known == name);
            let number = match named {
                Some(index) => u32::try_from(index).ok(),
                None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
                None => None,
            };
            number.filter(|number| (min..=max).contains(number)).ok_or_else(wrong)
        };
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => {
                let step = step.parse::<u32>().ok().filter(|step| (1..=max).contains(step));
                (range, Some(step.ok_or_else(|| format!("{part:?} has no step that works"))?))
            }
        };
        let (from, to) = match range.split_once('-') {
            // A whole week has seven days, although Sunday has two numbers.
            _ if range == "*" => (min, if what == "day of the week" { 6 } else { max }),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step.is_some() => (number(range)?, max),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(format!("{part:?} runs backwards"));
        }
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
        bits |= (from..=to).step_by(step).fold(0, |bits, n| bits | 1 << n);
    }
    Ok(bits)
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl Shape for Cron {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = String::read(node, reader)?;
        match Self::parse(text.trim()) {
            Ok(cron) => Some(cron),
            Err(why) => {
                let message = format!("{text:?} is not a cron expression: {why}");
                let hint = "write minute, hour, day, month and weekday, such as '0 9 * * mon-fri'";
                reader.note(node.at, Code::BadCron, message, hint);
                None
            }
        }
    }
}

impl JsonSchema for Cron {
    fn schema_name() -> SchemaName {
        "Cron".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Minute, hour, day of the month, month, day of the week.",
        })
    }
}
