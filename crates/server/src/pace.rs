//! A connection that is closed when its client takes too long.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use model::limits;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::tls::Stream;

/// What a connection is doing, as its requests tell it, and since when.
#[derive(Clone)]
pub(crate) struct Phase {
    opened: Instant,
    /// The milliseconds since then, times [`KINDS`], plus the kind of phase.
    state: Arc<AtomicU64>,
}

/// Between requests.
const IDLE: u64 = 0;
/// Part of a request's headers has come, or a new connection is to send some.
const HEAD: u64 = 1;
/// A request is being answered, which has limits of its own.
const BUSY: u64 = 2;
const KINDS: u64 = 4;

impl Phase {
    /// Begins with a connection that is to send its first request.
    pub(crate) fn new() -> Self {
        Self { opened: Instant::now(), state: Arc::new(AtomicU64::new(HEAD)) }
    }

    /// Says that a request's headers are complete.
    pub(crate) fn begin(&self) {
        self.state.store(BUSY, Ordering::Relaxed);
    }

    /// Says that a request is answered.
    pub(crate) fn end(&self) {
        self.enter(IDLE);
    }

    /// Says that something has come from the client.
    fn heard(&self) {
        // While a request is being answered, what comes is its body or the next request.
        if self.kind() == IDLE {
            self.enter(HEAD);
        }
    }

    /// Says that the client took some of its answer, which may go on after its request ended.
    fn told(&self) {
        if self.kind() == IDLE {
            self.enter(IDLE);
        }
    }

    fn kind(&self) -> u64 {
        self.state.load(Ordering::Relaxed) % KINDS
    }

    fn enter(&self, kind: u64) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(0);
        self.state.store(since * KINDS + kind, Ordering::Relaxed);
    }

    /// Tells until when the client must send something.
    fn due(&self) -> Instant {
        let state = self.state.load(Ordering::Relaxed);
        let since = self.opened + Duration::from_millis(state / KINDS);
        match state % KINDS {
            HEAD => since + limits::HEADER_READ_MAX,
            IDLE => since + limits::IDLE_MAX,
            // Time to look again.
            _ => Instant::now() + limits::IDLE_MAX,
        }
    }
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] when the client is too slow to send its
/// headers, sends nothing for long, or does not take its answer.
pub(crate) struct Paced {
    stream: TokioIo<Stream>,
    phase: Phase,
    /// Since when a write waits for the client.
    stalled: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Paced {
    pub(crate) fn new(stream: Stream, phase: Phase) -> Self {
        let timer = Box::pin(sleep_until(phase.due()));
        Self { stream: TokioIo::new(stream), phase, stalled: None, timer }
    }

    /// Fails when the wait for the client's next bytes is over, and else sees to being woken.
    ///
    /// The timer is left alone while it fires early enough, for setting it costs more than
    /// looking at the clock when it has fired in vain.
    fn wait_to_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let due = self.phase.due();
            if Instant::now() >= due {
                return Poll::Ready(Err(too_slow()));
            }
            if self.timer.is_elapsed() || self.timer.deadline() > due {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Follows a write: one that waits may do so for a limited time.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            self.phase.told();
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        let due = since + limits::BODY_READ_MAX;
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(context).map(|()| Err(too_slow()))
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client takes too long")
}

impl Read for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.phase.heard();
            return read;
        }
        if self.stalled.is_some() { Poll::Pending } else { self.wait_to_read(context) }
    }
}

impl Write for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written, context)
    }
}
