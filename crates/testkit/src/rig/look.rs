//! Looking at a store from outside, through the server: its units, counts and history.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use model::{Answer, Event, Namespace, Query, Read, SpecName, SpecRef, UnitFilter, limits};
use serde_json::{Value, json};

use super::{auditor::Seen, http::Caller, stage::Stage};

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How often the history is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(20);

/// Follows the history while the server comes and goes.
#[derive(Debug)]
pub struct Follower {
    stage: Arc<Stage>,
    thread: thread::JoinHandle<Vec<Event>>,
}

impl Follower {
    /// Starts to follow.
    pub fn start(stage: Arc<Stage>) -> Self {
        let own = stage.clone();
        Self { stage, thread: thread::spawn(move || follow(&own)) }
    }

    /// Follows to the end, and gives everything that was seen.
    #[track_caller]
    pub fn end(self) -> Vec<Event> {
        debug_assert!(self.stage.over.load(Ordering::Relaxed), "nothing more may happen");
        self.thread.join().expect("the history is followed")
    }
}

fn follow(stage: &Stage) -> Vec<Event> {
    let mut servers = 1..;
    let mut caller = Caller::new(stage.address(0), ANSWER_MAX);
    let mut followed: Vec<Event> = Vec::new();
    loop {
        let over = stage.over.load(Ordering::Relaxed);
        let after = followed.last().map_or(0, |event| event.revision);
        match events(&mut caller, after) {
            Ok(more) if !more.is_empty() => followed.extend(more),
            Ok(_) if over => return followed,
            Ok(_) => thread::sleep(FOLLOW_EVERY),
            Err(_) if over => return followed,
            Err(_) => {
                thread::sleep(FOLLOW_EVERY);
                caller = Caller::new(stage.address(servers.next().unwrap_or(0)), ANSWER_MAX);
            }
        }
    }
}

/// Looks at everything that the store has, besides the history as it was followed.
pub fn look(address: SocketAddr) -> Result<Seen, String> {
    let mut caller = Caller::new(address, ANSWER_MAX);
    let mut seen = Seen::default();
    let namespace = Namespace::new("rig").map_err(text)?;
    let spec = SpecRef { name: SpecName::new("crash").map_err(text)?, id: None };
    let mut filter = UnitFilter::default();
    loop {
        let query = Query::Units(namespace.clone(), spec.clone(), filter.clone());
        let Answer::Units(units, next) = read(&mut caller, &query)? else {
            return Err("units were asked for".to_owned());
        };
        seen.units.extend(units);
        filter.after = next;
        if filter.after.is_none() {
            break;
        }
    }
    let Answer::Spec(spec) = read(&mut caller, &Query::Spec(namespace.clone(), spec))? else {
        return Err("a spec was asked for".to_owned());
    };
    seen.counts = spec.counts;
    let Answer::Namespace(info) = read(&mut caller, &Query::Namespace(namespace))? else {
        return Err("a namespace was asked for".to_owned());
    };
    let mut after = info.revision.saturating_sub(limits::HISTORY_MAX);
    while after < info.revision {
        let more = events(&mut caller, after)?;
        after = more.last().ok_or("the history ends early")?.revision;
        seen.kept.extend(more);
    }
    Ok(seen)
}

fn read(caller: &mut Caller, query: &Query) -> Result<Answer, String> {
    let body = json!({"query": query, "at_least": 0});
    let read: Read = serde_json::from_value(post(caller, "/v1/read", &body)?).map_err(text)?;
    Ok(read.answer)
}

fn events(caller: &mut Caller, after: u64) -> Result<Vec<Event>, String> {
    let body = json!({"namespace": "rig", "after": after, "limit": limits::PAGE_MAX});
    serde_json::from_value(post(caller, "/v1/events", &body)?).map_err(text)
}

fn post(caller: &mut Caller, path: &str, body: &Value) -> Result<Value, String> {
    let answer = caller.call("POST", path, None, body).map_err(text)?;
    if answer.status == 200 { Ok(answer.json()) } else { Err(format!("{path}: {answer:?}")) }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
