//! The driver over a session: connects where it has to, and keeps the folder that is open.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{BoxFuture, Error, Result};
use smol_str::format_smolstr;

use super::{
    command::quoted,
    login::{compress, log_in},
    reply::{Code, Reply},
    session::{Sent, Session},
    settings::{Compressing, ImapSettings},
    uids::Uids,
    wire::Traffic,
};
use crate::{
    Driver, FolderName, Key, Storable,
    driver::{At, Connect},
};

/// An account on a server, of which connections can be made.
#[derive(Clone, Debug)]
pub struct ImapStore {
    settings: ImapSettings,
    known: Arc<Mutex<Known>>,
}

/// What all connections to an account know together.
#[derive(Debug, Default)]
struct Known {
    /// What stands between the parts of folder names.
    separator: Option<Option<char>>,
    /// Folders by what the server calls them.
    names: HashMap<FolderName, String>,
    /// The epoch in which the numbers of a folder were told last.
    epochs: HashMap<FolderName, u32>,
}

impl ImapStore {
    /// Describes an account; nothing is connected yet.
    pub fn new(settings: ImapSettings) -> Self {
        Self { settings, known: Arc::default() }
    }

    /// Makes a driver that connects as soon as it is needed.
    pub fn driver(&self) -> ImapDriver {
        ImapDriver {
            store: self.clone(),
            session: None,
            open: None,
            idle: None,
            past: Traffic::default(),
        }
    }
}

impl Connect for ImapStore {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async {
            let mut driver = self.driver();
            driver.session().await?;
            Ok(Box::new(driver) as Box<dyn Driver>)
        })
    }
}

/// One connection to an account.
pub struct ImapDriver {
    store: ImapStore,
    session: Option<Session>,
    open: Option<Open>,
    /// The command that waits for changes, if it was given up while it waited.
    pub(super) idle: Option<Sent>,
    past: Traffic,
}

/// The folder that is open, as it was when it was opened.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) folder: FolderName,
    pub(super) uid_validity: u32,
    pub(super) uid_next: Option<u32>,
    pub(super) modseq: Option<u64>,
    pub(super) messages: u64,
    pub(super) storable: Storable,
}

impl ImapDriver {
    /// Tells how much went over all connections of this driver, before encryption.
    pub fn traffic(&self) -> Traffic {
        let now = self.session.as_ref().map(Session::traffic).unwrap_or_default();
        Traffic { received: self.past.received + now.received, sent: self.past.sent + now.sent }
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.store.settings.read_only
    }

    pub(super) fn settings(&self) -> &ImapSettings {
        &self.store.settings
    }

    /// Gives a session that stands between two commands, a new one if need be.
    pub(super) async fn session(&mut self) -> Result<&mut Session> {
        if let (Some(sent), Some(session)) = (self.idle.take(), &mut self.session) {
            session.wire.push(b"DONE\r\n");
            // A connection that was lost meanwhile is made anew below.
            let ended = match session.flush().await {
                Ok(()) => session.finish(sent, |_| Ok(())).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection was lost while it waited");
                self.drop_session();
            }
        }
        if self.session.as_ref().is_some_and(|session| !session.is_sound()) {
            self.drop_session();
        }
        if self.session.is_none() {
            self.session = Some(log_in(&self.store.settings).await?);
        }
        if self.store.settings.compress == Compressing::Slow
            && let Some(session) = self.session.as_mut().filter(|one| one.wire.is_slow())
        {
            compress(session).await?;
        }
        self.session.as_mut().ok_or_else(|| Error::Internal("a session was just made".to_owned()))
    }

    /// Gives the session while it waits for changes.
    pub(super) fn waiting(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// Gives the epoch in which a folder was listed.
    pub(super) fn epoch(&self, folder: &FolderName) -> Option<u32> {
        self.known().epochs.get(folder).copied()
    }

    /// Ends a connection without a word, so that the server drops what it has not yet run.
    pub(super) fn drop_session(&mut self) {
        self.past = self.traffic();
        self.session = None;
        self.open = None;
        self.idle = None;
    }

    /// Gives a session in which a folder is open, in the epoch in which it was listed.
    pub(super) async fn within(&mut self, at: &At) -> Result<&mut Session> {
        self.session().await?;
        if self.open.as_ref().is_none_or(|open| open.folder != at.folder) {
            self.select(&at.folder, None).await?;
        }
        let epoch = format_smolstr!("{}", self.opened()?.uid_validity);
        if !at.epoch.is_empty() && at.epoch != epoch {
            return Err(Error::Gone);
        }
        self.session().await
    }

    /// Opens a folder, and gives every reply on the way to nobody, or what changed to its caller.
    pub(super) async fn select(
        &mut self,
        folder: &FolderName,
        since: Option<(u32, u64)>,
    ) -> Result<Vec<Reply>> {
        let name = self.name_of(folder).await?;
        let verb = if self.is_read_only() { "EXAMINE" } else { "SELECT" };
        let session = self.session().await?;
        let how = match since {
            Some((validity, modseq)) if session.can("QRESYNC") => {
                format!(" (QRESYNC ({validity} {modseq}))")
            }
            _ if session.can("CONDSTORE") => " (CONDSTORE)".to_owned(),
            _ => String::new(),
        };
        let mut opening = Opening::default();
        let mut changes = Vec::new();
        let command = format!("{verb} {name}{how}");
        let ran = session
            .run(&command, |reply| {
                match reply {
                    Reply::Message(_) | Reply::Vanished(_) => changes.push(reply),
                    other => opening.take(&other),
                }
                Ok(())
            })
            .await;
        self.open = None;
        let said = ran?;
        if verb == "SELECT" && said.code == Code::ReadOnly {
            opening.storable = Some(Storable::Only(crate::Flags::default()));
        }
        let Some(uid_validity) = opening.uid_validity.filter(|_| !opening.is_fleeting) else {
            return Err(Error::bad_input(format!(
                "mail server {} gives the messages of {folder} no lasting numbers, so they cannot \
                 be kept in step",
                self.settings().host
            )));
        };
        self.open = Some(Open {
            folder: folder.clone(),
            uid_validity,
            uid_next: opening.uid_next,
            modseq: opening.modseq,
            messages: opening.messages,
            storable: opening.storable.unwrap_or_default(),
        });
        Ok(changes)
    }

    pub(super) fn opened(&self) -> Result<Open> {
        self.open.clone().ok_or_else(|| Error::Internal("no folder is open".to_owned()))
    }

    /// Leaves the open folder, so that it can be renamed or removed.
    pub(super) fn forget_open(&mut self) {
        self.open = None;
    }

    /// Takes note of the epoch in which a folder's numbers were told.
    pub(super) fn listed(&self, folder: &FolderName, uid_validity: u32) {
        self.known().epochs.insert(folder.clone(), uid_validity);
    }

    /// Forgets what was known of folders that moved.
    pub(super) fn forget_folder(&self, folder: &FolderName) {
        let mut known = self.known();
        known.names.retain(|name, _| name != folder && !name.is_below(folder));
        known.epochs.retain(|name, _| name != folder && !name.is_below(folder));
    }

    /// Takes note of what the server calls its folders.
    pub(super) fn learn_names(&self, separator: Option<char>, names: HashMap<FolderName, String>) {
        let mut known = self.known();
        known.separator = Some(separator);
        known.names = names;
    }

    /// Writes the name of a folder as the server does.
    pub(super) async fn name_of(&mut self, folder: &FolderName) -> Result<String> {
        if folder.is_inbox() {
            return Ok("\"INBOX\"".to_owned());
        }
        if let Some(name) = self.known().names.get(folder) {
            return Ok(name.clone());
        }
        let known = self.known().separator;
        let separator = match known {
            Some(separator) => separator,
            None => {
                let mut found = None;
                let session = self.session().await?;
                session
                    .run("LIST \"\" \"\"", |reply| {
                        if let Reply::Folder(row) = reply {
                            found = row.separator;
                        }
                        Ok(())
                    })
                    .await?;
                self.known().separator = Some(found);
                found
            }
        };
        let parts: Vec<&str> = folder.parts().collect();
        let is_flat = separator.is_none() && parts.len() > 1;
        let separator = separator.unwrap_or('/');
        let is_split = |part: &&str| separator != '/' && part.contains(separator);
        let name = parts.join(&separator.to_string());
        match quoted(&name) {
            Some(name) if !is_flat && !parts.iter().any(is_split) => Ok(name),
            _ => Err(Error::bad_input(format!(
                "mail server {} cannot have a folder with the name {folder}",
                self.settings().host
            ))),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.store.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a server says of a folder while it opens it.
#[derive(Default)]
struct Opening {
    uid_validity: Option<u32>,
    uid_next: Option<u32>,
    modseq: Option<u64>,
    messages: u64,
    storable: Option<Storable>,
    is_fleeting: bool,
}

impl Opening {
    fn take(&mut self, reply: &Reply) {
        match reply {
            Reply::Exists(count) => self.messages = *count,
            Reply::Said(said) => match &said.code {
                Code::UidValidity(validity) => self.uid_validity = Some(*validity),
                Code::UidNext(uid) => self.uid_next = Some(*uid),
                Code::ModSeq(modseq) => self.modseq = Some(*modseq),
                Code::UidNotSticky => self.is_fleeting = true,
                Code::Permanent(names, is_any) => {
                    self.storable = Some(if *is_any {
                        Storable::Any
                    } else {
                        Storable::Only(crate::Flags::from_names(names.iter().map(String::as_str)))
                    });
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Gives the numbers among keys; other keys were never this server's.
pub(super) fn uids_of(keys: &[Key]) -> Uids {
    Uids::of(keys.iter().filter_map(|key| match key {
        Key::Uid(uid) => Some(*uid),
        Key::Name(_) => None,
    }))
}
