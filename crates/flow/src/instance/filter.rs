//! Whether an event is for a trigger: what can be told at once, and what expressions have to say.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    expr::quick,
    expression::is_computed,
    publish::OnEvent,
    run::{Answer, Ask},
};

/// What has to be computed to tell whether an event is for a trigger, and what is known already.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What to compute: for attributes of the event, then for the key, then for what must be the
    /// same in all events.
    pub asks: Vec<Ask>,
    /// The attributes that are computed.
    filters: Vec<String>,
    /// The key, if there is one and it is known.
    key: Option<Option<Json>>,
    /// What must be the same in all events, where it is known.
    correlation: Vec<(String, Option<Json>)>,
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

/// Looks at what can be told at once of an event, which is given as JSON.
///
/// # Errors
/// Why the event is not for the trigger.
pub fn question(on: &OnEvent, event: &Json) -> Result<Question, String> {
    let mut question = Question::default();
    for (attribute, wanted) in on.with.as_object().into_iter().flatten() {
        let value = event.get(attribute).unwrap_or(&Json::Null);
        let Some(text) = wanted.as_str().filter(|text| is_computed(text)) else {
            if wanted == value {
                continue;
            }
            return Err(format!("{attribute} is {value}, not {wanted}"));
        };
        match question.computed(text, value) {
            Some(result) => holds(attribute, value, &result)?,
            None => question.filters.push(attribute.clone()),
        }
    }
    question.key = on.key.as_ref().map(|key| question.computed(key, event));
    for (name, correlation) in on.correlate.as_object().into_iter().flatten() {
        let from = correlation.get("from").and_then(Json::as_str).unwrap_or(".");
        let known = question.computed(from, event);
        question.correlation.push((name.clone(), known));
    }
    Ok(question)
}

/// Tells whether what an expression gave for an attribute is what the trigger wants: that it is
/// true, or the attribute's own value.
fn holds(attribute: &str, value: &Json, result: &Json) -> Result<(), String> {
    match result {
        Json::Bool(true) => Ok(()),
        result if result == value && !result.is_boolean() => Ok(()),
        result => Err(format!("the expression for {attribute} gave {result}")),
    }
}

/// Takes an expression out of its `${ … }`, if it has one.
fn source_of(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("${").and_then(|inner| inner.strip_suffix('}'));
    inner.unwrap_or(text).trim()
}

impl Question {
    /// Computes what is so simple that nobody has to be asked, or asks.
    fn computed(&mut self, text: &str, input: &Json) -> Option<Json> {
        let (source, variables) = (source_of(text), BTreeMap::new());
        let known = quick(source, input, &variables);
        if known.is_none() {
            let (source, input) = (source.to_owned(), input.clone());
            self.asks.push(Ask::Expression { source, input, variables, secrets: false });
        }
        known
    }

    /// Gives the verdict on an event, from one answer for each ask.
    pub fn verdict(self, event: &Json, answers: Vec<Answer>) -> Verdict {
        self.judge(event, answers).unwrap_or_else(Verdict::No)
    }

    fn judge(self, event: &Json, answers: Vec<Answer>) -> Result<Verdict, String> {
        let mut answers = answers.into_iter();
        let mut next = |what: &str| match answers.next() {
            Some(Answer::Value(value)) => Ok(value),
            Some(Answer::Failed(why)) => Err(format!("the {what} failed: {why}")),
            None => Err(format!("nothing was computed for the {what}")),
        };
        for attribute in &self.filters {
            let result = next(&format!("expression for {attribute}"))?;
            holds(attribute, event.get(attribute).unwrap_or(&Json::Null), &result)?;
        }
        let key = self.key.map(|known| known.map_or_else(|| next("key"), Ok)).transpose()?;
        let mut correlation = BTreeMap::new();
        for (name, known) in self.correlation {
            let value = match known {
                Some(value) => value,
                None => next(&format!("value of {name}"))?,
            };
            correlation.insert(name, value);
        }
        Ok(Verdict::Yes { key, correlation })
    }
}
