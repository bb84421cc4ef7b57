//! Getting work.

use model::{Claim, QueueCommand, Reply, Result, SpecName, limits};

use super::{args::text, methods::Call, value::Value};
use crate::call::mismatch;

/// Gives a worker one unit as a tuple, or as many as it asks for as a list of tuples.
///
/// Only specs without a runtime are considered, as these clients know no others.
pub(crate) async fn get(mut call: Call) -> Result<Value> {
    let worker = call.args.worker()?;
    let mut options = call.args.options()?;
    let jobs = options.count("max_jobs")?.unwrap_or(1);
    let specs = options.list("work_spec_names")?.unwrap_or_default();
    let specs = specs.into_iter().map(|name| text(name, "the work spec name"));
    let specs = specs.collect::<Result<Vec<_>>>()?;
    let only_unknown = !specs.is_empty() && specs.iter().all(String::is_empty);
    let claim = Claim {
        worker,
        specs: specs
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(SpecName::new)
            .collect::<Result<_>>()?,
        runtimes: vec![String::new()],
        count: jobs.min(limits::BATCH_MAX as u64) as u32,
        lifetime: options.span("lease_time")?,
        available_gb: options.float("available_gb")?,
    };
    let attempts = if only_unknown {
        Vec::new()
    } else {
        match call.command(QueueCommand::Claim(claim)).await? {
            Reply::Attempts(attempts) => attempts,
            _ => return Err(mismatch()),
        }
    };
    let mut units = attempts.into_iter().map(|attempt| {
        let spec = Value::text(attempt.spec.as_str());
        Value::Tuple(vec![spec, Value::key(&attempt.unit), Value::Data(attempt.data)])
    });
    if jobs > 1 {
        return Ok(Value::List(units.collect()));
    }
    let none = || Value::Tuple(vec![Value::NULL, Value::NULL, Value::NULL]);
    Ok(units.next().unwrap_or_else(none))
}
