//! A store in which one operation goes wrong, whichever is wanted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use model::{Error, Result, Time};
use store::{Doc, Job, Key, Range, Store, Table, Tx, Value};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An operation fails.
    Error,
    /// An operation panics.
    Panic,
    /// From an operation on, nothing works any more: the process has died.
    Stop,
    /// A commit happens, and its caller is told that nobody knows.
    Lost,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Error, Self::Panic, Self::Stop, Self::Lost];
}

/// Which operation goes wrong.
pub(crate) struct Plan {
    fault: Fault,
    left: AtomicU64,
    has_struck: AtomicBool,
}

impl Plan {
    /// Lets the operation with this number, from 1 on, go wrong.
    pub(crate) fn new(fault: Fault, number: u64) -> Arc<Self> {
        let (left, has_struck) = (AtomicU64::new(number), AtomicBool::new(false));
        Arc::new(Self { fault, left, has_struck })
    }

    pub(crate) fn has_struck(&self) -> bool {
        self.has_struck.load(Ordering::SeqCst)
    }

    /// Counts an operation; tells whether it is the one.
    fn strikes(&self) -> bool {
        let before =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if before == Ok(1) {
            self.has_struck.store(true, Ordering::SeqCst);
        }
        before == Ok(1) || (self.fault == Fault::Stop && self.has_struck())
    }

    fn operation(&self) -> Result<()> {
        if self.fault == Fault::Lost || !self.strikes() {
            return Ok(());
        }
        assert!(self.fault != Fault::Panic, "a panic that the test wants");
        Err(Error::Unavailable("a fault that the test wants".to_owned()))
    }
}

/// A store with a plan.
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) plan: Arc<Plan>,
}

impl Store for Faulty {
    fn write(&self, job: Box<dyn Job>) {
        let plan = Arc::clone(&self.plan);
        self.inner.write(Box::new(FaultyJob { job, plan, is_write: true }));
    }

    fn read(&self, job: Box<dyn Job>) {
        let plan = Arc::clone(&self.plan);
        self.inner.read(Box::new(FaultyJob { job, plan, is_write: false }));
    }

    fn now(&self) -> Option<Time> {
        self.inner.now()
    }
}

struct FaultyJob {
    job: Box<dyn Job>,
    plan: Arc<Plan>,
    is_write: bool,
}

impl Job for FaultyJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.job.run(&mut FaultyTx { tx, plan: &self.plan })
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Self { job, plan, is_write } = *self;
        let is_lost = plan.fault == Fault::Lost && is_write && outcome.is_ok() && plan.strikes();
        let lost = || Err(Error::Unavailable("the answer was lost".to_owned()));
        job.done(if is_lost { lost() } else { outcome });
    }
}

struct FaultyTx<'t> {
    tx: &'t mut dyn Tx,
    plan: &'t Plan,
}

impl Tx for FaultyTx<'_> {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        self.plan.operation()?;
        self.tx.load(table, keys)
    }

    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.plan.operation()?;
        self.tx.save(table, docs)
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.plan.operation()?;
        self.tx.insert(table, docs)
    }

    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()> {
        self.plan.operation()?;
        self.tx.remove(table, keys)
    }

    fn scan(
        &mut self,
        table: &'static Table,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Doc>> {
        self.plan.operation()?;
        self.tx.scan(table, index, range, limit)
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        self.plan.operation()?;
        self.tx.first(table, index)
    }
}
