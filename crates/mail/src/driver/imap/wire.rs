//! The bytes of one connection: lines and literals in, commands out, within limits and times.

use std::{fs, io, net::IpAddr, sync::Arc, time::Duration};

use model::{Error, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::{
    deflate::Deflated,
    settings::{ImapSettings, Limits, Security, Timeouts},
};

/// How much is read from the network at once.
const PIECE: usize = 64 << 10;
/// So many bytes of messages say how fast a connection is.
const SAMPLE_BYTES: u64 = 1 << 20;
/// Bytes a second below which compression saves time, although servers are slow at it.
const SLOW_BYTES_A_SECOND: f64 = 20e6;

/// Whatever carries bytes in both directions.
trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

/// One connection.
pub(super) struct Wire {
    pipe: Box<dyn Pipe>,
    input: Vec<u8>,
    at: usize,
    output: Vec<u8>,
    host: String,
    timeouts: Timeouts,
    line_bytes_max: usize,
    deflated: Option<Deflated>,
    /// Bytes of messages that came, and how long they were waited for.
    streamed: (u64, Duration),
    /// The number of bytes that came in and went out, of which the figures are made.
    pub(super) traffic: Traffic,
}

/// How much went over a connection, before encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the server.
    pub received: u64,
    /// Bytes to the server.
    pub sent: u64,
}

impl Wire {
    /// Connects, and encrypts at once if that is asked for.
    pub(super) async fn connect(settings: &ImapSettings) -> Result<Self> {
        let host = settings.host.as_str();
        let deadline = Instant::now() + settings.timeouts.connect;
        let stream = timeout_at(deadline, TcpStream::connect((host, settings.port)))
            .await
            .map_err(|_| unavailable(host, "does not answer to a connection in time"))?
            .map_err(|error| unavailable(host, &format!("cannot be reached: {error}")))?;
        let peer = stream.peer_addr().map_err(|error| unavailable(host, &error.to_string()))?;
        if settings.security == Security::Plain && !is_local(peer.ip()) {
            return Err(Error::bad_input(format!(
                "{host} is another machine, so the connection must be encrypted: use imaps:// or \
                 starttls"
            )));
        }
        stream.set_nodelay(true).map_err(|error| unavailable(host, &error.to_string()))?;
        let wire = Self::over(Box::new(stream), host, settings.timeouts, &settings.limits);
        if settings.security == Security::Tls { wire.encrypt(settings).await } else { Ok(wire) }
    }

    fn over(pipe: Box<dyn Pipe>, host: &str, timeouts: Timeouts, limits: &Limits) -> Self {
        Self {
            pipe,
            input: Vec::with_capacity(PIECE),
            at: 0,
            output: Vec::new(),
            host: host.to_owned(),
            timeouts,
            line_bytes_max: limits.line_bytes_max,
            deflated: None,
            streamed: (0, Duration::ZERO),
            traffic: Traffic::default(),
        }
    }

    /// Encrypts from here on; whatever came before that was not asked for is a forgery.
    pub(super) async fn encrypt(self, settings: &ImapSettings) -> Result<Self> {
        let host = self.host.as_str();
        if self.at < self.input.len() {
            return Err(Error::bad_input(format!(
                "{host} sent more than its answer before the encryption began, which someone on \
                 the way may have put there: nothing was sent to it"
            )));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::bad_input(format!("{host:?} cannot be the name of a server")))?;
        let connector = TlsConnector::from(Arc::new(tls(settings)?));
        let stream = timeout(self.timeouts.connect, connector.connect(name, self.pipe))
            .await
            .map_err(|_| unavailable(host, "does not encrypt the connection in time"))?
            .map_err(|error| unavailable(host, &format!("cannot encrypt: {error}")))?;
        Ok(Self::over(Box::new(stream), host, self.timeouts, &settings.limits))
    }

    /// Compresses from here on.
    pub(super) fn compress(&mut self) {
        self.deflated = Some(Deflated::new(self.input.split_off(self.at)));
    }

    /// Tells whether messages come so slowly that compression would save time.
    pub(super) fn is_slow(&self) -> bool {
        let (bytes, waited) = self.streamed;
        self.deflated.is_none()
            && bytes >= SAMPLE_BYTES
            && (bytes as f64) < SLOW_BYTES_A_SECOND * waited.as_secs_f64()
    }

    /// The name of the server, for messages.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Puts bytes behind those that wait to be sent.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Tells whether so much waits to be sent that it should be.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= PIECE
    }

    /// Sends all that waits.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let mut output = std::mem::take(&mut self.output);
        if let Some(deflated) = self.deflated.as_mut().filter(|_| !output.is_empty()) {
            let packed = deflated.pack(&output);
            output = packed.map_err(|error| unavailable(&self.host, &error.to_string()))?;
        }
        for piece in output.chunks(PIECE) {
            let sent = timeout(self.timeouts.silence, self.pipe.write_all(piece)).await;
            self.told(sent, "takes nothing any more")?;
            self.traffic.sent += piece.len() as u64;
        }
        let flushed = timeout(self.timeouts.silence, self.pipe.flush()).await;
        self.told(flushed, "takes nothing any more")?;
        self.output = output;
        self.output.clear();
        self.output.shrink_to(PIECE * 2);
        Ok(())
    }

    /// Reads a line, and gives it without its end.
    pub(super) async fn line(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let deadline = Instant::now() + self.timeouts.line;
        loop {
            let ready = self.ready();
            let end = memchr::memchr(b'\n', ready);
            let taken = end.map_or(ready.len(), |end| end + 1);
            if into.len() + taken > self.line_bytes_max {
                return Err(Error::too_large(
                    &format!("a line from {}", self.host),
                    into.len() + taken,
                    self.line_bytes_max,
                ));
            }
            into.extend_from_slice(ready.get(..taken).unwrap_or_default());
            self.at += taken;
            if end.is_some() {
                into.pop();
                into.pop_if(|byte| *byte == b'\r');
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(unavailable(&self.host, "does not end a line in time"));
            }
            self.fill(self.timeouts.silence).await?;
        }
    }

    /// Gives up to so many bytes of what comes next, at least one.
    pub(super) async fn piece(&mut self, bytes_max: u64) -> Result<&[u8]> {
        if self.at == self.input.len() {
            let asked = Instant::now();
            self.fill(self.timeouts.silence).await?;
            self.streamed.0 += self.input.len() as u64;
            self.streamed.1 += asked.elapsed();
        }
        let start = self.at;
        let left = self.input.len() - start;
        let taken = usize::try_from(bytes_max).map_or(left, |max| max.min(left));
        self.at += taken;
        Ok(self.input.get(start..start + taken).unwrap_or_default())
    }

    /// Waits until something arrives, and tells whether it did in that time.
    pub(super) async fn arrives(&mut self, within: Duration) -> Result<bool> {
        if self.at < self.input.len() {
            return Ok(true);
        }
        match self.read(within).await {
            None => Ok(false),
            Some(read) => self.took(read).map(|()| true),
        }
    }

    fn ready(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    async fn fill(&mut self, within: Duration) -> Result<()> {
        match self.read(within).await {
            None => Err(unavailable(&self.host, "has been silent for too long")),
            Some(read) => self.took(read),
        }
    }

    /// Reads once; nothing is lost if this is given up.
    async fn read(&mut self, within: Duration) -> Option<io::Result<usize>> {
        self.input.clear();
        self.at = 0;
        let deadline = Instant::now() + within;
        loop {
            let packed = match &mut self.deflated {
                None => &mut self.input,
                Some(deflated) => match deflated.unpack(&mut self.input) {
                    Ok(0) => &mut deflated.packed,
                    unpacked => return Some(unpacked),
                },
            };
            let read = timeout_at(deadline, self.pipe.read_buf(packed)).await.ok()?;
            if let Ok(count) = &read {
                self.traffic.received += *count as u64;
            }
            // What is compressed must still be unpacked.
            if self.deflated.is_none() || !matches!(read, Ok(1..)) {
                return Some(read);
            }
        }
    }

    fn took(&mut self, read: io::Result<usize>) -> Result<()> {
        match read {
            Ok(0) => Err(unavailable(&self.host, "closed the connection")),
            Ok(_) => Ok(()),
            Err(error) => Err(unavailable(&self.host, &format!("was lost: {error}"))),
        }
    }

    fn told<E>(&self, sent: Result<io::Result<()>, E>, late: &str) -> Result<()> {
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable(&self.host, &format!("was lost: {error}"))),
            Err(_) => Err(unavailable(&self.host, late)),
        }
    }
}

fn unavailable(host: &str, why: &str) -> Error {
    Error::Unavailable(format!("mail server {host} {why}"))
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Makes the rules of encryption: which authorities to trust.
fn tls(settings: &ImapSettings) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &settings.ca_file {
        let problem = |why: String| Error::bad_input(format!("{}: {why}", file.display()));
        let pem = fs::read(file).map_err(|error| problem(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| problem(error.to_string()))?;
            roots.add(certificate).map_err(|error| problem(error.to_string()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(Error::bad_input(
            "there is no certificate to trust a mail server by: install ca-certificates, or name \
             a file",
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS versions: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
