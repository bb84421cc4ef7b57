//! Leaves out folders by name, and messages by size and age.

use std::time::Duration;

use model::{Error, Result, Time};
use serde::{Deserialize, Serialize};

use crate::{Delta, FolderName, Seen};

/// What is left out. It works on what the state controller says is new, so what both sides
/// already have stays in step, and what is left out is never taken for removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hide {
    /// Only folders that one of these matches; all if there is none.
    pub only: Vec<Glob>,
    /// No folders that one of these matches.
    pub except: Vec<Glob>,
    /// No larger messages than this.
    pub bytes_max: Option<u64>,
    /// No older messages than this many days.
    pub days_max: Option<u32>,
}

impl Hide {
    /// Tells whether a folder is left out.
    pub fn folder(&self, name: &FolderName) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name.as_str()));
        !self.only.is_empty() && !any(&self.only) || any(&self.except)
    }

    /// Takes new messages that are left out from what a side changed.
    pub fn messages(&self, delta: &mut Delta, now: Time) {
        if self.bytes_max.is_none() && self.days_max.is_none() {
            return;
        }
        delta.new.retain(|seen| !self.message(seen, now));
    }

    fn message(&self, seen: &Seen, now: Time) -> bool {
        let large = self.bytes_max.zip(seen.size).is_some_and(|(max, size)| size > max);
        let old = self.days_max.zip(seen.date).is_some_and(|(days, date)| {
            now.since(date) > Duration::from_secs(u64::from(days) * 86_400)
        });
        large || old
    }
}

/// A pattern for names of folders: `*` stands for anything, `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// Checks a pattern.
    ///
    /// # Errors
    /// If it is empty or very long.
    pub fn new(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 1_000 {
            return Err(Error::bad_input(format!("{text:?} cannot be a pattern for folders")));
        }
        Ok(Self(text.to_owned()))
    }

    /// Tells whether it matches all of a text.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut in_text, mut back) = (0, 0, None);
        while in_text < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    back = Some((at, in_text));
                    at += 1;
                }
                Some(c) if *c == '?' || Some(c) == text.get(in_text) => {
                    at += 1;
                    in_text += 1;
                }
                Some(_) | None => match back {
                    // The last star takes one more character.
                    Some((star, taken)) => {
                        back = Some((star, taken + 1));
                        at = star + 1;
                        in_text = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.get(at..).is_none_or(|rest| rest.iter().all(|c| *c == '*'))
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let matches = |glob: &str, text| Glob::new(glob).unwrap().matches(text);
        assert!(matches("*", "") && matches("*", "a/b") && matches("a*c", "abcbc"));
        assert!(matches("Lists/*", "Lists/x/y") && matches("?b", "äb"));
        assert!(!matches("a*c", "abcb") && !matches("a", "ab") && !matches("?", ""));
        assert!(!matches("Lists/*", "Lists"));
    }
}
