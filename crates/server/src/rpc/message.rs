//! Messages: requests as they come in, and answers as they go out.

use minicbor::{Decoder, data::Type};
use model::{Bounds, Datum, Error, Result, limits};

use super::{
    frame,
    value::{Value, head},
};

/// Levels of nesting around a data dictionary: the message, its parameters, a list, an item.
const LEVELS_AROUND_DATA: usize = 5;

/// What one request may hold; each dictionary in it has its own limits besides.
const BOUNDS: Bounds = Bounds {
    depth_max: limits::DEPTH_MAX + LEVELS_AROUND_DATA,
    keys_max: limits::VALUES_MAX,
    values_max: limits::VALUES_MAX,
};

/// A request.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) method: String,
    pub(crate) params: Vec<Datum>,
}

/// A request that cannot be understood; its answer goes to no id if it has none that can be found.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) id: Option<u64>,
    pub(crate) error: Error,
}

/// Reads a request. Keys and the method may be text or bytes.
pub(crate) fn decode(payload: &[u8]) -> Result<Request, Unreadable> {
    let unreadable = |error| Unreadable { id: find_id(payload), error };
    let message = Datum::from_cbor_within(payload, BOUNDS).map_err(unreadable)?;
    read(message).map_err(unreadable)
}

fn read(message: Datum) -> Result<Request> {
    let Datum::Map(pairs) = message else {
        return Err(wrong("a message must be a map", &message));
    };
    let (mut id, mut method, mut params) = (None, None, None);
    for (key, value) in pairs {
        match key {
            Datum::Text(key) if key == "id" => id = Some(value),
            Datum::Text(key) if key == "method" => method = Some(value),
            Datum::Text(key) if key == "params" => params = Some(value),
            _ => {}
        }
    }
    let id = match id.unwrap_or(Datum::Null) {
        Datum::Int(id) => u64::try_from(id).map_err(|_| wrong_id(&Datum::Int(id)))?,
        other => return Err(wrong_id(&other)),
    };
    let method = match method.unwrap_or(Datum::Null) {
        Datum::Text(method) => method,
        Datum::Bytes(method) => String::from_utf8_lossy(&method).into_owned(),
        other => return Err(wrong("\"method\" must be a string", &other)),
    };
    let params = match params.unwrap_or(Datum::Null) {
        Datum::List(params) | Datum::Tuple(params) => params,
        other => return Err(wrong("\"params\" must be a list", &other)),
    };
    Ok(Request { id, method, params })
}

fn wrong_id(found: &Datum) -> Error {
    wrong("\"id\" must be a number from 0 to 2^64-1", found)
}

fn wrong(what: &str, found: &Datum) -> Error {
    Error::bad_input(format!("{what}, not {}", found.kind()))
}

/// Looks for the id of a message that cannot be read as a whole.
fn find_id(payload: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::new(payload);
    let length = decoder.map().ok()?;
    let mut seen = 0;
    while length.is_none_or(|length| seen < length) {
        let key = match decoder.datatype().ok()? {
            Type::String => decoder.str().ok()?.as_bytes(),
            Type::Bytes => decoder.bytes().ok()?,
            _ => return None,
        };
        if key == b"id" {
            return decoder.u64().ok();
        }
        decoder.skip().ok()?;
        seen += 1;
    }
    None
}

/// An answer as a frame, and where in these bytes it begins.
pub(crate) struct Frame {
    bytes: Vec<u8>,
    start: usize,
}

impl Frame {
    /// Borrows what goes over the wire.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Writes an answer. Its own keys are bytes, as the ancestor's are.
pub(crate) fn answer(id: Option<u64>, result: &Result<Value>) -> Frame {
    let mut bytes = frame::begin();
    write(&mut bytes, id, result);
    if bytes.len() > limits::RPC_ANSWER_BYTES_MAX {
        let size = bytes.len();
        let error = Error::too_large("answer in bytes", size, limits::RPC_ANSWER_BYTES_MAX);
        bytes = frame::begin();
        write(&mut bytes, id, &Err(error));
    }
    let start = frame::finish(&mut bytes);
    Frame { bytes, start }
}

fn write(out: &mut Vec<u8>, id: Option<u64>, result: &Result<Value>) {
    head(out, |encoder| {
        encoder.map(2)?.bytes(b"id")?;
        match id {
            Some(id) => encoder.u64(id)?,
            None => encoder.null()?,
        };
        Ok(())
    });
    match result {
        Ok(value) => {
            head(out, |encoder| encoder.bytes(b"result").map(drop));
            value.encode(out);
        }
        Err(error) => head(out, |encoder| {
            encoder.bytes(b"error")?.map(1)?.str("message")?.str(&error.to_string()).map(drop)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_with_either_kind_of_string() {
        let text = b"\xa3\x62id\x07\x66method\x63now\x66params\x80";
        let bytes = b"\xa3\x42id\x07\x46method\x43now\x46params\xd8\x80\x80";
        for form in [&text[..], &bytes[..]] {
            let request = decode(form).unwrap();
            assert_eq!(request, Request { id: 7, method: "now".into(), params: vec![] });
        }
    }

    #[test]
    fn the_id_of_a_bad_message_is_found() {
        let id = |payload: &[u8]| decode(payload).unwrap_err().id;
        assert_eq!(id(b"\xa1\x42id\x18\x2a"), Some(42));
        assert_eq!(id(b"\xa2\x46params\xc1\x00\x42id\x05"), Some(5));
        assert_eq!(id(b"\xa2\x42id\x05\x46params\x9b\xff\xff\xff\xff\xff\xff\xff\xff"), Some(5));
        assert_eq!(id(b"\xa1\x42id\x20"), None);
        assert_eq!(id(b"\x80"), None);
        assert_eq!(id(b""), None);
    }

    #[test]
    fn values_are_counted_before_they_are_built() {
        let mut bomb = b"\xa3\x42id\x01\x46method\x43now\x46params\x9a\x00\x10\x00\x00".to_vec();
        bomb.resize(bomb.len() + (1 << 20), 0xf6);
        let unreadable = decode(&bomb).unwrap_err();
        assert!(matches!(unreadable.error, Error::TooLarge { .. }));
        assert_eq!(unreadable.id, Some(1));
    }

    #[test]
    fn answers_have_byte_string_keys() {
        let frame = answer(Some(1), &Ok(Value::NULL));
        assert_eq!(frame.bytes(), b"\xd8\x18\x4d\xa2\x42id\x01\x46result\xf6");
        let frame = answer(None, &Err(Error::bad_input("no")));
        assert_eq!(frame.bytes(), b"\xd8\x18\x57\xa2\x42id\xf6\x45error\xa1\x67message\x62no");
    }
}
