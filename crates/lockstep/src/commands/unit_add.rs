//! `lockstep unit add`: one unit from flags, or a stream of lines.

use std::{ffi::OsString, io::BufRead, time::Duration};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use client::SpecHandle;
use model::{Data, Error, NewUnit, SpecName, UnitMeta, UnitName, data_from_json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::unit::{json_flag, unit_name};
use crate::{connect::Session, failure::Failure, files, span};

pub(super) const EXAMPLES: &str = "\
Each line of --ndjson is an object with \"name\" (or \"name_base64\"), and where wanted \"data\",
\"priority\" and \"delay\" (a span such as \"90s\"). A unit that exists gets the new data, and runs
again if it had finished or failed.

Examples:
  lockstep unit add scan src/main.rs --data '{\"path\": \"src/main.rs\"}' --priority 5
  lockstep unit add scan --ndjson units.ndjson
  find . -type f | jq -cR '{name: ., data: {path: .}}' | lockstep unit add scan --ndjson -";

/// What to add.
#[derive(Args)]
pub(crate) struct AddArgs {
    /// The work spec
    spec: String,
    /// The name of the unit
    #[arg(required_unless_present = "ndjson")]
    name: Option<OsString>,
    /// Its data, a JSON object
    #[arg(long, value_name = "JSON", requires = "name")]
    data: Option<String>,
    /// Its priority; higher goes first
    #[arg(long, value_name = "N", requires = "name", allow_negative_numbers = true)]
    priority: Option<f64>,
    /// Hand it out only after this span, such as 90s
    #[arg(long, value_name = "SPAN", requires = "name")]
    delay: Option<String>,
    /// Add a unit for each line of this file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    ndjson: Option<String>,
}

/// One line of units.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: Option<String>,
    name_base64: Option<String>,
    #[serde(default)]
    data: Value,
    priority: Option<f64>,
    delay: Option<String>,
}

/// Lines are sent together up to this many bytes, which stays well below the limit of a request.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Runs the verb.
pub(super) async fn run(args: AddArgs, session: &Session) -> Result<()> {
    let spec = session.lockstep.spec(SpecName::new(args.spec)?);
    let added = match (args.name, args.ndjson) {
        (Some(name), _) => {
            let data = match &args.data {
                Some(text) => data_from_json(&json_flag("--data", text)?)?,
                None => Data::default(),
            };
            let delay = args.delay.as_deref().map(span::parse).transpose()?;
            let unit = new_unit(unit_name(name)?, data, args.priority, delay);
            spec.add(vec![unit]).await?.len()
        }
        (None, Some(path)) => add_lines(&spec, &path, session).await?,
        (None, None) => 0,
    };
    session.out.data(&json!({"added": added}), || format!("added {added} units"))
}

async fn add_lines(spec: &SpecHandle, path: &str, session: &Session) -> Result<usize> {
    let (mut lines, length) = files::lines(path)?;
    let bar = match length {
        Some(_) => session.out.bar(length, "{bar:30} {percent:>3} %  {msg}  {eta} left")?,
        None => session.out.bar(None, "{spinner} {msg}  {elapsed}")?,
    };
    let (mut batch, mut batch_bytes, mut added, mut number) = (Vec::new(), 0, 0, 0_u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = lines.read_until(b'\n', &mut line).context("cannot read the lines")?;
        let is_full = batch.len() == model::limits::BATCH_MAX
            || (batch_bytes + bytes > BATCH_BYTES_MAX && !batch.is_empty());
        if is_full || (bytes == 0 && !batch.is_empty()) {
            let first = number + 1 - batch.len() as u64;
            let ids = spec.add(std::mem::take(&mut batch)).await.with_context(|| {
                format!("units from about line {first}; the {added} before were added")
            })?;
            added += ids.len();
            bar.inc(batch_bytes as u64);
            bar.set_message(format!("{added} units"));
            batch_bytes = 0;
        }
        if bytes == 0 {
            break;
        }
        number += 1;
        batch_bytes += bytes;
        if !line.trim_ascii().is_empty() {
            let unit = unit_of_line(&line);
            batch.push(unit.with_context(|| {
                format!("line {number}; {added} units of the lines before were added")
            })?);
        }
    }
    bar.finish_and_clear();
    Ok(added)
}

fn unit_of_line(line: &[u8]) -> Result<NewUnit> {
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        let hint = "write each unit on one line, such as {\"name\": \"a\", \"data\": {\"n\": 1}}";
        Failure::usage(format!("not a unit: {error}"), hint)
    })?;
    let name = match (line.name, line.name_base64) {
        (Some(name), None) => name.into_bytes(),
        (None, Some(text)) => STANDARD
            .decode(text)
            .map_err(|error| Error::bad_input(format!("\"name_base64\" is not base64: {error}")))?,
        _ => {
            return Err(Error::bad_input("give either \"name\" or \"name_base64\"").into());
        }
    };
    let delay = line.delay.as_deref().map(span::parse).transpose()?;
    let data = data_from_json(&line.data)?;
    Ok(new_unit(UnitName::new(name)?, data, line.priority, delay))
}

fn new_unit(name: UnitName, data: Data, priority: Option<f64>, delay: Option<Duration>) -> NewUnit {
    let meta = UnitMeta { priority: priority.unwrap_or(0.0), not_before: None };
    NewUnit { name, data, meta, delay }
}
