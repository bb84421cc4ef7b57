//! Flags of messages, and the algebra of their changes.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use model::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

use crate::limits::{KEYWORD_BYTES_MAX, KEYWORDS_MAX};

/// A flag that every store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// Someone has answered it.
    Answered,
    /// It is marked to be removed.
    Deleted,
    /// It is not yet finished.
    Draft,
    /// It is marked as important.
    Flagged,
    /// Someone has read it.
    Seen,
}

impl System {
    /// All of them, by name.
    pub const ALL: [Self; 5] =
        [Self::Answered, Self::Deleted, Self::Draft, Self::Flagged, Self::Seen];

    /// Gives the name that IMAP has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "\\Answered",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Flagged => "\\Flagged",
            Self::Seen => "\\Seen",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A flag that users or programs made up. Two that differ in ASCII case are the same.
#[derive(Clone, Debug)]
pub struct Keyword(SmolStr);

impl Keyword {
    /// Checks a keyword: an atom of IMAP.
    ///
    /// # Errors
    /// If it is empty, too long, or has characters that no store can keep.
    pub fn new(text: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_graphic() && !"(){%*\"\\]".contains(c);
        if text.is_empty() || text.len() > KEYWORD_BYTES_MAX || !text.chars().all(allowed) {
            let shown: String = text.chars().take(80).collect();
            return Err(Error::bad_input(format!("{shown:?} cannot be a keyword")));
        }
        Ok(Self(text.into()))
    }

    /// Borrows the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
        state.write_u8(0);
    }
}

/// The flags of a message: a set of system flags and keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags {
    system: u8,
    /// Sorted and without repetition; none where it would be empty.
    keywords: Option<Arc<[Keyword]>>,
}

impl Flags {
    /// Makes a set of flags; repeated ones count once.
    pub fn new(
        system: impl IntoIterator<Item = System>,
        keywords: impl IntoIterator<Item = Keyword>,
    ) -> Self {
        let system = system.into_iter().fold(0, |bits, flag| bits | flag.bit());
        let mut sorted: Vec<Keyword> = keywords.into_iter().collect();
        sorted.sort();
        sorted.dedup();
        sorted.truncate(KEYWORDS_MAX);
        Self { system, keywords: (!sorted.is_empty()).then(|| sorted.into()) }
    }

    /// Makes a set of names as IMAP has them; what is no flag, such as `\Recent`, is left out.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut system, mut keywords) = (Vec::new(), Vec::new());
        for name in names {
            match System::ALL.into_iter().find(|flag| flag.as_str().eq_ignore_ascii_case(name)) {
                Some(flag) => system.push(flag),
                None => keywords.extend(Keyword::new(name)),
            }
        }
        Self::new(system, keywords)
    }

    /// Makes the flags of what [`Flags::to_columns`] gave.
    pub(crate) fn from_columns(system: u8, keywords: Option<&str>) -> Self {
        let keywords = keywords.unwrap_or_default().split(' ').flat_map(Keyword::new);
        let keywords = Self::new([], keywords).keywords;
        Self { system: system & 0b1_1111, keywords }
    }

    /// Gives the flags as a number and a text, as tables have them.
    pub(crate) fn to_columns(&self) -> (u8, Option<String>) {
        let keywords: Vec<&str> = self.keywords().iter().map(Keyword::as_str).collect();
        (self.system, (!keywords.is_empty()).then(|| keywords.join(" ")))
    }

    /// Gives the names as IMAP has them, sorted, system flags first.
    pub fn names(&self) -> impl Iterator<Item = &str> + '_ {
        self.system()
            .map(|flag| -> &str { flag.as_str() })
            .chain(self.keywords().iter().map(Keyword::as_str))
    }

    /// Gives the system flags, sorted.
    pub fn system(&self) -> impl Iterator<Item = System> + use<> {
        let bits = self.system;
        System::ALL.into_iter().filter(move |flag| bits & flag.bit() != 0)
    }

    /// Borrows the keywords, sorted.
    pub fn keywords(&self) -> &[Keyword] {
        self.keywords.as_deref().unwrap_or(&[])
    }

    /// Tells whether a system flag is among them.
    pub fn has(&self, flag: System) -> bool {
        self.system & flag.bit() != 0
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_none()
    }

    /// Gives what is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let keywords = match (&self.keywords, &other.keywords) {
            (kept, None) | (None, kept) => kept.clone(),
            (Some(ours), Some(theirs)) if ours == theirs => Some(Arc::clone(ours)),
            (Some(ours), Some(theirs)) => {
                Self::new([], ours.iter().chain(theirs.iter()).cloned()).keywords
            }
        };
        Self { system: self.system | other.system, keywords }
    }

    /// Gives what is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.keep(self.system & other.system, |keyword| other.keywords().contains(keyword))
    }

    /// Gives what is in this and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.keep(self.system & !other.system, |keyword| !other.keywords().contains(keyword))
    }

    fn keep(&self, system: u8, keep: impl Fn(&Keyword) -> bool) -> Self {
        let kept: Vec<Keyword> =
            self.keywords().iter().filter(|keyword| keep(keyword)).cloned().collect();
        Self { system, keywords: (!kept.is_empty()).then(|| kept.into()) }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.write_str(&names.join(" "))
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<SmolStr>::deserialize(deserializer)?;
        if names.len() > KEYWORDS_MAX {
            return Err(de::Error::custom("too many flags"));
        }
        Ok(Self::from_names(names.iter().map(SmolStr::as_str)))
    }
}

/// What changed in the flags of a message; nothing is in both sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagChange {
    /// The flags that were set.
    pub add: Flags,
    /// The flags that were taken away.
    pub remove: Flags,
}

impl FlagChange {
    /// Gives the change that leads from one set of flags to another.
    pub fn between(old: &Flags, new: &Flags) -> Self {
        Self { add: new.minus(old), remove: old.minus(new) }
    }

    /// Tells whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// Gives the flags after this change.
    #[must_use]
    pub fn of(&self, flags: &Flags) -> Flags {
        flags.union(&self.add).minus(&self.remove)
    }

    /// Gives the change that has both: flags have two values, so changes from one base never
    /// contradict each other.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { add: self.add.union(&other.add), remove: self.remove.union(&other.remove) }
    }

    /// Gives the part of this change that the other has not already made.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        Self { add: self.add.minus(&other.add), remove: self.remove.minus(&other.remove) }
    }

    /// Gives the change that takes this one back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { add: self.remove.clone(), remove: self.add.clone() }
    }

    /// Gives the part of this change that a folder can keep.
    #[must_use]
    pub fn storable(&self, storable: &Storable) -> Self {
        Self { add: storable.mask(&self.add), remove: storable.mask(&self.remove) }
    }
}

/// Which flags a folder can keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storable {
    /// Any flag, and any new keyword.
    #[default]
    Any,
    /// These and no others.
    Only(Flags),
}

impl Storable {
    /// Gives the part of a set of flags that the folder can keep.
    pub fn mask(&self, flags: &Flags) -> Flags {
        match self {
            Self::Any => flags.clone(),
            Self::Only(kept) => flags.intersection(kept),
        }
    }
}
