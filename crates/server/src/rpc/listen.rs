//! Listening for CBOR-RPC beside HTTP, in the same server.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use engine::Clock;
use model::{Data, Error, Result};
use tokio::task::JoinSet;

use super::connection::Rpc;
use crate::{
    app::App,
    listen::{ACCEPT_AGAIN, Peers},
    tls::Tls,
};

/// How to listen for CBOR-RPC.
pub struct RpcOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether callers need no token; allowed on loopback addresses only.
    pub open: bool,
    /// The clock that the backend goes by.
    pub clock: Arc<dyn Clock>,
    /// What `get_config` gives.
    pub config: Option<Data>,
}

/// An address that is taken, and what answers there.
pub(crate) struct RpcBound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    rpc: Arc<Rpc>,
}

impl RpcBound {
    /// Takes the address.
    pub(crate) fn new(options: RpcOptions, app: &Arc<App>) -> Result<Self> {
        let RpcOptions { listen, open, clock, config } = options;
        if open && !listen.ip().is_loopback() {
            return Err(Error::Denied(format!(
                "{listen} can be reached by others, so callers need tokens there; listen for \
                 CBOR-RPC on 127.0.0.1, or do not let callers in without tokens"
            )));
        }
        let taken =
            |error| Error::Unavailable(format!("cannot listen for CBOR-RPC on {listen}: {error}"));
        let listener = TcpListener::bind(listen).map_err(taken)?;
        listener.set_nonblocking(true).map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let rpc = Rpc::new(Arc::clone(app), clock, config, open);
        Ok(Self { listener, address, rpc })
    }

    /// Serves connections until the server is told to stop and the last of them has ended.
    pub(crate) async fn serve(self, peers: Peers, tls: Option<Arc<Tls>>) -> Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)
            .map_err(|error| Error::Unavailable(format!("cannot listen: {error}")))?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.rpc.app().drained() => break,
                accepted = listener.accept() => match accepted {
                    // Whoever finds no place is cut off, for nothing was asked that could be
                    // answered.
                    Ok((stream, peer)) => if let Some(place) = peers.admit(peer.ip()) {
                        let rpc = Arc::clone(&self.rpc);
                        let connection = rpc.serve(stream, tls.clone(), peer.ip());
                        connections.spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    },
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
                Some(_ended) = connections.join_next() => {}
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}
