//! Instances and events over a store: commands and questions, and events, whose conditions are
//! computed before the transaction that takes them in.

use std::sync::Arc;

use flow::instance::{self, Incoming, Verdict};
use model::{
    Answer, CloudEvent, Command, Committed, Error, Explained, InstanceAnswer, InstanceCommand,
    InstanceQuery, Namespace, Read, Received, Reply, Result, Write, limits,
};
use queue::Work;
use store::Tx;

use super::{
    job::{self, Changed},
    misplaced,
};
use crate::shared::Shared;

/// Times that triggers are asked anew because others came or went meanwhile.
const TRIES: usize = 16;

/// Tells whether a command takes events in, whose conditions are looked at before.
pub(super) fn takes_events(command: &Command) -> bool {
    matches!(command, Command::Instance(InstanceCommand::Send(_)))
}

/// Applies a command in the transaction of its write.
pub(crate) fn apply(work: &mut Work<'_>, command: &InstanceCommand) -> Result<Reply> {
    instance::apply(work, command)
}

/// Answers a question on a snapshot.
pub(crate) fn answer(
    tx: &mut dyn Tx,
    namespace: &Namespace,
    query: &InstanceQuery,
) -> Result<Read> {
    let (as_of, live) = queue::live(tx, namespace)?;
    Ok(Read { as_of, answer: Answer::Instances(instance::answer(tx, live, query)?) })
}

/// Takes the events of a write in, each once.
pub(super) async fn receive(shared: &Arc<Shared>, write: &Write) -> Result<Committed> {
    let sent = write.commands.iter().map(|command| match command {
        Command::Instance(InstanceCommand::Send(events)) => Ok(events),
        other => Err(misplaced(other)),
    });
    let sent: Vec<&Vec<CloudEvent>> = sent.collect::<Result<_>>()?;
    let count: usize = sent.iter().map(|events| events.len()).sum();
    if count > limits::EVENTS_MAX {
        return Err(Error::too_large("events in one call", count, limits::EVENTS_MAX));
    }
    sent.iter().copied().flatten().try_for_each(instance::check)?;
    let events: Vec<CloudEvent> = sent.iter().copied().flatten().cloned().collect();
    let stored = vec![None; events.len()];
    let (committed, mut received) = take(shared, &write.namespace, events, stored).await?;
    let mut replies = Vec::with_capacity(sent.len());
    for events in sent {
        let rest = received.split_off(events.len().min(received.len()));
        replies.push(Reply::Received(std::mem::replace(&mut received, rest)));
    }
    Ok(Committed { replies, ..committed })
}

/// Asks the triggers of an event that is kept already, and fires them.
pub(super) async fn deliver(shared: &Arc<Shared>, namespace: &Namespace, seq: u64) -> Result<()> {
    let found = job::look(shared, {
        let namespace = namespace.clone();
        move |tx| {
            let (_, live) = queue::live(tx, &namespace)?;
            instance::new_event(tx, live, seq)
        }
    });
    let Some(event) = found.await? else { return Ok(()) };
    take(shared, namespace, vec![event], vec![Some(seq)]).await.map(drop)
}

/// Computes what triggers say to events, and takes the events in unless the triggers are others by
/// then.
async fn take(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    events: Vec<CloudEvent>,
    stored: Vec<Option<u64>>,
) -> Result<(Committed, Vec<Received>)> {
    for _ in 0..TRIES {
        let asked = ask(shared, namespace, &events).await?;
        let incoming: Vec<Incoming> = events
            .iter()
            .zip(&stored)
            .zip(asked)
            .map(|((event, stored), asked)| Incoming {
                event: event.clone(),
                stored: *stored,
                asked,
            })
            .collect();
        let taken = job::change(shared, namespace, move |work| {
            let take = |one| instance::receive(work, one)?.ok_or_else(again);
            incoming.iter().map(take).collect::<Result<Vec<Received>>>()
        });
        match taken.await {
            Ok(Changed { value, revision, events }) => {
                let committed = Committed { revision, replies: Vec::new(), events };
                return Ok((committed, value));
            }
            Err(error) if error == again() => {}
            Err(error) => return Err(error),
        }
        metrics::counter!("lockstep_start_fence_conflicts_total").increment(1);
    }
    Err(Error::Unavailable("the triggers of these events change all the time".to_owned()))
}

/// Undoes what was taken in so far, since other triggers have to be asked.
fn again() -> Error {
    Error::Unavailable("the triggers have changed".to_owned())
}

type Asked = Vec<(flow::publish::TriggerRow, Verdict)>;

/// Asks all triggers that events may be for.
async fn ask(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    events: &[CloudEvent],
) -> Result<Vec<Asked>> {
    let candidates = job::look(shared, {
        let (namespace, events) = (namespace.clone(), events.to_vec());
        move |tx| match queue::live(tx, &namespace) {
            Ok((_, live)) => {
                events.iter().map(|event| instance::candidates(tx, live, event)).collect()
            }
            // It is made when the events are kept.
            Err(Error::NoSuchNamespace(_)) => Ok(vec![Vec::new(); events.len()]),
            Err(error) => Err(error),
        }
    });
    let mut all = Vec::with_capacity(events.len());
    for (event, rows) in events.iter().zip(candidates.await?) {
        let mut asked = Asked::with_capacity(rows.len());
        let event = serde_json::to_value(event).unwrap_or_default();
        let (mut asks, mut questions) = (Vec::new(), Vec::new());
        for row in rows {
            let question = match instance::on_event(&row) {
                Some(on) => instance::question(on, &event),
                None => Err("it is a schedule".to_owned()),
            };
            match question {
                Ok(mut question) => {
                    let own = std::mem::take(&mut question.asks);
                    questions.push((row, question, own.len()));
                    asks.extend(own);
                }
                Err(why) => asked.push((row, Verdict::No(why))),
            }
        }
        let mut answers = shared.evaluate(asks).await.into_iter();
        for (row, question, count) in questions {
            let own = answers.by_ref().take(count).collect();
            asked.push((row, question.verdict(&event, own)));
        }
        all.push(asked);
    }
    Ok(all)
}

/// Tells what each trigger says to an event, without taking it in.
pub(crate) async fn explain(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    event: &CloudEvent,
) -> Result<Read> {
    let asked = ask(shared, namespace, std::slice::from_ref(event)).await?;
    let explained = asked.into_iter().flatten().map(|(row, verdict)| {
        let (is_match, why) = match verdict {
            Verdict::Yes { .. } => (true, "all its conditions hold".to_owned()),
            Verdict::No(why) => (false, why),
        };
        Explained { who: format!("{}/{}", row.body.definition, row.name), is_match, why }
    });
    let explained = InstanceAnswer::Explained(explained.collect());
    Ok(Read { as_of: 0, answer: Answer::Instances(explained) })
}
