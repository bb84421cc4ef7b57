//! Where a PostgreSQL store is: an address with a few parameters of our own.

use std::fmt;
use std::fs;
use std::future::poll_fn;
use std::str::FromStr as _;
use std::sync::Arc;

use model::{Error, Result};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::Outcome;
use super::link::refused;

/// The schema of the tables, unless the address names another.
const SCHEMA: &str = "lockstep";

/// The address of a database, without its password where it is shown.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    schema: String,
    tls: Option<MakeRustlsConnect>,
    shown: String,
}

impl Address {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…`, with these parameters of our own
    /// beside those of libpq: `schema`, `password_file`, `sslrootcert`, and `sslmode` as below.
    ///
    /// With TLS the server's certificate and name are always verified (libpq's `verify-full`). TLS
    /// is the default for servers that are reached through a network, as opposed to loopback.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (url, own) = split(url)?;
        let mut config = Config::from_str(&url).map_err(|error| {
            Error::BadInput(format!(
                "the address of the PostgreSQL store cannot be read: {}; write \
                 postgres://USER@HOST:PORT/DATABASE",
                super::failure::causes(&error)
            ))
        })?;
        let schema = own.schema.unwrap_or_else(|| SCHEMA.to_owned());
        check_schema(&schema)?;
        if config.get_password().is_none() {
            config.password(password(own.password_file.as_deref())?);
        }
        let tls = match own.sslmode.as_deref() {
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            None | Some("allow" | "prefer") => !is_near(&config),
            Some(other) => {
                return Err(Error::BadInput(format!(
                    "sslmode={other} is not known; write disable or verify-full"
                )));
            }
        };
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        config.keepalives_idle(std::time::Duration::from_secs(10));
        config.tcp_user_timeout(std::time::Duration::from_secs(20));
        let shown = shown(&config);
        let tls = if tls { Some(connector(own.sslrootcert.as_deref())?) } else { None };
        Ok(Self { config, schema, tls, shown })
    }

    /// Gives the schema of the tables: a name that needs no quotes.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Connects; the connection is driven by the runtime that this runs on.
    pub(crate) async fn connect(&self, what: &str) -> Outcome<Client> {
        self.connect_hearing(what, |_| {}).await
    }

    /// Does the same, and calls `heard` for each notification with the process that sent it.
    pub(crate) async fn connect_hearing(
        &self,
        what: &str,
        heard: impl Fn(i32) + Send + 'static,
    ) -> Outcome<Client> {
        let mut config = self.config.clone();
        config.application_name(format!("lockstep {what}"));
        let client = match &self.tls {
            Some(tls) => config.connect(tls.clone()).await.map(|it| driven(it, heard)),
            None => config.connect(NoTls).await.map(|it| driven(it, heard)),
        };
        client.map_err(|error| refused(self, &error))
    }
}

/// Lets the runtime drive a connection for as long as it lasts.
fn driven<S, T>(
    (client, mut connection): (Client, Connection<S, T>),
    heard: impl Fn(i32) + Send + 'static,
) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    drop(tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notification(note)) => heard(note.process_id()),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }));
    client
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL at {}", self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("at", &self.shown).field("schema", &self.schema).finish()
    }
}

#[derive(Default)]
struct Own {
    schema: Option<String>,
    password_file: Option<String>,
    sslrootcert: Option<String>,
    sslmode: Option<String>,
}

/// Takes our own parameters out of an address.
fn split(url: &str) -> Result<(String, Own)> {
    let mut own = Own::default();
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), own)) };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "schema" => &mut own.schema,
            "password_file" => &mut own.password_file,
            "sslrootcert" => &mut own.sslrootcert,
            "sslmode" => &mut own.sslmode,
            _ => {
                rest.push(pair);
                continue;
            }
        };
        *place = Some(decoded(value)?);
    }
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    Ok((format!("{base}{query}"), own))
}

fn decoded(value: &str) -> Result<String> {
    let text = percent_encoding::percent_decode_str(value).decode_utf8();
    text.map(|text| text.into_owned())
        .map_err(|_| Error::bad_input("a parameter of the store's address is not UTF-8"))
}

fn check_schema(schema: &str) -> Result<()> {
    let mut bytes = schema.bytes();
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let starts = bytes.next().is_some_and(is_first);
    if starts && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit()) && schema.len() <= 63 {
        return Ok(());
    }
    Err(Error::BadInput(format!(
        "{schema:?} cannot be the schema; use at most 63 lower case letters, digits and underscores"
    )))
}

/// Gives the password from a file or from the environment; some servers need none.
fn password(file: Option<&str>) -> Result<String> {
    let Some(file) = file else {
        return Ok(std::env::var("PGPASSWORD").unwrap_or_default());
    };
    let text = fs::read_to_string(file).map_err(|error| {
        Error::BadInput(format!("the password file {file} cannot be read: {error}"))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn is_near(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    })
}

fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let port = if ports.is_empty() { "5432".to_owned() } else { ports.join(",") };
    format!("{}:{port}/{database}", hosts.join(","))
}

fn connector(roots: Option<&str>) -> Result<MakeRustlsConnect> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(file) => {
            let unreadable = |error: String| {
                Error::BadInput(format!("the certificates in {file} cannot be read: {error}"))
            };
            let all = CertificateDer::pem_file_iter(file).map_err(|e| unreadable(e.to_string()))?;
            for one in all {
                let one = one.map_err(|error| unreadable(error.to_string()))?;
                store.add(one).map_err(|error| unreadable(error.to_string()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    #[test]
    fn a_password_is_never_shown() {
        let address = parsed("postgres://me:s3cret@db.example:6000/work?sslmode=disable");
        assert_eq!(address.to_string(), "PostgreSQL at db.example:6000/work");
        assert!(!format!("{address:?}").contains("s3cret"));
        assert_eq!(address.config.get_password(), Some(&b"s3cret"[..]));
    }

    #[test]
    fn a_password_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret\n").unwrap();
        let url = format!("postgres://me@127.0.0.1/work?password_file={}", file.path().display());
        assert_eq!(parsed(&url).config.get_password(), Some(&b"s3cret"[..]));
    }

    #[test]
    fn a_network_needs_tls_and_loopback_does_not() {
        assert!(parsed("postgres://me@db.example/work").tls.is_some());
        assert!(parsed("postgres://me@db.example/work?sslmode=disable").tls.is_none());
        assert!(parsed("postgres://me@localhost/work").tls.is_none());
        assert!(parsed("postgres://me@127.0.0.1/work?sslmode=verify-full").tls.is_some());
        assert!(parsed("postgres:///work?host=/run/postgresql").tls.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for url in [
            "postgres://me@host:port/work",
            "postgres://me@localhost/work?sslmode=maybe",
            "postgres://me@localhost/work?schema=a-b",
            "postgres://me@localhost/work?schema=1a",
            "postgres://me@localhost/work?colour=red",
            "postgres://me@localhost/work?password_file=/nowhere/at/all",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, Error::BadInput(_)), "{url}: {error}");
        }
    }
}
