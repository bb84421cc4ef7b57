//! Whether an event is for a trigger: what can be told at once, and what expressions have to say.

use std::collections::BTreeMap;

use model::CloudEvent;
use serde_json::Value as Json;

use crate::{
    expression::is_computed,
    publish::OnEvent,
    run::{Answer, Ask},
};

/// What has to be computed to tell whether an event is for a trigger, and what of the event each
/// is about. The last asks are for the key and for values that must be the same in all events.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What to compute.
    pub asks: Vec<Ask>,
    filters: Vec<(String, Json)>,
    has_key: bool,
    correlations: Vec<String>,
}

/// What a trigger says to an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is for the trigger.
    Yes {
        /// What is the same in two events that start one instance only.
        key: Option<Json>,
        /// The values that must be the same in all events that start one instance together.
        correlation: BTreeMap<String, Json>,
    },
    /// It is not, for this reason.
    No(String),
}

/// Looks at what can be told at once.
///
/// # Errors
/// Why the event is not for the trigger.
pub fn question(on: &OnEvent, event: &CloudEvent) -> Result<Question, String> {
    let whole = serde_json::to_value(event).unwrap_or_default();
    let mut question = Question::default();
    for (attribute, wanted) in on.with.as_object().into_iter().flatten() {
        let value = whole.get(attribute).cloned().unwrap_or_default();
        match wanted.as_str().filter(|text| is_computed(text)) {
            Some(text) => {
                question.asks.push(ask(source_of(text), value.clone()));
                question.filters.push((attribute.clone(), value));
            }
            None if *wanted == value => {}
            None => return Err(format!("{attribute} is {value}, not {wanted}")),
        }
    }
    if let Some(key) = &on.key {
        question.has_key = true;
        question.asks.push(ask(source_of(key), whole.clone()));
    }
    for (name, correlation) in on.correlate.as_object().into_iter().flatten() {
        let from = correlation.get("from").and_then(Json::as_str).unwrap_or(".");
        question.asks.push(ask(source_of(from), whole.clone()));
        question.correlations.push(name.clone());
    }
    Ok(question)
}

/// Takes an expression out of its `${ … }`, if it has one.
fn source_of(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("${").and_then(|inner| inner.strip_suffix('}'));
    inner.unwrap_or(text).trim()
}

fn ask(source: &str, input: Json) -> Ask {
    let source = source.to_owned();
    Ask::Expression { source, input, variables: BTreeMap::new(), secrets: false }
}

impl Question {
    /// Gives the verdict, from one answer for each ask.
    pub fn verdict(&self, answers: Vec<Answer>) -> Verdict {
        let mut answers = answers.into_iter();
        for (attribute, value) in &self.filters {
            match answers.next() {
                Some(Answer::Value(Json::Bool(true))) => {}
                Some(Answer::Value(result)) if result == *value && !result.is_boolean() => {}
                Some(Answer::Value(result)) => {
                    return Verdict::No(format!("the expression for {attribute} gave {result}"));
                }
                Some(Answer::Failed(why)) => {
                    return Verdict::No(format!("the expression for {attribute} failed: {why}"));
                }
                None => return Verdict::No(format!("nothing was computed for {attribute}")),
            }
        }
        let mut key = None;
        if self.has_key {
            match answers.next() {
                Some(Answer::Value(value)) => key = Some(value),
                Some(Answer::Failed(why)) => return Verdict::No(format!("the key failed: {why}")),
                None => return Verdict::No("nothing was computed for the key".to_owned()),
            }
        }
        let mut correlation = BTreeMap::new();
        for name in &self.correlations {
            match answers.next() {
                Some(Answer::Value(value)) => {
                    correlation.insert(name.clone(), value);
                }
                Some(Answer::Failed(why)) => {
                    return Verdict::No(format!("the value of {name} failed: {why}"));
                }
                None => return Verdict::No(format!("nothing was computed for {name}")),
            }
        }
        Verdict::Yes { key, correlation }
    }
}
