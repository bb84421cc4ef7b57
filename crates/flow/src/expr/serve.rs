//! The child process in which expressions run.

use std::io::{self, Read, Write};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Known, compute, frame};
use crate::run::{Answer, Ask};

/// The stack on which the child computes, for expressions that go deep for good reasons.
const STACK_BYTES: usize = 64 << 20;

/// What the child may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory, counted as address space.
    pub memory_bytes: u64,
    /// Seconds of processor time for one ask.
    pub processor_seconds: u64,
}

/// Says [`frame::GREETING`], then answers batches of asks until the input ends: one frame with a
/// list of asks comes in, and one frame for each answer goes out.
///
/// An ask that exceeds the limits ends this process; all answers before it have gone out by then.
pub fn serve(input: impl Read + Send, output: impl Write + Send, limits: Limits) -> io::Result<()> {
    let memory = Rlimit { current: Some(limits.memory_bytes), maximum: Some(limits.memory_bytes) };
    setrlimit(Resource::As, memory)?;
    // A process that is ended for its limits leaves no image of its memory behind.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, move || answer_all(input, output, limits))?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the evaluator has failed")))
    })
}

fn answer_all(mut input: impl Read, mut output: impl Write, limits: Limits) -> io::Result<()> {
    output.write_all(&frame::GREETING)?;
    output.flush()?;
    let mut known = Known::default();
    while let Some(bytes) = frame::read(&mut input)? {
        let asks: Vec<Ask> = serde_json::from_slice(&bytes)?;
        for ask in &asks {
            allow_processor_time(limits.processor_seconds)?;
            let answer: Answer = compute(ask, &mut known);
            frame::write(&mut output, &serde_json::to_vec(&answer)?)?;
        }
    }
    Ok(())
}

/// Moves the limit of processor time, which counts from the start of the process.
fn allow_processor_time(seconds: u64) -> io::Result<()> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let used = u64::try_from(used.tv_sec).unwrap_or_default();
    let limit = Rlimit { current: Some(used + 1 + seconds), maximum: None };
    setrlimit(Resource::Cpu, limit)?;
    Ok(())
}
