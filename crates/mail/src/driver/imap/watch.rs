//! Waiting until something changes.

use std::time::Duration;

use model::Result;
use tokio::time::{Instant, sleep};

use super::{
    command::quoted,
    connection::ImapDriver,
    reply::{Reply, Verdict},
    session::Incoming,
};
use crate::FolderName;

/// How long to wait where a server cannot tell of changes.
const BLIND_WAIT: Duration = Duration::from_mins(2);

/// Asks to be told of every folder, where a server can do that.
const NOTIFY: &str = "NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) \
                      (personal (MessageNew MessageExpunge FlagChange))";

impl ImapDriver {
    /// Waits until something changed: in any folder if the server can tell, or else in the first,
    /// and names it; or until something may have changed in any.
    pub(super) async fn wait_for_change(
        &mut self,
        folders: &[FolderName],
    ) -> Result<Vec<FolderName>> {
        let inbox = FolderName::inbox();
        let folder = folders.iter().find(|folder| folder.is_inbox()).or(folders.first());
        let folder = folder.unwrap_or(&inbox);
        let until = Instant::now() + self.settings().timeouts.idle;
        let mut names = Vec::new();
        for folder in folders {
            names.push((self.name_of(folder).await?, folder));
        }
        self.session().await?;
        if self.opened().map_or(true, |open| open.folder != *folder) {
            self.select(folder, None).await?;
        }
        let session = self.session().await?;
        if !session.can("IDLE") {
            sleep(BLIND_WAIT).await;
            return Ok(Vec::new());
        }
        if session.can("NOTIFY") && folders.len() > 1 {
            let sent = session.start(NOTIFY).await?;
            // A server that does not want to tells of one folder, as others do.
            session.finish(sent, |_| Ok(())).await?;
        }
        let sent = session.start("IDLE").await?;
        // From here on the waiting can be given up; the next operation ends it.
        self.idle = Some(sent);
        let changed = self.changed(until, folder, &names).await;
        if changed.is_err() {
            self.drop_session();
        }
        let changed = changed?;
        self.session().await?;
        Ok(changed.into_iter().collect())
    }

    /// Reads until something changed in a folder, and gives that; none if nothing did for long.
    async fn changed(
        &mut self,
        until: Instant,
        open: &FolderName,
        names: &[(String, &FolderName)],
    ) -> Result<Option<FolderName>> {
        let idle = self.idle;
        let Some(session) = self.waiting() else { return Ok(None) };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !session.arrives(left).await? {
                return Ok(None);
            }
            match session.next().await? {
                Incoming::Reply(
                    Reply::Exists(_) | Reply::Expunged(_) | Reply::Vanished(_) | Reply::Message(_),
                ) => return Ok(Some(open.clone())),
                Incoming::Reply(Reply::Counts(row)) => {
                    let name = std::str::from_utf8(&row.name).ok().and_then(quoted);
                    let known = names.iter().find(|(known, _)| Some(known) == name.as_ref());
                    if let Some((_, folder)) = known {
                        return Ok(Some((*folder).clone()));
                    }
                }
                Incoming::Reply(Reply::Done(name, said)) => {
                    let is_refused = said.verdict != Verdict::Ok;
                    session.end(&name, said)?;
                    let said = idle.and_then(|idle| session.ended(idle));
                    self.idle = None;
                    if is_refused && said.is_some() {
                        sleep(BLIND_WAIT).await;
                    }
                    return Ok(None);
                }
                Incoming::Reply(_) => {}
                Incoming::Section(_, bytes) => session.skip(bytes).await?,
            }
        }
    }
}
