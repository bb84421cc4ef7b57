//! A bound server, and a client that hides nothing.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use engine::{Engine, SystemClock};
use model::Backend;
use serde_json::Value;
use server::{Options, Rate, bind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

pub(crate) const V1: &str = "application/vnd.diffeo.coordinate.v1+json";

/// A server that stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) backend: Arc<dyn Backend>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Server {
    /// Starts a server that needs no tokens.
    pub(crate) fn start() -> Self {
        Self::with(true)
    }

    pub(crate) fn with(open: bool) -> Self {
        let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
        tokio::spawn(Arc::clone(&engine).run_due());
        Self::over(engine, open, Duration::from_secs(10))
    }

    /// Starts a server with a limit on requests, which the others do not have.
    pub(crate) fn limited(open: bool, rate: Rate) -> Self {
        let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
        let listen = "127.0.0.1:0".parse().unwrap();
        Self::of(Options { listen, open, rate, grace: Duration::ZERO }, engine)
    }

    pub(crate) fn over(backend: Arc<dyn Backend>, open: bool, grace: Duration) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        Self::of(Options { listen, open, rate: Rate::Unlimited, grace }, backend)
    }

    fn of(options: Options, backend: Arc<dyn Backend>) -> Self {
        let bound = bind(options, Arc::clone(&backend)).unwrap();
        Self::bound(bound, backend)
    }

    /// Starts a server that is bound already.
    pub(crate) fn bound(bound: server::Bound, backend: Arc<dyn Backend>) -> Self {
        let address = bound.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            bound.serve(async { drop(stopped.await) }).await.unwrap();
        });
        Self { address, backend, stop: Some(stop), served }
    }

    /// Tells the server to stop, and gives what becomes ready when it has.
    pub(crate) fn stop(mut self) -> JoinHandle<()> {
        drop(self.stop.take());
        self.served
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::new(self.address).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, request: Request) -> Reply {
        self.connect().await.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::new("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Request::new("DELETE", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Request::new("POST", path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Request::new("PUT", path).json(&body)).await
    }

    /// Sets a work spec in namespace `n`.
    pub(crate) async fn set_spec(&self, data: Value) {
        let reply = self.post("/namespace/n/work_spec", serde_json::json!({"data": data})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    /// Adds units without data to a spec of namespace `n`.
    pub(crate) async fn add_units(&self, spec: &str, names: &[&str]) {
        let units: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name})).collect();
        let path = format!("/namespace/n/work_spec/{spec}/work_unit");
        let reply = self.post(&path, serde_json::json!({"work_units": units})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    /// Claims up to so many units in namespace `n` for a worker.
    pub(crate) async fn claim(&self, worker: &str, count: u32) -> Vec<Value> {
        let path = format!("/namespace/n/worker/{worker}/request_attempts");
        let reply = self.post(&path, serde_json::json!({"number_of_work_units": count})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["attempts"].as_array().unwrap().clone()
    }
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.into(), path: path.into(), headers: vec![], body: vec![] }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !has("host") {
            write!(head, "Host: {address}\r\n").unwrap();
        }
        if !self.body.is_empty() && !has("transfer-encoding") && !has("content-length") {
            write!(head, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Gives the cookie of a name that the reply sets, as a browser sends it back.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let set = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"));
        let mut pairs = set.filter_map(|(_, value)| value.split(';').next());
        pairs.find(|pair| pair.split('=').next() == Some(name)).map(str::to_owned)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn revision(&self) -> u64 {
        self.header("lockstep-revision").unwrap().parse().unwrap()
    }

    /// Gives the ancestor's error code, checking that this is its envelope.
    pub(crate) fn error(&self) -> String {
        let envelope = self.json();
        assert!(envelope["message"].is_string(), "{self:?}");
        envelope["error"].as_str().unwrap().to_owned()
    }
}

/// One connection.
pub(crate) struct Client {
    address: SocketAddr,
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self { address, stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, request: Request) -> Reply {
        let bytes = request.bytes(self.address);
        // The server may answer and close before it has read a body that it refuses.
        let _refused = self.stream.write_all(&bytes).await;
        self.reply(request.method == "HEAD").await
    }

    /// Writes a request without waiting for its answer.
    pub(crate) async fn write(&mut self, request: &Request) {
        self.stream.write_all(&request.bytes(self.address)).await.unwrap();
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads until the server closes, and tells whether it sent anything.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        // A reset also closes.
        let _reset = self.stream.read_to_end(&mut rest).await;
        rest
    }

    /// Reads one reply.
    pub(crate) async fn reply(&mut self, head_only: bool) -> Reply {
        let head = self.until(b"\r\n\r\n").await;
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if head_only || matches!(status, 204 | 304) {
            return reply;
        }
        reply.body = match reply.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()).await,
            None if reply.header("transfer-encoding") == Some("chunked") => self.chunks().await,
            None => self.closed().await,
        };
        reply
    }

    /// Reads one event of a stream that has begun.
    pub(crate) async fn event(&mut self) -> String {
        let line = self.until(b"\r\n").await;
        let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim_end(), 16);
        let chunk = self.exactly(size.unwrap() + 2).await;
        String::from_utf8(chunk).unwrap().trim_end().to_owned() + "\n"
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await;
            let size = std::str::from_utf8(&line).unwrap().trim_end();
            let size = usize::from_str_radix(size, 16).unwrap();
            let chunk = self.exactly(size + 2).await;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return body;
            }
        }
    }

    async fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|w| w == mark) {
                return self.buffer.drain(..at + mark.len()).collect();
            }
            self.more().await;
        }
    }

    async fn exactly(&mut self, size: usize) -> Vec<u8> {
        while self.buffer.len() < size {
            self.more().await;
        }
        self.buffer.drain(..size).collect()
    }

    async fn more(&mut self) {
        let mut part = [0; 16 << 10];
        let size = self.stream.read(&mut part).await.unwrap();
        assert!(size > 0, "closed early: {:?}", String::from_utf8_lossy(&self.buffer));
        self.buffer.extend_from_slice(&part[..size]);
    }
}
