//! Documents as files: read, checked, and known by namespace and name.

use anyhow::Result;
use flow::{Definition, Severity};
use model::Namespace;

use crate::{failure::Failure, files, output::printable};

/// A document that was read.
pub(super) struct Document {
    pub(super) path: String,
    pub(super) source: String,
    pub(super) read: Definition,
}

impl Document {
    /// Reads a file.
    pub(super) fn read(path: &str) -> Result<Self> {
        let source = files::text(path)?;
        match Definition::parse(&source) {
            Ok(read) => Ok(Self { path: path.to_owned(), source, read }),
            Err(problems) => {
                let errors = problems.iter().filter(|one| one.severity == Severity::Error);
                let lines: Vec<_> =
                    errors.map(|one| printable(&format!("{path}:{one}; {}", one.hint))).collect();
                let hint = "correct the document; `lockstep workflow validate` shows the same";
                Err(Failure::usage(lines.join("\n"), hint).into())
            }
        }
    }

    pub(super) fn namespace(&self) -> Result<Namespace> {
        Ok(Namespace::new(self.read.document.document.namespace.as_str())?)
    }

    pub(super) fn name(&self) -> &str {
        self.read.document.document.name.as_str()
    }

    pub(super) fn version(&self) -> &str {
        self.read.document.document.version.as_str()
    }
}
