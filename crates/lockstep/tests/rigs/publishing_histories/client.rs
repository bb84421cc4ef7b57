//! The clients of one history.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use client::{Keys, Remote, RemoteOptions};
use model::{
    Answer, Backend as _, CloudEvent, Command, DefinitionAnswer, DefinitionCommand,
    DefinitionQuery, Error, Id, Instance, InstanceAnswer, InstanceCommand, InstanceFilter,
    InstanceQuery, Namespace, Publish, Query, Reply, Running, Start, Terms, Write,
};
use testkit::rig::Random;

use super::check::{Deed, History, Span};

const NAME: &str = "a";
/// Changes of one history, and what each of the others does.
const CHANGES: u64 = 5;
const STARTS: u64 = 5;
const READS: u64 = 10;
const EVENTS: u64 = 4;
/// How long a client waits for a node before it turns to another one.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a client tries in all.
const TRY_MAX: Duration = Duration::from_secs(60);
const TRY_EVERY: Duration = Duration::from_millis(5);

/// Plays all clients of a history.
pub(super) async fn play(
    urls: &[String],
    namespace: &str,
    clock: &AtomicU64,
    random: &mut Random,
) -> History {
    let namespace = Namespace::new(namespace).unwrap();
    let mut client = || Client::new(urls, &namespace, clock, random.fork());
    let (mut changer, mut starter, mut reader) = (client(), client(), client());
    let (mut one, mut other, mut last) = (client(), client(), client());
    let first = changer.change(0, Act::Publish).await;
    let (changes, starts, reads, sent, again) = tokio::join!(
        changer.changes(),
        starter.starts(),
        reader.reads(),
        one.sends(),
        other.sends(),
    );
    let mut deeds = vec![first];
    deeds.extend([changes, starts, reads, sent, again].into_iter().flatten());
    let instances = last.instances().await;
    // The version of an instance is only known to who asks for it.
    for (_, deed) in &mut deeds {
        if let Deed::Started { instance, version } = deed {
            *version = instances.get(instance).map_or(0, |(version, _)| *version);
        }
    }
    History { deeds, instances, audit: last.audit().await }
}

#[derive(Clone, Copy)]
enum Act {
    Publish,
    Retract,
    Delete,
}

struct Client<'a> {
    nodes: Vec<Remote>,
    namespace: Namespace,
    clock: &'a AtomicU64,
    random: Random,
}

impl<'a> Client<'a> {
    fn new(urls: &[String], namespace: &Namespace, clock: &'a AtomicU64, random: Random) -> Self {
        let options = RemoteOptions {
            tries_max: 1,
            keys: Keys::Given,
            connect_max: Duration::from_secs(1),
            answer_max: ANSWER_MAX,
            ..RemoteOptions::standard()
        };
        let remote = |url: &String| Remote::new(url, options.clone()).unwrap();
        let nodes = urls.iter().map(remote).collect();
        Self { nodes, namespace: namespace.clone(), clock, random }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes, at any node and again until there is an answer.
    async fn write(&mut self, key: Option<String>, command: Command) -> Result<Reply, Error> {
        let write = Write { request_id: key, ..Write::one(&self.namespace, command) };
        let begun = Instant::now();
        loop {
            let node = self.random.pick(&self.nodes);
            match node.write(write.clone()).await {
                Ok(committed) => return Ok(committed.replies.into_iter().next().unwrap()),
                // The node is down, or nobody knows: the same key tells.
                Err(Error::Unavailable(_) | Error::Internal(_)) if begun.elapsed() < TRY_MAX => {}
                Err(error) => return Err(error),
            }
            // Sleeps because a node that is down says so at once.
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    async fn read(&mut self, query: Query) -> Result<Answer, Error> {
        let begun = Instant::now();
        loop {
            let node = self.random.pick(&self.nodes);
            match node.read(query.clone(), 0).await {
                Ok(read) => return Ok(read.answer),
                Err(Error::Unavailable(_) | Error::Internal(_)) if begun.elapsed() < TRY_MAX => {}
                Err(error) => return Err(error),
            }
            // Sleeps because a node that is down says so at once.
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    /// Makes a change, and asks until it is effective.
    async fn change(&mut self, number: u64, act: Act) -> (Span, Deed) {
        let (name, base, running) = (NAME.to_owned(), None, Running::Keep);
        let terms = Terms::default();
        let (command, version) = match act {
            Act::Publish => (publish(&self.namespace, number), Some(number)),
            Act::Retract => (DefinitionCommand::Retract { name, base, running, terms }, None),
            Act::Delete => (DefinitionCommand::Delete { name, base, running, terms }, None),
        };
        let begun = self.tick();
        loop {
            let key = Some(format!("change-{number}"));
            match self.write(key, command.clone().into()).await {
                Ok(Reply::Definition(published)) if published.state != "committed" => {
                    let span = Span { begun, ended: self.tick() };
                    let revision = published.revision;
                    return match published.is_changed {
                        true => (span, Deed::Changed { revision, version }),
                        false => (span, Deed::Read { revision }),
                    };
                }
                // It is there, and asked again it waits until it is effective.
                Ok(Reply::Definition(_)) => {}
                // What is deleted cannot be retracted; that tells no revision.
                Err(Error::NoSuchDefinition(_)) => {
                    return (Span { begun, ended: self.tick() }, Deed::Refused);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn changes(&mut self) -> Vec<(Span, Deed)> {
        let mut deeds = Vec::new();
        for number in 1..=CHANGES {
            let act = match self.random.below(10) {
                0 => Act::Delete,
                1..=3 => Act::Retract,
                _ => Act::Publish,
            };
            deeds.push(self.change(number, act).await);
        }
        deeds
    }

    async fn starts(&mut self) -> Vec<(Span, Deed)> {
        let mut deeds = Vec::new();
        for number in 0..STARTS {
            let start = Start {
                definition: NAME.to_owned(),
                input: serde_json::Value::Null,
                traceparent: None,
            };
            let begun = self.tick();
            let key = Some(format!("start-{number}"));
            let deed = match self.write(key, InstanceCommand::Start(start).into()).await {
                Ok(Reply::Id(instance)) => Deed::Started { instance, version: 0 },
                Err(Error::NoSuchVersion { .. } | Error::NoSuchDefinition(_)) => Deed::Refused,
                other => panic!("{other:?}"),
            };
            deeds.push((Span { begun, ended: self.tick() }, deed));
        }
        deeds
    }

    /// Sends events that another client sends, too.
    async fn sends(&mut self) -> Vec<(Span, Deed)> {
        let mut deeds = Vec::new();
        for event in 0..EVENTS {
            let begun = self.tick();
            let sent = InstanceCommand::Send(vec![go(event)]);
            let started = match self.write(None, sent.into()).await {
                Ok(Reply::Received(received)) => received.into_iter().next().unwrap().started,
                other => panic!("{other:?}"),
            };
            deeds.push((Span { begun, ended: self.tick() }, Deed::Sent { event, started }));
        }
        deeds
    }

    async fn reads(&mut self) -> Vec<(Span, Deed)> {
        let mut deeds = Vec::new();
        for _ in 0..READS {
            let begun = self.tick();
            let query = DefinitionQuery::One(NAME.to_owned());
            match self.read(Query::Definitions(self.namespace.clone(), query)).await {
                Ok(Answer::Definitions(DefinitionAnswer::Definition(found))) => {
                    let span = Span { begun, ended: self.tick() };
                    deeds.push((span, Deed::Read { revision: found.revision }));
                }
                // What is deleted tells no revision.
                Err(Error::NoSuchDefinition(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        deeds
    }

    /// Gives all instances, with the number of their version and the event that started them.
    async fn instances(&mut self) -> BTreeMap<Id, (u64, Option<u64>)> {
        let query = InstanceQuery::List(InstanceFilter::default());
        match self.read(Query::Instances(self.namespace.clone(), query)).await {
            Ok(Answer::Instances(InstanceAnswer::Instances(found))) => {
                found.into_iter().map(|instance| (instance.id, facts(&instance))).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    async fn audit(&mut self) -> Vec<String> {
        let query = Query::Definitions(self.namespace.clone(), DefinitionQuery::Audit);
        match self.read(query).await {
            Ok(Answer::Definitions(DefinitionAnswer::Audit(found))) => found,
            other => panic!("{other:?}"),
        }
    }
}

fn facts(instance: &Instance) -> (u64, Option<u64>) {
    let version = instance.version.split('.').nth(1).unwrap().parse().unwrap();
    let event = instance.cause.rsplit_once("by event ");
    (version, event.map(|(_, seq)| seq.parse().unwrap()))
}

fn publish(namespace: &Namespace, number: u64) -> DefinitionCommand {
    let source = format!(
        "document: {{dsl: '1.0.3', namespace: {}, name: {NAME}, version: '1.{number}.0'}}\n\
         schedule: {{on: {{one: {{with: {{type: go.v1}}}}}}, overlap: allow}}\n\
         do: [{{x: {{set: {{a: {number}}}}}}}]\n",
        namespace.as_str()
    );
    DefinitionCommand::Publish(Publish { source, base: None, terms: Terms::default() })
}

fn go(number: u64) -> CloudEvent {
    serde_json::from_value(serde_json::json!({
        "id": number.to_string(), "source": "rig", "type": "go.v1", "data": {"n": number},
    }))
    .unwrap()
}
