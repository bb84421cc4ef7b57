//! What instances wait for, and links with which people answer it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{CloudEvent, Error, Id, Result, Time, hex};

/// A link to make for one wait of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The instance.
    pub instance: Id,
    /// The wait, as [`Wait::name`] says.
    pub wait: String,
    /// The SHA-256 of the secret of the link.
    pub hash: [u8; 32],
    /// When the link stops working, at most [`crate::limits::INVITE_KEPT_MAX`] from now.
    pub expires: Time,
    /// What the person is asked.
    #[serde(default)]
    pub note: String,
    /// The event that the answer becomes: it must be one that the wait is for, and its data must be
    /// an object.
    pub event: CloudEvent,
}

/// A wait of an instance for events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// The instance.
    pub instance: Id,
    /// The definition of the instance.
    pub definition: String,
    /// The version of the definition.
    pub version: String,
    /// Its name: the step that waits.
    pub name: String,
    /// Since when; none if the step only looks out for events beside what it does.
    pub since: Option<Time>,
    /// When the step fails if nothing has come, if it has a timeout.
    pub until: Option<Time>,
    /// The attributes that an event must have, one set for each filter of the step.
    pub filters: Vec<BTreeMap<String, Json>>,
    /// How many links for it still work.
    pub links: usize,
}

impl Wait {
    /// What kind of event an answer is if the filter does not want it to be of another.
    pub const ANSWER: &str = "io.lockstep.answer.v1";
    /// Where an answer comes from if the filter does not want it to be from elsewhere.
    const SOURCE: &str = "/approvals";

    /// Makes the event that answers one of its filters, with all attributes that this wants.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is no such filter, or none that an answer could pass.
    pub fn answer(&self, filter: usize, hash: &[u8; 32]) -> Result<CloudEvent> {
        let Some(mut attributes) = self.filters.get(filter).cloned() else {
            return Err(Error::bad_input(format!("step {:?} has no filter {filter}", self.name)));
        };
        attributes.entry("id".to_owned()).or_insert_with(|| hex(hash).into());
        attributes.entry("source".to_owned()).or_insert_with(|| Self::SOURCE.into());
        attributes.entry("type".to_owned()).or_insert_with(|| Self::ANSWER.into());
        let data = attributes.entry("data".to_owned()).or_insert_with(|| Map::new().into());
        let is_object = data.is_object();
        let event = serde_json::from_value(Json::Object(attributes.into_iter().collect()));
        event.ok().filter(|_| is_object).ok_or_else(|| {
            let name = &self.name;
            Error::bad_input(format!("step {name:?} waits for what no answer of a person can be"))
        })
    }

    /// Gives the name of the task that waits.
    pub fn task(&self) -> &str {
        self.name.rsplit('/').nth(1).unwrap_or(&self.name)
    }

    /// Names the types of events that it is for.
    pub fn kinds(&self) -> String {
        let kind = |filter: &BTreeMap<String, Json>| {
            filter.get("type").and_then(Json::as_str).unwrap_or("any event").to_owned()
        };
        self.filters.iter().map(kind).collect::<Vec<_>>().join(", ")
    }
}

/// Says what a person decided, as the data of an answer has it.
pub fn decision(approved: bool, comment: &str, by: &str) -> Map<String, Json> {
    let mut data = Map::new();
    data.insert("approved".to_owned(), approved.into());
    for (key, text) in [("comment", comment), ("by", by)] {
        if !text.trim().is_empty() {
            data.insert(key.to_owned(), text.trim().into());
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_an_event_that_the_filter_wants() {
        let filters = json!([{"type": "order.approved", "subject": "7"}, {}, {"data": 5}]);
        let wait = Wait {
            instance: 7,
            definition: "refund".to_owned(),
            version: "1.0.0".to_owned(),
            name: "do/1/approve/0".to_owned(),
            since: None,
            until: None,
            filters: serde_json::from_value(filters).unwrap(),
            links: 0,
        };
        let wanted = wait.answer(0, &[1; 32]).unwrap();
        assert_eq!(
            (wanted.kind.as_str(), wanted.subject.as_deref()),
            ("order.approved", Some("7"))
        );
        let any = wait.answer(1, &[1; 32]).unwrap();
        assert_eq!((any.kind.as_str(), any.source.as_str()), (Wait::ANSWER, Wait::SOURCE));
        assert!(any.id.starts_with("0101") && any.data == json!({}));
        assert!(wait.answer(2, &[1; 32]).is_err() && wait.answer(3, &[1; 32]).is_err());
        assert_eq!(wait.kinds(), "order.approved, any event, any event");
        assert_eq!(wait.task(), "approve");
    }

    #[test]
    fn a_decision_says_who_and_why_if_that_is_known() {
        let data = Json::Object(decision(true, " fine ", ""));
        assert_eq!(data, json!({"approved": true, "comment": "fine"}));
    }
}
