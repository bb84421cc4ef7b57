//! Producers: they add units, singly and in batches, and repeat what was not answered.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    ledger::{Entry, Notes},
    random::Random,
    stage::{Line, Post, SPEC, Stage},
};

/// Units that wait at one time, so that the rig ends soon after the last kill.
const BACKLOG_MAX: u64 = 1_500;
/// Units of one batch.
const BATCH_MAX: usize = 40;
/// Of a hundred calls, so many add a single unit.
const SINGLE: usize = 30;
/// Of a hundred calls without an answer, so many are not repeated, as if the producer had died.
const GIVEN_UP: usize = 10;

/// Adds units until it is enough.
pub fn produce(stage: &Arc<Stage>, notes: Notes, number: usize, mut random: Random) {
    let mut line = Line::new(stage, notes);
    let path = format!("{SPEC}/work_unit");
    let mut calls = 0_u64;
    while !stage.enough.load(Ordering::Relaxed) {
        if stage.backlog() > BACKLOG_MAX {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        calls += 1;
        let call = format!("add-{number}-{calls}");
        let size = if random.percent(SINGLE) { 1 } else { 2 + random.below(BATCH_MAX - 1) };
        let units: Vec<String> = (0..size).map(|unit| format!("{call}-{unit}")).collect();
        let body = body(&units);
        line.note(Entry::AddAsked { call: call.clone(), units });
        let post = Post { path: &path, key: Some(&call), body: &body };
        let answer = match line.once(post) {
            None if random.percent(GIVEN_UP) => continue,
            None => line.until_answered(post),
            answer => answer,
        };
        match answer {
            Some(answer) if answer.status == 201 => {
                line.note(Entry::AddAcked { call });
                stage.added.fetch_add(size as u64, Ordering::Relaxed);
            }
            Some(answer) => line.surprise(post, &answer),
            None => return,
        }
    }
}

/// Makes the body of a call; the data of a unit holds its name, so that mixed-up data is noticed.
fn body(units: &[String]) -> Value {
    let unit = |name: &String| json!({"name": name, "data": {"name": name}});
    match units {
        [one] => unit(one),
        many => json!({"work_units": many.iter().map(unit).collect::<Vec<_>>()}),
    }
}
