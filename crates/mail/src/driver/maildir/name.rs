//! Names of message files: a base that stays, and flags behind it.

use crate::{Flags, Keyword, System};

/// What stands between the base of a name and its flags.
const MARK: &str = ":2,";

/// The flag that files have and IMAP does not, and its keyword.
const PASSED: char = 'P';
const FORWARDED: &str = "$Forwarded";

const LETTERS: [(char, System); 5] = [
    ('D', System::Draft),
    ('F', System::Flagged),
    ('R', System::Answered),
    ('S', System::Seen),
    ('T', System::Deleted),
];

/// The name of a message file, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    /// What stays when flags change.
    pub base: &'a str,
    /// The letters of its flags.
    pub letters: &'a str,
}

impl<'a> FileName<'a> {
    /// Takes a name apart.
    pub fn parse(name: &'a str) -> Self {
        let (base, letters) = name.split_once(MARK).unwrap_or((name, ""));
        if base.is_empty() { Self { base: name, letters: "" } } else { Self { base, letters } }
    }

    /// Gives the flags, with keywords for small letters from a table.
    pub fn flags(&self, keywords: &[Option<Keyword>]) -> Flags {
        let system = LETTERS.iter().filter(|(letter, _)| self.letters.contains(*letter));
        let named = self.letters.chars().filter_map(|letter| keywords.get(place(letter)?)?.clone());
        let passed = self.letters.contains(PASSED).then(|| Keyword::new(FORWARDED).ok()).flatten();
        Flags::new(system.map(|(_, flag)| *flag), named.chain(passed))
    }

    /// Writes the name with other flags. Letters that mean nothing here stay; `None` says that the
    /// table has no letter for one of the keywords.
    pub fn with(&self, flags: &Flags, keywords: &[Option<Keyword>]) -> Option<String> {
        let mut letters: Vec<char> = self.letters.chars().filter(|one| is_foreign(*one)).collect();
        let system = LETTERS.iter().filter(|(_, flag)| flags.has(*flag));
        letters.extend(system.map(|(letter, _)| *letter));
        for keyword in flags.keywords() {
            letters.push(letter_of(keyword, keywords)?);
        }
        letters.sort_unstable();
        letters.dedup();
        Some(format!("{}{MARK}{}", self.base, letters.into_iter().collect::<String>()))
    }
}

/// Gives the letter of a keyword.
fn letter_of(keyword: &Keyword, keywords: &[Option<Keyword>]) -> Option<char> {
    if is_forwarded(keyword) {
        return Some(PASSED);
    }
    let at = keywords.iter().position(|known| known.as_ref() == Some(keyword))?;
    ('a'..='z').nth(at)
}

/// Tells whether a keyword has a letter of its own.
pub(super) fn is_forwarded(keyword: &Keyword) -> bool {
    keyword.as_str().eq_ignore_ascii_case(FORWARDED)
}

/// Gives the place of a small letter in the table of keywords.
fn place(letter: char) -> Option<usize> {
    ('a'..='z').position(|one| one == letter)
}

/// Tells whether a letter is somebody else's: neither a flag nor a keyword.
fn is_foreign(letter: char) -> bool {
    letter != PASSED
        && place(letter).is_none()
        && !LETTERS.iter().any(|(known, _)| *known == letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &[&str]) -> Flags {
        Flags::from_names(names.iter().copied())
    }

    #[test]
    fn names_say_flags_and_keep_what_they_do_not_know() {
        let table = [None, Keyword::new("NonJunk").ok()];
        let name = FileName::parse("1.2.host,S=5:2,FSXb");
        assert_eq!(name.base, "1.2.host,S=5");
        assert_eq!(name.flags(&table), flags(&["\\Flagged", "\\Seen", "NonJunk"]));
        let changed = name.with(&flags(&["\\Draft", "$forwarded", "nonjunk"]), &table);
        assert_eq!(changed.unwrap(), "1.2.host,S=5:2,DPXb");
        assert_eq!(name.with(&flags(&["Unknown"]), &table), None);
    }

    #[test]
    fn whatever_a_name_is_it_has_a_base() {
        for name in ["a", ":2,S", "a:2,", ":2,", "a:1,x", "a:2,S:2,F", "ü:2,ß"] {
            let parsed = FileName::parse(name);
            assert!(!parsed.base.is_empty(), "{name:?}");
            let again = parsed.with(&parsed.flags(&[]), &[]).unwrap();
            assert_eq!(FileName::parse(&again).flags(&[]), parsed.flags(&[]), "{name:?}");
        }
    }
}
