//! https: whom the client trusts, and what it shows of itself.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use model::{Error, Result};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Whom a client trusts over https, and what it shows.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// PEM file with the authorities to trust, in place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate to show, and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Makes what opens connections. Files are read only where they are needed.
pub(crate) fn connector(
    is_https: bool,
    options: &TlsOptions,
    connect_max: Duration,
) -> Result<HttpsConnector<HttpConnector>> {
    let config = if is_https { config(options)? } else { config_of(RootCertStore::empty(), None)? };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_max));
    connector.enforce_http(false);
    let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    Ok(https.enable_http1().wrap_connector(connector))
}

fn config(options: &TlsOptions) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &options.ca_file {
        Some(file) => {
            for one in certificates(file)? {
                roots.add(one).map_err(|error| unusable("certificate", file, &error))?;
            }
        }
        None => {
            // Systems have certificates that nobody can use; what they lack shows on connecting.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    config_of(roots, options.identity.as_ref())
}

fn config_of(roots: RootCertStore, identity: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots);
    let Some((cert, key_file)) = identity else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| unusable("key", key_file, &error))?;
    builder.with_client_auth_cert(certificates(cert)?, key).map_err(|error| {
        let (cert, key) = (cert.display(), key_file.display());
        Error::bad_input(format!("the key in {key} does not go with {cert}: {error}"))
    })
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

fn unusable(what: &str, file: &Path, why: &dyn fmt::Display) -> Error {
    let file = file.display();
    Error::bad_input(format!("no {what} can be read from {file}, which must be PEM: {why}"))
}
