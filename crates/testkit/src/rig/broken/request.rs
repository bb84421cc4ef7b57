//! A request that need not be right.

use std::net::SocketAddr;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path and the query.
    pub(super) target: Vec<u8>,
    /// Header lines besides those that say where the request goes and how long it is.
    pub(super) headers: Vec<Vec<u8>>,
    /// The `Host` header, if it is not the server's own.
    pub(super) host: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) framing: Framing,
}

/// How a request says how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It says nothing, since it has no body.
    Nothing,
    /// By its length.
    Length,
    /// By a length that is not its own.
    WrongLength(u64),
    /// By two lengths.
    TwoLengths,
    /// In chunks.
    Chunked,
    /// In chunks that are broken.
    BrokenChunks,
}

impl Request {
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Tells whether the server can find the end of the request.
    pub(super) fn is_whole(&self) -> bool {
        match self.framing {
            Framing::Nothing | Framing::Length | Framing::Chunked => true,
            Framing::WrongLength(_) | Framing::TwoLengths | Framing::BrokenChunks => false,
        }
    }

    /// Tells whether the request may ask the server to wait.
    pub(super) fn may_wait(&self) -> bool {
        self.body.windows(4).any(|word| word == b"wait")
    }

    /// Writes the request as it is sent.
    pub(super) fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 512);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let host = self.host.clone().unwrap_or_else(|| address.to_string());
        out.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
        for header in &self.headers {
            out.extend_from_slice(header);
            out.extend_from_slice(b"\r\n");
        }
        let length = self.body.len();
        let framing = match self.framing {
            Framing::Nothing => String::new(),
            Framing::Length => format!("Content-Length: {length}\r\n"),
            Framing::WrongLength(wrong) => format!("Content-Length: {wrong}\r\n"),
            Framing::TwoLengths => {
                format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length + 1)
            }
            Framing::Chunked | Framing::BrokenChunks => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        out.extend_from_slice(framing.as_bytes());
        out.extend_from_slice(b"\r\n");
        match self.framing {
            Framing::Nothing => {}
            Framing::Chunked => {
                for chunk in self.body.chunks(7_000) {
                    out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"0\r\n\r\n");
            }
            Framing::BrokenChunks => {
                out.extend_from_slice(b"fffffffffffffffff\r\n");
                out.extend_from_slice(&self.body);
            }
            Framing::Length | Framing::WrongLength(_) | Framing::TwoLengths => {
                out.extend_from_slice(&self.body);
            }
        }
        out
    }
}
