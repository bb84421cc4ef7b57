//! What is wrong with a document, and where.

use std::fmt;

use serde::{Serialize, Serializer};

/// A place in a document's text; both numbers start at one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Pos {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// The way from the root of a document to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list.
    Index(usize),
}

impl Path {
    /// Borrows the steps from the root on.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Goes one step further.
    pub fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Goes one step back.
    pub fn pop(&mut self) {
        self.0.pop();
    }
}

/// Writes the path as a JSON pointer.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?,
                Step::Index(index) => write!(f, "/{index}")?,
            }
        }
        Ok(())
    }
}

/// Whether a problem keeps a document from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, but hardly means what it says.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal $severity:ident,)*) => {
        /// The stable name of a kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Code {
            /// Lists every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Gives the code as it stands in messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Says what the code means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// Says how bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The text is not YAML or JSON, so nothing in it can be understood.
    Syntax = "syntax" Error,
    /// The document, or something in it, is over a limit.
    TooLarge = "too_large" Error,
    /// A mapping has the same key twice, so one of the values would be lost.
    DuplicateKey = "duplicate_key" Error,
    /// A key means nothing where it stands.
    UnknownKey = "unknown_key" Error,
    /// A key that must be there is not.
    MissingKey = "missing_key" Error,
    /// A value has another type than its key wants.
    WrongType = "wrong_type" Error,
    /// A value has the right type, but is none of those allowed.
    BadValue = "bad_value" Error,
    /// Keys exclude each other.
    KeyConflict = "key_conflict" Error,
    /// A list or mapping has nothing in it, and needs something.
    Empty = "empty" Error,
    /// A name is empty, too long, or has characters that names do not have.
    BadName = "bad_name" Error,
    /// Two things in one list have the same name, so a name would not say which is meant.
    DuplicateName = "duplicate_name" Error,
    /// A version is not a semantic version.
    BadVersion = "bad_version" Error,
    /// The document is written for a version of the format that is not read here.
    BadDsl = "bad_dsl" Error,
    /// A duration cannot be understood.
    BadDuration = "bad_duration" Error,
    /// A cron expression cannot be understood, or never comes true.
    BadCron = "bad_cron" Error,
    /// There is no such time zone.
    BadTimezone = "bad_timezone" Error,
    /// An expression is not one: it is empty, does not end, or its brackets do not match.
    BadExpression = "bad_expression" Error,
    /// A task does not say what to do.
    NoTaskKind = "no_task_kind" Error,
    /// A task says more than one thing to do.
    ManyTaskKinds = "many_task_kinds" Error,
    /// The format has this, Lockstep does not.
    Unsupported = "unsupported" Error,
    /// A name refers to nothing in the document.
    UnknownReference = "unknown_reference" Error,
    /// `then` names no task of its own list.
    UnknownTarget = "unknown_target" Error,
    /// Functions call each other in a circle, so a call would never end.
    FunctionCycle = "function_cycle" Error,
    /// A task can never be reached.
    Unreachable = "unreachable" Warning,
    /// Something is set that changes nothing.
    NoEffect = "no_effect" Warning,
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it keeps the document from being used.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: Code,
    /// Where it is in the text.
    #[serde(flatten)]
    pub at: Pos,
    /// Where it is in the document, as a JSON pointer.
    pub path: String,
    /// What is wrong, and why.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pos { line, column } = self.at;
        write!(f, "{line}:{column}: {}: {}", self.code.as_str(), self.message)
    }
}
