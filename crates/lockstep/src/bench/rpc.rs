//! `lockstep bench rpc`: CBOR-RPC beside the same work over REST, in the same run.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result, ensure};
use model::limits;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    Plan, Report,
    figure::{Figure, medians},
    http::Place,
    load::{Load, Step, drive},
    machine,
    names::{Names, Order},
    server::Server,
    wire::{self, client},
};
use crate::output::Output;

/// What the figures stand under.
const PART: &str = "over CBOR-RPC, SQLite store";
const REST_PART: &str = "the same over REST, SQLite store";
const AT_ONCE: [usize; 3] = [1, 8, 32];
const BATCHES: [usize; 2] = [1, 100];
/// Units a second that the server is not expected to exceed, so that the queue does not run dry.
const UNITS_MAX: u64 = 40_000;

/// Measures everything below a folder, whose disk is the one that is measured.
pub(crate) fn run(plan: &Plan, folder: &Path, out: Output) -> Result<Report> {
    if cfg!(debug_assertions) {
        out.note("this is a debug build: its figures say nothing, measure one made with --release");
    }
    let machine = machine::facts();
    let mut runs = Vec::with_capacity(plan.runs);
    for number in 1..=plan.runs {
        out.note(format!("run {number} of {}", plan.runs));
        let folder = tempfile::tempdir_in(folder)?;
        runs.push(one_run(plan, folder.path())?);
    }
    Ok(Report { machine, plan: plan.clone(), figures: medians(&runs), targets: Vec::new() })
}

/// Measures each thing over REST and then over CBOR-RPC, so that both have the same machine.
fn one_run(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let store = format!("sqlite:{}", folder.join("rpc.db").display());
    let server = Server::start(&store, folder)?;
    let runtime = client()?;
    let mut figures = Vec::new();
    for batch in BATCHES {
        for at_once in AT_ONCE {
            let what = format!("get_work + update_work_unit by {batch}");
            if !plan.wants(PART, &what, Some(at_once)) {
                continue;
            }
            let units = plan.units_for(UNITS_MAX, at_once, batch);
            let rest = runtime.block_on(over_rest(plan, server.address, at_once, batch, units))?;
            let rpc = runtime.block_on(over_rpc(plan, server.rpc, at_once, batch, units))?;
            let rest = figure(REST_PART, &format!("claim + finish by {batch}"), at_once, &rest);
            let rpc = figure(PART, &what, at_once, &rpc).bounded("R", Some(&rest));
            figures.extend([rest, rpc]);
        }
    }
    drop(runtime);
    server.stop()?;
    figures.sort_by_key(|figure| figure.part != REST_PART);
    Ok(figures)
}

/// Makes a figure of requests, which are what is counted here.
fn figure(part: &'static str, what: &str, at_once: usize, load: &Load) -> Figure {
    Figure { unit: "requests/s", ..Figure::of_load(part, what, at_once, load) }
}

async fn over_rest(
    plan: &Plan,
    address: SocketAddr,
    at_once: usize,
    batch: usize,
    units: u64,
) -> Result<Load> {
    let place = Place::make(address, "rest", Order::Ordered).await?;
    place.fill(units).await?;
    let mut callers = Vec::with_capacity(at_once);
    for number in 0..at_once {
        let connection = wire::Connection::open(address).await?;
        let name = format!("w{number}");
        callers.push(RestWorker { connection, name, batch, held: Vec::new() });
    }
    drive(callers, plan.window).await
}

async fn over_rpc(
    plan: &Plan,
    address: SocketAddr,
    at_once: usize,
    batch: usize,
    units: u64,
) -> Result<Load> {
    let mut adder = Connection::open(address).await?;
    adder.call("set_work_spec", b"\x81\xa1\x44name\x43rpc").await?;
    adder.fill(units).await?;
    let mut callers = Vec::with_capacity(at_once);
    for number in 0..at_once {
        let connection = Connection::open(address).await?;
        callers.push(Worker { connection, name: format!("w{number}"), batch, held: Vec::new() });
    }
    let load = drive(callers, plan.window).await?;
    adder.call("clear", b"\x80").await?;
    Ok(load)
}

/// An attempt, as far as a worker needs it.
#[derive(Deserialize)]
struct Given {
    finish_url: String,
}

/// The answer to a claim.
#[derive(Deserialize)]
struct Claimed {
    attempts: Vec<Given>,
}

/// Claims units and finishes each, with one request in a step.
struct RestWorker {
    connection: wire::Connection,
    name: String,
    batch: usize,
    held: Vec<Given>,
}

impl Step for RestWorker {
    async fn step(&mut self) -> Result<u64> {
        if let Some(given) = self.held.pop() {
            self.connection.post(&given.finish_url, b"{}").await?.expect(204)?;
            return Ok(1);
        }
        let path = format!("/namespace/bench/worker/{}/request_attempts", self.name);
        let batch = self.batch;
        let body = format!(r#"{{"work_specs":["rest"],"number_of_work_units":{batch}}}"#);
        let answer = self.connection.post(&path, body.as_bytes()).await?.expect(200)?;
        self.held = serde_json::from_slice::<Claimed>(answer.body)?.attempts;
        Ok(u64::from(!self.held.is_empty()))
    }
}

/// A connection that speaks as much CBOR-RPC as is measured: requests are bytes put together, and
/// answers are looked at where they matter.
struct Connection {
    stream: TcpStream,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, sent: Vec::new(), received: Vec::new() })
    }

    /// Calls a method with parameters that are CBOR already, and gives the answer's CBOR.
    async fn call(&mut self, method: &str, params: &[u8]) -> Result<&[u8]> {
        let mut payload = b"\xa3\x42id\x01\x46method".to_vec();
        string(0x40, method.as_bytes(), &mut payload);
        payload.extend(b"\x46params");
        payload.extend_from_slice(params);
        self.sent.clear();
        self.sent.extend(b"\xd8\x18");
        string(0x40, &payload, &mut self.sent);
        self.stream.write_all(&self.sent).await?;
        let mut head = [0; 3];
        self.stream.read_exact(&mut head).await?;
        let length = match head {
            [0xd8, 0x18, short @ 0x40..0x58] => usize::from(short - 0x40),
            [0xd8, 0x18, 0x58] => usize::from(self.stream.read_u8().await?),
            [0xd8, 0x18, 0x59] => usize::from(self.stream.read_u16().await?),
            [0xd8, 0x18, 0x5a] => self.stream.read_u32().await? as usize,
            other => anyhow::bail!("{other:x?} begins no answer"),
        };
        self.received.resize(length, 0);
        self.stream.read_exact(&mut self.received).await?;
        let result = self.received.strip_prefix(b"\xa2\x42id\x01\x46result");
        result.with_context(|| format!("{method}: {}", self.received.escape_ascii()))
    }

    async fn fill(&mut self, units: u64) -> Result<()> {
        let names = Names::new(Order::Ordered);
        for _ in 0..units.div_ceil(limits::BATCH_MAX as u64) {
            let mut units = vec![0x82, 0x43, b'r', b'p', b'c', 0x99];
            units.extend((limits::BATCH_MAX as u16).to_be_bytes());
            let mut name = String::new();
            for number in names.take(limits::BATCH_MAX) {
                name.clear();
                names.write(number, &mut name);
                string(0x40, name.as_bytes(), &mut units);
            }
            self.call("add_work_units", &units).await?;
        }
        Ok(())
    }
}

/// Appends a string with its length.
fn string(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        short @ 0..24 => out.push(major | short as u8),
        byte @ 24..0x100 => out.extend([major | 24, byte as u8]),
        short @ 0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend((short as u16).to_be_bytes());
        }
        long => {
            out.push(major | 26);
            out.extend((long as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// Gets units and finishes each, with one request in a step.
struct Worker {
    connection: Connection,
    name: String,
    batch: usize,
    held: Vec<Vec<u8>>,
}

impl Step for Worker {
    async fn step(&mut self) -> Result<u64> {
        if let Some(key) = self.held.pop() {
            let mut params = b"\x83\x43rpc".to_vec();
            string(0x40, &key, &mut params);
            params.extend(b"\xa1\x46status\x04");
            let result = self.connection.call("update_work_unit", &params).await?;
            ensure!(result == b"\x82\xf5\xf6", "a unit could not be finished");
            return Ok(1);
        }
        let mut params = vec![0x82];
        string(0x40, self.name.as_bytes(), &mut params);
        params.extend(b"\xa1\x48max_jobs\x18");
        params.push(self.batch as u8);
        self.held = keys(self.connection.call("get_work", &params).await?)?;
        Ok(u64::from(!self.held.is_empty()))
    }
}

/// Takes the keys from the answer to `get_work`: all units are of one spec and have no data.
fn keys(answer: &[u8]) -> Result<Vec<Vec<u8>>> {
    const UNIT: &[u8] = b"\xd8\x80\x83\x63rpc";
    let mut keys = Vec::new();
    let mut rest = answer;
    while let Some(at) = rest.windows(UNIT.len()).position(|bytes| bytes == UNIT) {
        rest = rest.get(at + UNIT.len()..).unwrap_or_default();
        let (head, tail) = rest.split_first().context("no key")?;
        let length = usize::from(head & 0x1f);
        ensure!(*head >> 5 == 2 && length < 24, "a key of another form");
        keys.push(tail.get(..length).context("no key")?.to_vec());
        rest = tail.get(length..).unwrap_or_default();
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found() {
        let one = b"\x82\xd8\x80\x83\x63rpc\x42ab\xa0\xf6";
        assert_eq!(keys(one).unwrap(), [b"ab"]);
        let two = b"\x82\x82\xd8\x80\x83\x63rpc\x41a\xa0\xd8\x80\x83\x63rpc\x41b\xa0\xf6";
        assert_eq!(keys(two).unwrap(), [b"a", b"b"]);
        let none = b"\x82\xd8\x80\x83\xf6\xf6\xf6\xf6";
        assert!(keys(none).unwrap().is_empty());
    }
}
