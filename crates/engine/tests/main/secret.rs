//! Secrets are sealed in every store, opened with their key only, and in their place only.

use std::sync::{Arc, Mutex, mpsc};

use client::Lockstep;
use engine::Engine;
use model::{
    Answer, Command, Error, Namespace, Page, Query, QueueCommand, Reply, Result, SecretCommand,
    SecretInfo, SecretName, SecretValue, Write, limits,
};
use store::{
    Doc, Job, Memory, PRIMARY, Postgres, PostgresOptions, Range, Sqlite, SqliteOptions, Store, Tx,
    Value, tables,
};
use testkit::{ManualClock, cluster, keys};

fn name(name: &str) -> SecretName {
    SecretName::new(name).unwrap()
}

fn set(of: &str, value: &str) -> SecretCommand {
    SecretCommand::Set { name: name(of), value: SecretValue::new(value.to_owned()).unwrap() }
}

/// A node with these keys over a store.
struct Node {
    engine: Arc<Engine>,
}

impl Node {
    async fn new(store: &Arc<dyn Store>, of: &[u8]) -> Self {
        let engine = Engine::new(Arc::clone(store), Arc::new(ManualClock::new()));
        if !of.is_empty() {
            engine.take_keys(Some(keys(of))).await.unwrap();
        }
        Self { engine }
    }

    fn at(&self, namespace: &str) -> Lockstep {
        Lockstep::new(self.engine.clone(), Namespace::new(namespace).unwrap())
    }

    async fn open(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        let namespace = Namespace::new(namespace).unwrap();
        let opened = self.engine.open_secret(&namespace, name).await?;
        Ok(opened.map(|value| value.expose().to_owned()))
    }

    async fn list(&self, namespace: &str) -> Vec<SecretInfo> {
        let namespace = Namespace::new(namespace).unwrap();
        match self.at("").ask(Query::Secrets(namespace, Page::default())).await {
            Ok(Answer::Secrets(secrets)) => secrets,
            other => panic!("a list answers {other:?}"),
        }
    }

    async fn rotate(&self, namespace: &str) -> (u64, usize) {
        let (mut total, mut steps, mut after) = (0, 0, None);
        loop {
            let reply = self.at(namespace).command(SecretCommand::Reseal { after }).await.unwrap();
            let Reply::Resealed { count, next } = reply else { panic!("{reply:?}") };
            (total, steps, after) = (total + count, steps + 1, next);
            if after.is_none() {
                return (total, steps);
            }
        }
    }
}

/// Runs something in a transaction of a store, as somebody who can write to its database might.
struct Tamper<F>(F, mpsc::Sender<Result<()>>);

impl<F: FnMut(&mut dyn Tx) -> Result<()> + Send> Job for Tamper<F> {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        (self.0)(tx)
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        self.1.send(outcome).unwrap();
    }
}

fn tamper(store: &dyn Store, how: impl FnMut(&mut dyn Tx) -> Result<()> + Send + 'static) {
    let (sender, done) = mpsc::channel();
    store.write(Box::new(Tamper(how, sender)));
    done.recv().unwrap().unwrap();
}

fn rows(tx: &mut dyn Tx) -> Result<Vec<Doc>> {
    tx.scan(&tables::SECRET, PRIMARY, &Range::default(), 1_000)
}

/// Gives all bytes of all rows of a store but where content is sealed.
fn everything(store: &dyn Store) -> Vec<u8> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let (sender, done) = mpsc::channel();
    let to = Arc::clone(&found);
    let look = move |tx: &mut dyn Tx| {
        for table in tables::ALL {
            for doc in tx.scan(table, PRIMARY, &Range::default(), 10_000)? {
                to.lock().unwrap().extend_from_slice(format!("{doc:?}").as_bytes());
                to.lock().unwrap().extend_from_slice(&doc.body);
            }
        }
        Ok(())
    };
    store.read(Box::new(Tamper(look, sender)));
    done.recv().unwrap().unwrap();
    let found = found.lock().unwrap();
    found.clone()
}

async fn secrets_are_opened_with_their_key_only(store: Arc<dyn Store>) {
    let node = Node::new(&store, &[1]).await;
    assert_eq!(node.open("shop", "erp").await, Ok(None));
    node.at("shop").command(set("erp", "canary-1")).await.unwrap();
    node.at("shop").command(set("smtp", "canary-2\n")).await.unwrap();
    node.at("bank").command(set("erp", "canary-3")).await.unwrap();
    assert_eq!(node.open("shop", "erp").await, Ok(Some("canary-1".to_owned())));
    assert_eq!(node.open("bank", "erp").await, Ok(Some("canary-3".to_owned())));
    assert_eq!(node.open("shop", "none").await, Ok(None));
    assert_eq!(node.open("shop", "../erp").await, Ok(None), "what cannot be a name is none");
    node.at("shop").command(set("erp", "canary-4")).await.unwrap();
    assert_eq!(node.open("shop", "erp").await, Ok(Some("canary-4".to_owned())));
    let kept = everything(&*store);
    assert!(kept.windows(4).any(|part| part == b"smtp"), "names are there");
    assert!(!kept.windows(7).any(|part| part == b"canary-"), "and no value");
    drop(node);

    // Whoever has another key, or none, opens nothing; one that lacks a key does not start.
    let other = Engine::new(Arc::clone(&store), Arc::new(ManualClock::new()));
    let refused = other.take_keys(Some(keys(&[2]))).await.unwrap_err();
    assert!(matches!(refused, Error::SecretNotOpened(_)), "{refused}");
    let other = Node { engine: other };
    assert!(matches!(other.open("shop", "erp").await, Err(Error::SecretNotOpened(_))));
    let none = Node::new(&store, &[]).await;
    assert_eq!(none.engine.take_keys(None).await, Ok(true), "there are secrets and no key");
    assert!(matches!(none.open("shop", "erp").await, Err(Error::SecretNotOpened(_))));
    assert_eq!(none.at("shop").command(set("erp", "x")).await, Err(Error::NoSecretsKey));
    assert_eq!(none.list("shop").await.len(), 2, "their names are no secret");
    let remove = SecretCommand::Remove { name: name("smtp") };
    assert_eq!(none.at("shop").command(remove).await, Ok(Reply::Done));

    // A refusal for want of a key is of that moment: with one, the same request is done.
    let write = Write {
        request_id: Some("again".to_owned()),
        ..Write::one(&Namespace::new("shop").unwrap(), set("late", "v"))
    };
    assert_eq!(none.at("").backend().write(write.clone()).await, Err(Error::NoSecretsKey));
    none.engine.take_keys(Some(keys(&[1]))).await.unwrap();
    none.at("").backend().write(write.clone()).await.unwrap();
    let again = Write { commands: vec![set("late", "w").into()], ..write };
    let reused = none.at("").backend().write(again).await;
    assert_eq!(reused, Err(Error::KeyReused("again".to_owned())));
}

#[tokio::test]
async fn secrets_are_opened_with_their_key_only_in_memory() {
    secrets_are_opened_with_their_key_only(Arc::new(Memory::new())).await;
}

#[tokio::test]
async fn secrets_are_opened_with_their_key_only_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lockstep.db");
    let store = Sqlite::open(path, SqliteOptions::default()).unwrap();
    secrets_are_opened_with_their_key_only(Arc::new(store)).await;
}

#[tokio::test]
async fn secrets_are_opened_with_their_key_only_in_postgres() {
    secrets_are_opened_with_their_key_only(postgres(&cluster::url())).await;
}

fn postgres(url: &str) -> Arc<dyn Store> {
    let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
    Arc::new(Postgres::open(url, &options).unwrap())
}

#[tokio::test]
async fn rows_that_were_swapped_or_changed_are_not_opened() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let node = Node::new(&store, &[1]).await;
    for (namespace, secret) in [("shop", "a"), ("shop", "b"), ("bank", "a")] {
        node.at(namespace).command(set(secret, &format!("{namespace} {secret}"))).await.unwrap();
    }
    // Each row gets what was sealed for the next one.
    tamper(&*store, |tx| {
        let mut docs = rows(tx)?;
        let mut bodies: Vec<_> = docs.iter().map(|doc| doc.body.clone()).collect();
        bodies.rotate_left(1);
        docs.iter_mut().zip(bodies).for_each(|(doc, body)| doc.body = body);
        tx.save(&tables::SECRET, docs)
    });
    for (namespace, secret) in [("shop", "a"), ("shop", "b"), ("bank", "a")] {
        let opened = node.open(namespace, secret).await;
        assert!(matches!(opened, Err(Error::SecretNotOpened(_))), "{namespace} {secret}");
    }
    // Neither can one be sealed anew that is not what it was.
    let refused = node.at("shop").command(SecretCommand::Reseal { after: None }).await;
    assert!(matches!(refused, Ok(Reply::Resealed { count: 0, .. })), "{refused:?}");
    let newer = Engine::new(Arc::clone(&store), Arc::new(ManualClock::new()));
    newer.take_keys(Some(keys(&[2, 1]))).await.unwrap();
    let newer = Node { engine: newer };
    let refused = newer.at("shop").command(SecretCommand::Reseal { after: None }).await;
    assert!(matches!(refused, Err(Error::SecretNotOpened(_))), "{refused:?}");
    // One that is set again is as good as new, and the others stay as they are.
    node.at("shop").command(set("a", "again")).await.unwrap();
    assert_eq!(node.open("shop", "a").await, Ok(Some("again".to_owned())));
    assert!(node.open("shop", "b").await.is_err());
}

#[tokio::test]
async fn an_older_value_of_the_same_secret_is_not_taken_for_a_newer_one() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let node = Node::new(&store, &[1]).await;
    node.at("shop").command(set("a", "old")).await.unwrap();
    let kept: Arc<Mutex<Vec<Doc>>> = Arc::default();
    let to = Arc::clone(&kept);
    tamper(&*store, move |tx| {
        *to.lock().unwrap() = rows(tx)?;
        Ok(())
    });
    // A namespace of the same name that came later is another one.
    node.at("shop").command(QueueCommand::DestroyNamespace).await.unwrap();
    node.at("shop").command(set("b", "new")).await.unwrap();
    let old = kept.lock().unwrap().clone();
    tamper(&*store, move |tx| {
        let new = rows(tx)?.into_iter().find(|doc| doc.key[1] == Value::Text("b".into()));
        let key = vec![new.unwrap().key[0].clone(), Value::Text("a".into())];
        tx.save(&tables::SECRET, vec![Doc { key, ..old[0].clone() }])
    });
    assert!(matches!(node.open("shop", "a").await, Err(Error::SecretNotOpened(_))));
    assert_eq!(node.open("shop", "b").await, Ok(Some("new".to_owned())));
}

#[tokio::test]
async fn rotation_goes_on_where_it_was_cut_off() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let node = Node::new(&store, &[1]).await;
    let count = limits::SECRETS_RESEALED_MAX + 20;
    let all: Vec<Command> = (0..count)
        .map(|number| set(&format!("s{number:03}"), &format!("v{number}")).into())
        .collect();
    node.at("shop").write(all).await.unwrap();
    node.at("bank").command(set("one", "v")).await.unwrap();
    let before = node.list("shop").await;
    drop(node);

    let node = Node::new(&store, &[2, 1]).await;
    // The first step, and then the node is gone.
    let first = node.at("shop").command(SecretCommand::Reseal { after: None }).await.unwrap();
    let Reply::Resealed { count: some, next: Some(next) } = first else { panic!("{first:?}") };
    assert_eq!((some, next.as_str()), (u64::from(limits::SECRETS_RESEALED_MAX), "s099"));
    drop(node);
    let node = Node::new(&store, &[2, 1]).await;
    assert_eq!(node.rotate("shop").await, (20, 2));
    assert_eq!(node.rotate("shop").await, (0, 2), "what is done is left alone");
    let after = node.list("shop").await;
    for (before, after) in before.iter().zip(&after) {
        let same = SecretInfo { key: after.key.clone(), ..before.clone() };
        assert_eq!((&same, before.key == after.key), (after, false));
    }
    // The old key goes once all is sealed under the new one, and not before.
    let only_new = Engine::new(Arc::clone(&store), Arc::new(ManualClock::new()));
    let refused = only_new.take_keys(Some(keys(&[2]))).await.unwrap_err();
    assert!(refused.to_string().contains("\"one\""), "{refused}");
    assert_eq!(node.rotate("bank").await, (1, 1));
    drop(node);
    let node = Node::new(&store, &[2]).await;
    assert_eq!(node.open("shop", "s000").await, Ok(Some("v0".to_owned())));
    assert_eq!(node.open("shop", "s119").await, Ok(Some("v119".to_owned())));
    assert_eq!(node.open("bank", "one").await, Ok(Some("v".to_owned())));
}

#[tokio::test]
async fn a_namespace_has_so_many_secrets_and_no_more() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let node = Node::new(&store, &[1]).await;
    let all: Vec<Command> =
        (0..limits::SECRETS_MAX).map(|number| set(&format!("s{number}"), "v").into()).collect();
    node.at("shop").write(all).await.unwrap();
    let refused = node.at("shop").command(set("more", "v")).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    // One that is there is replaced, one that goes makes room, and others have their own room.
    node.at("shop").command(set("s0", "w")).await.unwrap();
    node.at("bank").command(set("more", "v")).await.unwrap();
    node.at("shop").command(SecretCommand::Remove { name: name("s1") }).await.unwrap();
    node.at("shop").command(set("more", "v")).await.unwrap();
}

#[tokio::test]
async fn two_nodes_share_secrets_and_their_rotation() {
    let url = cluster::url();
    let (first, second) = (postgres(&url), postgres(&url));
    let (one, two) = (Node::new(&first, &[1]).await, Node::new(&second, &[1, 2]).await);
    one.at("shop").command(set("erp", "v1")).await.unwrap();
    assert_eq!(two.open("shop", "erp").await, Ok(Some("v1".to_owned())));
    two.at("shop").command(set("erp", "v2")).await.unwrap();
    assert_eq!(one.open("shop", "erp").await, Ok(Some("v2".to_owned())));
    assert_eq!(one.list("shop").await, two.list("shop").await);
    drop(one);
    // Both know the new key before one of them seals under it.
    let one = Node::new(&first, &[2, 1]).await;
    assert_eq!(one.rotate("shop").await, (1, 1));
    assert_eq!(two.open("shop", "erp").await, Ok(Some("v2".to_owned())));
    two.at("shop").command(SecretCommand::Remove { name: name("erp") }).await.unwrap();
    assert_eq!(one.open("shop", "erp").await, Ok(None));
    let gone = one.at("shop").command(SecretCommand::Remove { name: name("erp") }).await;
    assert_eq!(gone, Err(Error::NoSuchSecret("erp".to_owned())));
}
