//! Gives folders other names by rules.

use model::{Error, Result};
use serde::{Deserialize, Serialize};

use super::Control;
use crate::FolderName;

/// A rule: what begins with one name begins with another on the other side of the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The beginning of the store's name, as whole parts; empty for all names.
    pub store: String,
    /// The beginning of the name that the other side sees; empty to leave the beginning out.
    pub seen: String,
}

/// Gives folders other names. The first rule that fits counts, in both directions; a name whose
/// way back leads elsewhere is refused, so no two folders ever become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    rules: Vec<Rule>,
}

impl Names {
    /// Checks rules.
    ///
    /// # Errors
    /// If one is no folder's name, or two lead to the same place.
    pub fn new(rules: Vec<Rule>) -> Result<Self> {
        for (number, rule) in rules.iter().enumerate() {
            for name in [&rule.store, &rule.seen] {
                if !name.is_empty() {
                    FolderName::new(name)?;
                }
            }
            let earlier = rules.iter().take(number);
            let twice = |other: &Rule| other.store == rule.store || other.seen == rule.seen;
            if earlier.into_iter().any(twice) {
                return Err(Error::bad_input(format!(
                    "two rules for folder names have {:?} or {:?}, so there is no way back",
                    rule.store, rule.seen
                )));
            }
        }
        Ok(Self { rules })
    }
}

impl Control for Names {
    fn inward(&self, folder: &FolderName) -> Result<FolderName> {
        let there = apply(&self.rules, folder, |rule| (&rule.seen, &rule.store))?;
        let back = apply(&self.rules, &there, |rule| (&rule.store, &rule.seen))?;
        same_way(folder, &there, &back)
    }

    fn outward(&self, folder: &FolderName) -> Result<FolderName> {
        let there = apply(&self.rules, folder, |rule| (&rule.store, &rule.seen))?;
        let back = apply(&self.rules, &there, |rule| (&rule.seen, &rule.store))?;
        same_way(folder, &there, &back)
    }
}

fn same_way(from: &FolderName, there: &FolderName, back: &FolderName) -> Result<FolderName> {
    if back == from {
        return Ok(there.clone());
    }
    Err(Error::bad_input(format!(
        "the rules for folder names make {there} of {from}, but {back} of that"
    )))
}

fn apply<'a>(
    rules: &'a [Rule],
    folder: &FolderName,
    ways: impl Fn(&'a Rule) -> (&'a str, &'a str),
) -> Result<FolderName> {
    // The inbox is the inbox everywhere.
    if folder.is_inbox() {
        return Ok(folder.clone());
    }
    for rule in rules {
        let (from, to) = ways(rule);
        let rest = if from.is_empty() {
            Some(folder.as_str())
        } else {
            let rest = folder.as_str().strip_prefix(from);
            rest.filter(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let Some(rest) = rest.map(|rest| rest.trim_start_matches('/')) else { continue };
        return match (to.is_empty(), rest.is_empty()) {
            (true, _) => FolderName::new(rest),
            (false, true) => FolderName::new(to),
            (false, false) => FolderName::new(&format!("{to}/{rest}")),
        };
    }
    Ok(folder.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rules: &[(&str, &str)]) -> Result<Names> {
        let rule = |(store, seen): &(&str, &str)| Rule {
            store: (*store).to_owned(),
            seen: (*seen).to_owned(),
        };
        Names::new(rules.iter().map(rule).collect())
    }

    fn folder(name: &str) -> FolderName {
        FolderName::new(name).unwrap()
    }

    #[test]
    fn names_go_both_ways_or_not_at_all() {
        let gmail = names(&[("[Gmail]/Sent Mail", "Sent"), ("[Gmail]", "Google")]).unwrap();
        for (store, seen) in [
            ("[Gmail]/Sent Mail", "Sent"),
            ("[Gmail]/Sent Mail/x", "Sent/x"),
            ("[Gmail]/Drafts", "Google/Drafts"),
            ("INBOX", "INBOX"),
            ("Lists", "Lists"),
        ] {
            assert_eq!(gmail.outward(&folder(store)).unwrap().as_str(), seen);
            assert_eq!(gmail.inward(&folder(seen)).unwrap().as_str(), store);
        }
        // The store's own "Sent" would be seen as the other one.
        assert!(gmail.outward(&folder("Sent")).is_err());
        assert!(gmail.inward(&folder("[Gmail]/Drafts")).is_err());
        let prefix = names(&[("INBOX", "")]).unwrap();
        assert_eq!(prefix.outward(&folder("INBOX/Sent")).unwrap().as_str(), "Sent");
        assert_eq!(prefix.inward(&folder("Sent")).unwrap().as_str(), "INBOX/Sent");
        assert!(names(&[("a", "x"), ("b", "x")]).is_err());
        assert!(names(&[("a", "x"), ("a", "y")]).is_err());
        assert!(names(&[("../a", "x")]).is_err());
    }
}
