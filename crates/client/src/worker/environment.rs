//! What a worker says of where it runs.

use std::net::UdpSocket;

use model::{Data, Datum, Dict};

/// Describes this process.
pub(crate) fn describe(tasks: usize) -> Data {
    let text = |text: &str| Datum::Text(text.to_owned());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let addresses = address().map(Datum::Text).into_iter().collect();
    let dict = Dict::from([
        ("cpus".to_owned(), Datum::Int(cpus as i128)),
        ("pid".to_owned(), Datum::Int(i128::from(std::process::id()))),
        ("hostname".to_owned(), Datum::Text(host)),
        ("ipaddrs".to_owned(), Datum::List(addresses)),
        ("language".to_owned(), text("rust")),
        ("version".to_owned(), text(env!("CARGO_PKG_VERSION"))),
        ("tasks".to_owned(), Datum::Int(tasks as i128)),
    ]);
    // So small a dictionary is never over a limit.
    Data::from_dict(&dict).unwrap_or_default()
}

/// Asks the routing table which address this machine talks to others from; nothing is sent.
fn address() -> Option<String> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    // An address of the range that is kept for documentation.
    socket.connect(("192.0.2.1", 9)).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}
