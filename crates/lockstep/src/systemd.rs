//! Telling systemd how the server stands: one datagram for each word of sd_notify(3), to the
//! socket that the environment names. Where it names none, nothing is told.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// Says that requests are answered.
pub(crate) fn ready() {
    tell("READY=1");
}

/// Says that the server ends because it was asked to.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

/// Says again and again that the server is alive, twice in the time in which systemd expects it.
pub(crate) async fn alive() {
    let span = env::var("WATCHDOG_USEC").ok().and_then(|span| span.parse().ok());
    let Some(span) = span.map(Duration::from_micros).filter(|span| !span.is_zero()) else { return };
    loop {
        tell("WATCHDOG=1");
        // Sleeps because systemd counts from one word to the next.
        tokio::time::sleep(span / 2).await;
    }
}

fn tell(word: &str) {
    if let Err(error) = send(word) {
        tracing::warn!(word, %error, "systemd could not be told");
    }
}

fn send(word: &str) -> io::Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(&name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address)?;
    Ok(())
}
