//! TLS: certificates that the test makes, good and bad clients, and certificates that change.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use crate::support::{Said, Server, lockstep, run};

/// An authority, and where its files are.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    name: &'static str,
}

impl Authority {
    fn new(folder: &Path, name: &'static str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder: folder.to_owned(), name }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// Writes a certificate and its key.
    fn issue(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let pair = Pair::at(&self.folder, name);
        fs::write(&pair.cert, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}

/// The files of a certificate and its key.
struct Pair {
    cert: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn at(folder: &Path, name: &str) -> Self {
        let [cert, key] = ["pem", "key"].map(|end| folder.join(format!("{name}.{end}")));
        Self { cert, key }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Starts a server with a certificate, and perhaps an authority for clients.
fn start(pair: &Pair, client_ca: Option<&Authority>) -> Server {
    let home = tempfile::tempdir().unwrap();
    let ca = client_ca.map(Authority::file);
    let mut args = vec!["--store", "memory", "--tls-cert", text(&pair.cert)];
    args.extend(["--tls-key", text(&pair.key)]);
    args.extend(ca.iter().flat_map(|file| ["--tls-client-ca", text(file)]));
    Server::start_with(home, &args)
}

fn command(server: &Server, trusted: &Authority) -> Command {
    let mut command = server.command();
    command.env("LOCKSTEP_CA_FILE", trusted.file());
    command
}

fn list(mut command: Command) -> Said {
    run(&mut command, &["namespace", "list", "--json"])
}

/// Begins a connection as a client that trusts an authority.
fn connect(url: &str, trusted: &Authority, shown: Option<&Pair>) -> Stream {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted.file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(Pair { cert, key }) => {
            let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address(url)).unwrap())
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn address(url: &str) -> &str {
    url.strip_prefix("https://").unwrap_or(url)
}

/// Sends a request, and gives the answer's head.
fn ask(stream: &mut Stream, request: &str) -> String {
    write!(stream, "{request}").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[test]
fn clients_that_trust_the_authority_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let server = start(&authority.issue("server"), None);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    list(command(&server, &authority)).with_code(0);
    run(&mut command(&server, &authority), &["health"]).with_code(0);
    run(&mut command(&server, &authority), &["spec", "set", "name=tls"]).with_code(0);

    let stranger = Authority::new(folder.path(), "stranger");
    for command in [server.command(), command(&server, &stranger)] {
        let said = list(command).with_code(5);
        assert!(said.err.contains("UnknownIssuer"), "{said:?}");
    }

    let mut stream = connect(&server.url, &authority, None);
    let host = address(&server.url);
    let body = "theme=dark";
    let head = ask(
        &mut stream,
        &format!(
            "POST /ui/theme HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
            server.url,
            body.len()
        ),
    );
    assert!(head.starts_with("http/1.1 303"), "{head}");
    assert!(head.contains("strict-transport-security: max-age="), "{head}");
    assert!(head.contains("httponly; samesite=strict; secure\r\n"), "{head}");
}

#[test]
fn clients_must_show_a_certificate_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    let server = start(&authority.issue("server"), Some(&authority));
    let with = |pair: &Pair| {
        let mut command = command(&server, &authority);
        command.env("LOCKSTEP_CLIENT_CERT", &pair.cert).env("LOCKSTEP_CLIENT_KEY", &pair.key);
        list(command)
    };
    with(&authority.issue("client")).with_code(0);
    with(&stranger.issue("foreign")).with_code(5);
    list(command(&server, &authority)).with_code(5);
    let mut half = command(&server, &authority);
    half.env("LOCKSTEP_CLIENT_CERT", authority.file());
    let said = list(half).with_code(2);
    assert!(said.err.contains("client_cert and client_key go together"), "{said:?}");
}

#[test]
fn cbor_rpc_is_encrypted_too() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let pair = authority.issue("server");
    let args = ["--store", "memory", "--rpc", "127.0.0.1:0", "--tls-cert", text(&pair.cert)];
    let args = [args.as_slice(), &["--tls-key", text(&pair.key)]].concat();
    let server = Server::start_with(tempfile::tempdir().unwrap(), &args);
    let rpc = server.rpc_address();
    // `clear()`, with the id 1, and its answer.
    let clear = b"\xd8\x18\x58\x1a\xa3\x42id\x01\x46method\x45clear\x46params\x80";
    let cleared = b"\xd8\x18\x4d\xa2\x42id\x01\x46result\x00";
    let mut stream = connect(&rpc, &authority, None);
    stream.write_all(clear).unwrap();
    let mut answer = vec![0; cleared.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, cleared);

    let mut plain = TcpStream::connect(&rpc).unwrap();
    plain.write_all(clear).unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer);
    assert!(!answer.ends_with(cleared), "{answer:?}");
}

#[test]
fn whoever_speaks_no_tls_or_is_slow_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let server = start(&authority.issue("server"), None);
    let begun = Instant::now();
    let mut silent = TcpStream::connect(address(&server.url)).unwrap();
    let mut slow = TcpStream::connect(address(&server.url)).unwrap();
    slow.write_all(&[22, 3, 1, 2]).unwrap();

    let mut plain = TcpStream::connect(address(&server.url)).unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _reset = plain.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nthis address speaks TLS: ask with https://\r\n"), "{answer}");
    let mut command = command(&server, &authority);
    command.env("LOCKSTEP_URL", server.url.replace("https", "http"));
    assert_ne!(list(command).code, 0);

    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
        let taken = begun.elapsed();
        assert!(taken > Duration::from_secs(9) && taken < Duration::from_secs(30), "{taken:?}");
    }
    list(self::command(&server, &authority)).with_code(0);
}

#[test]
fn certificates_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let old = Authority::new(folder.path(), "old");
    let new = Authority::new(folder.path(), "new");
    let server = start(&old.issue("server"), None);
    let request = format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", address(&server.url));
    let mut open = connect(&server.url, &old, None);
    assert!(ask(&mut open, &request).starts_with("http/1.1 200"));
    open.read_exact(&mut [0; "{\"status\":\"ok\"}".len()]).unwrap();

    let pair = new.issue("server");
    server.signal(Signal::HUP);
    server.line_with("the certificates were read again");
    list(command(&server, &new)).with_code(0);
    list(command(&server, &old)).with_code(5);
    assert!(ask(&mut open, &request).starts_with("http/1.1 200"), "a connection was lost");

    fs::write(&pair.key, "no key").unwrap();
    server.signal(Signal::HUP);
    let line = server.line_with("the old certificates are kept");
    assert!(line.contains(text(&pair.key)), "{line}");
    list(command(&server, &new)).with_code(0);
}

#[test]
fn files_that_cannot_be_used_are_told_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new(home.path(), "authority");
    let (pair, other) = (authority.issue("server"), authority.issue("other"));
    let empty = home.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let absent = home.path().join("absent.pem");
    let serve = |args: &[&str]| {
        let all = [&["serve", "--store", "memory", "--listen", "127.0.0.1:0"], args].concat();
        run(&mut lockstep(home.path()), &all).with_code(2).err
    };
    let (cert, key) = (text(&pair.cert), text(&pair.key));
    let cases: [(&[&str], &str); 6] = [
        (&["--tls-cert", cert], "serve.tls_cert and serve.tls_key go together"),
        (&["--tls-client-ca", cert], "which needs TLS"),
        (&["--tls-cert", text(&empty), "--tls-key", key], "there is none in it"),
        (&["--tls-cert", text(&absent), "--tls-key", key], "absent.pem"),
        (&["--tls-cert", cert, "--tls-key", cert], "no key can be read from"),
        (&["--tls-cert", cert, "--tls-key", text(&other.key)], "does not go with"),
    ];
    for (args, expected) in cases {
        let told = serve(args);
        assert!(told.contains(expected) && told.contains("hint: "), "{args:?}: {told}");
    }
    let ca = ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", text(&empty)];
    assert!(serve(&ca).contains("empty.pem"));
}

#[test]
fn others_are_warned_of_where_nothing_is_encrypted() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let make = ["token", "create", "--all-namespaces", "--scope", "*", "--store", &store];
    run(&mut lockstep(home.path()), &make).with_code(0);
    let server = Server::start_with(home, &["--store", &store, "--listen", "0.0.0.0:0"]);
    let line = server.line_with("nothing is encrypted");
    assert!(line.contains("WARN") && line.contains("--tls-cert"), "{line}");
}
