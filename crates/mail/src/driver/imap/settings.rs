//! How a connection to an IMAP server is made, and what a server may not exceed.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use model::{BoxFuture, Result};
use serde::{Deserialize, Serialize};

/// What is needed to open one connection.
#[derive(Clone, Debug)]
pub struct ImapSettings {
    /// The name or address of the server.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is kept from being read by others.
    pub security: Security,
    /// Who logs in.
    pub user: String,
    /// How the user proves it.
    pub login: Login,
    /// A file with certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Extensions that are not used although the server offers them, in capitals.
    pub without: Vec<String>,
    /// Whether everything that would change the account is refused.
    pub read_only: bool,
    /// When the connection is compressed, if the server can do that.
    pub compress: Compressing,
    /// How long to wait for a server.
    pub timeouts: Timeouts,
    /// What a server may send.
    pub limits: Limits,
}

/// How a connection is kept from being read by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Encryption from the first byte on.
    Tls,
    /// A connection that must be encrypted before anything is said, or fails.
    StartTls,
    /// None at all, which is only possible on this machine.
    Plain,
}

/// When a connection is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compressing {
    /// Never.
    Never,
    /// Once it has shown that it is so slow that compression saves time.
    #[default]
    Slow,
    /// From the log-in on.
    Always,
}

/// How a user proves who it is.
#[derive(Clone, Debug)]
pub enum Login {
    /// A password, sent with PLAIN where it is offered and with LOGIN otherwise.
    Password(Secret),
    /// An access token, sent with OAUTHBEARER where it is offered and with XOAUTH2 otherwise.
    Token(Secret),
    /// Access tokens, each asked for when a connection needs one.
    Fresh(Arc<dyn Tokens>),
}

/// What gives access tokens that are valid now.
pub trait Tokens: fmt::Debug + Send + Sync {
    /// Gives one.
    fn token(&self) -> BoxFuture<'_, Result<Secret>>;
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How long to wait for a server.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the connection stands, with its encryption.
    pub connect: Duration,
    /// Until the next bytes arrive, or have been taken.
    pub silence: Duration,
    /// Until one line is complete.
    pub line: Duration,
    /// After which waiting for changes is begun anew, so that no one takes the connection for dead.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            silence: Duration::from_mins(2),
            line: Duration::from_mins(5),
            idle: Duration::from_mins(24),
        }
    }
}

/// What a server may send, so that none can fill the memory or the disk.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The length of a line: a list of all numbers of a folder is one.
    pub line_bytes_max: usize,
    /// The length of a literal that is no message, such as a folder name or a few header lines.
    pub literal_bytes_max: u64,
    /// The number of literals in one response.
    pub literals_max: usize,
    /// The length of a message.
    pub message_bytes_max: u64,
    /// How deep lists may stand in lists.
    pub depth_max: usize,
    /// The number of folders.
    pub folders_max: usize,
    /// The number of messages in a folder.
    pub messages_max: u64,
    /// The number of responses to one command.
    pub replies_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 16 << 20,
            literal_bytes_max: 1 << 20,
            literals_max: 64,
            message_bytes_max: 4 << 30,
            depth_max: 32,
            folders_max: 100_000,
            messages_max: 10_000_000,
            replies_max: 20_000_000,
        }
    }
}
