//! The embedded store: one SQLite database, one thread that writes, and some that read.

mod backup;
mod checkpoint;
mod copy;
mod disk;
mod failure;
mod migrate;
mod open;
mod overlay;
mod reader;
mod texts;
mod writer;

use std::path::Path;
use std::sync::Arc;

use model::Result;

use crate::layout::{Layout, layouts};
use crate::side::Side;
use crate::{Job, Store};
pub use backup::{Present, Progress};
use checkpoint::{Checkpointer, Log};
pub(crate) use copy::not_empty;
use disk::Disk;
use overlay::Overlay;
use reader::Reader;
use writer::Writer;

/// How a SQLite store uses the machine.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Threads that read.
    pub readers: usize,
    /// KiB of pages that the writing connection keeps; each reader keeps a quarter.
    pub cache_kib: u32,
    /// Jobs that may wait, to write and to read each.
    pub jobs_max: usize,
    /// MiB that the database may have; what would need more is refused as on a full disk.
    pub size_mib_max: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 2, cache_kib: 32 << 10, jobs_max: 8_192, size_mib_max: None }
    }
}

/// A durable store in one file. Dropping it finishes what is queued.
pub struct Sqlite {
    reads: Side,
    writes: Side,
}

impl Sqlite {
    /// Opens the database at `path`, or makes it.
    ///
    /// # Errors
    /// If another process has it open, if it belongs to another program or to a newer Lockstep, or
    /// if it cannot be read and written.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        open::check_library()?;
        let lock = open::lock(path)?;
        let mut connection = open::writing(path, &options)?;
        migrate::migrate(&mut connection, path)?;
        let layouts: Arc<[Layout]> = layouts().into();
        let indexes = layouts.iter().map(|layout| open::indexes(&connection, layout));
        let mut writes = Side::new(options.jobs_max);
        let mut reads = Side::new(options.jobs_max);
        let writer = Writer {
            overlay: Overlay::new(indexes.collect::<Result<_>>()?),
            disk: Disk::new(connection, &layouts),
            layouts: Arc::clone(&layouts),
            inbox: Arc::clone(&writes.inbox),
            checkpointer: Checkpointer::start(open::writing(path, &options)?)?,
            log: Log::default(),
            lock,
        };
        for number in 1..=options.readers.max(1) {
            let connection = open::reading(path, options.cache_kib / 4)?;
            let disk = Disk::new(connection, &layouts);
            let inbox = Arc::clone(&reads.inbox);
            let reader = Reader { layouts: Arc::clone(&layouts), disk, inbox };
            reads.spawn(&format!("store-read-{number}"), || reader.run())?;
        }
        writes.spawn("store-write", || writer.run())?;
        Ok(Self { reads, writes })
    }
}

impl Store for Sqlite {
    fn write(&self, job: Box<dyn Job>) {
        self.writes.inbox.put(job);
    }

    fn read(&self, job: Box<dyn Job>) {
        self.reads.inbox.put(job);
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // The last connection to close empties the log into the database, so it must be the one
        // that can write.
        self.reads.close();
        self.writes.close();
    }
}
