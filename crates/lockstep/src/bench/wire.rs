//! A lean HTTP/1.1 client: what it costs is not what is measured.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
};

/// Makes the runtime of all clients: one thread, since the server needs the others.
pub(super) fn client() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A connection that is kept open.
pub(super) struct Connection {
    stream: TcpStream,
    host: String,
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    /// The status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: &'a [u8],
}

impl Answer<'_> {
    /// Refuses any other status.
    pub(super) fn expect(self, status: u16) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        bail!("the server answered {}: {}", self.status, String::from_utf8_lossy(self.body))
    }
}

impl Connection {
    /// Connects.
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sent, received) = (Vec::new(), Vec::new());
        Ok(Self { stream, host: address.to_string(), sent, received })
    }

    /// Sends JSON and waits for the answer.
    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer<'_>> {
        self.call("POST", path, body).await
    }

    /// Asks and waits for the answer.
    pub(super) async fn get(&mut self, path: &str) -> Result<Answer<'_>> {
        self.call("GET", path, b"").await
    }

    async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer<'_>> {
        let length = body.len().to_string();
        let parts = [
            method,
            " ",
            path,
            " HTTP/1.1\r\nhost: ",
            &self.host,
            "\r\ncontent-type: application/json\r\ncontent-length: ",
            &length,
            "\r\n\r\n",
        ];
        self.sent.clear();
        parts.into_iter().for_each(|part| self.sent.extend_from_slice(part.as_bytes()));
        self.sent.extend_from_slice(body);
        self.stream.write_all(&self.sent).await?;
        self.received.clear();
        let head = loop {
            match head(&self.received)? {
                Some(head) if self.received.len() >= head.end + head.body => break head,
                Some(head) => self.received.reserve(head.end + head.body - self.received.len()),
                None => self.received.reserve(4 << 10),
            }
            let read = self.stream.read_buf(&mut self.received).await?;
            ensure!(read > 0, "the server closed the connection");
        };
        let body = self.received.get(head.end..head.end + head.body).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }
}

/// What the start of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes before the body.
    end: usize,
    /// Bytes of the body.
    body: usize,
}

/// Reads the start of an answer, if all of it is there.
fn head(received: &[u8]) -> Result<Option<Head>> {
    let Some(blank) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(received.get(..blank).unwrap_or_default())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    let status = status.parse().context("no status")?;
    let mut body = (status == 204).then_some(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = Some(value.trim().parse().context("a length that is no number")?);
        }
    }
    let body = body.context("an answer without a length")?;
    Ok(Some(Head { status, end: blank + 4, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let text = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(head(&text[..20]).unwrap(), None);
        assert_eq!(head(text).unwrap(), Some(Head { status: 201, end: 43, body: 5 }));
        let empty = head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        assert_eq!(empty, Some(Head { status: 204, end: 27, body: 0 }));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
