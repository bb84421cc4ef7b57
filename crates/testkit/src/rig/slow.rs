//! Slow clients: they take places without sending requests, and must not keep them.

use std::{
    fmt,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use super::http::Caller;

/// How often each slow client sends one more byte.
const DRIBBLE_EVERY: Duration = Duration::from_millis(100);
/// Ordinary requests between two bytes of the slow clients.
const ORDINARY: usize = 5;
/// Ordinary requests before there are slow clients, for comparison.
const ALONE: usize = 200;

/// What slow clients saw, and what an ordinary one saw meanwhile.
#[derive(Debug)]
pub struct SlowReport {
    /// Slow clients that were sent away.
    pub closed: usize,
    /// Slow clients that still had their place when the time was over.
    pub open: usize,
    /// When the first was sent away.
    pub first: Duration,
    /// When the last was sent away.
    pub last: Duration,
    /// Ordinary requests that were answered meanwhile.
    pub answered: usize,
    /// Ordinary requests that were not.
    pub failed: usize,
    /// The time in which 99 of 100 ordinary requests are answered without slow clients.
    pub alone: Duration,
    /// The same with them.
    pub beside: Duration,
}

impl fmt::Display for SlowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { closed, open, first, last, answered, failed, alone, beside } = self;
        write!(
            f,
            "{closed} slow clients sent away from {first:.1?} to {last:.1?}, {open} still there; \
             {answered} ordinary requests answered, {failed} not, 99 of 100 within {beside:.1?} \
             ({alone:.1?} alone)"
        )
    }
}

/// Opens slow connections and keeps them slow until all are closed or the time is over.
#[track_caller]
pub fn slow(address: SocketAddr, clients: usize, most: Duration) -> SlowReport {
    let mut ordinary = Ordinary::new(address);
    ordinary.ask(ALONE);
    let alone = ordinary.within();
    let begun = Instant::now();
    let mut slow: Vec<Dribbling> =
        (0..clients).map(|number| Dribbling::open(address, number)).collect();
    let mut ends = Vec::new();
    while !slow.is_empty() && begun.elapsed() < most {
        slow.retain_mut(|client| {
            let open = client.dribble();
            if !open {
                ends.push(begun.elapsed());
            }
            open
        });
        ordinary.ask(ORDINARY);
        thread::sleep(DRIBBLE_EVERY);
    }
    let answered = ordinary.times.len();
    SlowReport {
        closed: ends.len(),
        open: slow.len(),
        first: ends.first().copied().unwrap_or_default(),
        last: ends.last().copied().unwrap_or_default(),
        answered,
        failed: ordinary.failed,
        alone,
        beside: ordinary.within(),
    }
}

/// A client that never comes to the end of its headers.
struct Dribbling {
    stream: TcpStream,
    silent: bool,
}

/// What slow clients begin with: nothing at all, some of the headers, or a whole request and then
/// some of the next one.
const BEGINNINGS: [&str; 3] =
    ["", "GET /livez HTTP/1.1\r\nX-Slow: ", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /"];

impl Dribbling {
    #[track_caller]
    fn open(address: SocketAddr, number: usize) -> Self {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let beginning = BEGINNINGS.get(number % BEGINNINGS.len()).copied().unwrap_or_default();
        stream.write_all(beginning.as_bytes()).expect("a beginning");
        stream.set_nonblocking(true).expect("a socket that does not block");
        Self { stream, silent: beginning.is_empty() }
    }

    /// Sends one more byte, and tells whether the server still listens.
    fn dribble(&mut self) -> bool {
        let mut answer = [0; 1024];
        match self.stream.read(&mut answer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        self.silent || self.stream.write(b"x").is_ok()
    }
}

/// A client as there should be.
struct Ordinary {
    caller: Caller,
    times: Vec<Duration>,
    failed: usize,
}

impl Ordinary {
    fn new(address: SocketAddr) -> Self {
        let caller = Caller::new(address, Duration::from_secs(10));
        Self { caller, times: Vec::new(), failed: 0 }
    }

    fn ask(&mut self, count: usize) {
        for _ in 0..count {
            let since = Instant::now();
            match self.caller.get("/namespace") {
                Ok(answer) if answer.status == 200 => self.times.push(since.elapsed()),
                _ => self.failed += 1,
            }
        }
    }

    /// Gives the time within which 99 of 100 requests so far were answered, and forgets them.
    fn within(&mut self) -> Duration {
        let mut times = std::mem::take(&mut self.times);
        times.sort_unstable();
        times.get(times.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }
}
