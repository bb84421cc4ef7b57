//! The pool of children.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use flow::{
    expr::size,
    limits,
    run::{Answer, Ask},
};
use tokio::sync::Semaphore;

use super::child::Child;

/// How a pool starts its children, and what it lets them do.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// The program, which serves expressions when it is called with the arguments.
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<OsString>,
    /// The environment variables; it has no others.
    pub variables: Vec<(OsString, OsString)>,
    /// How many children there are at most.
    pub children_max: usize,
    /// How long one expression may take.
    pub deadline: Duration,
}

impl PoolOptions {
    /// Has this very program compute, which must know `__expr`.
    pub fn of_this_program() -> Self {
        // The file may have been replaced since this process began, and what runs is still there.
        let running = PathBuf::from("/proc/self/exe");
        let program =
            if running.exists() { running } else { std::env::current_exe().unwrap_or_default() };
        Self {
            program,
            arguments: vec!["__expr".into()],
            // The allocator of this program would take the whole address space at once.
            variables: vec![("MIMALLOC_ARENA_RESERVE".into(), "0".into())],
            children_max: std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)),
            deadline: Duration::from_secs(2),
        }
    }
}

/// A pool of children that compute; they are started when they are needed.
pub struct Pool {
    options: PoolOptions,
    places: Semaphore,
    idle: Mutex<Vec<Child>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolOptions::of_this_program())
    }
}

/// How often a child that does not even begin is started anew.
const STARTS_MAX: u32 = 3;

/// Bytes of the asks that are sent at once, so that a frame stays below its limit.
const BATCH_BYTES_MAX: usize = 2 * limits::VALUE_BYTES_MAX;

impl Pool {
    /// Makes a pool without any child yet.
    pub fn new(options: PoolOptions) -> Self {
        let places = Semaphore::new(options.children_max.max(1));
        Self { options, places, idle: Mutex::new(Vec::new()) }
    }

    /// Computes asks, and gives an answer to each in their order.
    pub async fn evaluate(&self, asks: Vec<Ask>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = asks.iter().map(too_large).collect();
        let Ok(_place) = self.places.acquire().await else { return Vec::new() };
        let mut child = self.take_idle();
        // How many are sent at once: all, or one after a child ended that may have had more answers
        // than it sent, to find out which one it was.
        let mut most = usize::MAX;
        while answers.iter().any(Option::is_none) {
            let mut ready = match child.take() {
                Some(child) => child,
                None => match self.start().await {
                    Ok(child) => child,
                    Err(error) => {
                        fail_all(&mut answers, &error);
                        break;
                    }
                },
            };
            let open = answers.iter().filter(|answer| answer.is_none()).count().min(most);
            match self.some(&mut ready, &asks, &mut answers, open).await {
                Ok(()) => child = Some(ready),
                Err(_) if open > 1 => most = 1,
                // A child that was used before may have ended for reasons of its own.
                Err(_) if ready.proven && most > 1 => {}
                Err(error) => {
                    metrics::counter!("lockstep_expression_children_lost_total").increment(1);
                    most = usize::MAX;
                    let open = answers.iter_mut().find(|answer| answer.is_none());
                    if let Some(open) = open {
                        *open = Some(Answer::Failed(self.reason(&error)));
                    }
                }
            }
        }
        if let Some(child) = child {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
        answers.into_iter().flatten().collect()
    }

    /// Sends as many open asks as fit, at most `most`, and takes their answers.
    async fn some(
        &self,
        child: &mut Child,
        asks: &[Ask],
        answers: &mut [Option<Answer>],
        most: usize,
    ) -> io::Result<()> {
        let mut bytes = 0;
        let mut batch = Vec::new();
        let mut places = Vec::new();
        for (place, (ask, answer)) in asks.iter().zip(answers.iter_mut()).enumerate() {
            if answer.is_none() {
                bytes += size(ask);
                let is_full = bytes > BATCH_BYTES_MAX && !batch.is_empty();
                if is_full || batch.len() == most {
                    break;
                }
                batch.push(ask);
                places.push(place);
            }
        }
        child.send(&batch, self.options.deadline).await?;
        for place in places {
            let answer = child.answer(self.options.deadline).await?;
            if let Some(open) = answers.get_mut(place) {
                *open = Some(answer);
            }
        }
        child.proven = true;
        Ok(())
    }

    fn take_idle(&self) -> Option<Child> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn start(&self) -> io::Result<Child> {
        let mut last = io::Error::other("the child was not started");
        for _ in 0..STARTS_MAX {
            match Child::start(&self.options).await {
                Ok(child) => return Ok(child),
                Err(error) => last = error,
            }
        }
        tracing::error!(program = %self.options.program.display(), error = %last,
            "no child computes expressions");
        Err(last)
    }

    fn reason(&self, error: &io::Error) -> String {
        if error.kind() == io::ErrorKind::TimedOut {
            return format!("it took longer than {:?}", self.options.deadline);
        }
        "it needed more memory, stack or processor time than an expression may have".to_owned()
    }
}

fn fail_all(answers: &mut [Option<Answer>], error: &io::Error) {
    for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
        *answer = Some(Answer::Failed(format!("no child could be started to compute it: {error}")));
    }
}

/// Refuses what no child is bothered with.
fn too_large(ask: &Ask) -> Option<Answer> {
    let (max, size) = (limits::VALUE_BYTES_MAX, size(ask));
    let message = || format!("it works on {size} bytes of data, more than {max}");
    (size > max).then(|| Answer::Failed(message()))
}
