//! Mail on an IMAP server: one session per driver, with every extension that saves time, and
//! correct without each of them.
//!
//! Folder names are as the server writes them, in modified UTF-7, with `/` between their parts.

mod append;
mod change;
mod command;
mod connection;
mod decode;
mod deflate;
mod fetch;
mod folders;
mod list;
mod login;
mod operations;
pub mod reply;
mod session;
mod settings;
mod uids;
mod watch;
mod wire;

pub use connection::{ImapDriver, ImapStore};
pub use decode::decode;
pub use folders::folder_name;
pub use settings::{Compressing, ImapSettings, Limits, Login, Secret, Security, Timeouts, Tokens};
pub use uids::Uids;
pub use wire::Traffic;
