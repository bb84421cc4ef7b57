//! The child process in which expressions run.

use std::{
    io::{self, BufWriter, Read, Write},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Known, compute, frame};
use crate::run::{Answer, Ask};

/// The stack on which the child computes, for expressions that go deep for good reasons.
const STACK_BYTES: usize = 64 << 20;

/// How long answers may wait for others to be sent with.
const HELD_MAX: Duration = Duration::from_millis(1);

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
/// An ask that exceeds the limits ends this process, and answers of the last moment with it.
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

fn answer_all(mut input: impl Read, output: impl Write, limits: Limits) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    output.write_all(&frame::GREETING)?;
    output.flush()?;
    let (mut known, mut allowed) = (Known::default(), 0);
    while let Some(bytes) = frame::read(&mut input)? {
        let asks: Vec<Ask> = serde_json::from_slice(&bytes)?;
        allow_processor_time(limits.processor_seconds, &mut allowed)?;
        let mut sent = Instant::now();
        for ask in &asks {
            if sent.elapsed() > HELD_MAX {
                output.flush()?;
                allow_processor_time(limits.processor_seconds, &mut allowed)?;
                sent = Instant::now();
            }
            let answer: Answer = compute(ask, &mut known);
            frame::write(&mut output, &serde_json::to_vec(&answer)?)?;
        }
        output.flush()?;
    }
    Ok(())
}

/// Moves the limit of processor time, which counts from the start of the process.
fn allow_processor_time(seconds: u64, allowed: &mut u64) -> io::Result<()> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let limit = u64::try_from(used.tv_sec).unwrap_or_default() + 1 + seconds;
    if *allowed != limit {
        setrlimit(Resource::Cpu, Rlimit { current: Some(limit), maximum: None })?;
        *allowed = limit;
    }
    Ok(())
}
