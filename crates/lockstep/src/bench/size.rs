//! Memory and disk for each queued unit, and how soon a long queue is ready after a start.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use model::limits;
use store::{Sqlite, SqliteOptions};

use super::{
    figure::Figure,
    http::Place,
    inside::{Queue, start},
    load::Step,
    names::{Names, Order},
    plan::Plan,
    server::Server,
    wire::client,
};

/// What the figures stand under.
pub(super) const PART: &str = "a million queued units";
/// What the figures are called.
pub(super) const MEMORY: &str = "memory for a unit, memory store";
pub(super) const SQLITE: &str = "memory for a unit, SQLite store";
pub(super) const DISK: &str = "disk for a unit, SQLite store";
pub(super) const START: &str = "start to first claim";
pub(super) const COLD_START: &str = "start to first claim, database not in memory";

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    let all = [MEMORY, SQLITE, DISK, START, COLD_START];
    all.into_iter().any(|what| plan.wants(PART, what, None))
}

/// How long a dropped store may take to close its database.
const LET_GO_MAX: Duration = Duration::from_secs(10);

/// Measures all of it, and leaves a database with the units.
pub(super) fn measure(plan: &Plan, database: &Path) -> Result<Vec<Figure>> {
    let folder = database.parent().unwrap_or(Path::new("."));
    let mut figures = Vec::new();
    figures.extend(memory(plan, folder, "memory", MEMORY)?);
    figures.extend(memory(plan, folder, &format!("sqlite:{}", database.display()), SQLITE)?);
    let bytes: u64 = files(database).iter().map(|(_, length)| length).sum();
    figures.push(Figure::new(PART, DISK, bytes as f64 / plan.units as f64, "bytes"));
    forget(database)?;
    figures.push(Figure::new(PART, COLD_START, first_claim(database)?, "s"));
    let_go(database)?;
    figures.push(Figure::new(PART, START, first_claim(database)?, "s"));
    let_go(database)?;
    Ok(figures)
}

/// Takes the growth of a server between a quarter of the units and all of them, so that what the
/// server itself needs does not count.
fn memory(plan: &Plan, folder: &Path, store: &str, what: &str) -> Result<Option<Figure>> {
    let server = Server::start(store, folder)?;
    let runtime = client()?;
    let few = plan.units / 4;
    let (before, after) = runtime.block_on(async {
        let place = Place::make(server.address, "ordered", Order::Ordered).await?;
        let mut adder = place.adder(limits::BATCH_MAX).await?;
        add(&mut adder, few).await?;
        let before = server.memory();
        add(&mut adder, plan.units - few).await?;
        anyhow::Ok((before, server.memory()))
    })?;
    drop(runtime);
    server.stop()?;
    Ok(before.zip(after).map(|(before, after)| {
        let bytes = after.saturating_sub(before) as f64 / (plan.units - few) as f64;
        Figure::new(PART, what, bytes, "bytes")
    }))
}

async fn add(adder: &mut impl Step, units: u64) -> Result<()> {
    for _ in 0..units / limits::BATCH_MAX as u64 {
        adder.step().await?;
    }
    Ok(())
}

/// Gives the files of a database with their lengths.
fn files(database: &Path) -> Vec<(PathBuf, u64)> {
    let with = |end: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let files = [with(""), with("-wal")].into_iter();
    files.filter_map(|path| std::fs::metadata(&path).ok().map(|data| (path, data.len()))).collect()
}

/// Makes the system forget what it holds of a database in memory, as after a restart of the
/// machine, where it can be told to.
fn forget(database: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    for (path, _) in files(database) {
        let file = File::open(path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

/// Waits until a store that was dropped has closed its database, which it may do on its own thread.
fn let_go(database: &Path) -> Result<()> {
    let patience = Instant::now() + LET_GO_MAX;
    loop {
        match Sqlite::open(database, SqliteOptions::default()) {
            Err(model::Error::Unavailable(_)) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return Ok(opened.map(drop)?),
        }
    }
}

/// Opens a database, and gives the seconds until the first unit was claimed and finished.
fn first_claim(database: &Path) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let before = Instant::now();
    let store = Sqlite::open(database, SqliteOptions::default())?;
    let queue = Queue::of(start(Arc::new(store), &runtime), Names::new(Order::Ordered))?;
    let claimed = runtime.block_on(queue.worker(0, 1)?.step())?;
    let seconds = before.elapsed().as_secs_f64();
    ensure!(claimed == 1, "the queue is empty after a start");
    drop(queue);
    drop(runtime);
    Ok(seconds)
}
