//! Passing writes on to another node, where it matters whether one that has no answer was sent.

use std::{error::Error as StdError, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use model::{Error, PassedOn, Result, Write, limits};
use tokio::time::timeout;

use super::{Remote, chain};

/// A write as it is passed on.
#[derive(Clone, Debug)]
pub struct Parcel {
    json: Vec<u8>,
    wait: Duration,
}

impl Parcel {
    /// Packs a write.
    ///
    /// # Errors
    /// [`Passed::TooLarge`], or [`Passed::NotDone`] for one that cannot be written as JSON.
    pub fn pack(write: &Write) -> Result<Self, Passed> {
        match serde_json::to_vec(write) {
            Ok(json) if json.len() + BRACKETS > limits::BODY_BYTES_UNITS_MAX => {
                Err(Passed::TooLarge)
            }
            Ok(json) => Ok(Self { json, wait: write.wait }),
            Err(error) => Err(Passed::NotDone(format!("a write cannot be written: {error}"))),
        }
    }

    /// Gives how much it takes in a message, in bytes.
    pub fn size(&self) -> usize {
        self.json.len() + 1
    }
}

/// What is around the writes of a message, in bytes.
const BRACKETS: usize = 2;

/// What became of a write that was passed on.
#[derive(Clone, Debug)]
pub enum Passed {
    /// The node has answered.
    Answered(Box<PassedOn>),
    /// It is larger than what is passed on, and nothing was sent.
    TooLarge,
    /// Nothing was done and nothing will be, for this reason.
    NotDone(String),
    /// Nobody knows whether it was done or will be, for this reason.
    Unknown(String),
}

impl Remote {
    /// Passes writes on to a node of the same store, once and in one message, and gives what became
    /// of each; the token is what that node asks for.
    pub async fn pass_on(&self, parcels: &[Parcel]) -> Vec<Passed> {
        let wait = parcels.iter().map(|parcel| parcel.wait).max().unwrap_or_default();
        let max = self.options.answer_max.saturating_add(wait);
        let became = match timeout(max, self.pass(message(parcels))).await {
            Ok(Ok(answers)) if answers.len() == parcels.len() => {
                return answers.into_iter().map(|it| Passed::Answered(Box::new(it))).collect();
            }
            Ok(Ok(answers)) => {
                self.unknown(&format!("answered {} writes of {}", answers.len(), parcels.len()))
            }
            Ok(Err(passed)) => passed,
            Err(_) => self.unknown(&format!("took over {max:?}")),
        };
        vec![became; parcels.len()]
    }

    fn unknown(&self, why: &str) -> Passed {
        Passed::Unknown(self.unavailable(why).to_string())
    }

    /// Asks whether a node of the same store is there that takes writes which are passed on; the
    /// token is what that node asks for.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none.
    pub async fn greet(&self) -> Result<()> {
        let request = self.request("/v1/peer/greet", Bytes::new())?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| self.unavailable(&chain(&error)))?;
        let status = answer.status();
        match serde_json::from_slice(&self.body(answer).await?) {
            Ok(PassedOn::Greeting) if status == StatusCode::OK => Ok(()),
            _ => Err(self.unavailable(&format!("answered {status}, and not as a peer"))),
        }
    }

    /// Sends a message, and gives its answers, or what became of all its writes.
    async fn pass(&self, message: Bytes) -> Result<Vec<PassedOn>, Passed> {
        let not_done = |error: Error| Passed::NotDone(error.to_string());
        let unknown = |error: Error| Passed::Unknown(error.to_string());
        let request = self.request("/v1/peer/write", message).map_err(not_done)?;
        let answer = self.client.request(request).await.map_err(|error| {
            let why = self.unavailable(&chain(&error));
            let was_sent = !error.is_connect() && !is_unsent(&error);
            if was_sent { unknown(why) } else { not_done(why) }
        })?;
        let status = answer.status();
        if status.is_client_error() {
            // A node refuses in this way only before it looks at a write.
            return Err(not_done(self.unavailable(&format!("answered {status}"))));
        }
        let body = self.body(answer).await.map_err(unknown)?;
        match serde_json::from_slice(&body) {
            Ok(answers) if status == StatusCode::OK => Ok(answers),
            _ => Err(self.unknown(&format!("answered {status}, and nothing of a node's"))),
        }
    }
}

/// Puts writes into one message.
fn message(parcels: &[Parcel]) -> Bytes {
    let size = parcels.iter().map(Parcel::size).sum::<usize>() + BRACKETS;
    let mut message = Vec::with_capacity(size);
    for (place, parcel) in parcels.iter().enumerate() {
        message.push(if place == 0 { b'[' } else { b',' });
        message.extend_from_slice(&parcel.json);
    }
    message.push(b']');
    message.into()
}

/// Tells whether a request never left: its connection was closed before it was its turn.
fn is_unsent(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = error.source();
    }
    false
}
