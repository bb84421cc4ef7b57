//! Files that commands read: YAML, JSON and lines, from a path or from standard input.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Reads a whole text; `-` is standard input.
pub(crate) fn text(path: &str) -> Result<String> {
    if path == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// Reads a file that holds one YAML or JSON mapping.
pub(crate) fn yaml_map(path: &str) -> Result<Map<String, Value>> {
    yaml_text(&text(path)?, if path == "-" { "standard input" } else { path })
}

/// Reads a text that holds one YAML or JSON mapping.
pub(crate) fn yaml_text(text: &str, whence: &str) -> Result<Map<String, Value>> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| {
        let message = format!("{whence} is not YAML or JSON: {error}");
        Failure::usage(message, "correct the file")
    })?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Failure::usage(
            format!("{whence} does not hold a mapping"),
            "write keys and values, such as `name: scan`",
        )
        .into()),
    }
}

/// Opens a file of lines, with its length where it is known; `-` is standard input.
pub(crate) fn lines(path: &str) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    if path == "-" {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(path).with_context(|| format!("cannot read {path}"))?;
    let metadata = file.metadata()?;
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(1 << 16, file)), length))
}
