//! One connection.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use super::{Strings, V, b, t};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A client that keeps one connection open.
#[derive(Debug)]
pub struct Caller {
    stream: TcpStream,
    strings: Strings,
    last_id: u64,
}

impl Caller {
    /// Connects.
    #[track_caller]
    pub fn open(address: SocketAddr, strings: Strings) -> Self {
        let stream = TcpStream::connect(address).expect("a server");
        stream.set_read_timeout(Some(ANSWER_MAX)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, strings, last_id: 0 }
    }

    /// Makes the frame of a request: tag 24, a byte string, and in it a map of three.
    pub fn frame(id: u64, method: &str, params: &V, strings: Strings) -> Vec<u8> {
        let message = [("id", V::Int(id.into())), ("method", super::s(method))];
        let [id, method] = message;
        let payload = super::m([id, method, ("params", params.clone())]).bytes(strings);
        Self::wrap(&payload)
    }

    /// Puts a message into a frame.
    pub fn wrap(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0xd8, 0x18];
        frame.extend(V::Bytes(payload.to_vec()).bytes(Strings::Text));
        frame
    }

    /// Calls a method, and gives its result or the message of its error.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: impl IntoIterator<Item = V>) -> Result<V, String> {
        self.last_id += 1;
        let params = V::List(params.into_iter().collect());
        let frame = Self::frame(self.last_id, method, &params, self.strings);
        self.send(&frame).expect("a request is sent");
        let (id, result) = self.receive().expect("an answer");
        assert_eq!(id, V::Int(self.last_id.into()));
        result
    }

    /// Sends any bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more comes.
    pub fn end_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads an answer: its id, and its result or the message of its error.
    ///
    /// # Panics
    /// An answer of another form fails the test.
    #[track_caller]
    pub fn receive(&mut self) -> io::Result<(V, Result<V, String>)> {
        let payload = self.receive_payload()?;
        let V::Map(pairs) = V::read(&payload) else { panic!("an answer is a map") };
        let at = |name: &str| pairs.iter().find(|(key, _)| *key == b(name)).map(|(_, v)| v);
        let id = at("id").expect("an id").clone();
        assert_eq!(pairs.len(), 2, "{pairs:?}");
        let result = match (at("result"), at("error")) {
            (Some(result), None) => Ok(result.clone()),
            (None, Some(V::Map(error))) => match error.as_slice() {
                [(key, V::Text(message))] if *key == t("message") => Err(message.clone()),
                other => panic!("an error of another form: {other:?}"),
            },
            other => panic!("an answer of another form: {other:?}"),
        };
        Ok((id, result))
    }

    #[track_caller]
    fn receive_payload(&mut self) -> io::Result<Vec<u8>> {
        let start: [u8; 3] = self.take()?;
        assert_eq!(start[..2], [0xd8, 0x18], "an answer begins with tag 24");
        let length = match start[2] {
            short @ 0x40..0x58 => u64::from(short - 0x40),
            0x58 => u64::from(u8::from_be_bytes(self.take()?)),
            0x59 => u64::from(u16::from_be_bytes(self.take()?)),
            0x5a => u64::from(u32::from_be_bytes(self.take()?)),
            other => panic!("{other:x} begins no byte string of an answer's size"),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
