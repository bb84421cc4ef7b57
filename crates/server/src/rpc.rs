//! CBOR-RPC: what the ancestor's Python client speaks, method by method, over the same backend.

mod args;
mod connection;
mod frame;
mod listen;
mod lock;
mod message;
mod methods;
mod other;
mod spec;
mod unit;
mod update;
mod value;
mod work;
mod worker;

pub use connection::Rpc;
pub use frame::read_frame;
pub(crate) use listen::RpcBound;
pub use listen::RpcOptions;
