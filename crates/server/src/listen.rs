//! Listening: the accept loop, its limits, and stopping in good order.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderValue, header::STRICT_TRANSPORT_SECURITY};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use model::{Backend, Error, Result, Tracer, limits};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::Service as _;

use crate::{
    app::{App, router},
    oidc::Oidc,
    outcome::Response,
    pace::{Paced, Phase},
    peers::PeerDoor,
    rate::Rate,
    rpc::{RpcBound, RpcOptions},
    tls::{self, Tls},
};

/// How often recorded times are folded into their histograms.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// How long to wait after an accept that failed, mostly for want of file descriptors.
pub(crate) const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What a server does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether callers need no token; allowed on loopback addresses only.
    pub open: bool,
    /// How many requests one caller may make.
    pub rate: Rate,
    /// How long requests in flight have to end once the server is told to stop.
    pub grace: Duration,
}

/// A server that listens but does not answer yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    grace: Duration,
    app: Arc<App>,
    rpc: Option<RpcBound>,
    tls: Option<Arc<Tls>>,
}

/// Takes the address.
///
/// # Errors
/// [`Error::Denied`] for an open server on an address that others can reach,
/// [`Error::Unavailable`] if the address cannot be taken, or without random numbers.
pub fn bind(options: Options, backend: Arc<dyn Backend>) -> Result<Bound> {
    let Options { listen, open, rate, grace } = options;
    if open && !listen.ip().is_loopback() {
        return Err(Error::Denied(format!(
            "{listen} can be reached by others, so callers need tokens there; listen on \
             127.0.0.1, or do not let callers in without tokens"
        )));
    }
    let taken = |error| Error::Unavailable(format!("cannot listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let app = App::new(backend, open.then_some(address.port()), rate)?;
    Ok(Bound { listener, address, grace, app, rpc: None, tls: None })
}

impl Bound {
    /// Gives the address that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Speaks nothing but TLS, for HTTP and CBOR-RPC alike.
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Takes an address for CBOR-RPC too.
    ///
    /// # Errors
    /// The same as those of [`bind`].
    pub fn with_rpc(mut self, options: RpcOptions) -> Result<Self> {
        self.rpc = Some(RpcBound::new(options, &self.app)?);
        Ok(self)
    }

    /// Sets who takes the spans of requests.
    #[must_use]
    pub fn trace_to(self, tracer: Arc<dyn Tracer>) -> Self {
        // Who has set it first has the say.
        let _first = self.app.tracer.set(tracer);
        self
    }

    /// Lets people sign in at an identity provider.
    #[must_use]
    pub fn sign_in_at(self, oidc: Oidc) -> Self {
        // Who has set it first has the say.
        let _first = self.app.oidc.set(oidc);
        self
    }

    /// Lets nodes of the same store pass writes on to this one.
    #[must_use]
    pub fn open_to_peers(self, door: PeerDoor) -> Self {
        // Who has set it first has the say.
        let _first = self.app.peers.set(door);
        self
    }

    /// Gives the address that was taken for CBOR-RPC.
    pub fn rpc_address(&self) -> Option<SocketAddr> {
        self.rpc.as_ref().map(|rpc| rpc.address)
    }

    /// Answers requests until told to stop, then ends in good order: `/readyz` says no, nothing
    /// more is accepted, requests that only wait end, and the others have their time to.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is no runtime for network access.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)
            .map_err(|error| Error::Unavailable(format!("cannot listen: {error}")))?;
        let (router, peers) = (router(&self.app), Peers::default());
        let mut connections = JoinSet::new();
        let mut rpc = JoinSet::new();
        if let Some(bound) = self.rpc {
            rpc.spawn(bound.serve(peers.clone(), self.tls.clone()));
        }
        let mut fold = tokio::time::interval(FOLD_EVERY);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => if let Some(place) = peers.admit(peer.ip()) {
                        let (app, tls) = (Arc::clone(&self.app), self.tls.clone());
                        let connection = serve(stream, tls, peer.ip(), router.clone(), app);
                        connections.spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    } else {
                        turn_away(&stream, self.tls.is_some());
                    },
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
                Some(_ended) = connections.join_next() => {}
                Some(ended) = rpc.join_next() => {
                    // It ends by itself only if it cannot begin.
                    ended.map_err(|error| Error::Internal(error.to_string()))??;
                }
                _ = fold.tick() => self.app.metrics.fold(),
            }
        }
        self.app.drain();
        drop(listener);
        let ended = async {
            while connections.join_next().await.is_some() {}
            while rpc.join_next().await.is_some() {}
        };
        if tokio::time::timeout(self.grace, ended).await.is_err() {
            tracing::warn!(left = connections.len(), "connections are cut off");
            connections.shutdown().await;
            rpc.shutdown().await;
        }
        Ok(())
    }
}

/// Where a request comes from, and how.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    pub(crate) is_encrypted: bool,
}

impl Peer {
    /// Gives that of a request; only one that did not come over the listener has none.
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        let none = Self { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), is_encrypted: false };
        extensions.get().copied().unwrap_or(none)
    }
}

/// What tells browsers to come back with TLS only.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Answers the requests of one connection.
async fn serve(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    ip: IpAddr,
    router: Router,
    app: Arc<App>,
) {
    let opened = tokio::select! {
        biased;
        opened = tls::open(tls.as_deref(), stream) => opened,
        () = app.drained() => return,
    };
    let stream = match opened {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, %ip, "a connection did not begin"),
    };
    let peer = Peer { ip, is_encrypted: stream.is_encrypted() };
    let phase = Phase::new();
    let paced = Paced::new(stream, phase.clone());
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        phase.begin();
        request.extensions_mut().insert(peer);
        let (mut router, phase) = (router.clone(), phase.clone());
        async move {
            let answered: Result<Response, Infallible> = router.call(request.map(Body::new)).await;
            phase.end();
            answered.map(|mut response| {
                if peer.is_encrypted {
                    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
                }
                response
            })
        }
    });
    // The pace of the stream takes the place of hyper's one limit for headers and idle time.
    let mut http1 = http1::Builder::new();
    http1.header_read_timeout(None);
    http1.max_header_size(limits::HEADER_BYTES_MAX).max_buf_size(limits::HEADER_BYTES_MAX);
    let mut connection = std::pin::pin!(http1.serve_connection(paced, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.drained() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Says to come back later, if that fits into the socket at once; before a handshake there is
/// nothing that could be said.
fn turn_away(stream: &TcpStream, is_encrypted: bool) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";
    if !is_encrypted {
        let _best_effort = stream.try_write(ANSWER);
    }
}

/// Counts connections, in all and by peer address.
#[derive(Clone)]
pub(crate) struct Peers {
    slots: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place, given back when dropped.
pub(crate) struct Admitted {
    _slot: OwnedSemaphorePermit,
    peer: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Default for Peers {
    fn default() -> Self {
        let slots = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
        Self { slots, by_address: Arc::default() }
    }
}

impl Peers {
    /// Gives a place to a connection, unless there are too many.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Admitted> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_default();
        if *count >= limits::CONNECTIONS_PER_PEER_MAX && !peer.is_loopback() {
            return None;
        }
        *count += 1;
        drop(counts);
        let by_address = Arc::clone(&self.by_address);
        Some(Admitted { _slot: slot, peer, by_address })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_cannot_take_all_places() {
        let peers = Peers::default();
        let stranger: IpAddr = "192.0.2.1".parse().unwrap();
        let mut places: Vec<_> =
            (0..limits::CONNECTIONS_PER_PEER_MAX).map(|_| peers.admit(stranger).unwrap()).collect();
        assert!(peers.admit(stranger).is_none());
        assert!(peers.admit("192.0.2.2".parse().unwrap()).is_some());
        places.pop();
        assert!(peers.admit(stranger).is_some());
        drop(places);
        assert!(peers.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn there_are_only_so_many_places() {
        let peers = Peers::default();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let places: Vec<_> = (0..limits::CONNECTIONS_MAX).map(|_| peers.admit(local)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(peers.admit(local).is_none());
    }
}
