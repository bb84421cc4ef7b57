//! Floor E: a bare HTTP server that gives back what it gets, with the same client.

use std::{convert::Infallible, io, net::SocketAddr, sync::mpsc};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::{
    disk::PART,
    figure::Figure,
    load::{Load, Step, drive},
    plan::{AT_ONCE, Plan},
    wire::{Connection, client},
};

/// What the figures are called.
const WHAT: &str = "E: bare HTTP echo";
const BODY: &[u8] = br#"{"name":"u000000000000000"}"#;

/// Measures requests a second, by number of connections.
pub(super) fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.spawn(listen(sender));
    let address = receiver.recv().context("the echo server did not start")?;
    let figures = AT_ONCE.into_iter().map(|at_once| {
        let load = client()?.block_on(load(address, at_once, plan))?;
        Ok(Figure { unit: "requests/s", ..Figure::of_load(PART, WHAT, at_once, &load) })
    });
    let figures = figures.collect();
    runtime.shutdown_background();
    figures
}

/// Finds the floor for some number of connections.
pub(super) fn at(figures: &[Figure], at_once: usize) -> Option<&Figure> {
    figures.iter().find(|figure| figure.at_once == Some(at_once))
}

async fn listen(sender: mpsc::SyncSender<SocketAddr>) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    // Somebody waits for this.
    let _heard = sender.send(listener.local_addr()?);
    loop {
        tokio::spawn(serve(listener.accept().await?.0));
    }
}

async fn serve(stream: TcpStream) {
    // Answers are written whole, so waiting for more to send only costs time.
    let _best_effort = stream.set_nodelay(true);
    let echo = service_fn(|request: Request<Incoming>| async {
        let body = request.into_body().collect().await.map(|body| body.to_bytes());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::new(body.unwrap_or_default())))
    });
    // The client ends the connection when it has measured enough.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), echo).await;
}

async fn load(address: SocketAddr, at_once: usize, plan: &Plan) -> Result<Load> {
    let mut callers = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        callers.push(Echo(Connection::open(address).await?));
    }
    drive(callers, plan.window).await
}

struct Echo(Connection);

impl Step for Echo {
    async fn step(&mut self) -> Result<u64> {
        let answer = self.0.post("/namespace/bench/work_spec/ordered/work_unit", BODY).await?;
        anyhow::ensure!(answer.body == BODY, "the echo server gave back something else");
        Ok(1)
    }
}
