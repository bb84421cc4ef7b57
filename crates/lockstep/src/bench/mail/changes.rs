//! An account of one program, and those who change both of its sides.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mail::{
    Body, Driver as _, FlagChange, Flags, FolderName, Key, Part,
    driver::{
        Append, At, FlagGroup,
        imap::{
            Compressing, ImapDriver, ImapSettings, ImapStore, Limits, Login, Secret, Security,
            Timeouts,
        },
    },
    pipe,
};
use tokio::runtime::Runtime;

use super::{
    corpus,
    program::{Program, Sample},
    same,
};
use crate::dovecot::{Dovecot, PASSWORD};

/// An account.
pub(super) struct Account<'a> {
    server: &'a Dovecot,
    program: Program,
    user: String,
    /// What the program keeps.
    home: PathBuf,
    /// The directories that it syncs.
    mail: PathBuf,
    runtime: Runtime,
    /// How many messages were made here.
    made: u64,
}

impl<'a> Account<'a> {
    pub(super) fn make(
        server: &'a Dovecot,
        program: Program,
        user: &str,
        home: &Path,
    ) -> Result<Self> {
        let mail = home.join("mail");
        program.set_up(home, &mail, server.ports().0, user)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (user, home) = (user.to_owned(), home.to_owned());
        Ok(Self { server, program, user, home, mail, runtime, made: 0 })
    }

    /// Links messages into a folder on the server.
    pub(super) fn fill(&self, folder: &str, corpus: &[PathBuf]) -> Result<()> {
        let place = self.server.mail(&self.user);
        let directory = place.join(folder);
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(directory.join(name))?;
        }
        // The server is somebody else.
        for path in [&place, &directory] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
        }
        for name in ["cur", "new", "tmp"] {
            fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o777))?;
        }
        for (number, file) in corpus.iter().enumerate() {
            fs::hard_link(file, directory.join(format!("cur/{number:06}.corpus:2,")))?;
        }
        // The server makes its index when it is first asked.
        self.uids(folder)?;
        Ok(())
    }

    /// Runs the program.
    pub(super) fn sync(&mut self) -> Result<Sample> {
        let before = self.traffic(None)?;
        let sample = self.program.run(&self.home)?;
        let after = self.traffic(Some(before.1))?;
        Ok(Sample { wire_bytes: after.0 - before.0, ..sample })
    }

    /// Lets some time pass and syncs again, so that the next run finds what it usually does.
    pub(super) fn calm(&mut self) -> Result<()> {
        // Sleeps because what is younger than two seconds may change again within the same tick.
        thread::sleep(Duration::from_millis(2_200));
        self.sync()?;
        Ok(())
    }

    /// Marks messages: the first ones here, the last ones on the server.
    pub(super) fn change_flags(&mut self, count: usize) -> Result<()> {
        for file in self.files()?.into_iter().take(count) {
            let name = file.file_name().and_then(|name| name.to_str()).context("a name")?;
            let (base, _) = name.split_once(":2,").unwrap_or((name, ""));
            fs::rename(&file, self.mail.join(format!("INBOX/cur/{base}:2,S")))?;
        }
        let keys = self.last(count)?;
        let flags = Flags::from_names(["\\Flagged"]);
        let change = FlagChange { add: flags, remove: Flags::default() };
        let groups = [FlagGroup { keys, change }];
        let (mut driver, at) = (self.driver(), inbox()?);
        let done = self.runtime.block_on(driver.flag(&at, &groups))?;
        ensure!(done.len() == count, "the server marked {} messages", done.len());
        Ok(())
    }

    /// Makes messages on both sides.
    pub(super) fn add(&mut self, count: usize) -> Result<()> {
        let mut bodies = Vec::new();
        for number in 0..count {
            self.made += 1;
            let draft = self.mail.join(format!("INBOX/tmp/made.{}", self.made));
            fs::write(&draft, corpus::message(10_000_000 + self.made, 8_000))?;
            fs::rename(&draft, self.mail.join(format!("INBOX/new/made.{}", self.made)))?;
            let number = u32::try_from(number)? + 1;
            bodies.push((Key::Uid(number), corpus::message(20_000_000 + self.made, 8_000)));
        }
        for some in bodies.chunks(50) {
            let source = |(key, _): &(Key, Vec<u8>)| Append {
                source: key.clone(),
                name: format!("made{key}").into(),
                flags: Flags::default(),
            };
            let sources: Vec<Append> = some.iter().map(source).collect();
            let (pouring, parts) = pipe();
            let pour = async {
                for (key, body) in some {
                    let size = body.len() as u64;
                    let begin = Body { key: key.clone(), size, date: None };
                    let parts = [Part::Begin(begin), Part::Bytes(body.clone().into()), Part::End];
                    for part in parts {
                        pouring.send(part).await?;
                    }
                }
                drop(pouring);
                Ok(())
            };
            let (mut driver, at) = (self.driver(), inbox()?);
            let (appended, poured): (_, model::Result<()>) = self
                .runtime
                .block_on(async { tokio::join!(driver.append(&at, &sources, parts), pour) });
            poured?;
            ensure!(appended?.len() == some.len(), "the server did not take all messages");
        }
        Ok(())
    }

    /// Removes messages: the first ones here, the last ones on the server.
    pub(super) fn remove(&mut self, count: usize) -> Result<()> {
        let keys = self.last(count)?;
        for file in self.files()?.into_iter().filter(|file| is_pulled(file)).take(count) {
            fs::remove_file(file)?;
        }
        let (mut driver, at) = (self.driver(), inbox()?);
        let gone = self.runtime.block_on(driver.remove(&at, &keys))?;
        ensure!(gone.len() == count, "the server removed {} messages", gone.len());
        Ok(())
    }

    /// Makes sure that both sides have the same number of messages.
    pub(super) fn check(&self) -> Result<()> {
        same(self.program.name(), self.files()?.len(), self.uids("INBOX")?.len())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in ["cur", "new"] {
            for entry in fs::read_dir(self.mail.join("INBOX").join(name))? {
                files.push(entry?.path());
            }
        }
        files.sort();
        Ok(files)
    }

    /// Gives the last messages on the server that were not made by these tests alone.
    fn last(&self, count: usize) -> Result<Vec<Key>> {
        let mut keys = self.uids("INBOX")?;
        keys.sort();
        Ok(keys.split_off(keys.len().saturating_sub(count)))
    }

    fn uids(&self, folder: &str) -> Result<Vec<Key>> {
        let mut driver = self.driver();
        let listing = self.runtime.block_on(driver.list(&FolderName::new(folder)?, None))?;
        Ok(listing.messages.into_iter().map(|seen| seen.key).collect())
    }

    fn driver(&self) -> ImapDriver {
        ImapStore::new(ImapSettings {
            host: "127.0.0.1".to_owned(),
            port: self.server.ports().0,
            security: Security::Plain,
            user: self.user.clone(),
            login: Login::Password(Secret(PASSWORD.to_owned())),
            ca_file: None,
            without: Vec::new(),
            read_only: false,
            compress: Compressing::Never,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        })
        .driver()
    }

    /// Gives the bytes that the server counted for this user, once it has said so for each
    /// connection, and after how many connections.
    fn traffic(&self, before: Option<usize>) -> Result<(u64, usize)> {
        let start = Instant::now();
        loop {
            let log = self.server.log();
            let is_ours = |line: &&str| line.contains(&format!("imap({})<", self.user));
            let login = format!("Login: user=<{}>,", self.user);
            let logins = log.lines().filter(|line| line.contains(&login)).count();
            let ends: Vec<&str> =
                log.lines().filter(is_ours).filter(|line| line.contains(" out=")).collect();
            if ends.len() >= logins && before.is_none_or(|before| ends.len() > before) {
                let bytes =
                    ends.iter().flat_map(|line| [value(line, " in="), value(line, " out=")]);
                return Ok((bytes.flatten().sum(), ends.len()));
            }
            ensure!(start.elapsed() < Duration::from_secs(10), "the server counts no bytes: {log}");
            // Sleeps because a log tells nobody that it has grown.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn value(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(name)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn inbox() -> Result<At> {
    Ok(At { folder: FolderName::new("INBOX")?, epoch: Default::default() })
}

/// Tells whether a file came from the server at first.
fn is_pulled(file: &Path) -> bool {
    !file.to_string_lossy().contains("made.")
}
