//! The thread that writes.

use std::{
    collections::VecDeque,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rusqlite::{Connection, Statement, params};
use store::{Sqlite, SqliteOptions};
use tokio::sync::oneshot;

/// More than there are callers, so that handing an errand in never waits.
const WAITING_MAX: usize = 1_024;
/// How long those who were answered together get to come again together.
const GATHER_MAX: Duration = Duration::from_micros(500);
/// Bodies as long as those of the real rows with names of this length.
const UNIT_BODY: [u8; 15] = [1; 15];
const ATTEMPT_BODY: [u8; 64] = [1; 64];

/// Something to write.
pub(super) enum Errand {
    /// Adds units.
    Add(Vec<String>),
    /// Takes so many units.
    Claim(usize),
    /// Finishes what was taken.
    Finish(Vec<Taken>),
}

/// A unit that is worked on.
pub(super) struct Taken {
    name: String,
    unit: i64,
    attempt: i64,
}

type Order = (Errand, oneshot::Sender<Vec<Taken>>);

/// A database with one thread that writes.
pub(super) struct Raw {
    /// Gone when the thread is to end.
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Raw {
    /// Makes an empty database with the tables of the store.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("raw.db");
        drop(Sqlite::open(&path, SqliteOptions::default())?);
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -(32 << 10))?;
        let (sender, orders) = sync_channel(WAITING_MAX);
        let thread = thread::spawn(move || run(&connection, &orders));
        Ok(Self { orders: Some(sender), thread: Some(thread) })
    }

    /// Has something written, and waits until it is on disk.
    pub(super) async fn run(&self, errand: Errand) -> Result<Vec<Taken>> {
        let (reply, answer) = oneshot::channel();
        let orders = self.orders.as_ref().context("the database is closed")?;
        orders.send((errand, reply)).ok().context("the writing thread has failed")?;
        answer.await.context("the writing thread has failed")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.orders = None;
        // What went wrong in the thread was seen by those who waited for it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Writes what waits as one group, and again.
fn run(connection: &Connection, orders: &Receiver<Order>) -> Result<()> {
    let mut writer = Writer::new(connection)?;
    let mut expected = 1;
    loop {
        let group = gather(orders, expected);
        if group.is_empty() {
            return Ok(());
        }
        expected = group.len().div_ceil(2);
        let mut done = Vec::with_capacity(group.len());
        writer.begin.execute([])?;
        for (errand, reply) in group {
            done.push((writer.write(errand)?, reply));
        }
        writer.commit.execute([])?;
        for (taken, reply) in done {
            // A caller that has measured enough needs no answer.
            let _gone = reply.send(taken);
        }
    }
}

/// Waits for an order, and for a moment until as many came as are expected; none are left at the
/// end.
fn gather(orders: &Receiver<Order>, expected: usize) -> Vec<Order> {
    let mut group: Vec<Order> = orders.recv().into_iter().collect();
    let start = Instant::now();
    loop {
        group.extend(orders.try_iter().take(WAITING_MAX));
        if group.is_empty() || group.len() >= expected || start.elapsed() >= GATHER_MAX {
            return group;
        }
        thread::yield_now();
    }
}

struct Writer<'c> {
    ready: VecDeque<(String, i64)>,
    last_id: i64,
    begin: Statement<'c>,
    commit: Statement<'c>,
    add: Statement<'c>,
    take: Statement<'c>,
    attempt: Statement<'c>,
    end: Statement<'c>,
    finish: Statement<'c>,
}

impl<'c> Writer<'c> {
    fn new(connection: &'c Connection) -> Result<Self> {
        let prepare = |text| connection.prepare(text);
        Ok(Self {
            ready: VecDeque::new(),
            last_id: 0,
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            add: prepare(
                "INSERT INTO unit (namespace, spec, name, id, state, ready, due, since, body) \
                 VALUES (1, 1, ?1, ?2, 0, 0.0, NULL, ?2, ?3)",
            )?,
            take: prepare(
                "UPDATE unit SET state = 1, ready = NULL, since = NULL, body = ?2 \
                 WHERE namespace = 1 AND spec = 1 AND name = ?1",
            )?,
            attempt: prepare(
                "INSERT INTO attempt (namespace, unit, id, worker, busy, due, body) \
                 VALUES (1, ?1, ?2, 1, 1, 1, ?3)",
            )?,
            end: prepare(
                "UPDATE attempt SET busy = NULL, due = NULL, body = ?3 \
                 WHERE namespace = 1 AND unit = ?1 AND id = ?2",
            )?,
            finish: prepare(
                "UPDATE unit SET state = NULL, body = ?2 \
                 WHERE namespace = 1 AND spec = 1 AND name = ?1",
            )?,
        })
    }

    fn write(&mut self, errand: Errand) -> Result<Vec<Taken>> {
        match errand {
            Errand::Add(names) => self.add(names),
            Errand::Claim(count) => self.claim(count),
            Errand::Finish(taken) => self.finish(&taken),
        }
    }

    fn add(&mut self, mut names: Vec<String>) -> Result<Vec<Taken>> {
        // Neighbours share pages.
        names.sort_unstable();
        for name in names {
            self.last_id += 1;
            self.add.execute(params![name.as_bytes(), self.last_id, UNIT_BODY])?;
            self.ready.push_back((name, self.last_id));
        }
        Ok(Vec::new())
    }

    fn claim(&mut self, count: usize) -> Result<Vec<Taken>> {
        let mut all = Vec::with_capacity(count);
        for (name, unit) in self.ready.drain(..count.min(self.ready.len())) {
            self.last_id += 1;
            self.take.execute(params![name.as_bytes(), UNIT_BODY])?;
            self.attempt.execute(params![unit, self.last_id, ATTEMPT_BODY])?;
            all.push(Taken { name, unit, attempt: self.last_id });
        }
        Ok(all)
    }

    fn finish(&mut self, all: &[Taken]) -> Result<Vec<Taken>> {
        for taken in all {
            self.end.execute(params![taken.unit, taken.attempt, ATTEMPT_BODY])?;
            self.finish.execute(params![taken.name.as_bytes(), UNIT_BODY])?;
        }
        Ok(Vec::new())
    }
}
