//! What is aimed at, and whether it is reached.

use serde_json::{Value, json};

use super::{
    cache, depth,
    figure::Figure,
    http, inside, latency,
    plan::{Plan, line},
    report::{amount, grouped},
    size,
};

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim {
    /// This part of its floor, or more.
    Ratio(f64),
    /// This times its floor, or less.
    Times(f64),
    /// This, or more.
    AtLeast(f64),
    /// This, or less.
    AtMost(f64),
    /// For the calls in the middle: the floor and this, or less.
    MiddleOverFloor(f64),
    /// For the calls in the middle: this, or less.
    MiddleAtMost(f64),
}

/// A target for one figure.
#[derive(Clone, Debug)]
pub(super) struct Target {
    part: &'static str,
    what: String,
    at_once: Option<usize>,
    aim: Aim,
}

/// Makes a target; 0 callers are any.
pub(super) fn target(part: &'static str, what: &str, at_once: usize, aim: Aim) -> Target {
    Target { part, what: what.to_owned(), at_once: (at_once > 0).then_some(at_once), aim }
}

/// All targets for the work queue; with so many units a queue is long.
pub(super) fn targets(units: u64) -> Vec<Target> {
    let long = |store| depth::what(store, units);
    vec![
        target(http::PART, "add by 1", 32, Aim::Ratio(0.4)),
        target(http::PART, "add by 1000", 8, Aim::Ratio(0.6)),
        target(http::PART, "add by 1000, random names", 8, Aim::Ratio(0.6)),
        target(http::PART, "claim + finish by 1", 32, Aim::Ratio(0.4)),
        target(http::PART, "finish and claim next by 1", 64, Aim::AtLeast(20_000.0)),
        target(http::PART, "claim + finish by 100", 64, Aim::Ratio(0.6)),
        target(inside::MEMORY, "add by 1000", 1, Aim::AtLeast(600_000.0)),
        target(inside::MEMORY, "claim + finish by 1", 1, Aim::AtLeast(150_000.0)),
        target(inside::MEMORY, "claim + finish by 100", 1, Aim::AtLeast(400_000.0)),
        target(cache::PART, cache::CACHED, 8, Aim::AtLeast(1_000_000.0)),
        target(depth::PART, &long("memory"), 0, Aim::Times(1.2)),
        target(depth::PART, &long("SQLite"), 0, Aim::Times(1.2)),
        target(size::PART, size::SQLITE, 0, Aim::AtMost(200.0)),
        target(size::PART, size::MEMORY, 0, Aim::AtMost(350.0)),
        target(size::PART, size::DISK, 0, Aim::AtMost(250.0)),
        target(size::PART, size::START, 0, Aim::AtMost(1.0)),
        target(size::PART, size::COLD_START, 0, Aim::AtMost(1.0)),
        target(http::PART, latency::WAITED, 0, Aim::MiddleOverFloor(1.0)),
        target(http::PART, latency::WAITED, 0, Aim::AtMost(10.0)),
        target(http::PART, latency::BESIDE, 0, Aim::AtMost(25.0)),
    ]
}

/// A target beside what was measured.
pub(super) struct Verdict<'a> {
    /// The figure; none where it could not be measured.
    pub(super) figure: Option<&'a Figure>,
    part: &'static str,
    what: String,
    at_once: Option<usize>,
    aim: Aim,
}

/// Compares figures with their targets, as far as these were asked for.
pub(super) fn judge<'a>(
    figures: &'a [Figure],
    plan: &Plan,
    targets: &[Target],
) -> Vec<Verdict<'a>> {
    let judge = |target: &Target| {
        let Target { part, what, at_once, aim } = target.clone();
        let figure = figures
            .iter()
            .find(|figure| figure.part == part && figure.what == what && figure.at_once == at_once);
        Verdict { figure, part, what, at_once, aim }
    };
    let asked = |target: &&Target| plan.wants(target.part, &target.what, target.at_once);
    targets.iter().filter(asked).map(judge).collect()
}

impl Verdict<'_> {
    /// Tells whether the target is met; none if there is no figure.
    pub(super) fn is_met(&self) -> Option<bool> {
        let figure = self.figure?;
        let ratio = figure.floor.as_ref().map(|floor| floor.ratio);
        match self.aim {
            Aim::Ratio(least) => ratio.map(|ratio| ratio >= least),
            Aim::Times(most) => ratio.map(|ratio| ratio <= most),
            Aim::AtLeast(least) => Some(figure.value >= least),
            Aim::AtMost(most) => Some(figure.value <= most),
            Aim::MiddleOverFloor(more) => {
                Some(figure.latency_ms?.0 <= figure.floor.as_ref()?.value + more)
            }
            Aim::MiddleAtMost(most) => Some(figure.latency_ms?.0 <= most),
        }
    }

    /// Gives the cells of a table: what, figure, unit, floor, ratio, target, met.
    pub(super) fn cells(&self) -> Vec<String> {
        let middle = matches!(self.aim, Aim::MiddleOverFloor(_) | Aim::MiddleAtMost(_));
        let value = self.figure.map(|figure| match figure.latency_ms {
            Some((p50, _)) if middle => (p50, "ms (p50)"),
            Some(_) if figure.unit == "ms" && figure.part != depth::PART => {
                (figure.value, "ms (p99)")
            }
            _ => (figure.value, figure.unit),
        });
        let floor = self.figure.and_then(|figure| figure.floor.as_ref());
        vec![
            line(self.part, &self.what, self.at_once),
            value.map_or("none".to_owned(), |(value, _)| amount(value)),
            value.map_or(String::new(), |(_, unit)| unit.to_owned()),
            floor.map_or(String::new(), |floor| format!("{} {}", floor.name, amount(floor.value))),
            floor.map_or(String::new(), |floor| format!("{:.2}", floor.ratio)),
            self.aim_text(),
            match self.is_met() {
                Some(true) => "met".to_owned(),
                Some(false) => "NOT MET".to_owned(),
                None => "not measured".to_owned(),
            },
        ]
    }

    fn aim_text(&self) -> String {
        match self.aim {
            Aim::Ratio(least) => format!("ratio at least {least}"),
            Aim::Times(most) => format!("ratio at most {most}"),
            Aim::AtLeast(least) => format!("at least {}", grouped(least)),
            Aim::AtMost(most) | Aim::MiddleAtMost(most) => format!("at most {most}"),
            Aim::MiddleOverFloor(more) => format!("at most {more} and the floor"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "part": self.part,
            "what": self.what,
            "at_once": self.at_once,
            "figure": self.figure.map(Figure::to_json),
            "target": self.aim_text(),
            "met": self.is_met(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(aim: Aim, value: f64, floor: f64) -> Option<bool> {
        let floor = Figure::new("floors", "F", floor, "ms");
        let figure = Figure::new("part", "what", value, "ms").bounded("F", Some(&floor));
        let figure = Figure { latency_ms: Some((value, value)), ..figure };
        let (part, what) = ("part", "what".to_owned());
        Verdict { figure: Some(&figure), part, what, at_once: None, aim }.is_met()
    }

    #[test]
    fn aims_are_bounds() {
        let reached = |aim, value, floor| met(aim, value, floor) == Some(true);
        assert!(reached(Aim::Ratio(0.5), 5.0, 10.0) && !reached(Aim::Ratio(0.5), 4.9, 10.0));
        assert!(reached(Aim::Times(1.5), 15.0, 10.0) && !reached(Aim::Times(1.5), 15.1, 10.0));
        assert!(reached(Aim::AtLeast(5.0), 5.0, 1.0) && !reached(Aim::AtLeast(5.0), 4.9, 1.0));
        assert!(reached(Aim::AtMost(5.0), 5.0, 1.0) && !reached(Aim::AtMost(5.0), 5.1, 1.0));
        let most = Aim::MiddleAtMost(5.0);
        assert!(reached(most, 5.0, 1.0) && !reached(most, 5.1, 9.0));
        let middle = Aim::MiddleOverFloor(1.0);
        assert!(reached(middle, 5.0, 4.0) && !reached(middle, 5.1, 4.0));
    }

    #[test]
    fn what_is_missing_is_said() {
        let verdicts = judge(&[], &Plan::FULL, &targets(Plan::FULL.units));
        assert!(verdicts.iter().all(|verdict| verdict.is_met().is_none()));
        assert!(
            verdicts.iter().all(|verdict| verdict.cells().contains(&"not measured".to_owned()))
        );
    }
}
