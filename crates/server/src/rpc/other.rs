//! What is about no record.

use model::{Error, Result};

use super::{methods::Call, value::Value};

/// Does nothing: nothing has to be put away here.
pub(crate) async fn archive(_call: Call) -> Result<Value> {
    Ok(Value::NULL)
}

/// Gives the configuration that the server was started with for its workers.
pub(crate) async fn config(call: Call) -> Result<Value> {
    let config = call.rpc.config().ok_or_else(|| Error::bad_input("no config to get"))?;
    Ok(Value::Data(config.clone()))
}

pub(crate) async fn now(call: Call) -> Result<Value> {
    Ok(Value::int(call.rpc.clock().now().unix_seconds()))
}
