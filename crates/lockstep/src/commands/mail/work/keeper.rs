//! Keeping the agreed state of an account in the store of a server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client::Lockstep;
use mail::state::{Change, Database, Keeper, changes_parts, image_parts, restored};
use model::{
    Answer, CloudEvent, Error, MailAccount, MailAnswer, MailCommand, MailQuery, Page, Query,
    RecordRound, Result, Write, limits,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

/// Changes in one write: many enough to be fast, and few enough for one call.
const CHANGES_MAX: usize = 500;
/// Parts of an image in one write.
const IMAGE_PARTS: usize = 3;
/// Bytes of changes after which an image takes their place, if that is not larger.
const LONG_BYTES: usize = 1 << 20;
/// How often a write is tried.
const TRIES: u32 = 8;

/// Gives an account, as the store has it.
pub(super) async fn account(lockstep: &Lockstep, name: &str) -> Result<MailAccount> {
    match ask(lockstep, MailQuery::Account(name.to_owned())).await? {
        MailAnswer::Account(account) => Ok(*account),
        _ => Err(unexpected()),
    }
}

/// Gives the agreed state of an account, and the last of its parts.
pub(super) async fn load(lockstep: &Lockstep, name: &str) -> Result<(Database, u64)> {
    let (mut texts, mut last): (Vec<String>, Option<u64>) = (Vec::new(), None);
    loop {
        let page = Page { after: last, limit: 0 };
        let parts = match ask(lockstep, MailQuery::Parts(name.to_owned(), page)).await? {
            MailAnswer::Parts(parts) => parts,
            _ => return Err(unexpected()),
        };
        if parts.is_empty() {
            break;
        }
        for part in parts {
            if last.is_some_and(|last| part.seq != last + 1) {
                return Err(Error::LockConflict(format!(
                    "another node has gone on with the mail account {name:?} meanwhile"
                )));
            }
            last = Some(part.seq);
            texts.push(part.text);
        }
    }
    let last = match last {
        Some(last) => last,
        None => account(lockstep, name).await?.position,
    };
    let database = tokio::task::spawn_blocking(move || restored(texts)).await;
    Ok((database.map_err(|error| Error::Internal(error.to_string()))??, last))
}

async fn ask(lockstep: &Lockstep, query: MailQuery) -> Result<MailAnswer> {
    let query = Query::Mail(lockstep.namespace().clone(), query);
    match lockstep.backend().read(query, 0).await?.answer {
        Answer::Mail(answer) => Ok(answer),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Error {
    Error::Internal("a question about mail was answered with something else".to_owned())
}

/// Keeps what the state worker of an account commits.
pub(super) struct StoreKeeper {
    runtime: Handle,
    lockstep: Lockstep,
    account: String,
    /// The last part that was written.
    position: Arc<AtomicU64>,
    /// Bytes of changes that were written since the last image, as far as this keeper knows.
    bytes: usize,
    /// Bytes of that image.
    image_bytes: usize,
    /// Whether it is not known what the store has.
    broken: bool,
}

impl StoreKeeper {
    /// Makes a keeper that goes on after a part; a state of many parts is long from the start.
    pub(super) fn new(
        lockstep: Lockstep,
        account: &MailAccount,
        position: &Arc<AtomicU64>,
    ) -> Self {
        let parts = account.position.saturating_sub(account.base);
        Self {
            runtime: Handle::current(),
            lockstep,
            account: account.name.clone(),
            position: Arc::clone(position),
            bytes: if parts > 500 { LONG_BYTES } else { 0 },
            image_bytes: 0,
            broken: false,
        }
    }

    /// Writes, and waits for the answer; after a failure the store may have it or not.
    fn record(&mut self, round: RecordRound) -> Result<()> {
        if self.broken {
            return Err(Error::Unavailable(
                "the state of the account could not be kept, so it is read again".to_owned(),
            ));
        }
        let after = self.position.load(Ordering::SeqCst);
        let count = round.parts.len() as u64;
        let round = RecordRound { account: self.account.clone(), after, ..round };
        let outcome = self.runtime.block_on(write(&self.lockstep, round));
        match &outcome {
            Ok(()) => self.position.store(after + count, Ordering::SeqCst),
            Err(_) => self.broken = true,
        }
        outcome
    }

    fn event(&self, change: &Change) -> Option<CloudEvent> {
        let Change::Event { id, at, kind, body } = change else { return None };
        let folder = ["folder", "to"].into_iter().find_map(|key| body.get(key)?.as_str());
        let source = match folder {
            Some(folder) => format!("mail/{}/{folder}", self.account),
            None => format!("mail/{}", self.account),
        };
        let subject = body.get("message_id").and_then(Value::as_str);
        Some(CloudEvent {
            id: short(id),
            source: short(&source),
            kind: kind.to_string(),
            subject: subject.filter(|id| !id.is_empty()).map(short),
            time: Some(at.to_string()),
            datacontenttype: Some("application/json".to_owned()),
            dataschema: None,
            data: body.clone(),
            extensions: Default::default(),
        })
    }
}

impl Keeper for StoreKeeper {
    fn takes_events(&self) -> bool {
        true
    }

    fn keep(&mut self, changes: &[&Change]) -> Result<()> {
        for group in groups(changes) {
            let (mut own, mut events) = (Vec::new(), Vec::new());
            for change in group {
                match self.event(change) {
                    Some(event) => events.push(event),
                    None => own.push(*change),
                }
            }
            let mut parts = Vec::new();
            if !own.is_empty() {
                parts = changes_parts(&own, limits::MAIL_PART_BYTES_MAX)?;
            }
            self.bytes += parts.iter().map(String::len).sum::<usize>();
            self.record(RecordRound { parts, events, ..RecordRound::default() })?;
        }
        Ok(())
    }

    fn rest(&mut self, standing: Value, image: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<()> {
        let mut parts = Vec::new();
        if self.bytes >= LONG_BYTES.max(self.image_bytes) {
            let image = image()?;
            self.image_bytes = image.len();
            parts = image_parts(&image, limits::MAIL_PART_BYTES_MAX)?;
        }
        let base = (!parts.is_empty()).then(|| self.position.load(Ordering::SeqCst) + 1);
        while parts.len() > IMAGE_PARTS {
            let rest = parts.split_off(IMAGE_PARTS);
            self.record(RecordRound { parts, ..RecordRound::default() })?;
            parts = rest;
        }
        // The state begins with the image from when its last piece is there.
        self.record(RecordRound { parts, base, standing: Some(standing), ..Default::default() })?;
        if base.is_some() {
            self.bytes = 0;
        }
        Ok(())
    }
}

/// Cuts changes into what one write takes; events stay with the change that they tell of.
fn groups<'a, 'b>(changes: &'a [&'b Change]) -> Vec<&'a [&'b Change]> {
    let (mut groups, mut start) = (Vec::new(), 0);
    for (at, change) in changes.iter().enumerate() {
        if at - start >= CHANGES_MAX && !matches!(change, Change::Event { .. }) {
            groups.extend(changes.get(start..at));
            start = at;
        }
    }
    groups.extend(changes.get(start..));
    groups
}

/// Gives a text that is short enough to name something, the same for the same text.
fn short(text: &str) -> String {
    if text.len() <= limits::NAME_BYTES_MAX {
        return text.to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes until it is answered; a key sees to it that what is written twice counts once.
async fn write(lockstep: &Lockstep, round: RecordRound) -> Result<()> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Unavailable(format!("no random numbers: {error}")))?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = Write {
        request_id: Some(key),
        ..Write::one(lockstep.namespace(), MailCommand::Record(round))
    };
    let mut tries = 0;
    loop {
        match lockstep.backend().write(request.clone()).await {
            Err(
                error @ (Error::Unavailable(_)
                | Error::StorageFull(_)
                | Error::TooManyRequests { .. }),
            ) if tries < TRIES => {
                tracing::debug!(%error, "the state of a mail account is kept later");
                // Sleeps because the server that could not be reached is given time.
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                tries += 1;
            }
            outcome => return outcome.map(drop),
        }
    }
}

/// Says in short what a round did.
pub(super) fn told(summary: &mail::engine::Summary) -> Value {
    let problems = summary
        .problems
        .iter()
        .take(20)
        .map(|problem| json!({ "folder": problem.folder, "error": problem.error.to_string() }));
    json!({
        "run": summary.run, "folders": summary.folders, "examined": summary.examined,
        "done": summary.done, "paired": summary.paired, "held": summary.held.len(),
        "conflicts": summary.conflicts.len(), "problems": problems.collect::<Vec<_>>(),
    })
}
