//! When schedules fire, held against another calendar: that of Python.

use std::{collections::BTreeSet, process::Command};

use flow::{CatchUp, Overlap, Plan, Rule};
use model::Time;

/// Zones with every kind of change: none, an hour, half an hour, at midnight, a day left out.
const ZONES: [&str; 20] = [
    "UTC",
    "Europe/Paris",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Beirut",
    "Asia/Tokyo",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
];
const CRONS: [&str; 6] =
    ["30 2 * * *", "0 0 * * *", "0 * * * *", "15 1,2,3 * * sun", "59 23 31 * *", "0 12 1 */3 1-5"];

/// Gives all slots of 2022 and 2023 by Python: a time of the calendar that is left out comes as
/// much later, of two equal ones the first counts, and an expression for every hour goes by the
/// hours that really pass.
const PYTHON: &str = r#"
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

def field(text, low, high):
    values = set()
    for part in text.split(","):
        part, _, step = part.partition("/")
        if part == "*":
            start, end = low, high
        elif "-" in part:
            start, end = map(int, part.split("-"))
        else:
            start = end = int(part)
        values |= set(range(start, end + 1, int(step or 1)))
    return values

def slots(cron, name):
    zone = ZoneInfo(name)
    minute, hour, day, month, weekday = cron.replace("sun", "0").split()
    hourly = hour == "*"
    minutes, hours = field(minute, 0, 59), field(hour, 0, 23)
    days, months = field(day, 1, 31), field(month, 1, 12)
    weekdays = field(weekday, 0, 6)
    either = not day.startswith("*") and not weekday.startswith("*")
    found = set()
    date = datetime(2021, 12, 30)
    while date < datetime(2024, 1, 3):
        by_day, by_week = date.day in days, date.isoweekday() % 7 in weekdays
        right = by_day or by_week if either else by_day and by_week
        if date.month in months and right:
            for h in hours:
                for m in minutes:
                    for fold in (0, 1) if hourly else (0,):
                        local = date.replace(hour=h, minute=m, tzinfo=zone, fold=fold)
                        moment = local.astimezone(timezone.utc)
                        back = moment.astimezone(zone).replace(tzinfo=None, fold=0)
                        if hourly and back != date.replace(hour=h, minute=m):
                            continue
                        found.add(int(moment.timestamp()))
        date += timedelta(days=1)
    low = datetime(2022, 1, 1, tzinfo=timezone.utc).timestamp()
    high = datetime(2024, 1, 1, tzinfo=timezone.utc).timestamp()
    return sorted(s for s in found if low <= s < high)

for line in sys.stdin.read().splitlines():
    cron, name = line.split("|")
    print(" ".join(map(str, slots(cron, name))))
"#;

fn seconds(text: &str) -> i64 {
    Time::parse(text).unwrap().unix_seconds()
}

#[test]
fn two_years_over_twenty_zones_are_those_of_another_calendar() {
    let cases: Vec<(&str, &str)> =
        ZONES.iter().flat_map(|zone| CRONS.iter().map(move |cron| (*cron, *zone))).collect();
    let input: String = cases.iter().map(|(cron, zone)| format!("{cron}|{zone}\n")).collect();
    let file = std::env::temp_dir().join(format!("lockstep-slots-{}", std::process::id()));
    std::fs::write(&file, input).unwrap();
    let output = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (first, last) = (seconds("2022-01-01T00:00:00Z"), seconds("2024-01-01T00:00:00Z"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), cases.len());
    for ((cron, zone), line) in cases.iter().zip(text.lines()) {
        let expected: Vec<i64> = line.split_whitespace().map(|s| s.parse().unwrap()).collect();
        let rule = Rule::Cron { cron: (*cron).to_owned(), zone: (*zone).to_owned() };
        let plan = Plan { rule, overlap: Overlap::Allow, catch_up: CatchUp::None, jitter: None };
        let (mut found, mut at) = (Vec::new(), Time(first * 1_000_000_000 - 1));
        while let Some(slot) = plan.next(at, at).filter(|slot| slot.unix_seconds() < last) {
            found.push(slot.unix_seconds());
            at = slot;
        }
        let (a, b): (BTreeSet<_>, BTreeSet<_>) =
            (found.iter().collect(), expected.iter().collect());
        let odd: Vec<_> = a.symmetric_difference(&b).take(4).collect();
        assert!(odd.is_empty(), "{cron} in {zone}: {odd:?}");
        assert_eq!(found.len(), a.len(), "{cron} in {zone} fires twice");
        assert!(!found.is_empty(), "{cron} in {zone}");
    }
}

#[test]
fn intervals_are_counted_from_their_beginning_and_never_from_now() {
    let every = |text: &str| Plan {
        rule: Rule::Every(text.to_owned()),
        overlap: Overlap::Allow,
        catch_up: CatchUp::None,
        jitter: None,
    };
    let at = |text: &str| Time::parse(text).unwrap();
    let rows = [
        ("PT5M", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"),
        ("PT5M", "2026-01-01T00:00:00Z", "2026-01-01T00:12:34Z", "2026-01-01T00:15:00Z"),
        ("PT5M", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z", "2026-01-01T00:20:00Z"),
        ("P1M", "2026-01-31T08:00:00Z", "2026-02-01T00:00:00Z", "2026-02-28T08:00:00Z"),
        ("P1M", "2026-01-31T08:00:00Z", "2026-02-28T08:00:00Z", "2026-03-31T08:00:00Z"),
        ("P1Y", "2024-02-29T00:00:00Z", "2025-03-01T00:00:00Z", "2026-02-28T00:00:00Z"),
    ];
    for (span, anchor, after, expected) in rows {
        assert_eq!(every(span).next(at(anchor), at(after)), Some(at(expected)), "{span} {after}");
    }
}
