//! Webhooks of the publishing pipeline: programs elsewhere that may refuse what is about to be
//! done.

use std::{sync::Arc, time::Duration};

use engine::{Extensions, PrepareStage, Proposal};
use flow::publish::{Action, Change};
use model::{BoxFuture, Error};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long one may take to answer.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of one answer.
const ANSWER_MAX: usize = 64 << 10;

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Webhook {
    id: String,
    url: Url,
    /// Whether the change is made if nobody can be asked.
    is_optional: bool,
}

impl Webhook {
    /// Reads `NAME=URL` or, for one that need not answer, `NAME?=URL`, with commas between them.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not NAME=URL or NAME?=URL");
        let (id, url) = text.split_once('=').ok_or_else(wrong)?;
        let (id, is_optional) = match id.strip_suffix('?') {
            Some(id) => (id, true),
            None => (id, false),
        };
        let url: Url = url.parse().map_err(|_| wrong())?;
        match url.scheme() {
            "http" | "https" => Ok(Self { id: id.to_owned(), url, is_optional }),
            _ => Err(wrong()),
        }
    }
}

/// Makes stages of webhooks.
pub(crate) fn extensions(webhooks: &[Webhook]) -> Result<Extensions, Error> {
    if webhooks.is_empty() {
        return Ok(Extensions::default());
    }
    // Who has set one before is as good.
    let _set = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .timeout(TIME_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Internal(format!("no HTTP client: {error}")))?;
    let stage = |webhook: &Webhook| -> Arc<dyn PrepareStage> {
        Arc::new(Asked { webhook: webhook.clone(), client: client.clone() })
    };
    Ok(Extensions { prepare: webhooks.iter().map(stage).collect(), ..Extensions::default() })
}

/// A stage that asks a webhook.
struct Asked {
    webhook: Webhook,
    client: Client,
}

/// What a webhook answers.
#[derive(Deserialize)]
struct Answer {
    allowed: bool,
    #[serde(default)]
    message: String,
}

impl Asked {
    async fn ask(&self, body: &Value) -> Result<Answer, String> {
        let request = self.client.post(self.webhook.url.clone());
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        let mut response = request.send().await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status()));
        }
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| error.to_string())? {
            answer.extend_from_slice(&part);
            if answer.len() > ANSWER_MAX {
                return Err(format!("its answer has more than {ANSWER_MAX} bytes"));
            }
        }
        serde_json::from_slice(&answer).map_err(|error| format!("its answer is wrong: {error}"))
    }
}

impl PrepareStage for Asked {
    fn id(&self) -> &str {
        &self.webhook.id
    }

    fn run<'a>(&'a self, proposal: Proposal<'a>) -> BoxFuture<'a, Result<String, Error>> {
        let body = json!({
            "namespace": proposal.namespace.as_str(),
            "actor": proposal.actor,
            "changes": proposal.changes.iter().map(shown).collect::<Vec<_>>(),
        });
        Box::pin(async move {
            let refuse = |why| Error::Refused { stage: self.webhook.id.clone(), why };
            match self.ask(&body).await {
                Ok(Answer { allowed: true, message }) => Ok(message),
                Ok(Answer { message, .. }) => Err(refuse(message)),
                Err(why) if self.webhook.is_optional => Ok(format!("was not asked: {why}")),
                Err(why) => Err(refuse(format!("it could not be asked: {why}"))),
            }
        })
    }
}

/// Shows a change to a webhook.
fn shown(change: &Change) -> Value {
    let mut shown = json!({"name": change.name, "operation": change.operation()});
    let (version, hash, source) = match &change.action {
        Action::Publish(new) => (&new.version, Some(&new.hash), Some(&new.source)),
        Action::Rollback { version, hash, .. } => (version, Some(hash), None),
        Action::DeleteVersion(version) => (version, None, None),
        Action::Retract(_) | Action::Delete(_) => return shown,
    };
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("version".to_owned(), json!(version));
        fields.insert("hash".to_owned(), json!(hash));
        fields.insert("source".to_owned(), json!(source));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_named_and_may_be_optional() {
        let all = Webhook::parse_all("policy=https://p.example/a?b=c, lint?=http://l").unwrap();
        let found: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.is_optional)).collect();
        assert_eq!(found, [("policy", false), ("lint", true)]);
        assert_eq!(all[0].url.as_str(), "https://p.example/a?b=c");
        assert_eq!(Webhook::parse_all(""), Ok(Vec::new()));
        assert!(Webhook::parse_all("https://p.example").is_err());
        assert!(Webhook::parse_all("a=file:///etc/passwd").is_err());
    }

    #[tokio::test]
    async fn one_that_cannot_be_asked_refuses_unless_it_is_optional() {
        // Nobody listens on a port that was just given back.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let text = format!("must=http://{address}/,may?=http://{address}/");
        let stages = extensions(&Webhook::parse_all(&text).unwrap()).unwrap().prepare;
        let namespace = model::Namespace::new("n").unwrap();
        let proposal = Proposal { namespace: &namespace, actor: "me", changes: &[] };
        let refused = stages[0].run(proposal).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
        assert!(stages[1].run(proposal).await.unwrap().contains("was not asked"));
    }
}
