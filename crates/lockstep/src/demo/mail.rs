//! The demo's mail: a Maildir that is kept in step with a Dovecot, or with another Maildir, a
//! workflow that new mail starts and that files it, and a large deletion that waits for approval.

mod place;

use std::{fs, path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail};
use client::{Lockstep, Remote, RemoteOptions};
use model::{
    Answer, Backend, DefinitionCommand, InstanceAnswer, InstanceFilter, InstanceQuery,
    InstanceStatus, MailAccount, MailAnswer, MailCommand, MailQuery, Namespace, Publish, Query,
    Terms,
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use self::place::{Everything, Place, Side, expect, flagged, key};
use super::{LOOK_AGAIN, STALLED, scene::Scene, stalled};
use crate::{
    commands::mail::{Vault, work},
    output::Output,
};

pub(super) const NAMESPACE: &str = "demo-mail";
const ACCOUNT: &str = "demo";
const WORKFLOW: &str = include_str!("../../../../examples/demo/file-invoices.yaml");

/// Mail that is there when the account is made.
const FIRST: [(&str, &str); 8] = [
    ("welcome", include_str!("../../../../examples/mail/welcome.eml")),
    ("minutes", include_str!("../../../../examples/mail/minutes.eml")),
    ("invoice-41", include_str!("../../../../examples/mail/invoice-41.eml")),
    ("lunch", include_str!("../../../../examples/mail/lunch.eml")),
    ("weather", include_str!("../../../../examples/mail/weather.eml")),
    ("umlaut", include_str!("../../../../examples/mail/umlaut.eml")),
    ("list", include_str!("../../../../examples/mail/list.eml")),
    ("lost", include_str!("../../../../examples/mail/lost.eml")),
];
/// Mail that comes later, on either side.
const LATER: [(Side, &str, &str); 3] = [
    ("left", "thanks", include_str!("../../../../examples/mail/thanks.eml")),
    ("left", "invoice-42", include_str!("../../../../examples/mail/invoice-42.eml")),
    ("right", "invoice-43", include_str!("../../../../examples/mail/invoice-43.eml")),
];
/// Those of them that the workflow files.
const INVOICES: usize = 2;
/// More removals than these are held, and so many are made.
const GUARD: usize = 3;

/// Plays the scene, and compares both sides by content.
pub(super) async fn play(url: &str, out: Output) -> Result<Scene> {
    let folder = tempfile::Builder::new().prefix("lockstep-demo-mail-").tempdir()?;
    let remote: Arc<dyn Backend> = Arc::new(Remote::new(url, RemoteOptions::standard())?);
    let place = Place::new(folder.path(), out)?;
    for (at, (name, text)) in FIRST.into_iter().enumerate() {
        place.deliver(if at % 2 == 0 { "left" } else { "right" }, name, text)?;
    }
    let lockstep = Lockstep::new(Arc::clone(&remote), Namespace::new(NAMESPACE)?);
    let mut worker = Worker::start(remote, place.accounts()?);
    let scene = shown(&lockstep, &place, &mut worker, out).await;
    worker.stop().await?;
    scene
}

/// What `lockstep mail worker` does, from a machine that runs no server.
struct Worker {
    remote: Arc<dyn Backend>,
    accounts: PathBuf,
    ended: watch::Sender<bool>,
    rounds: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(remote: Arc<dyn Backend>, accounts: PathBuf) -> Self {
        let (ended, ending) = watch::channel(false);
        let rounds = work::run(Arc::clone(&remote), accounts.clone(), ending, Vault::Nobody);
        Self { remote, accounts, ended, rounds: Some(tokio::spawn(rounds)) }
    }

    async fn stop(&mut self) -> Result<()> {
        self.ended.send_replace(true);
        match self.rounds.take() {
            Some(rounds) => rounds.await.context("the rounds have failed"),
            None => Ok(()),
        }
    }

    fn start_again(&mut self) {
        *self = Self::start(Arc::clone(&self.remote), self.accounts.clone());
    }
}

async fn shown(
    lockstep: &Lockstep,
    place: &Place,
    worker: &mut Worker,
    out: Output,
) -> Result<Scene> {
    let begun = Instant::now();
    let publish = Publish { source: WORKFLOW.to_owned(), base: None, terms: Terms::default() };
    lockstep.command(DefinitionCommand::Publish(publish)).await?;
    let mut expected = Everything::new();
    FIRST.iter().for_each(|(_, text)| expect(&mut expected, "INBOX", "", text));
    place.wait_for(&expected, "the first sync").await?;
    let right = place.right();
    out.note(format!("mail: {} messages are in a Maildir and in {right}", expected.len()));

    // Both sides change: three messages come, one is read on the left, one goes on the right.
    for (side, name, text) in LATER {
        place.deliver(side, name, text)?;
        let folder = if name.starts_with("invoice") { "Archive/Invoices" } else { "INBOX" };
        expect(&mut expected, folder, "", text);
    }
    let [(_, read), (_, gone), ..] = FIRST;
    place.change("left", read, |file| fs::rename(file, flagged(file)))?;
    expected.remove(&key("INBOX", "", read));
    expect(&mut expected, "INBOX", "S", read);
    place.change("right", gone, |file| fs::remove_file(file))?;
    expected.remove(&key("INBOX", "", gone));
    place.wait_for(&expected, "what both sides changed, and what the workflow filed").await?;
    let filed = instances(lockstep).await?;
    out.note(format!("mail: {filed} new invoices each started a workflow, which filed them"));

    // Too much goes at once on the left, and stays on the right until someone says yes. What goes
    // while there are rounds may be seen bit by bit, and then is never too much.
    worker.stop().await?;
    for (_, text) in FIRST.into_iter().skip(3).take(GUARD + 1) {
        place.change("left", text, |file| fs::remove_file(file))?;
    }
    worker.start_again();
    let token = held(lockstep).await?;
    let kept = place.everything("right")? == expected;
    out.note(format!("mail: {} removals are held until they are approved", GUARD + 1));
    let approve = MailCommand::Approve { account: ACCOUNT.to_owned(), token };
    lockstep.command(approve).await?;
    for (_, text) in FIRST.into_iter().skip(3).take(GUARD + 1) {
        expected.remove(&key("INBOX", "", text));
    }
    place.wait_for(&expected, "the removals that were approved").await?;

    let mut differences = Vec::new();
    if filed != INVOICES {
        differences.push(format!("{INVOICES} invoices started {filed} workflows"));
    }
    if !kept {
        differences.push("held removals were not held".to_owned());
    }
    let (messages, seconds) = (expected.len(), begun.elapsed().as_secs_f64());
    Ok(Scene {
        name: "mail",
        title: "Mail",
        differences,
        json: json!({
            "messages": messages, "workflows": filed, "held": GUARD + 1, "right": right,
            "seconds": seconds,
        }),
        text: format!(
            "{messages} messages are the same in a Maildir and in {right}; {filed} invoices were \
             filed by workflows, and {} removals waited for approval, in {seconds:.1} s.",
            GUARD + 1
        ),
    })
}

/// Waits until all workflows have ended, and gives how many there are.
async fn instances(lockstep: &Lockstep) -> Result<usize> {
    let begun = Instant::now();
    loop {
        let query = InstanceQuery::List(InstanceFilter::default());
        let query = Query::Instances(lockstep.namespace().clone(), query);
        let Answer::Instances(InstanceAnswer::Instances(all)) = lockstep.ask(query).await? else {
            bail!("instances were asked for, and something else was told")
        };
        if let Some(one) = all.iter().find(|one| one.status == InstanceStatus::Faulted) {
            bail!("the workflow for a mail has failed: {}", one.error);
        }
        if all.len() >= INVOICES && all.iter().all(|one| one.status.is_over()) {
            return Ok(all.len());
        }
        if begun.elapsed() > STALLED {
            return Err(stalled("no workflow files the mail"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Waits until removals are held, and gives the token of the set.
async fn held(lockstep: &Lockstep) -> Result<String> {
    let begun = Instant::now();
    loop {
        let account = account(lockstep).await?;
        let hold = account.standing.pointer("/holds/0/token");
        if let Some(token) = hold.and_then(|token| token.as_str()) {
            return Ok(token.to_owned());
        }
        if begun.elapsed() > STALLED {
            return Err(stalled("a large deletion is not held"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn account(lockstep: &Lockstep) -> Result<MailAccount> {
    let query = MailQuery::Account(ACCOUNT.to_owned());
    match lockstep.ask(Query::Mail(lockstep.namespace().clone(), query)).await? {
        Answer::Mail(MailAnswer::Account(account)) => Ok(*account),
        other => bail!("a mail account was asked for, and {other:?} was told"),
    }
}
