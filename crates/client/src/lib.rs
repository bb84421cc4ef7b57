//! Talking to Lockstep from Rust: handles, workers, and the [`Remote`] backend.
//!
//! A worker is a few lines:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use client::{Lockstep, Remote, RemoteOptions, model::Namespace};
//! use client::worker::{Outcome, Worker, WorkerOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> client::model::Result<()> {
//! let server = Remote::new("http://127.0.0.1:5980", RemoteOptions::standard())?;
//! let lockstep = Lockstep::new(Arc::new(server), Namespace::empty());
//! Worker::new(lockstep, WorkerOptions::standard())
//!     .task("greet", |task| async move {
//!         println!("hello, {}", task.unit());
//!         Ok(Outcome::Finish(None))
//!     })
//!     .run(tokio::signal::ctrl_c())
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything here is one [`model::Backend`] and names: the same code works against a server
//! ([`Remote`]) and in the process of the engine itself.

pub mod exec;
mod handle;
mod random;
mod remote;
mod reply;
mod tls;
pub mod worker;

pub use handle::{AttemptHandle, BlobUpload, Lockstep, SpecHandle, UnitHandle, WorkerHandle};
pub use model;
pub use remote::{Keys, Parcel, Passed, Remote, RemoteOptions};
pub use tls::TlsOptions;
