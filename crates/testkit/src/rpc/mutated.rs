//! Mutated frames: a seeded run of requests that are spoilt somewhere, on a real server.
//!
//! Whatever comes, a frame that is whole gets an answer of the right form, other connections do
//! not notice, nothing panics, and the memory that it took is given back.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{Caller, Strings, V, f, i, l, m, s, tu};
use crate::rig::{Local, Random, mutate, panics};

/// Of so many hundred frames the frame itself is spoilt, and not only what is in it.
const BROKEN_PERCENT: usize = 15;
/// Frames after which there may be little left to ask for.
const TEND_EVERY: usize = 200;
/// Frames after which memory is as large as usual.
const WARM: usize = 5_000;

/// What a run of mutated frames found.
#[derive(Debug, Default)]
pub struct MutatedReport {
    /// Answers with a result.
    pub done: usize,
    /// Answers with an error.
    pub refused: usize,
    /// Frames that ended their connection without an answer.
    pub unanswered: usize,
    /// Calls that another connection made meanwhile.
    pub undisturbed: u64,
    /// Panics on the server's threads.
    pub panics: u64,
    /// By how many bytes the process has grown since it was warm.
    pub grown: u64,
    /// What should not be.
    pub violations: Vec<String>,
}

impl fmt::Display for MutatedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, refused, unanswered, undisturbed, panics, grown, violations } = self;
        write!(f, "{done} done, {refused} refused, {unanswered} unanswered, {panics} panics, ")?;
        write!(f, "{undisturbed} calls beside, grown by {grown} bytes: ")?;
        write!(f, "{} violations", violations.len())?;
        violations.iter().take(10).try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Gives a request of every method, each with the arguments that it is meant to take.
pub fn samples() -> Vec<Vec<u8>> {
    let data = || m([("n", i(1)), ("x", f(0.5)), ("l", l([tu([]), V::Uuid([7; 16])]))]);
    let keys = || l([s("a"), s("b"), V::Bytes(vec![0, 255])]);
    let paths = || l([l([s("a"), s("b")]), tu([s("c"), i(1)])]);
    let status = |status| m([("status", i(status)), ("worker_id", s("w")), ("data", data())]);
    let spec = m([("name", s("spec")), ("then", s("next")), ("module", s("m")), ("nice", i(5))]);
    let control = [("status", i(1)), ("weight", i(7)), ("interval", f(0.5)), ("max_running", i(9))];
    let work = [("max_jobs", i(3)), ("lease_time", i(60)), ("work_spec_names", l([s("spec")]))];
    let units = [
        tu([s("a"), data(), m([("priority", i(2)), ("delay", i(0))]), i(1)]),
        l([s("b"), m([("output", l([s("o"), tu([s("p"), m([])])]))])]),
        V::Bytes(vec![0, 255]),
    ];
    let some = |extra| m([("work_unit_keys", keys()), extra]);
    let calls: [(&str, Vec<V>); 36] = [
        ("set_work_spec", vec![spec]),
        ("set_work_spec", vec![m([("name", s("next"))])]),
        ("get_work_spec", vec![s("spec")]),
        ("get_work_spec_meta", vec![s("spec")]),
        ("control_work_spec", vec![s("spec"), m(control)]),
        ("list_work_specs", vec![m([("start", s("a")), ("limit", i(2))])]),
        ("del_work_spec", vec![s("other")]),
        ("add_work_units", vec![s("spec"), l(units)]),
        ("get_work_units", vec![s("spec"), m([("state", l([i(1), i(3)])), ("limit", i(9))])]),
        ("get_work_units", vec![s("spec"), m([("work_unit_keys", keys())])]),
        ("get_work_unit_status", vec![s("spec"), keys()]),
        ("count_work_units", vec![s("spec")]),
        ("prioritize_work_units", vec![s("spec"), some(("priority", i(2)))]),
        ("prioritize_work_units", vec![s("spec"), some(("adjustment", f(0.5)))]),
        ("del_work_units", vec![s("spec"), some(("state", i(4)))]),
        ("del_work_units", vec![s("next"), m([("all", V::Bool(true))])]),
        ("update_work_unit", vec![s("spec"), s("a"), status(3)]),
        ("update_work_unit", vec![s("spec"), s("b"), status(4)]),
        ("update_work_unit", vec![s("spec"), s("b"), status(5)]),
        ("update_work_unit", vec![s("spec"), s("a"), m([("lease_time", i(9))])]),
        ("get_work", vec![s("w"), m([])]),
        ("get_work", vec![s("w"), m(work)]),
        ("worker_heartbeat", vec![s("w"), s("RUN"), i(900), data(), s("p")]),
        ("worker_unregister", vec![s("w")]),
        ("list_worker_modes", vec![]),
        ("mode_counts", vec![]),
        ("worker_stats", vec![]),
        ("get_worker_info", vec![s("w")]),
        ("get_child_work_units", vec![s("p")]),
        ("get_config", vec![]),
        ("lock", vec![s("o"), i(60), paths()]),
        ("locksome", vec![s("o"), i(0), paths()]),
        ("renew", vec![s("o"), i(60), paths()]),
        ("readlock", vec![paths()]),
        ("unlock", vec![s("o"), paths()]),
        ("authenticate", vec![s("lk_none_none")]),
    ];
    let payload = |(method, params): (&str, Vec<V>), strings| {
        m([("id", i(1)), ("method", s(method)), ("params", l(params))]).bytes(strings)
    };
    let both = |call: (&str, Vec<V>)| {
        [payload(call.clone(), Strings::Text), payload(call, Strings::Bytes)]
    };
    calls.into_iter().flat_map(both).collect()
}

/// Sends so many frames.
#[track_caller]
pub fn mutated(local: &Local, frames: usize, seed: u64) -> MutatedReport {
    let samples = samples();
    let mut random = Random::new(seed);
    let panics_before = panics();
    let stop = Arc::new(AtomicBool::new(false));
    let beside = beside(local.rpc, &stop);
    let mut run = Run { address: local.rpc, connection: None, report: MutatedReport::default() };
    let mut warm = resident();
    for number in 0..frames {
        if number % TEND_EVERY == 0 {
            run.tend(&samples);
        }
        if number == WARM {
            warm = resident();
        }
        run.one(&samples, &mut random);
    }
    run.tend(&samples);
    let mut report = run.report;
    stop.store(true, Ordering::SeqCst);
    match beside.join() {
        Ok(calls) => report.undisturbed = calls,
        Err(_panic) => report.violations.push("another connection was disturbed".to_owned()),
    }
    report.grown = resident().saturating_sub(warm);
    report.panics = panics() - panics_before;
    report
}

/// Calls on a connection of its own until told to stop; fails if anything goes wrong there.
fn beside(address: SocketAddr, stop: &Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut caller = Caller::open(address, Strings::Text);
        let mut calls = 0;
        while !stop.load(Ordering::SeqCst) {
            let spec = caller.call("get_work_spec_meta", [s("no such spec")]);
            assert_eq!(spec, Ok(l([V::Null, super::t("No such work spec no such spec")])));
            calls += 1;
        }
        calls
    })
}

/// Gives the bytes of memory that this process has.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes << 10)
}

/// Changes a request in one place, mostly in its parameters.
fn spoil_params(request: &mut V, random: &mut Random) {
    let V::Map(pairs) = request else { return };
    let params = pairs.iter_mut().find(|(key, _)| key.names("params"));
    match params {
        Some((_, params)) if random.percent(90) => spoil(params, random),
        _ => spoil(request, random),
    }
}

/// Changes a value in one place, so that it is CBOR still.
fn spoil(value: &mut V, random: &mut Random) {
    let inner = match value {
        V::List(items) | V::Tuple(items) if random.percent(80) => {
            let at = random.below(items.len());
            match items.get(at).cloned() {
                Some(item) if random.percent(10) => {
                    items.extend(std::iter::repeat_n(item, 1 + random.below(3)));
                    return;
                }
                Some(_) if random.percent(10) => {
                    items.remove(at);
                    return;
                }
                _ => items.get_mut(at),
            }
        }
        V::Map(pairs) if random.percent(90) => {
            let at = random.below(pairs.len());
            if random.percent(10) && !pairs.is_empty() {
                pairs.remove(at);
                return;
            }
            pairs.get_mut(at).map(|(_, value)| value)
        }
        _ => None,
    };
    match inner {
        Some(inner) => spoil(inner, random),
        None => *value = hostile(random),
    }
}

/// Makes a value that somebody may not have thought of.
fn hostile(random: &mut Random) -> V {
    const WHOLE: [i128; 12] = [
        0,
        1,
        -1,
        2,
        7,
        1_000,
        1_001,
        i32::MAX as i128 + 1,
        i64::MAX as i128,
        i64::MIN as i128,
        u64::MAX as i128,
        -1 - u64::MAX as i128,
    ];
    const FLOATS: [f64; 8] =
        [0.5, -0.0, -1.5, 1e18, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    match random.below(12) {
        0 => V::Null,
        1 => V::Bool(random.percent(50)),
        2 | 3 => V::Int(*random.pick(&WHOLE)),
        4 => V::Float(*random.pick(&FLOATS)),
        5 => V::Text(mutate::text(random)),
        6 => V::Bytes(mutate::text(random).into_bytes()),
        7 => l([]),
        8 => tu([s("a"), m([])]),
        9 => m([]),
        10 => V::Uuid([random.below(256) as u8; 16]),
        _ => (0..1 + random.below(140)).fold(i(1), |inner, _| l([inner])),
    }
}

struct Run {
    address: SocketAddr,
    connection: Option<Caller>,
    report: MutatedReport,
}

impl Run {
    fn caller(&mut self) -> Caller {
        let open = || Caller::open(self.address, Strings::Text);
        self.connection.take().unwrap_or_else(open)
    }

    /// Sees to it that there is something to ask for, which also shows that the server works.
    fn tend(&mut self, samples: &[Vec<u8>]) {
        let mut caller = self.caller();
        for sample in samples.iter().take(16) {
            let sent = caller.send(&Caller::wrap(sample));
            let answer = sent.and_then(|()| caller.receive());
            if !matches!(&answer, Ok((id, Ok(_))) if *id == i(1)) {
                let shown = sample.escape_ascii();
                self.report.violations.push(format!("{shown} gets {answer:?}"));
            }
        }
        self.connection = Some(caller);
    }

    fn one(&mut self, samples: &[Vec<u8>], random: &mut Random) {
        let mut payload = random.pick(samples).clone();
        if random.percent(BROKEN_PERCENT) {
            let mut frame = Caller::wrap(&payload);
            mutate::bytes(&mut frame, samples, random);
            self.broken(&frame);
            return;
        }
        if random.percent(50) {
            let mut value = V::read(&payload);
            (0..=random.below(2)).for_each(|_| spoil_params(&mut value, random));
            payload = value.bytes(Strings::Bytes);
        } else {
            (0..=random.below(3)).for_each(|_| mutate::bytes(&mut payload, samples, random));
        }
        let mut caller = self.caller();
        let answer = caller.send(&Caller::wrap(&payload)).and_then(|()| caller.receive());
        match answer {
            Ok((_, result)) => {
                self.count(&result);
                self.connection = Some(caller);
            }
            Err(error) => {
                let shown = payload.escape_ascii();
                self.report.violations.push(format!("{shown} gets no answer: {error}"));
            }
        }
    }

    /// Sends what may be no frame at all, and sees that the connection comes to its end.
    fn broken(&mut self, frame: &[u8]) {
        let mut caller = Caller::open(self.address, Strings::Text);
        // The server may have closed the connection before it has read everything.
        let _closed = caller.send(frame).and_then(|()| caller.end_sending());
        let mut answered = false;
        loop {
            match caller.receive() {
                Ok((_, result)) => {
                    self.count(&result);
                    answered = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let shown = frame.escape_ascii();
                    self.report.violations.push(format!("{shown} leaves a connection open"));
                    return;
                }
                Err(_ended) => break,
            }
        }
        self.report.unanswered += usize::from(!answered);
    }

    fn count(&mut self, result: &Result<V, String>) {
        match result {
            Ok(_) => self.report.done += 1,
            Err(message) => {
                self.report.refused += 1;
                if message.starts_with("internal error") {
                    self.report.violations.push(message.clone());
                }
            }
        }
    }
}
