//! Flags, removal and moves, with one command for all messages that change alike.

use model::{Error, Result};

use super::{
    connection::{ImapDriver, uids_of},
    reply::{Code, Reply, Said},
    session::{Sent, Session},
    uids::Uids,
};
use crate::{
    Flags, FolderName, Key,
    driver::{Appended, At, FlagGroup},
};

/// The longest set of numbers in one command, below what careful servers take in a line.
const SET_BYTES: usize = 7_000;

impl ImapDriver {
    /// Changes flags.
    pub(super) async fn flag_messages(
        &mut self,
        at: &At,
        groups: &[FlagGroup],
    ) -> Result<Vec<Key>> {
        let session = self.within(at).await?;
        let mut sent = Vec::new();
        let mut asked = Uids::default();
        for group in groups {
            let uids = uids_of(&group.keys);
            for some in uids.split(SET_BYTES) {
                for (sign, flags) in [('+', &group.change.add), ('-', &group.change.remove)] {
                    if !flags.is_empty() {
                        sent.push(session.push(&store(&some, sign, flags)));
                    }
                }
            }
            asked.extend(&uids);
        }
        let there = finish_and_look(session, "STORE", sent, &asked).await?;
        Ok(there.into_iter().map(Key::Uid).collect())
    }

    /// Removes messages, and no others.
    pub(super) async fn remove_messages(&mut self, at: &At, keys: &[Key]) -> Result<Vec<Key>> {
        let uids = uids_of(keys);
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.within(at).await?;
        let deleted = Flags::new([crate::System::Deleted], []);
        let is_exact = session.can("UIDPLUS");
        let mut sent = Vec::new();
        if !is_exact && has_others_deleted(session, &uids).await? {
            return Err(others_deleted(&at.folder));
        }
        for some in uids.split(SET_BYTES) {
            sent.push(session.push(&store(&some, '+', &deleted)));
            if is_exact {
                sent.push(session.push(&format!("UID EXPUNGE {some}")));
            }
        }
        if !is_exact {
            sent.push(session.push("EXPUNGE"));
        }
        // Looked for only afterwards, since a server may look before it has expunged.
        finish_and_look(session, "EXPUNGE", sent, &Uids::default()).await?;
        let there = existing(session, &uids).await?;
        Ok(uids.iter().filter(|uid| !there.contains(*uid)).map(Key::Uid).collect())
    }

    /// Moves messages to another folder.
    pub(super) async fn relocate_messages(
        &mut self,
        from: &At,
        keys: &[Key],
        to: &FolderName,
    ) -> Result<Vec<Appended>> {
        let uids = uids_of(keys);
        let name = self.name_of(to).await?;
        let epoch = self.epoch(to);
        let session = self.within(from).await?;
        let there = existing(session, &uids).await?;
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let verb = if session.can("MOVE") { "MOVE" } else { "COPY" };
        if verb == "COPY" && !session.can("UIDPLUS") && has_others_deleted(session, &there).await? {
            return Err(others_deleted(&from.folder));
        }
        let mut moved = Vec::new();
        for some in there.split(SET_BYTES) {
            let mut copied = Vec::new();
            let said = session
                .run(&format!("UID {verb} {some} {name}"), |reply| {
                    if let Reply::Said(Said { code, .. }) = reply {
                        copied.extend(pairs(&code, &some, epoch));
                    }
                    Ok(())
                })
                .await?;
            copied.extend(pairs(&said.code, &some, epoch));
            moved.extend(some.iter().map(|uid| {
                let new = copied.iter().find(|(old, _)| *old == uid).map(|(_, new)| *new);
                Appended { source: Key::Uid(uid), key: new.map(Key::Uid), stamp: None }
            }));
        }
        if verb == "COPY" {
            let keys: Vec<Key> = there.iter().map(Key::Uid).collect();
            self.remove_messages(from, &keys).await?;
        }
        Ok(moved)
    }
}

fn store(uids: &Uids, sign: char, flags: &Flags) -> String {
    let names: Vec<&str> = flags.names().collect();
    format!("UID STORE {uids} {sign}FLAGS.SILENT ({})", names.join(" "))
}

/// Waits for commands, and tells which messages are there now, with the same round trip.
async fn finish_and_look(
    session: &mut Session,
    verb: &str,
    sent: Vec<Sent>,
    asked: &Uids,
) -> Result<Vec<u32>> {
    let looks: Vec<Sent> = asked
        .split(SET_BYTES)
        .iter()
        .map(|some| session.push(&format!("UID SEARCH UID {some}")))
        .collect();
    session.flush().await?;
    let mut refusal = None;
    let mut there = Vec::new();
    // Servers may answer the second command before they end the first.
    for (command, is_look) in
        sent.into_iter().map(|sent| (sent, false)).chain(looks.into_iter().map(|look| (look, true)))
    {
        let said = session
            .finish(command, |reply| {
                if let Reply::Found(found) = reply {
                    there.extend(asked_of(&found, asked));
                }
                Ok(())
            })
            .await?;
        let verb = if is_look { "SEARCH" } else { verb };
        refusal = refusal.or(session.content(verb, said).err());
    }
    match refusal {
        Some(error) => Err(error),
        None => Ok(there),
    }
}

/// Gives the numbers that were found among those that were asked for, whatever else there is.
fn asked_of(found: &Uids, asked: &Uids) -> Vec<u32> {
    asked.iter().filter(|uid| found.contains(*uid)).collect()
}

async fn existing(session: &mut Session, asked: &Uids) -> Result<Uids> {
    Ok(Uids::of(finish_and_look(session, "SEARCH", Vec::new(), asked).await?))
}

/// Tells whether other messages are marked as deleted, which a plain EXPUNGE would remove as well.
async fn has_others_deleted(session: &mut Session, ours: &Uids) -> Result<bool> {
    let mut has_others = false;
    session
        .run("UID SEARCH DELETED", |reply| {
            if let Reply::Found(found) = reply {
                has_others |= found.iter().any(|uid| !ours.contains(uid));
            }
            Ok(())
        })
        .await?;
    Ok(has_others)
}

fn others_deleted(folder: &FolderName) -> Error {
    Error::LockConflict(format!(
        "{folder} has messages that another program marked as deleted, and this server can only \
         remove all of them at once: expunge that folder there, or clear the marks"
    ))
}

/// Reads which number each message got, if the server told and means the epoch that we know.
fn pairs(code: &Code, asked: &Uids, epoch: Option<u32>) -> Vec<(u32, u32)> {
    let Code::Copied(validity, from, to) = code else { return Vec::new() };
    let count = |ranges: &[(u32, u32)]| -> u64 {
        ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    };
    if epoch.is_some_and(|epoch| epoch != *validity)
        || count(from) != count(to)
        || count(from) > asked.count()
    {
        return Vec::new();
    }
    let numbers = |ranges: &[(u32, u32)]| -> Vec<u32> {
        ranges.iter().flat_map(|(first, last)| *first..=*last).collect()
    };
    numbers(from).into_iter().zip(numbers(to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_paired_in_the_order_of_the_server() {
        let asked = Uids::parse("1:10").unwrap();
        let code = Code::Copied(7, vec![(3, 4), (1, 1)], vec![(20, 20), (11, 12)]);
        assert_eq!(pairs(&code, &asked, Some(7)), [(3, 20), (4, 11), (1, 12)]);
        assert_eq!(pairs(&code, &asked, Some(8)), []);
        let bomb = Code::Copied(7, vec![(1, u32::MAX)], vec![(1, u32::MAX)]);
        assert_eq!(pairs(&bomb, &asked, None), []);
        let uneven = Code::Copied(7, vec![(1, 2)], vec![(1, 1)]);
        assert_eq!(pairs(&uneven, &asked, None), []);
    }
}
