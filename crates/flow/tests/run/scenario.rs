//! The scenarios below `tests/scenarios`: given a definition and an input, when workers and the
//! outside answer so, then the workflow does these steps and gives this.
//!
//! A scenario has `definition`, `input`, `secrets`, `start` (further keys of the start), `when`
//! (what happens, in its order) and `then` (what must hold at the end).

use std::{fs, path::PathBuf};

use flow::run::{Fault, Message, Standard, Start, StepResult, What};
use serde_json::{Value as Json, json};

use super::world::World;

/// Gives all scenarios by file and name.
pub fn all() -> Vec<(String, Json)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let options = serde_saphyr::options! { strict_booleans: true };
        let scenarios: Vec<Json> = serde_saphyr::from_str_with_options(&text, options)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for scenario in scenarios {
            known_keys(
                &scenario,
                &["name", "definition", "input", "secrets", "start", "when", "then"],
            );
            let name = format!("{stem}: {}", scenario["name"].as_str().unwrap());
            all.push((name, scenario));
        }
    }
    all
}

/// Plays a scenario, and checks what must hold.
pub fn play(name: &str, scenario: &Json) -> World {
    let program = super::program(&scenario["definition"]);
    let mut world = World::new(program, scenario["secrets"].clone());
    let mut start = json!({ "id": "i1", "seed": 7, "input": scenario["input"] });
    for (key, value) in scenario["start"].as_object().into_iter().flatten() {
        start[key] = value.clone();
    }
    world.start(serde_json::from_value::<Start>(start).unwrap());
    for (number, happening) in scenario["when"].as_array().into_iter().flatten().enumerate() {
        happen(&mut world, happening, &format!("{name}, when {}", number + 1));
    }
    check(&world, &scenario["then"], name);
    world
}

fn happen(world: &mut World, happening: &Json, place: &str) {
    known_keys(
        happening,
        &[
            "unit", "child", "timer", "event", "message", "output", "fault", "with", "target",
            "taken", "key", "attempt", "after", "has",
        ],
    );
    let result = result_of(happening);
    let taken = if let Some(step) = happening["unit"].as_str() {
        let unit = world.units.remove(step);
        let unit = unit.unwrap_or_else(|| panic!("{place}: of {:?}", world.units.keys()));
        let actual = serde_json::to_value(&unit).unwrap();
        expect(happening, "with", &actual["input"], place);
        expect(happening, "target", &actual["target"], place);
        expect(happening, "key", &actual["idempotency_key"], place);
        expect(happening, "attempt", &actual["attempt"], place);
        world.send(Message::UnitDone { step: step.to_owned(), result })
    } else if let Some(step) = happening["child"].as_str() {
        let child = world.children.remove(step);
        let child = child.unwrap_or_else(|| panic!("{place}: of {:?}", world.children.keys()));
        let actual = serde_json::to_value(&child).unwrap();
        expect(happening, "with", &actual["input"], place);
        world.send(Message::ChildDone { step: step.to_owned(), result })
    } else if let Some(timer) = happening["timer"].as_str() {
        assert!(world.timers.contains_key(timer), "{place}: of {:?}", world.timers);
        if let Some(after) = happening["after"].as_f64() {
            let seconds = world.timers[timer].since(world.now).as_secs_f64();
            assert_eq!(seconds, after, "{place}");
        }
        world.fire(timer)
    } else if !happening["event"].is_null() {
        let waits: Vec<String> = world.waits.keys().cloned().collect();
        let event = happening["event"].clone();
        let send = |wait: String| world.send(Message::Event { wait, event: event.clone() });
        // All must hear of it, so none is left out once one has taken it.
        waits.into_iter().map(send).fold(false, |taken, now| taken | now)
    } else if !happening["message"].is_null() {
        let message = serde_json::from_value(happening["message"].clone());
        world.send(message.unwrap_or_else(|error| panic!("{place}: {error}")))
    } else {
        check(world, &happening["has"], place);
        return;
    };
    assert_eq!(taken, happening["taken"].as_bool().unwrap_or(true), "{place}");
    if !happening["has"].is_null() {
        check(world, &happening["has"], place);
    }
}

fn result_of(happening: &Json) -> StepResult {
    match &happening["fault"] {
        Json::Null => StepResult::Output(happening["output"].clone()),
        Json::Number(status) => {
            let status = u16::try_from(status.as_u64().unwrap()).unwrap();
            StepResult::Fault(Fault::answered(status, "it failed"))
        }
        Json::String(why) => StepResult::Fault(Fault::standard(Standard::Runtime, why.as_str())),
        fault => StepResult::Fault(serde_json::from_value(fault.clone()).unwrap()),
    }
}

fn expect(wanted: &Json, key: &str, actual: &Json, place: &str) {
    if let Some(wanted) = wanted.get(key) {
        assert_eq!(actual, wanted, "{place}: {key}");
    }
}

/// Compares what must hold with what does.
fn check(world: &World, then: &Json, place: &str) {
    known_keys(
        then,
        &[
            "status",
            "output",
            "fault",
            "context",
            "started",
            "completed",
            "skipped",
            "emitted",
            "units",
            "timers",
            "waits",
            "children",
            "incidents",
            "ends",
            "cancelled",
            "compensated",
            "faulted",
            "filters",
        ],
    );
    let state = serde_json::to_value(&world.state).unwrap();
    expect(then, "status", &state["status"], place);
    expect(then, "output", &state["output"], place);
    expect(then, "context", &state["context"], place);
    if let Some(wanted) = then["fault"].as_object() {
        for (key, wanted) in wanted {
            assert_eq!(&state["fault"][key], wanted, "{place}: fault.{key}");
        }
    }
    let steps = |what: What| Json::from(world.steps(what));
    expect(then, "started", &steps(What::Started), place);
    expect(then, "completed", &steps(What::Completed), place);
    expect(then, "skipped", &steps(What::Skipped), place);
    expect(then, "cancelled", &steps(What::Cancelled), place);
    expect(then, "faulted", &steps(What::Faulted), place);
    expect(then, "emitted", &world.emitted.clone().into(), place);
    let keys = |keys: Vec<&String>| Json::from(keys.into_iter().cloned().collect::<Vec<_>>());
    expect(then, "units", &keys(world.units.keys().collect()), place);
    expect(then, "timers", &keys(world.timers.keys().collect()), place);
    expect(then, "waits", &keys(world.waits.keys().collect()), place);
    expect(then, "children", &keys(world.children.keys().collect()), place);
    expect(then, "incidents", &keys(world.incidents.iter().collect()), place);
    expect(then, "ends", &world.ends.into(), place);
    let filters: Vec<Json> =
        world.waits.values().map(|plan| serde_json::to_value(&plan.filters).unwrap()).collect();
    expect(then, "filters", &filters.into(), place);
}

/// A key that is misspelled would check nothing.
fn known_keys(map: &Json, known: &[&str]) {
    for key in map.as_object().into_iter().flatten().map(|(key, _)| key) {
        assert!(known.contains(&key.as_str()), "the key {key:?} is not known");
    }
}

#[test]
fn each_scenario_ends_as_it_says() {
    let all = all();
    for (name, scenario) in &all {
        play(name, scenario);
    }
    assert!(all.len() >= 60, "{}", all.len());
}

#[test]
fn there_is_a_scenario_of_each_task_kind() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    for kind in [
        "call", "do", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try",
        "wait",
    ] {
        assert!(folder.join(format!("{kind}.yaml")).exists(), "{kind}");
    }
}
