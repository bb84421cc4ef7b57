//! Which triggers a document wants: one for its schedule, or one for each of its event filters.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::{
    definition::hex,
    document::Document,
    event::{Filter, Strategy},
    expression::is_computed,
    schedule::{Overlap, Schedule},
    slots::Plan,
};

/// The type of the events that `POST /hooks/PATH` makes; their subject is the path.
pub const HOOK_EVENT: &str = "io.lockstep.http.request.v1";

/// What a trigger says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerSpec {
    /// It fires at the slots of a schedule.
    Schedule(Plan),
    /// It fires when an event comes.
    Event(OnEvent),
}

/// A trigger that events fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnEvent {
    /// The attributes that the event must have, as the document writes them.
    pub with: Json,
    /// The values that must be the same in all events, as the document writes them.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub correlate: Json,
    /// The triggers that must all have fired to start one instance; empty if this one is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<String>,
    /// The expression of what is the same in two events that start one instance only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What to do when the last instance has not ended yet.
    pub overlap: Overlap,
}

/// A trigger that a document wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name: the author's, or one made from its place.
    pub name: String,
    /// What an event is looked up by.
    pub match_key: Option<Vec<u8>>,
    /// The hook path that it wants for itself.
    pub route: Option<Vec<u8>>,
    /// What it says.
    pub spec: TriggerSpec,
}

impl Wanted {
    /// Gives the SHA-256 of all that it says.
    pub(crate) fn hash(&self) -> String {
        let said = (&self.match_key, &self.route, &self.spec);
        // Nothing in it has keys other than text, so writing cannot fail.
        hex(&Sha256::digest(serde_json::to_vec(&said).unwrap_or_default()))
    }
}

impl TriggerSpec {
    /// Gives the word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Schedule(plan) => plan.rule.kind(),
        }
    }

    /// Says for people when it fires.
    pub fn text(&self) -> String {
        match self {
            Self::Event(on) => match literal(on.with.get("type")) {
                Some(kind) => kind.to_owned(),
                None => "any event".to_owned(),
            },
            Self::Schedule(plan) => plan.rule.to_string(),
        }
    }
}

/// Gives what an event of a type is looked up by; no type is that of filters without one.
pub fn match_key(kind: Option<&str>) -> Vec<u8> {
    [b"event\0", kind.unwrap_or_default().as_bytes()].concat()
}

/// Gives what a hook path is looked up by.
pub fn route_of(path: &str) -> Vec<u8> {
    [b"hook\0", path.trim_matches('/').as_bytes()].concat()
}

/// Gives the triggers that a document wants, in the order of its text.
///
/// # Errors
/// What keeps them from being made, for people.
pub fn plan_triggers(document: &Document) -> Result<Vec<Wanted>, String> {
    let Some(schedule) = &document.schedule else { return Ok(Vec::new()) };
    let wanted = match &schedule.on {
        Some(strategy) => of_events(schedule, strategy)?,
        None => vec![of_schedule(schedule)?],
    };
    for (index, one) in wanted.iter().enumerate() {
        let same = |other: &&Wanted| other.name == one.name;
        if wanted.iter().take(index).any(|other| same(&other)) {
            return Err(format!("two triggers are named {:?}; name them differently", one.name));
        }
    }
    Ok(wanted)
}

fn of_schedule(schedule: &Schedule) -> Result<Wanted, String> {
    let Some(plan) = Plan::of(schedule) else {
        return Err(
            "the interval of a schedule is computed; write it as a text, such as PT5M".to_owned()
        );
    };
    let name = schedule.name.as_ref().map_or(plan.rule.kind(), |name| name.as_str()).to_owned();
    let spec = TriggerSpec::Schedule(plan);
    Ok(Wanted { name, match_key: None, route: None, spec })
}

fn of_events(schedule: &Schedule, strategy: &Strategy) -> Result<Vec<Wanted>, String> {
    let place = schedule.name.as_ref().map_or("on", |name| name.as_str());
    let filters: Vec<(String, &Filter)> = match (&strategy.one, &strategy.any, &strategy.all) {
        (Some(filter), ..) => vec![(name_of(filter, place.to_owned()), filter)],
        (None, Some(filters), _) | (None, None, Some(filters)) => {
            let named = |(number, filter)| (name_of(filter, format!("{place}-{number}")), filter);
            (1..).zip(filters).map(named).collect()
        }
        (None, None, None) => Vec::new(),
    };
    // `any` of nothing takes every event.
    if filters.is_empty() {
        return Err("a schedule on any of no events would start without end".to_owned());
    }
    let all: Vec<String> = match &strategy.all {
        Some(_) => filters.iter().map(|(name, _)| name.clone()).collect(),
        None => Vec::new(),
    };
    let one = |(name, filter)| of_filter(schedule, name, filter, all.clone());
    filters.into_iter().map(one).collect()
}

fn name_of(filter: &Filter, place: String) -> String {
    filter.name.as_ref().map_or(place, |name| name.as_str().to_owned())
}

fn of_filter(
    schedule: &Schedule,
    name: String,
    filter: &Filter,
    all: Vec<String>,
) -> Result<Wanted, String> {
    // The types hold nothing that JSON cannot say.
    let with = serde_json::to_value(&filter.with).unwrap_or_default();
    let correlate = serde_json::to_value(&filter.correlate).unwrap_or_default();
    let kind = literal(with.get("type"));
    let subject = literal(with.get("subject"));
    let route = match (filter.exclusive, kind, subject) {
        (Some(true), Some(HOOK_EVENT), Some(path)) => Some(route_of(path)),
        (Some(true), ..) => {
            return Err(format!(
                "filter {name:?} is exclusive, so its type must be {HOOK_EVENT} and its subject a \
                 path, neither of them computed"
            ));
        }
        _ => None,
    };
    let match_key = Some(match_key(kind));
    let key = schedule.key.as_ref().map(|key| key.source().to_owned());
    let overlap = schedule.overlap.unwrap_or(Overlap::Allow);
    let spec = TriggerSpec::Event(OnEvent { with, correlate, all, key, overlap });
    Ok(Wanted { name, match_key, route, spec })
}

/// Gives a text that is not computed.
fn literal(value: Option<&Json>) -> Option<&str> {
    value.and_then(Json::as_str).filter(|text| !is_computed(text))
}
