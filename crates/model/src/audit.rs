//! The audit log: who changed what and when, in chains of rows that show where one was tampered
//! with.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, Namespace, Page, Result, Revision, Time, limits};

/// Who makes a change, as the audit log says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Caller {
    /// Their name; a server says here who has called it. Empty is the program itself.
    pub name: String,
    /// The id of the trace that the request belongs to.
    pub trace: Option<String>,
}

impl Caller {
    /// Tells whether there is nothing to say.
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// The namespace whose chain it is in; none is the chain of the whole installation.
    pub namespace: Option<String>,
    /// Its place in the chain, counted from 1.
    pub seq: u64,
    /// When it was done.
    pub time: Time,
    /// Who did it; empty is the program itself.
    pub actor: String,
    /// What was done, such as `spec.control`.
    pub kind: String,
    /// To which record, such as `spec/hello`.
    pub record: String,
    /// What else there is to say, never with a secret value.
    pub summary: String,
    /// The id of the trace that the request belongs to.
    pub trace: Option<String>,
    /// The revision of the write's namespace that has the change.
    pub revision: Revision,
    /// The hash of the row before it, in hexadecimal digits; empty for the first.
    pub previous: String,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub hash: String,
}

type Content =
    (Option<String>, u64, i64, String, String, String, String, Option<String>, Revision, String);

impl AuditEntry {
    /// Gives the canonical content: one JSON array with all fields but the hash, in their order,
    /// the time in nanoseconds since 1970.
    ///
    /// # Errors
    /// [`Error::Internal`], which cannot happen with texts and numbers.
    pub fn content(&self) -> Result<Vec<u8>> {
        let of = (
            &self.namespace,
            self.seq,
            self.time.0,
            &self.actor,
            &self.kind,
            &self.record,
            &self.summary,
            &self.trace,
            self.revision,
            &self.previous,
        );
        serde_json::to_vec(&of)
            .map_err(|error| Error::Internal(format!("an audit row cannot be written: {error}")))
    }

    /// Reads the content that goes with a hash.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is no content of a row.
    pub fn from_content(content: &[u8], hash: String) -> Result<Self> {
        let read: Content = serde_json::from_slice(content)
            .map_err(|error| Error::Internal(format!("an audit row is damaged: {error}")))?;
        let (namespace, seq, time, actor, kind, record, summary, trace, revision, previous) = read;
        Ok(Self {
            namespace,
            seq,
            time: Time(time),
            actor,
            kind,
            record,
            summary,
            trace,
            revision,
            previous,
            hash,
        })
    }

    /// Computes the hash of its content.
    ///
    /// # Errors
    /// The same as [`Self::content`].
    pub fn digest(&self) -> Result<String> {
        Ok(hex(&Sha256::digest(self.content()?)))
    }
}

/// Writes bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A text takes everything.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Where a chain ends, as it is kept apart from its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditHead {
    /// The namespace whose chain it is; none is the chain of the whole installation.
    pub namespace: Option<String>,
    /// The place of its last row.
    pub seq: u64,
    /// The hash of that row.
    pub hash: String,
}

/// Which rows of a chain to show; all given fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditFilter {
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only this kind, or with a dot at the end all that begin with it, such as `spec.`.
    pub kind: Option<String>,
    /// Only this record.
    pub record: Option<String>,
    /// Only from this time on.
    pub since: Option<Time>,
    /// Only before this time.
    pub until: Option<Time>,
}

impl AuditFilter {
    /// Tells whether it lets a row through.
    pub fn takes(&self, entry: &AuditEntry) -> bool {
        let is = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|it| it == is);
        let kind = self.kind.as_ref().is_none_or(|kind| {
            *kind == entry.kind || (kind.ends_with('.') && entry.kind.starts_with(kind.as_str()))
        });
        kind && is(&self.actor, &entry.actor)
            && is(&self.record, &entry.record)
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
    }
}

/// A question about the audit log. Without a namespace it is about the chain of the whole
/// installation: tokens and the like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuditQuery {
    /// Rows, newest first. Answers [`AuditAnswer::Rows`].
    Rows {
        /// The chain.
        namespace: Option<Namespace>,
        /// Which rows.
        #[serde(default)]
        filter: AuditFilter,
        /// Only what comes before this place.
        #[serde(default)]
        before: Option<u64>,
        /// At most this many; 0 is [`limits::PAGE_MAX`], which is also the most.
        #[serde(default)]
        limit: u32,
    },
    /// Where all chains end, in the order in which their namespaces were made. Answers
    /// [`AuditAnswer::Heads`].
    Heads(Page<u64>),
    /// A stretch of a chain as it is stored, oldest first. Answers [`AuditAnswer::Chain`].
    Chain(Option<Namespace>, Page<u64>),
}

impl AuditQuery {
    /// Gives the namespace that it is about, if it is about one.
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Rows { namespace, .. } | Self::Chain(namespace, _) => namespace.as_ref(),
            Self::Heads(_) => None,
        }
    }
}

/// The answer to an [`AuditQuery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditAnswer {
    /// Rows, and the place before which to go on where there may be more.
    ///
    /// One question looks at a bounded stretch, so a page may have fewer rows than were asked for.
    Rows(Vec<AuditEntry>, Option<u64>),
    /// The ends of chains with their places in the list.
    Heads(Vec<(u64, AuditHead)>),
    /// Rows, and the end of the chain as of the same moment.
    Chain {
        /// Each with its place; none for one that cannot be read.
        rows: Vec<(u64, Option<AuditEntry>)>,
        /// The end; none where there is no such chain.
        head: Option<AuditHead>,
    },
}

/// Follows one chain from its first row and tells where it is broken.
#[derive(Debug, Default)]
pub struct ChainCheck {
    namespace: Option<String>,
    last: u64,
    hash: String,
    /// What is wrong, in words; the first [`limits::AUDIT_FAULTS_MAX`].
    faults: Vec<String>,
}

impl ChainCheck {
    /// Begins with the chain of a namespace, or of the whole installation.
    pub fn new(namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), ..Self::default() }
    }

    /// Gives the namespace whose chain it is.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Gives the place of the last row that it has seen.
    pub fn last(&self) -> u64 {
        self.last
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < limits::AUDIT_FAULTS_MAX {
            self.faults.push(what);
        }
    }

    /// Takes the next row as it is stored at a place.
    pub fn row(&mut self, seq: u64, entry: Option<&AuditEntry>) {
        if seq <= self.last {
            return self.fault("a row was put in before the first one".to_owned());
        }
        let follows = seq == self.last + 1;
        if !follows {
            let (first, last) = (self.last + 1, seq - 1);
            self.fault(match first == last {
                true => format!("row {first} was removed"),
                false => format!("rows {first} to {last} were removed"),
            });
        }
        self.last = seq;
        let Some(entry) = entry else {
            self.hash.clear();
            return self.fault(format!("row {seq} was changed: it cannot be read"));
        };
        let is_own = entry.seq == seq && entry.namespace == self.namespace;
        if !is_own || entry.digest().as_ref() != Ok(&entry.hash) {
            self.fault(format!("row {seq} was changed: its hash is not that of its content"));
        } else if follows && entry.previous != self.hash {
            let before = seq - 1;
            self.fault(format!(
                "row {seq} does not follow row {before}: that one was changed or put in"
            ));
        }
        self.hash.clone_from(&entry.hash);
    }

    /// Gives what is wrong with the rows so far, where the chain is not followed to its end.
    pub fn faults(self) -> Vec<String> {
        self.faults
    }

    /// Ends with where the chain should end; gives what is wrong.
    pub fn end(mut self, head: Option<&AuditHead>) -> Vec<String> {
        let last = self.last;
        let (seq, hash) = head.map_or((0, ""), |head| (head.seq, &head.hash));
        if head.is_none() && last > 0 {
            self.fault("its head row was removed".to_owned());
        } else if seq > last {
            let first = last + 1;
            self.fault(format!("the end was cut off: rows {first} to {seq} are not there"));
        } else if seq < last {
            let first = seq + 1;
            self.fault(format!("rows {first} to {last} were put in behind the end"));
        } else if hash != self.hash {
            self.fault(format!("row {last} is not the one that the head row names"));
        }
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: u64) -> (Vec<AuditEntry>, AuditHead) {
        let mut rows: Vec<AuditEntry> = Vec::new();
        for seq in 1..=length {
            let mut entry = AuditEntry {
                namespace: Some("n".to_owned()),
                seq,
                time: Time(i64::try_from(seq).unwrap()),
                actor: "ann".to_owned(),
                kind: "spec.set".to_owned(),
                record: format!("spec/{seq}"),
                summary: String::new(),
                trace: None,
                revision: seq,
                previous: rows.last().map_or(String::new(), |row| row.hash.clone()),
                hash: String::new(),
            };
            entry.hash = entry.digest().unwrap();
            rows.push(entry);
        }
        let hash = rows.last().map_or(String::new(), |row| row.hash.clone());
        (rows, AuditHead { namespace: Some("n".to_owned()), seq: length, hash })
    }

    fn faults(rows: &[AuditEntry], head: Option<&AuditHead>) -> Vec<String> {
        let mut check = ChainCheck::new(Some("n"));
        rows.iter().for_each(|row| check.row(row.seq, Some(row)));
        check.end(head)
    }

    #[test]
    fn the_content_is_what_the_book_says() {
        let (rows, _) = chain(1);
        let content = String::from_utf8(rows[0].content().unwrap()).unwrap();
        assert_eq!(content, r#"["n",1,1,"ann","spec.set","spec/1","",null,1,""]"#);
        let read = AuditEntry::from_content(content.as_bytes(), rows[0].hash.clone());
        assert_eq!(read.as_ref(), Ok(&rows[0]));
    }

    #[test]
    fn an_untouched_chain_is_whole() {
        let (rows, head) = chain(5);
        assert_eq!(faults(&rows, Some(&head)), Vec::<String>::new());
        assert_eq!(faults(&[], None), Vec::<String>::new());
    }

    #[test]
    fn each_row_that_was_changed_also_with_its_hash_is_found() {
        let (rows, head) = chain(5);
        for at in 0..5 {
            let mut changed = rows.clone();
            changed[at].actor = "bob".to_owned();
            let place = at + 1;
            let own = format!("row {place} was changed: its hash is not that of its content");
            assert_eq!(faults(&changed, Some(&head)), [own]);
            changed[at].hash = changed[at].digest().unwrap();
            let next = match at {
                4 => "row 5 is not the one that the head row names".to_owned(),
                _ => format!(
                    "row {} does not follow row {place}: that one was changed or put in",
                    place + 1
                ),
            };
            assert_eq!(faults(&changed, Some(&head)), [next]);
        }
    }

    #[test]
    fn rows_that_were_removed_put_in_or_swapped_are_found() {
        let (rows, head) = chain(5);
        for at in 0..4 {
            let mut removed = rows.clone();
            removed.remove(at);
            assert_eq!(faults(&removed, Some(&head)), [format!("row {} was removed", at + 1)]);
        }
        let cut = "the end was cut off: rows 4 to 5 are not there";
        assert_eq!(faults(&rows[..3], Some(&head)), [cut]);
        assert_eq!(faults(&rows, None), ["its head row was removed"]);
        let (longer, _) = chain(6);
        let behind = "rows 6 to 6 were put in behind the end";
        assert_eq!(faults(&longer, Some(&head)), [behind]);
        // One is put in, and all behind it moved up.
        let mut more = rows.clone();
        more.insert(2, rows[1].clone());
        more.iter_mut().zip(1..).for_each(|(row, seq)| row.seq = seq);
        more[2].previous.clone_from(&rows[1].hash);
        more[2].hash = more[2].digest().unwrap();
        assert!(!faults(&more, Some(&AuditHead { seq: 6, ..head.clone() })).is_empty());
        let mut swapped = rows;
        swapped.swap(1, 2);
        swapped.iter_mut().zip(1..).for_each(|(row, seq)| row.seq = seq);
        assert!(!faults(&swapped, Some(&head)).is_empty());
    }

    #[test]
    fn kinds_are_filtered_by_word_or_family() {
        let (rows, _) = chain(1);
        let takes = |kind: &str| {
            AuditFilter { kind: Some(kind.to_owned()), ..AuditFilter::default() }.takes(&rows[0])
        };
        assert!(takes("spec.set") && takes("spec."));
        assert!(!takes("spec") && !takes("unit.") && !takes("spec.se"));
    }
}
