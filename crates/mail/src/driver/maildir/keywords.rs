//! The table of a folder's keywords, in the file in which Dovecot keeps it: small letters in file
//! names stand for the lines.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use model::Result;

use super::{
    disk::{failed, if_there, sync_directory},
    name::is_forwarded,
};
use crate::{Flags, Keyword, Storable, System};

/// The file that has the table.
pub(super) const FILE: &str = "dovecot-keywords";
/// How many keywords a folder can have: one for each small letter.
const LETTERS: usize = 26;
const BYTES_MAX: u64 = 64 << 10;

/// The keywords of a folder, by letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table(pub(super) Vec<Option<Keyword>>);

impl Table {
    /// Reads the table of a folder; lines that cannot be understood name nothing.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let Some(metadata) = if_there(&path, fs::metadata(&path))? else {
            return Ok(Self::default());
        };
        if metadata.len() > BYTES_MAX {
            return Ok(Self::default());
        }
        let text = if_there(&path, fs::read(&path))?.unwrap_or_default();
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> Self {
        let mut table = Vec::new();
        for line in text.lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            let (Ok(number), Ok(keyword)) = (number.parse::<usize>(), Keyword::new(name)) else {
                continue;
            };
            if number < LETTERS {
                table.resize(table.len().max(number + 1), None);
                if let Some(slot) = table.get_mut(number) {
                    *slot = Some(keyword);
                }
            }
        }
        Self(table)
    }

    /// Gives letters to keywords that have none, as long as there are some, and writes the table.
    pub(super) fn learn(&mut self, directory: &Path, flags: &Flags) -> Result<()> {
        let before = self.0.len();
        for keyword in flags.keywords() {
            let is_known = self.0.iter().any(|known| known.as_ref() == Some(keyword));
            if !is_known && !is_forwarded(keyword) && self.0.len() < LETTERS {
                self.0.push(Some(keyword.clone()));
            }
        }
        if self.0.len() == before {
            return Ok(());
        }
        let lines = self.0.iter().enumerate();
        let lines = lines
            .filter_map(|(at, keyword)| Some(format!("{at} {}\n", keyword.as_ref()?.as_str())));
        let text: String = lines.collect();
        let path = directory.join(FILE);
        let draft = directory.join(format!("{FILE}.sync"));
        let write = || {
            let mut file = File::create(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(|error| failed(&path, &error))?;
        sync_directory(directory)
    }

    /// Says which flags the folder can keep: any, until the letters are all given.
    pub(super) fn storable(&self) -> Storable {
        if self.0.len() < LETTERS {
            return Storable::Any;
        }
        let forwarded = Keyword::new("$Forwarded").ok();
        let known = self.0.iter().flatten().cloned().chain(forwarded);
        Storable::Only(Flags::new(System::ALL, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_grows_until_the_letters_are_given() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "0 Junk\n2 NonJunk\nx y\n99 Far\n3 (bad\n").unwrap();
        let mut table = Table::read(folder.path()).unwrap();
        assert_eq!(table.0.len(), 3);
        assert_eq!(table.storable(), Storable::Any);
        let names: Vec<String> = (0..30).map(|number| format!("k{number:02}")).collect();
        let flags = Flags::from_names(names.iter().map(String::as_str).chain(["$Forwarded"]));
        table.learn(folder.path(), &flags).unwrap();
        assert_eq!(Table::read(folder.path()).unwrap(), table);
        assert_eq!(table.0.len(), 26);
        let Storable::Only(kept) = table.storable() else { panic!("there are letters left") };
        assert!(kept.names().any(|name| name == "k22"));
        assert!(!kept.names().any(|name| name == "k23"));
        assert!(kept.names().any(|name| name == "NonJunk"));
    }
}
