//! When a schedule fires: its slots, which follow from the schedule alone and never from "now".

use jiff::{
    Span, Timestamp, ToSpan as _, civil,
    tz::{AmbiguousOffset, TimeZone},
};
use model::{Id, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Schedule,
    cron::Cron,
    duration::Duration,
    schedule::{CatchUp, Overlap},
};

/// A schedule as it is kept with its trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// When it fires.
    pub rule: Rule,
    /// What to do when the last instance has not ended yet.
    pub overlap: Overlap,
    /// Which slots are made up for when nobody was there to fire them.
    pub catch_up: CatchUp,
    /// The span within which it fires later than its slots, as ISO 8601 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
}

/// When a schedule fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// At times of the calendar of a zone.
    Cron {
        /// Minute, hour, day of the month, month, day of the week.
        cron: String,
        /// The zone.
        zone: String,
    },
    /// At an interval, as ISO 8601 writes it, counted from the time of the first publishing.
    Every(String),
    /// This long after the last instance has ended.
    After(String),
}

/// Days that are looked at for the next slot: a day of the calendar comes again within 8 years.
const DAYS_MAX: i32 = 366 * 9;

/// The most by which clocks are put forward or back within a day.
const CHANGE_MAX: jiff::SignedDuration = jiff::SignedDuration::from_hours(3);

impl Rule {
    /// Gives the word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cron { .. } => "cron",
            Self::Every(_) => "every",
            Self::After(_) => "after",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cron { cron, zone } => write!(f, "{cron} {zone}"),
            Self::Every(span) => write!(f, "every {span}"),
            Self::After(span) => write!(f, "{span} after the last"),
        }
    }
}

impl Plan {
    /// Takes what a document says, if it is a schedule and its times are known.
    pub fn of(schedule: &Schedule) -> Option<Self> {
        let fixed = |duration: &Duration| match duration {
            Duration::Fixed(length) => Some(length.span().to_string()),
            Duration::Computed(_) => None,
        };
        let rule = match (&schedule.cron, &schedule.every, &schedule.after) {
            (Some(cron), ..) => {
                let zone = schedule.timezone.as_ref().map_or("UTC", |zone| zone.as_str());
                Rule::Cron { cron: cron.as_str().to_owned(), zone: zone.to_owned() }
            }
            (None, Some(every), _) => Rule::Every(fixed(every)?),
            (None, None, Some(after)) => Rule::After(fixed(after)?),
            (None, None, None) => return None,
        };
        Some(Self {
            rule,
            overlap: schedule.overlap.unwrap_or(Overlap::Skip),
            catch_up: schedule.catch_up.unwrap_or(CatchUp::None),
            jitter: schedule.jitter.as_ref().and_then(fixed),
        })
    }

    /// Gives the first slot after a time. Of intervals, slots are counted from `anchor`; what
    /// follows the end of an instance counts from `after` itself.
    pub fn next(&self, anchor: Time, after: Time) -> Option<Time> {
        match &self.rule {
            Rule::Cron { cron, zone } => {
                let zone = TimeZone::get(zone).ok()?;
                next_by_calendar(&Cron::parse(cron).ok()?, &zone, after)
            }
            Rule::Every(every) => next_by_interval(every.parse().ok()?, anchor, after),
            Rule::After(span) => plus(after, span.parse().ok()?),
        }
    }

    /// Gives the nanoseconds by which a trigger of a definition fires later than its slots: always
    /// the same ones, and others for other triggers, so that not all of them fire at once.
    pub(crate) fn jitter(&self, definition: Id, name: &str) -> i64 {
        let length = self.jitter.as_ref().and_then(|span| plus(Time(0), span.parse().ok()?));
        let Some(length) = length.filter(|length| length.0 > 0) else { return 0 };
        let mut digest = Sha256::new();
        digest.update(definition.to_be_bytes());
        digest.update(name);
        let start = digest.finalize().first_chunk().copied().map_or(0, u64::from_be_bytes);
        i64::try_from(start % length.0.unsigned_abs()).unwrap_or_default()
    }

    /// Tells whether the next slot follows the end of the last instance.
    pub fn follows_end(&self) -> bool {
        matches!(self.rule, Rule::After(_))
    }
}

/// Adds a span of the calendar in UTC.
fn plus(time: Time, span: Span) -> Option<Time> {
    let start = Timestamp::from_nanosecond(i128::from(time.0)).ok()?;
    let end = start.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp();
    i64::try_from(end.as_nanosecond()).ok().map(Time)
}

fn next_by_interval(every: Span, anchor: Time, after: Time) -> Option<Time> {
    let first = plus(anchor, every)?;
    if first > after {
        return Some(first);
    }
    let length = first.0.checked_sub(anchor.0).filter(|length| *length > 0)?;
    if every.get_years() == 0 && every.get_months() == 0 {
        // Without years and months, all intervals are equally long.
        let whole = after.0.checked_sub(anchor.0)? / length + 1;
        return whole.checked_mul(length)?.checked_add(anchor.0).map(Time);
    }
    // Months differ in length: each slot is a multiple of the span from the anchor, so that the
    // 31st stays the 31st where there is one.
    let guess = (after.0 - anchor.0) / length;
    (guess.saturating_sub(2).max(1)..guess + 32).find_map(|count| {
        let span = every.checked_mul(count).ok()?;
        plus(anchor, span).filter(|slot| *slot > after)
    })
}

/// Gives the first minute after a time for which a cron expression comes true.
///
/// Where the clock is put forward, a time of the calendar that is left out comes as much later
/// (RFC 5545, section 3.3.5), and where it is put back, the first of two counts. An expression
/// that is for every hour goes by the hours that really pass.
fn next_by_calendar(cron: &Cron, zone: &TimeZone, after: Time) -> Option<Time> {
    let after = Timestamp::from_nanosecond(i128::from(after.0)).ok()?;
    let local = zone.to_datetime(after);
    // A time that was put off may belong to the day before.
    let mut date = local.date().checked_sub(1.day()).ok()?;
    for _ in 0..DAYS_MAX {
        let tomorrow = date.tomorrow().ok()?;
        if let Some(found) = first_of_day(cron, zone, date, after) {
            let next = first_of_day(cron, zone, tomorrow, after);
            let first = next.map_or(found, |next| next.min(found));
            return i64::try_from(first.as_nanosecond()).ok().map(Time);
        }
        date = tomorrow;
    }
    None
}

/// Gives the earliest slot of a day that is after a time.
fn first_of_day(
    cron: &Cron,
    zone: &TimeZone,
    date: civil::Date,
    after: Timestamp,
) -> Option<Timestamp> {
    if !cron.has_day(date) {
        return None;
    }
    let mut first: Option<Timestamp> = None;
    for (hour, minute) in cron.times() {
        let time = date.at(hour, minute, 0, 0);
        for slot in instants(cron, zone, time).into_iter().flatten() {
            if slot > after && first.is_none_or(|first| slot < first) {
                first = Some(slot);
            }
        }
        // Times of a day come in order, but for those that a change of the clock moves by hours.
        let late = |first: Timestamp| zone.to_datetime(first).checked_add(CHANGE_MAX).ok();
        if first.and_then(late).is_some_and(|late| late < time) {
            break;
        }
    }
    first
}

/// Gives the instants that a time of the calendar stands for.
fn instants(cron: &Cron, zone: &TimeZone, time: civil::DateTime) -> [Option<Timestamp>; 2] {
    let found = zone.to_ambiguous_timestamp(time);
    if !cron.is_hourly() || !found.is_ambiguous() {
        return [found.compatible().ok(), None];
    }
    if matches!(found.offset(), AmbiguousOffset::Gap { .. }) {
        return [None, None];
    }
    [found.earlier().ok(), found.later().ok()]
}
