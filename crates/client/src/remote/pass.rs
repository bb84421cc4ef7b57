//! Passing a write on to another node, where it matters whether one that has no answer was sent.

use std::error::Error as StdError;

use bytes::Bytes;
use http::StatusCode;
use model::{Error, PassedOn, Result, Write, limits};
use tokio::time::timeout;

use super::{Remote, chain};

/// What became of a write that was passed on.
#[derive(Debug)]
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
    /// Passes a write on to a node of the same store, once; the token is what that node asks for.
    pub async fn pass_on(&self, write: &Write) -> Passed {
        let body = match serde_json::to_vec(write) {
            Ok(body) if body.len() <= limits::BODY_BYTES_UNITS_MAX => Bytes::from(body),
            Ok(_) => return Passed::TooLarge,
            Err(error) => return Passed::NotDone(format!("a write cannot be written: {error}")),
        };
        let max = self.options.answer_max.saturating_add(write.wait);
        match timeout(max, self.pass(body)).await {
            Ok(passed) => passed,
            Err(_) => Passed::Unknown(self.unavailable(&format!("took over {max:?}")).to_string()),
        }
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

    async fn pass(&self, body: Bytes) -> Passed {
        let unknown = |error: Error| Passed::Unknown(error.to_string());
        let request = match self.request("/v1/peer/write", body) {
            Ok(request) => request,
            Err(error) => return Passed::NotDone(error.to_string()),
        };
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let why = self.unavailable(&chain(&error));
                let was_sent = !error.is_connect() && !is_unsent(&error);
                return if was_sent { unknown(why) } else { Passed::NotDone(why.to_string()) };
            }
        };
        let status = answer.status();
        if status.is_client_error() {
            // A node refuses in this way only before it looks at the write.
            return Passed::NotDone(self.unavailable(&format!("answered {status}")).to_string());
        }
        let body = match self.body(answer).await {
            Ok(body) => body,
            Err(error) => return unknown(error),
        };
        match serde_json::from_slice(&body) {
            Ok(answer) if status == StatusCode::OK => Passed::Answered(Box::new(answer)),
            _ => unknown(self.unavailable(&format!("answered {status}, and nothing of a node's"))),
        }
    }
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
