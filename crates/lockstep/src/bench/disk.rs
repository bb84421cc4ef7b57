//! Floor F: one write of 8 KiB that reaches the disk.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{figure::Figure, load::millis_at};

/// What the floors stand under.
pub(super) const PART: &str = "floors";
/// What the write is called.
pub(super) const SYNC: &str = "F: write and fdatasync 8 KiB";

const SPAN: Duration = Duration::from_millis(300);
const PAGE: [u8; 8192] = [7; 8192];
/// The file is as long as a write-ahead log, and written over like one.
const PAGES: usize = 1_000;

/// Measures the milliseconds of one.
pub(super) fn measure(folder: &Path) -> Result<Figure> {
    let mut file = File::create(folder.join("sync"))?;
    for _ in 0..PAGES {
        file.write_all(&PAGE)?;
    }
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let (start, mut spans) = (Instant::now(), Vec::new());
    while start.elapsed() < SPAN && spans.len() < PAGES {
        let before = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        spans.push(before.elapsed().as_nanos() as u64);
    }
    spans.sort_unstable();
    let latency_ms = Some((millis_at(&spans, 0.5), millis_at(&spans, 0.99)));
    Ok(Figure { latency_ms, ..Figure::new(PART, SYNC, millis_at(&spans, 0.5), "ms") })
}
