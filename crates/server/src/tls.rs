//! TLS: certificates from files, which can be read again without losing a connection.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use model::{Error, Result, limits};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The first byte of whatever begins with a handshake.
const HANDSHAKE: u8 = 22;

/// Where the certificates of a server are, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Its certificate, and those that lead from it to an authority.
    pub cert: PathBuf,
    /// The key of its certificate.
    pub key: PathBuf,
    /// The authorities of which clients must show a certificate; none asks for no certificate.
    pub client_ca: Option<PathBuf>,
}

/// What a server needs to speak TLS.
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads certificates and key.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a file that cannot be read or holds something else, and for a key
    /// of another certificate.
    pub fn open(files: TlsFiles) -> Result<Arc<Self>> {
        let config = RwLock::new(read(&files)?);
        Ok(Arc::new(Self { files, config }))
    }

    /// Reads them again: connections that are open stay as they are, and new ones get what was
    /// read. What cannot be used changes nothing.
    ///
    /// # Errors
    /// The same as those of [`Self::open`].
    pub fn reload(&self) -> Result<()> {
        let config = read(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Takes a connection through its handshake.
    async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first != [HANDSHAKE] {
            let _best_effort = stream.try_write(PLAIN);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks no TLS"));
        }
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(Stream::Encrypted(Box::new(stream)))
    }
}

/// What somebody is told who has forgotten the `s` of `https`; others cannot read it.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 44\r\nConnection: close\r\n\r\nthis address speaks TLS: ask with https://\r\n";

/// Opens a connection as the server wants it, within the time that a client gets for that.
pub(crate) async fn open(tls: Option<&Tls>, stream: TcpStream) -> io::Result<Stream> {
    // What is sent is whole, so waiting for more to send only costs time.
    let _best_effort = stream.set_nodelay(true);
    let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
    let opened = timeout(limits::HANDSHAKE_MAX, tls.accept(stream)).await;
    opened.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "a slow handshake")))
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unusable("key", &files.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS cannot be set up: {error}")))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for one in certificates(file)? {
                roots.add(one).map_err(|error| unusable("certificate", file, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable("certificate", file, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let (cert, key) = (files.cert.display(), files.key.display());
        Error::bad_input(format!("the key in {key} does not go with {cert}: {error}"))
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |error| unusable("certificate", file, &error);
    let all = CertificateDer::pem_file_iter(file).map_err(wrong)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if all.is_empty() {
        return Err(unusable("certificate", file, &"there is none in it"));
    }
    Ok(all)
}

fn unusable(what: &str, file: &Path, why: &dyn std::fmt::Display) -> Error {
    let file = file.display();
    Error::bad_input(format!("no {what} can be read from {file}, which must be PEM: {why}"))
}

/// A connection with or without encryption.
pub(crate) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }
}

/// Hands a call on to the connection.
macro_rules! hand_on {
    ($stream:expr, $call:ident $(, $argument:expr)*) => {
        match $stream.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Stream::Encrypted(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        hand_on!(self, poll_read, context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        hand_on!(self, poll_write, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        hand_on!(self, poll_flush, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        hand_on!(self, poll_shutdown, context)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        hand_on!(self, poll_write_vectored, context, bytes)
    }
}
