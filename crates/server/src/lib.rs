//! What listens: HTTP/1.1, and CBOR-RPC for the ancestor's clients, over any [`model::Backend`].
//!
//! Everything that can be called stands in one table (`routes.rs`); the router, the OpenAPI
//! document, the API page and the authorization matrix are derived from it.

mod app;
mod auth;
mod authorized;
mod body;
mod call;
mod endpoint;
mod http;
mod listen;
mod listing;
mod metrics;
mod negotiate;
mod oidc;
mod openapi;
mod outcome;
mod pace;
mod page;
mod password;
mod peers;
mod problem;
mod query;
mod rate;
mod route;
mod routes;
mod rpc;
mod tls;
mod trace;
mod ui;
mod urls;
mod wire;

pub use authorized::Authorized;
pub use listen::{Bound, Options, bind};
pub use oidc::{Oidc, OidcOptions};
pub use openapi::openapi;
pub use password::hash_password;
pub use peers::PeerDoor;
pub use rate::Rate;
pub use route::{Guard, Place, Route};
pub use routes::ROUTES;
pub use rpc::{Rpc, RpcOptions, read_frame};
pub use tls::{Tls, TlsFiles};
