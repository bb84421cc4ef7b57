//! The queue's rows: what is stored of each record, and how.
//!
//! Bodies are CBOR arrays with numbered fields; a new field gets a new number and a default, so old
//! rows stay readable.

mod attempt;
mod lock;
mod namespace;
mod spec;
mod unit;
mod worker;

use minicbor::{Decode, Encode};
use model::{Error, Result, Time};
use store::Value;

pub use attempt::{AttemptRow, Names};
pub use lock::LockRow;
pub use namespace::{CounterRow, HistoryRow, NamespaceRow, RubbleRow};
pub use spec::{SpecDataRow, SpecRow};
pub use unit::{UnitRow, state};
pub use worker::WorkerRow;

/// Bytes that hold most bodies, so that they need not grow while they are encoded.
const BODY: usize = 128;

/// Encodes the body of a row.
pub fn encode<T: Encode<()>>(body: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BODY);
    // Writing to a vector cannot fail.
    let _infallible = minicbor::encode(body, &mut bytes);
    bytes
}

/// Decodes the body of a row.
///
/// # Errors
/// [`Error::Internal`] if the stored bytes are damaged.
pub fn decode<'b, T: Decode<'b, ()>>(table: &str, body: &'b [u8]) -> Result<T> {
    minicbor::decode(body)
        .map_err(|error| Error::Internal(format!("a row of {table} is damaged: {error}")))
}

/// Takes key or column values apart.
///
/// # Errors
/// [`Error::Internal`] if there are more or fewer.
pub fn parts<const COUNT: usize>(values: Vec<Value>) -> Result<[Value; COUNT]> {
    values.try_into().map_err(|_| Error::Internal("a stored row has another length".to_owned()))
}

fn optional_id(value: &Value) -> Result<Option<u64>> {
    match value {
        Value::Null => Ok(None),
        other => other.as_id().map(Some),
    }
}

fn time_or_null(time: Option<Time>) -> Value {
    time.map_or(Value::Null, |time| Value::Int(time.0))
}
