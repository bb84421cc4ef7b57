//! How typed values are read from a document: every problem is noted, and reading goes on.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::SchemaGenerator;

use crate::{
    limits,
    node::{Entry, Node, Value},
    problem::{Code, Path, Pos, Problem, Severity, Step},
};

pub(crate) use crate::declare::{Properties, choice, object};

/// What can be read from a document.
///
/// `read` answers nothing after it has noted at least one problem, and only then.
pub(crate) trait Shape: Sized {
    /// Whether a key of this type may be left out.
    const OPTIONAL: bool = false;

    /// Reads the value.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// Gives what a missing key means, where it may be left out.
    fn missing() -> Option<Self> {
        None
    }

    /// Says that the value need not be written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// A mapping with known keys.
pub(crate) trait Object: Sized {
    /// The keys.
    const KEYS: &[&str];
    /// Keys that the format has and Lockstep does not.
    const UNSUPPORTED: &[&str];

    /// Reads the keys from a mapping, which may have others.
    fn fields(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// Adds the keys to a JSON Schema.
    fn properties(schema: &mut Properties, generator: &mut SchemaGenerator);
}

/// Where reading stands, and what was found so far.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) problems: Vec<Problem>,
    errors: usize,
    path: Path,
    tasks: usize,
}

impl Reader {
    /// Notes a problem.
    pub(crate) fn note(
        &mut self,
        at: Pos,
        code: Code,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let severity = code.severity();
        // Warnings never take the place of errors.
        let max = match severity {
            Severity::Error => limits::PROBLEMS_MAX,
            Severity::Warning => limits::PROBLEMS_MAX / 2,
        };
        self.errors += usize::from(severity == Severity::Error);
        if self.problems.len() < max {
            let (message, hint) = (message.into(), hint.into());
            let path = self.path.to_string();
            self.problems.push(Problem { severity, code, at, path, message, hint });
        }
    }

    /// Gives the number of errors so far, those over the limit included.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Notes that a value has the wrong type.
    pub(crate) fn wrong_type<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let message = format!("this must be {wanted}, and is {}", node.kind());
        self.note(node.at, Code::WrongType, message, format!("write {wanted} here"));
        None
    }

    /// Reads below a step.
    pub(crate) fn below<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads below a key.
    pub(crate) fn at_key<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.below(Step::Key(key.to_owned()), read)
    }

    /// Reads the value of a key.
    pub(crate) fn field<T: Shape>(
        &mut self,
        node: &Node,
        key: &'static str,
        default: Option<T>,
    ) -> Option<T> {
        if let Some(value) = node.get(key) {
            return self.at_key(key, |reader| T::read(value, reader));
        }
        let value = default.or_else(T::missing);
        if value.is_none() {
            let message = format!("the key {key:?} is missing");
            self.note(node.at, Code::MissingKey, message, format!("add {key:?} here"));
        }
        value
    }

    /// Reads a mapping that has the keys of one object and no others.
    pub(crate) fn object<T: Object>(&mut self, node: &Node) -> Option<T> {
        if node.map().is_none() {
            return self.wrong_type(node, "a mapping");
        }
        let known = self.known(node, T::KEYS, T::UNSUPPORTED);
        let object = T::fields(node, self);
        if known { object } else { None }
    }

    /// Checks the keys of a mapping.
    pub(crate) fn known(&mut self, node: &Node, keys: &[&str], unsupported: &[&str]) -> bool {
        let entries = node.map().unwrap_or_default();
        let before = self.errors;
        self.once(entries);
        for Entry { key, at, .. } in entries {
            if unsupported.contains(&key.as_str()) {
                let message = format!("{key:?} is part of the format, but Lockstep does not do it");
                let hint = format!("remove {key:?}, or say it with {}", listed(keys));
                self.at_key(key, |r| r.note(*at, Code::Unsupported, message, hint));
            } else if !keys.contains(&key.as_str()) {
                let hint = suggest(key, keys);
                let message = format!("the key {key:?} means nothing here");
                self.at_key(key, |r| r.note(*at, Code::UnknownKey, message, hint));
            }
        }
        self.errors == before
    }

    /// Notes keys that a mapping has twice.
    pub(crate) fn once(&mut self, entries: &[Entry]) {
        let mut first = BTreeMap::new();
        for Entry { key, at, .. } in entries {
            let seen = *first.entry(key).or_insert(*at);
            if seen != *at {
                let message = format!("the key {key:?} is also on line {}", seen.line);
                let hint = "keep one of them";
                self.at_key(key, |r| r.note(*at, Code::DuplicateKey, message, hint));
            }
        }
    }

    /// Checks that a mapping has exactly one of some keys.
    pub(crate) fn exactly_one(&mut self, node: &Node, keys: &[&str]) {
        let entries = node.map().unwrap_or_default();
        let mut present = entries.iter().filter(|entry| keys.contains(&entry.key.as_str()));
        match (present.next(), present.next()) {
            (None, _) => {
                let message = format!("one of {} is missing", listed(keys));
                self.note(node.at, Code::MissingKey, message, "add one of them");
            }
            (Some(one), Some(two)) if one.key != two.key => {
                let message = format!("{:?} and {:?} exclude each other", one.key, two.key);
                let hint = format!("keep one of {}", listed(keys));
                self.note(two.at, Code::KeyConflict, message, hint);
            }
            (Some(_), _) => {}
        }
    }

    /// Counts a task; false says that there are too many.
    pub(crate) fn count_task(&mut self, node: &Node) -> bool {
        self.tasks += 1;
        if self.tasks == limits::TASKS_MAX + 1 {
            let message = format!("the document has more than {} tasks", limits::TASKS_MAX);
            let hint = "split it into several workflows, and run one from the other";
            self.note(node.at, Code::TooLarge, message, hint);
        }
        self.tasks <= limits::TASKS_MAX
    }
}

/// Names the nearest known word, or all of them.
pub(crate) fn suggest(word: &str, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|k| strsim::osa_distance(word, k));
    match near {
        Some(near) if strsim::osa_distance(word, near) <= 1 + word.chars().count() / 4 => {
            format!("did you mean {near:?}?")
        }
        _ => format!("known here: {}", listed(known)),
    }
}

/// Writes words as a list for people.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    quoted.join(", ")
}

/// Gives the one item of a list that has at most one.
pub(crate) fn first<T, const N: usize>(items: [T; N]) -> Option<T> {
    items.into_iter().next()
}

impl Reader {
    /// Reads a text that is one of a few.
    pub(crate) fn word(
        &mut self,
        node: &Node,
        known: &[&str],
        unsupported: &[&str],
    ) -> Option<String> {
        let text = String::read(node, self)?;
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        if unsupported.contains(&text.as_str()) {
            let message = format!("{text:?} is part of the format, but Lockstep does not do it");
            let hint = format!("use one of {}", listed(known));
            self.note(node.at, Code::Unsupported, message, hint);
        } else {
            let message = format!("{text:?} is none of {}", listed(known));
            self.note(node.at, Code::BadValue, message, suggest(&text, known));
        }
        None
    }
}

impl<T: Shape> Shape for Option<T> {
    const OPTIONAL: bool = true;

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shape> Shape for Box<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Self::new)
    }
}

impl Shape for bool {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        reader.wrong_type(node, "true or false")
    }
}

impl Shape for u64 {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if let Value::Number(number) = &node.value
            && let Some(number) = number.as_u64()
        {
            return Some(number);
        }
        reader.wrong_type(node, "a whole number that is not negative")
    }
}

impl Shape for String {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        reader.wrong_type(node, "text")
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::List(items) = &node.value else { return reader.wrong_type(node, "a list") };
        let read = |(index, item)| reader.below(Step::Index(index), |r| T::read(item, r));
        // All items are read before the first that failed counts, so that all problems are told.
        let items: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        items.into_iter().collect()
    }
}

impl<T: Shape> Shape for BTreeMap<String, T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Some(entries) = node.map() else { return reader.wrong_type(node, "a mapping") };
        reader.once(entries);
        let read = |entry: &Entry| {
            let value = reader.at_key(&entry.key, |r| T::read(&entry.value, r));
            value.map(|value| (entry.key.clone(), value))
        };
        let entries: Vec<Option<(String, T)>> = entries.iter().map(read).collect();
        entries.into_iter().collect()
    }
}

/// Gives the name of a type in the JSON Schema.
pub(crate) type SchemaName = Cow<'static, str>;
