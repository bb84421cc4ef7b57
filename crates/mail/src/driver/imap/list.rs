//! What changed in a folder, by the cheapest way that a server offers.

use std::collections::BTreeMap;

use model::{Error, Result, Time};
use smol_str::format_smolstr;

use super::{
    connection::{ImapDriver, Open},
    folders::token,
    reply::{MessageRow, Reply},
    uids::Uids,
};
use crate::{
    Checkpoint, Flags, FolderName, Key, Seen,
    driver::{Listing, Rest},
};

/// How far an earlier listing looked.
#[derive(Clone, Copy)]
struct Since {
    uid_validity: u32,
    uid_next: u32,
    modseq: u64,
}

/// Messages that came, by number.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<u32, MessageRow>,
    gone: Uids,
    /// How many messages must be told of: those that were there at first and are still.
    due: u64,
}

impl ImapDriver {
    /// Lists what changed since a checkpoint, or everything.
    pub(super) async fn list_messages(
        &mut self,
        folder: &FolderName,
        since: Option<&Checkpoint>,
    ) -> Result<Listing> {
        let read = since.and_then(read);
        let asked = read.map(|since| (since.uid_validity, since.modseq));
        let changes = self.select(folder, asked).await?;
        let open = self.opened()?;
        self.listed(folder, open.uid_validity);
        let session = self.session().await?;
        let can_resync = session.can("QRESYNC");
        let can_delta = can_resync || session.can("CONDSTORE");
        // Modifications that count backwards are worth nothing.
        let valid = read.filter(|since| {
            since.uid_validity == open.uid_validity
                && open.modseq.is_some_and(|modseq| modseq >= since.modseq)
        });
        let mut rows = Rows::default();
        let rest = match valid {
            Some(since) if can_resync => {
                for reply in changes {
                    rows.take(reply)?;
                }
                self.fetch_new(since, &open, &mut rows).await?;
                Rest::SameWithin(others(&rows.gone))
            }
            Some(since) if can_delta => {
                let command = format!("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE {})", since.modseq);
                if open.messages > 0 {
                    self.collect(&command, &mut rows).await?;
                }
                self.fetch_new(since, &open, &mut rows).await?;
                let found = self.search_all(&open).await?;
                Rest::SameWithin(found.ranges().to_vec())
            }
            _ => {
                let is_known = since.is_some_and(|since| since.epoch == epoch(&open));
                self.fetch_all(&open, is_known, &mut rows).await?;
                Rest::Gone
            }
        };
        let token = token(open.uid_next, open.modseq, open.messages);
        Ok(Listing {
            checkpoint: Checkpoint { epoch: epoch(&open), token },
            messages: rows.seen(),
            rest,
            storable: open.storable,
        })
    }

    /// Asks for everything of the messages that came since.
    async fn fetch_new(&mut self, since: Since, open: &Open, rows: &mut Rows) -> Result<()> {
        if open.messages == 0 || open.uid_next.is_some_and(|next| next <= since.uid_next) {
            return Ok(());
        }
        let first = since.uid_next;
        let command = format!("UID FETCH {first}:* (UID FLAGS RFC822.SIZE INTERNALDATE)");
        self.collect(&command, rows).await
    }

    /// Asks for all messages; for no more than flags if most of them are known.
    async fn fetch_all(&mut self, open: &Open, is_known: bool, rows: &mut Rows) -> Result<()> {
        if open.messages == 0 {
            return Ok(());
        }
        rows.due = open.messages;
        let items = if is_known { "UID FLAGS" } else { "UID FLAGS RFC822.SIZE INTERNALDATE" };
        self.collect(&format!("UID FETCH 1:* ({items})"), rows).await?;
        let (told, due) = (rows.rows.len() as u64, rows.due);
        // Other programs may have removed some meanwhile; what is missing otherwise was kept back.
        if told < due {
            self.drop_session();
            return Err(Error::Unavailable(format!(
                "mail server {} says that {} holds {due} messages, and lists {told}",
                self.settings().host,
                open.folder
            )));
        }
        Ok(())
    }

    /// Asks for the numbers of all messages.
    async fn search_all(&mut self, open: &Open) -> Result<Uids> {
        if open.messages == 0 {
            return Ok(Uids::default());
        }
        let session = self.session().await?;
        let how = if session.can("ESEARCH") { " RETURN (ALL)" } else { "" };
        let mut found = Uids::default();
        let mut due = open.messages;
        session
            .run(&format!("UID SEARCH{how} UID 1:*"), |reply| {
                match reply {
                    Reply::Found(uids) => found.extend(&uids),
                    Reply::Expunged(_) => due = due.saturating_sub(1),
                    Reply::Vanished(gone) => due = due.saturating_sub(gone.count()),
                    _ => {}
                }
                Ok(())
            })
            .await?;
        if found.count() < due {
            self.drop_session();
            return Err(Error::Unavailable(format!(
                "mail server {} says that {} holds {due} messages, and finds {}",
                self.settings().host,
                open.folder,
                found.count()
            )));
        }
        Ok(found)
    }

    async fn collect(&mut self, command: &str, rows: &mut Rows) -> Result<()> {
        let limit = self.settings().limits.messages_max;
        let session = self.session().await?;
        session
            .run(command, |reply| {
                rows.take(reply)?;
                if rows.rows.len() as u64 > limit {
                    return Err(Error::too_large("a folder", rows.rows.len(), limit as usize));
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}

impl Rows {
    fn take(&mut self, reply: Reply) -> Result<()> {
        match reply {
            Reply::Message(row) => {
                // A message whose number is not told is one that nobody asked for.
                if let Some(uid) = row.uid {
                    let known = self.rows.entry(uid).or_default();
                    known.flags = row.flags.or(known.flags.take());
                    known.bytes = row.bytes.or(known.bytes);
                    known.date = row.date.or(known.date);
                }
            }
            Reply::Vanished(gone) => {
                self.rows.retain(|uid, _| !gone.contains(*uid));
                self.gone.extend(&gone);
                self.due = self.due.saturating_sub(gone.count());
            }
            // Which one it was is told by its place, so that it may be among those told of.
            Reply::Expunged(_) => self.due = self.due.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn seen(self) -> Vec<Seen> {
        let rows = self.rows.into_iter().filter_map(|(uid, row)| {
            let flags = row.flags?;
            Some(Seen {
                key: Key::Uid(uid),
                flags: Flags::from_names(flags.iter().map(String::as_str)),
                size: row.bytes,
                date: row.date.map(time),
                stamp: None,
            })
        });
        rows.collect()
    }
}

/// Makes a time of seconds since 1970.
pub(super) fn time(seconds: i64) -> Time {
    Time(seconds.saturating_mul(1_000_000_000))
}

fn epoch(open: &Open) -> smol_str::SmolStr {
    format_smolstr!("{}", open.uid_validity)
}

fn read(checkpoint: &Checkpoint) -> Option<Since> {
    let uid_validity = checkpoint.epoch.parse().ok()?;
    let mut parts = checkpoint.token.as_ref()?.split('.');
    let uid_next = parts.next()?.parse().ok()?;
    let modseq = parts.next()?.parse().ok()?;
    Some(Since { uid_validity, uid_next, modseq })
}

/// Gives all numbers but these.
fn others(gone: &Uids) -> Vec<(u32, u32)> {
    let mut ranges = Vec::with_capacity(gone.ranges().len() + 1);
    let mut next = Some(1);
    for (first, last) in gone.ranges() {
        if let Some(start) = next.filter(|start| start < first) {
            ranges.push((start, first - 1));
        }
        next = last.checked_add(1);
    }
    ranges.extend(next.map(|start| (start, u32::MAX)));
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_vanished_stay() {
        let others = |text| others(&Uids::parse(text).unwrap());
        assert_eq!(others("3:5,9"), [(1, 2), (6, 8), (10, u32::MAX)]);
        assert_eq!(others("1"), [(2, u32::MAX)]);
        assert_eq!(others("1:4294967295"), []);
        assert_eq!(super::others(&Uids::default()), [(1, u32::MAX)]);
    }
}
