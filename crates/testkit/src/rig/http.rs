//! A plain HTTP/1.1 client of its own, which can also send what no decent client would.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header lines, as they came.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Gives the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Reads the body as JSON; what is not JSON is null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Tells whether the server keeps the connection open.
    pub fn keeps_open(&self) -> bool {
        !self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Names the error that a refusal tells of, in either of its forms.
    pub fn code(&self) -> String {
        let body = self.json();
        let code = body.get("code").or_else(|| body.get("error")).and_then(Value::as_str);
        code.unwrap_or_default().to_owned()
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; every later read and write waits for at most `patience`.
    pub fn open(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Changes how long reads wait.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(patience))
    }

    /// Sends bytes, whatever they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn end_sending(&mut self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    /// Waits until the server closes the connection, whatever it says before that.
    pub fn wait_for_end(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }

    /// Reads an answer; one to `HEAD` has no body.
    pub fn receive(&mut self, method: &str) -> io::Result<Answer> {
        loop {
            let answer = self.head()?;
            if answer.status >= 200 {
                return self.body(answer, method);
            }
        }
    }

    fn head(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken(&format!("status line {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Answer { status, headers, body: Vec::new() });
            }
            headers.push(line);
        }
    }

    fn body(&mut self, mut answer: Answer, method: &str) -> io::Result<Answer> {
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding").is_some() {
            loop {
                let line = self.line()?;
                let size = u64::from_str_radix(&line, 16).map_err(|_| broken(&line))?;
                self.exactly(size, &mut answer.body)?;
                self.line()?;
                if size == 0 {
                    return Ok(answer);
                }
            }
        }
        match answer.header("content-length").map(str::parse) {
            Some(Ok(size)) => self.exactly(size, &mut answer.body)?,
            Some(Err(_)) => return Err(broken("content length")),
            None => {
                self.stream.read_to_end(&mut answer.body)?;
            }
        }
        Ok(answer)
    }

    fn exactly(&mut self, size: u64, into: &mut Vec<u8>) -> io::Result<()> {
        let read = (&mut self.stream).take(size).read_to_end(into)?;
        if read as u64 == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| broken("header line"))
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer has a broken {what}"))
}

/// A caller that keeps its connection as long as it can.
#[derive(Debug)]
pub struct Caller {
    address: SocketAddr,
    patience: Duration,
    token: Option<String>,
    connection: Option<Connection>,
}

impl Caller {
    /// Makes a caller; it connects when it is first used.
    pub fn new(address: SocketAddr, patience: Duration) -> Self {
        Self { address, patience, token: None, connection: None }
    }

    /// Shows a token with each call, if there is one.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// Sends JSON once. An error leaves it unknown whether the server did what was asked.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> io::Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(key) = key {
            text += &format!("Idempotency-Key: {key}\r\n");
        }
        if let Some(token) = &self.token {
            text += &format!("Authorization: Bearer {token}\r\n");
        }
        text += &format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(method, text.as_bytes())
    }

    /// Asks for something.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.call("GET", path, None, &Value::Null)
    }

    fn exchange(&mut self, method: &str, request: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address, self.patience)?,
        };
        connection.send(request)?;
        let answer = connection.receive(method)?;
        if answer.keeps_open() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}
