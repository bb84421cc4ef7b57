//! Folders: listed with their counts in one round trip, made, removed and renamed.

use std::collections::{HashMap, HashSet};

use model::{Error, Result};
use smol_str::{SmolStr, format_smolstr};

use super::{
    command::quoted,
    connection::ImapDriver,
    reply::{CountsRow, FolderRow, Reply, Verdict},
    session::Session,
};
use crate::{
    Checkpoint, FolderName,
    driver::{Folder, Folders},
};

/// How many folders are asked for at once where a list does not tell their counts.
const ASKED_AT_ONCE: usize = 100;

/// What a folder may be for, as attributes in lower case.
const PURPOSES: [(&str, &str); 8] = [
    ("all", "\\All"),
    ("archive", "\\Archive"),
    ("drafts", "\\Drafts"),
    ("flagged", "\\Flagged"),
    ("important", "\\Important"),
    ("junk", "\\Junk"),
    ("sent", "\\Sent"),
    ("trash", "\\Trash"),
];

impl ImapDriver {
    /// Lists the folders.
    pub(super) async fn list_folders(&mut self) -> Result<Folders> {
        let folders_max = self.settings().limits.folders_max;
        let session = self.session().await?;
        let is_one = session.can("LIST-STATUS") && session.can("LIST-EXTENDED");
        let mut rows: Vec<FolderRow> = Vec::new();
        let mut counts: HashMap<Vec<u8>, CountsRow> = HashMap::new();
        let items = status_items(session);
        let special = if session.can("SPECIAL-USE") { "SPECIAL-USE " } else { "" };
        let command = if is_one {
            format!("LIST \"\" \"*\" RETURN ({special}STATUS ({items}))")
        } else {
            "LIST \"\" \"*\"".to_owned()
        };
        session
            .run(&command, |reply| {
                match reply {
                    Reply::Folder(row) => rows.push(row),
                    // What a server tells by the way says less.
                    Reply::Counts(row) if row.uid_validity.is_some() => {
                        counts.insert(row.name.clone(), row);
                    }
                    _ => {}
                }
                if rows.len() > folders_max || counts.len() > folders_max {
                    return Err(Error::too_large("the list of folders", rows.len(), folders_max));
                }
                Ok(())
            })
            .await?;
        if rows.is_empty() {
            return Err(Error::Unavailable(format!(
                "mail server {} lists no folder at all, not even the inbox",
                self.settings().host
            )));
        }
        let (named, skipped) = named(rows);
        if !is_one {
            self.ask_counts(&named, &items, &mut counts).await?;
        }
        let separator = named.iter().find_map(|(_, row)| row.separator);
        let names = named.iter().filter_map(|(name, row)| Some((name.clone(), wire_name(row)?)));
        self.learn_names(separator, names.collect());
        let folders = named.into_iter().map(|(name, row)| Folder {
            checkpoint: counts.get(&row.name).and_then(checkpoint),
            name,
            id: None,
            purpose: purpose(&row),
        });
        Ok(Folders { folders: folders.collect(), skipped })
    }

    async fn ask_counts(
        &mut self,
        named: &[(FolderName, FolderRow)],
        items: &str,
        counts: &mut HashMap<Vec<u8>, CountsRow>,
    ) -> Result<()> {
        let session = self.session().await?;
        for some in named.chunks(ASKED_AT_ONCE) {
            let mut sent = Vec::new();
            for name in some.iter().filter_map(|(_, row)| wire_name(row)) {
                sent.push(session.push(&format!("STATUS {name} ({items})")));
            }
            session.flush().await?;
            for command in sent {
                // A folder that vanished since it was listed has no counts, which is no matter.
                session
                    .finish(command, |reply| {
                        if let Reply::Counts(row) = reply {
                            counts.insert(row.name.clone(), row);
                        }
                        Ok(())
                    })
                    .await?;
            }
        }
        Ok(())
    }

    /// Makes a folder, and shows it to programs that show chosen folders only.
    pub(super) async fn make_folder(&mut self, folder: &FolderName) -> Result<()> {
        let name = self.name_of(folder).await?;
        let session = self.session().await?;
        let sent = session.start(&format!("CREATE {name}")).await?;
        let said = session.finish(sent, |_| Ok(())).await?;
        if said.verdict != Verdict::Ok && counts_of(session, &name).await?.is_none() {
            return session.content("CREATE", said).map(|_| ());
        }
        let sent = session.start(&format!("SUBSCRIBE {name}")).await?;
        session.finish(sent, |_| Ok(())).await?;
        Ok(())
    }

    /// Removes a folder that is empty.
    pub(super) async fn remove_folder(&mut self, folder: &FolderName) -> Result<()> {
        let name = self.name_of(folder).await?;
        let session = self.session().await?;
        let Some(row) = counts_of(session, &name).await? else { return Ok(()) };
        let left = row.messages.unwrap_or(1);
        if left > 0 {
            return Err(Error::LockConflict(format!(
                "folder {folder} is not removed because it holds {left} messages"
            )));
        }
        self.leave(folder).await?;
        let session = self.session().await?;
        session.run(&format!("DELETE {name}"), |_| Ok(())).await?;
        let sent = session.start(&format!("UNSUBSCRIBE {name}")).await?;
        session.finish(sent, |_| Ok(())).await?;
        self.forget_folder(folder);
        Ok(())
    }

    /// Renames a folder with those below it.
    pub(super) async fn move_folder(&mut self, from: &FolderName, to: &FolderName) -> Result<()> {
        if from.is_inbox() {
            return Err(Error::bad_input("the inbox cannot be renamed: a server would empty it"));
        }
        let (old, new) = (self.name_of(from).await?, self.name_of(to).await?);
        self.leave(from).await?;
        let session = self.session().await?;
        session.run(&format!("RENAME {old} {new}"), |_| Ok(())).await?;
        let subscriptions = [
            session.push(&format!("UNSUBSCRIBE {old}")),
            session.push(&format!("SUBSCRIBE {new}")),
        ];
        session.flush().await?;
        for sent in subscriptions {
            session.finish(sent, |_| Ok(())).await?;
        }
        self.forget_folder(from);
        self.forget_folder(to);
        Ok(())
    }

    /// Leaves the open folder if it is this one or below it; servers may refuse to touch it.
    async fn leave(&mut self, folder: &FolderName) -> Result<()> {
        let session = self.session().await?;
        if session.can("UNSELECT") {
            let sent = session.start("UNSELECT").await?;
            session.finish(sent, |_| Ok(())).await?;
        } else if self.opened().is_ok_and(|open| open.folder == *folder) {
            self.drop_session();
        }
        self.forget_open();
        Ok(())
    }
}

/// Asks for the counts of one folder; none if there is no such folder.
async fn counts_of(session: &mut Session, name: &str) -> Result<Option<CountsRow>> {
    let mut found = None;
    let items = status_items(session);
    let sent = session.start(&format!("STATUS {name} ({items})")).await?;
    let said = session
        .finish(sent, |reply| {
            if let Reply::Counts(row) = reply {
                found = Some(row);
            }
            Ok(())
        })
        .await?;
    Ok(found.filter(|_| said.verdict == Verdict::Ok))
}

fn status_items(session: &Session) -> String {
    let modseq = if session.can("CONDSTORE") { " HIGHESTMODSEQ" } else { "" };
    format!("MESSAGES UIDNEXT UIDVALIDITY{modseq}")
}

/// Sorts out the folders that can hold messages and whose names can be kept in step.
fn named(rows: Vec<FolderRow>) -> (Vec<(FolderName, FolderRow)>, Vec<String>) {
    let (mut named, mut skipped) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut wire_names = HashSet::new();
    for row in rows {
        let cannot_hold = ["noselect", "nonexistent"];
        if row.attributes.iter().any(|one| cannot_hold.contains(&one.as_str()))
            || !wire_names.insert(row.name.clone())
        {
            continue;
        }
        match folder_name(&row) {
            Ok(name) if seen.insert(name.clone()) => named.push((name, row)),
            Ok(name) => skipped.push(format!("{name}: two folders of the server have this name")),
            Err(error) => skipped.push(error.to_string()),
        }
    }
    (named, skipped)
}

/// Makes a folder's name of what a server calls it.
pub fn folder_name(row: &FolderRow) -> Result<FolderName> {
    let name = String::from_utf8_lossy(&row.name);
    if wire_name(row).is_none() {
        let shown: String = name.chars().filter(|char| !char.is_control()).take(80).collect();
        return Err(Error::bad_input(format!(
            "{shown:?} cannot be a folder's name: it has characters that IMAP does not allow there"
        )));
    }
    match row.separator {
        Some(separator) => FolderName::from_parts(name.split(separator)),
        None => FolderName::from_parts([name.as_ref()]),
    }
}

/// Writes the name of a folder as the server did.
fn wire_name(row: &FolderRow) -> Option<String> {
    quoted(std::str::from_utf8(&row.name).ok()?)
}

fn purpose(row: &FolderRow) -> Option<SmolStr> {
    let purpose = PURPOSES.iter().find(|(word, _)| row.attributes.iter().any(|one| one == word));
    purpose.map(|(_, name)| SmolStr::new_static(name))
}

/// Makes the checkpoint of a folder of its counts.
fn checkpoint(row: &CountsRow) -> Option<Checkpoint> {
    let epoch = format_smolstr!("{}", row.uid_validity?);
    Some(Checkpoint { epoch, token: token(row.uid_next, row.modseq, row.messages?) })
}

/// Writes how far a folder has been looked at, if that can be told: without counted modifications,
/// flags may change and nobody can see it from outside.
pub(super) fn token(uid_next: Option<u32>, modseq: Option<u64>, messages: u64) -> Option<SmolStr> {
    let modseq = modseq.filter(|modseq| *modseq > 0)?;
    Some(format_smolstr!("{}.{modseq}.{messages}", uid_next?))
}
