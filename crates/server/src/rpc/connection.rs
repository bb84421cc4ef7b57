//! Connections: request after request, each answered before the next one is read.

use std::{net::IpAddr, sync::Arc, time::Instant};

use engine::Clock;
use model::{Backend, Data, Datum, Error, Result, limits};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::{
    args,
    frame::{read_head, read_payload},
    message::{self, Frame, Unreadable},
    methods,
    value::Value,
};
use crate::{
    app::App,
    endpoint::caught,
    rate::Rate,
    tls::{self, Stream, Tls},
};

/// Shows a token, which holds for what follows on the connection.
const AUTHENTICATE: &str = "authenticate";

/// What all connections share.
pub struct Rpc {
    app: Arc<App>,
    clock: Arc<dyn Clock>,
    /// What `get_config` gives.
    config: Option<Data>,
    /// Whether callers on this machine need no token.
    open: bool,
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Caller {
    peer: IpAddr,
    token: Option<String>,
}

impl Caller {
    pub(crate) fn new(peer: IpAddr) -> Self {
        Self { peer, token: None }
    }
}

impl Rpc {
    /// Answers calls of this process, which may do everything.
    ///
    /// # Errors
    /// [`model::Error::Unavailable`] if the system gives no random numbers.
    pub fn local(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>) -> model::Result<Arc<Self>> {
        let app = App::new(backend, Some(0), Rate::Unlimited)?;
        Ok(Arc::new(Self { app, clock, config: None, open: true }))
    }

    pub(crate) fn new(
        app: Arc<App>,
        clock: Arc<dyn Clock>,
        config: Option<Data>,
        open: bool,
    ) -> Arc<Self> {
        Arc::new(Self { app, clock, config, open })
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.app.backend
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn config(&self) -> Option<&Data> {
        self.config.as_ref()
    }

    /// Answers what was in one frame, with a frame.
    pub async fn answer(self: &Arc<Self>, payload: &[u8]) -> Vec<u8> {
        let mut caller = Caller::new(IpAddr::from([127, 0, 0, 1]));
        self.answer_to(&mut caller, payload).await.bytes().to_vec()
    }

    /// Answers what was in one frame. Nothing in it can do more harm than an error.
    async fn answer_to(self: &Arc<Self>, caller: &mut Caller, payload: &[u8]) -> Frame {
        let _in_flight = self.app.metrics.enter();
        let start = Instant::now();
        let request = match message::decode(payload) {
            Ok(request) => request,
            Err(Unreadable { id, error }) => {
                self.app.metrics.rpc_answered("unreadable", false, start.elapsed());
                return message::answer(id, &Err(error));
            }
        };
        let (id, method) = (request.id, request.method);
        let result = self.call(caller, &method, request.params).await;
        if let Err(error @ (Error::Internal(_) | Error::StorageFull(_))) = &result {
            tracing::warn!(%error, method, "a CBOR-RPC call failed");
        }
        let known = if method == AUTHENTICATE {
            AUTHENTICATE
        } else {
            methods::find(&method).map_or("unknown", |method| method.name)
        };
        self.app.metrics.rpc_answered(known, result.is_ok(), start.elapsed());
        message::answer(Some(id), &result)
    }

    async fn call(
        self: &Arc<Self>,
        caller: &mut Caller,
        method: &str,
        params: Vec<Datum>,
    ) -> Result<Value> {
        if method == AUTHENTICATE {
            return self.authenticate(caller, params).await;
        }
        // A token that is taken back holds no longer, so it is looked at each time.
        let open = self.open && caller.peer.is_loopback();
        let auth = &self.app.auth;
        let principal = auth.connected(caller.token.as_deref(), open, caller.peer).await?;
        let method = methods::find(method)?;
        caught(method.run(self, &principal, params)).await.unwrap_or_else(|| {
            tracing::error!(method = method.name, "a CBOR-RPC method panicked");
            Err(Error::Internal("a method panicked; see the server's log".to_owned()))
        })
    }

    async fn authenticate(&self, caller: &mut Caller, params: Vec<Datum>) -> Result<Value> {
        let [token] = <[Datum; 1]>::try_from(params).map_err(|_| methods::wrong_number())?;
        let token = args::text(token, "the token")?;
        self.app.auth.connected(Some(&token), false, caller.peer).await?;
        caller.token = Some(token);
        Ok(Value::bool(true).pair(None))
    }

    /// Serves a connection until its client closes it, sends what is no frame, is too slow, or
    /// the server stops.
    pub(crate) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        tls: Option<Arc<Tls>>,
        peer: IpAddr,
    ) {
        let opened = tokio::select! {
            biased;
            opened = tls::open(tls.as_deref(), stream) => opened,
            () = self.app.drained() => return,
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%error, %peer, "a connection did not begin"),
        };
        let mut stream = BufReader::with_capacity(16 << 10, stream);
        let mut caller = Caller::new(peer);
        let mut patience = limits::IDLE_MAX;
        loop {
            let more = tokio::select! {
                biased;
                () = self.app.drained() => return,
                more = timeout(patience, stream.fill_buf()) => more,
            };
            if !matches!(more, Ok(Ok(bytes)) if !bytes.is_empty()) {
                return;
            }
            let payload = match self.receive(&mut stream).await {
                Ok(payload) => payload,
                Err(error) => {
                    tracing::debug!(%error, %peer, "a CBOR-RPC connection is closed");
                    return;
                }
            };
            let answer = self.answer_to(&mut caller, &payload).await;
            drop(payload);
            let sent = async {
                stream.write_all(answer.bytes()).await?;
                stream.flush().await
            };
            if !matches!(timeout(limits::BODY_READ_MAX, sent).await, Ok(Ok(()))) {
                return;
            }
            // A worker keeps its connection while it works.
            patience = limits::RPC_IDLE_MAX;
        }
    }

    /// Reads a frame of which something has come.
    async fn receive(&self, reader: &mut BufReader<Stream>) -> Result<Vec<u8>> {
        let slow = |_| Error::bad_input("the message did not arrive in time");
        let length = timeout(limits::HEADER_READ_MAX, read_head(reader)).await.map_err(slow)??;
        timeout(limits::BODY_READ_MAX, read_payload(reader, length)).await.map_err(slow)?
    }
}
