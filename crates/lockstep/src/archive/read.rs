//! Reading an archive.

use std::io::{BufRead, Read as _};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::Error;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use store::{Column, Doc, Kind, Table, tables};

use super::{EndLine, FORMAT, Head, NAME, RowLine, table_heads};

/// A line that is longer is no row of ours.
const LINE_BYTES_MAX: u64 = 256 << 20;
/// How every line of a row starts; the last line has another start.
const ROW: &[u8] = b"{\"table\"";

/// Reads lines, and keeps count.
pub(crate) struct Reader<R> {
    input: R,
    digest: Sha256,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    counts: Map<String, Value>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// If this is no export, or one that this program cannot read.
    pub(crate) fn begin(input: R) -> Result<Self> {
        let (digest, line, counts) = (Sha256::new(), Vec::new(), Map::new());
        let mut reader = Self { input, digest, line, number: 0, bytes: 0, counts };
        let no_export = || bad("this is not what `lockstep export` writes; name such a file");
        if !reader.next()? {
            return Err(no_export());
        }
        let head: Value = serde_json::from_slice(&reader.line).map_err(|_| no_export())?;
        if head.get("kind").and_then(Value::as_str) != Some(NAME) {
            return Err(no_export());
        }
        let version = head.get("version").and_then(Value::as_str).unwrap_or_default().to_owned();
        let format = head.get("format").and_then(Value::as_u64).unwrap_or_default();
        if format != FORMAT {
            return Err(bad(format!(
                "the export has format {format}, written by version {version}, and this program \
                 reads format {FORMAT}; import it with that version"
            )));
        }
        let head: Head = serde_json::from_value(head)
            .map_err(|error| bad(format!("the first line of the export is damaged: {error}")))?;
        if head.tables != table_heads() {
            return Err(bad(format!(
                "the export has other tables than this program, {}; import it with version \
                 {version}, which wrote it, and let this one bring the store up to date",
                env!("CARGO_PKG_VERSION")
            )));
        }
        for table in tables::ALL {
            reader.counts.insert(table.name.to_owned(), 0.into());
        }
        reader.digest_line();
        Ok(reader)
    }

    /// Tells how many bytes have been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the next row; none is left once the last line was read and found right.
    ///
    /// # Errors
    /// If the line is damaged, or if the input ends too early.
    pub(crate) fn row(&mut self) -> Result<Option<(&'static Table, Doc)>> {
        if !self.next()? {
            return Err(bad(format!(
                "the export ends after line {} and should go on; it was cut off, so make another",
                self.number
            )));
        }
        if !self.line.starts_with(ROW) {
            return self.end().map(|()| None);
        }
        let row = self.parse().map_err(|what| self.damaged(&what))?;
        self.digest_line();
        Ok(Some(row))
    }

    fn parse(&mut self) -> Result<(&'static Table, Doc), String> {
        let line: RowLine = serde_json::from_slice(&self.line).map_err(|e| e.to_string())?;
        let table = tables::ALL.into_iter().find(|table| table.name == line.table);
        let table = table.ok_or_else(|| format!("there is no table {:?}", line.table))?;
        let body = STANDARD.decode(&line.body).map_err(|error| error.to_string())?;
        let key = values(table.key, line.key)?;
        if key.contains(&store::Value::Null) {
            return Err("a key is null".to_owned());
        }
        let count = self.counts.get(table.name).and_then(Value::as_u64).unwrap_or(0);
        self.counts.insert(table.name.to_owned(), (count + 1).into());
        Ok((table, Doc { key, columns: values(table.columns, line.columns)?, body }))
    }

    /// Compares what was read with the last line.
    fn end(&mut self) -> Result<()> {
        let line: EndLine =
            serde_json::from_slice(&self.line).map_err(|error| self.damaged(&error.to_string()))?;
        let digest = std::mem::take(&mut self.digest).finalize();
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if line.end.rows != self.counts || line.end.sha256 != sha256 {
            let what =
                "the rows are not those that were exported: their number or checksum differs";
            return Err(self.damaged(what));
        }
        if self.next()? {
            return Err(self.damaged("it stands behind the last line"));
        }
        Ok(())
    }

    /// Reads a line; tells whether there was one.
    fn next(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let count = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        self.bytes += count as u64;
        if count == 0 {
            self.number -= 1;
            return Ok(false);
        }
        if self.line.last() != Some(&b'\n') {
            return Err(self.damaged("it has no end; the file was cut off, so make another"));
        }
        Ok(true)
    }

    fn digest_line(&mut self) {
        self.digest.update(&self.line);
    }

    fn damaged(&self, what: &str) -> anyhow::Error {
        bad(format!("line {} of the export is damaged: {what}", self.number))
    }
}

fn bad(message: impl Into<String>) -> anyhow::Error {
    Error::BadInput(message.into()).into()
}

fn values(columns: &[Column], values: Vec<Value>) -> Result<Vec<store::Value>, String> {
    if columns.len() != values.len() {
        return Err(format!("it has {} values in place of {}", values.len(), columns.len()));
    }
    let pairs = columns.iter().zip(values);
    pairs.map(|(column, value)| plain(column, value)).collect()
}

fn plain(column: &Column, value: Value) -> Result<store::Value, String> {
    let wrong = || format!("{value} is no value for {}", column.name);
    let inside = |key: &str| {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        map.get(key)?.as_str()
    };
    if value.is_null() {
        return Ok(store::Value::Null);
    }
    Ok(match column.kind {
        Kind::Int => store::Value::Int(value.as_i64().ok_or_else(wrong)?),
        Kind::Text => store::Value::Text(value.as_str().ok_or_else(wrong)?.into()),
        Kind::Real => {
            let number: Option<f64> = inside("real").and_then(|text| text.parse().ok());
            store::Value::Real(number.filter(|number| !number.is_nan()).ok_or_else(wrong)?)
        }
        Kind::Bytes => {
            let bytes = inside("bytes").and_then(|text| STANDARD.decode(text).ok());
            store::Value::Bytes(bytes.ok_or_else(wrong)?.into())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::Writer;
    use super::*;

    fn docs() -> Vec<Doc> {
        let doc = |name: &[u8], ready: f64| Doc {
            key: vec![1.into_value(), i64::MAX.into_value(), store::Value::Bytes(name.into())],
            columns: vec![
                i64::MIN.into_value(),
                store::Value::Null,
                store::Value::Real(ready),
                0.into_value(),
                store::Value::Null,
            ],
            body: vec![0, 255, 10],
        };
        vec![doc(b"", -0.1), doc(b"\0\n\xff", f64::INFINITY), doc(b"c", 5e-324)]
    }

    trait IntoValue {
        fn into_value(self) -> store::Value;
    }

    impl IntoValue for i64 {
        fn into_value(self) -> store::Value {
            store::Value::Int(self)
        }
    }

    fn written() -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new()).unwrap();
        for table in tables::ALL {
            let docs = if table.id == tables::UNIT.id { docs() } else { Vec::new() };
            docs.iter().for_each(|doc| writer.row(table, doc).unwrap());
            writer.end_of(table);
        }
        writer.end().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Doc>> {
        let mut reader = Reader::begin(Cursor::new(bytes))?;
        let mut docs = Vec::new();
        while let Some((_, doc)) = reader.row()? {
            docs.push(doc);
        }
        Ok(docs)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&written()).unwrap(), docs());
    }

    #[test]
    fn wherever_it_is_cut_off_it_is_refused() {
        let whole = written();
        for length in 0..whole.len() {
            let refused = read(&whole[..length]).unwrap_err();
            assert!(matches!(refused.downcast_ref(), Some(Error::BadInput(_))), "{length}");
        }
    }

    #[test]
    fn whichever_bit_is_flipped_it_is_refused() {
        let whole = written();
        for place in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[place / 8] ^= 1 << (place % 8);
            assert!(read(&damaged).is_err(), "bit {place}");
        }
        assert!(read(&[whole, b"{}\n".to_vec()].concat()).is_err());
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let newer =
            String::from_utf8(written()).unwrap().replacen("\"format\":1", "\"format\":2", 1);
        let refused = read(newer.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("has format 2"), "{refused}");
        let other = String::from_utf8(written()).unwrap().replacen("\"live\"", "\"alive\"", 1);
        let refused = read(other.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("other tables"), "{refused}");
    }
}
