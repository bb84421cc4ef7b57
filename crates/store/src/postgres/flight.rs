//! A group on its way to the disk, while the next one runs.
//!
//! There is never more than one. The revision that a group leaves is told by its number: if it came
//! to nothing because another node committed that very number first, the check of a group that was
//! sent behind it would find what it assumes, although it ran on something else.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join, ready};

use super::failure::Outcome;
use super::flush::write;
use super::group::Ran;
use super::known::Difference;
use super::link::{DatabaseTime, Link};
use super::part::Bytes;
use crate::layout::Layout;

/// A group that was sent, in one statement that is a transaction of its own.
pub(crate) struct Flight {
    ran: Ran,
    sent: Instant,
    written: LocalBoxFuture<'static, Written>,
}

/// What became of a group.
pub(crate) struct Landed {
    pub(crate) ran: Ran,
    /// How long it took.
    pub(crate) took: Duration,
    pub(crate) written: Written,
}

/// What became of what a group changed, and of the namespaces that it took to be as they were.
pub(crate) struct Written {
    pub(crate) outcome: Outcome<()>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) assumed: Vec<(Bytes, i64)>,
}

impl Flight {
    /// Sends a group. It only moves on while somebody waits, for this or for something else.
    pub(crate) async fn launch(
        link: &Rc<Link>,
        layouts: &'static [Layout],
        time: &Arc<DatabaseTime>,
        (differences, assumed): (Vec<Difference>, Vec<(Bytes, i64)>),
        ran: Ran,
    ) -> Self {
        let (link, time) = (Rc::clone(link), Arc::clone(time));
        let mut written = async move {
            let written = write(&link, layouts, &differences, &assumed);
            let (outcome, asked) = join(written, link.ask_time(&time)).await;
            Written { outcome: outcome.and(asked), differences, assumed }
        }
        .boxed_local();
        if let Some(at_once) = (&mut written).now_or_never() {
            written = ready(at_once).boxed_local();
        }
        // Now the connection puts it onto the wire.
        tokio::task::yield_now().await;
        Self { ran, sent: Instant::now(), written }
    }

    /// Counts the jobs.
    pub(crate) fn len(&self) -> usize {
        self.ran.len()
    }

    /// Waits until it is known what became of it; to be asked no more after that.
    pub(crate) async fn land(&mut self) -> Landed {
        let written = (&mut self.written).await;
        Landed { ran: std::mem::take(&mut self.ran), took: self.sent.elapsed(), written }
    }
}
