//! What the tests of drivers share: a real server, pipes with bodies in them, and shorthands.

#[path = "support/cutter.rs"]
pub(crate) mod cutter;
#[path = "../../../lockstep/src/dovecot.rs"]
pub(crate) mod dovecot;
#[path = "support/pair.rs"]
pub(crate) mod pair;
#[path = "support/users.rs"]
pub(crate) mod users;

use std::{collections::BTreeMap, env, time::Duration};

use mail::{
    Body, Checkpoint, Driver, FlagChange, Flags, FolderName, Key, Part,
    driver::{
        Append, Appended, At, FlagGroup, Listing,
        imap::{
            Compressing, ImapDriver, ImapSettings, ImapStore, Limits, Login, Secret, Security,
            Timeouts,
        },
    },
    pipe,
};
use model::{Result, Time};

use self::dovecot::{Dovecot, PASSWORD};

/// Starts a server that is quick, since nothing on it outlives the test.
pub(crate) fn server(settings: &[&str]) -> Dovecot {
    let settings = [settings, &["mail_fsync = never"]].concat();
    Dovecot::start_in(&env::temp_dir(), &settings).unwrap()
}

/// Says how to reach a server without encryption.
pub(crate) fn settings(port: u16, user: &str) -> ImapSettings {
    ImapSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::Plain,
        user: user.to_owned(),
        login: Login::Password(Secret(PASSWORD.to_owned())),
        ca_file: None,
        without: Vec::new(),
        read_only: false,
        compress: Compressing::Never,
        timeouts: Timeouts {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(10),
            line: Duration::from_secs(10),
            idle: Duration::from_secs(20),
        },
        limits: Limits::default(),
    }
}

/// Makes a driver for an account, without some extensions.
pub(crate) fn imap(server: &Dovecot, user: &str, without: &[&str]) -> ImapDriver {
    let without = without.iter().map(|name| (*name).to_owned()).collect();
    ImapStore::new(ImapSettings { without, ..settings(server.ports().0, user) }).driver()
}

pub(crate) fn folder(name: &str) -> FolderName {
    FolderName::new(name).unwrap()
}

pub(crate) fn flags(names: &[&str]) -> Flags {
    Flags::from_names(names.iter().copied())
}

pub(crate) fn at(folder: &FolderName, listing: &Listing) -> At {
    At { folder: folder.clone(), epoch: listing.checkpoint.epoch.clone() }
}

/// Says that the epoch of a folder does not matter.
pub(crate) fn anywhere(folder: &FolderName) -> At {
    At { folder: folder.clone(), epoch: "".into() }
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) body: Vec<u8>,
    pub(crate) flags: Flags,
    pub(crate) date: Option<Time>,
}

/// Makes a message with a number in it.
pub(crate) fn mail(number: usize) -> Mail {
    let body = format!(
        "From: someone@example.org\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         Subject: number {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n\
         This is message {number}.\r\n"
    );
    Mail { body: body.into_bytes(), flags: Flags::default(), date: Some(seconds(1_700_000_000)) }
}

pub(crate) fn raw(body: &[u8]) -> Mail {
    Mail { body: body.to_vec(), flags: Flags::default(), date: None }
}

pub(crate) fn seconds(seconds: i64) -> Time {
    Time(seconds * 1_000_000_000)
}

/// Appends messages, with names that nothing else has.
pub(crate) async fn append(
    driver: &mut dyn Driver,
    to: &At,
    mails: &[Mail],
) -> Result<Vec<Appended>> {
    let sources: Vec<Append> = mails
        .iter()
        .enumerate()
        .map(|(at, mail)| Append {
            source: Key::Uid(u32::try_from(at).unwrap() + 1),
            name: name_of(&mail.body, at).into(),
            flags: mail.flags.clone(),
        })
        .collect();
    let (pouring, parts) = pipe();
    let pour = async {
        for (mail, source) in mails.iter().zip(&sources) {
            let size = mail.body.len() as u64;
            let body = Body { key: source.source.clone(), size, date: mail.date };
            pouring.send(Part::Begin(body)).await?;
            for piece in mail.body.chunks(50_000) {
                pouring.send(Part::Bytes(piece.to_vec().into())).await?;
            }
            pouring.send(Part::End).await?;
        }
        drop(pouring);
        Ok(())
    };
    let (appended, poured) = tokio::join!(driver.append(to, &sources, parts), pour);
    let poured: Result<()> = poured;
    let appended = appended?;
    poured?;
    Ok(appended)
}

fn name_of(body: &[u8], at: usize) -> String {
    let sum = body.iter().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(1_099_511_628_211).wrapping_add(u64::from(*byte))
    });
    format!("t{sum:x}n{at}")
}

/// Fetches messages: their bodies and dates by key, or nothing for those that are lost.
pub(crate) async fn fetch(
    driver: &mut dyn Driver,
    from: &At,
    keys: &[Key],
) -> Result<BTreeMap<Key, Option<(Vec<u8>, Option<Time>)>>> {
    let (pouring, mut parts) = pipe();
    let read = async {
        let mut found = BTreeMap::new();
        let mut current: Option<(Body, Vec<u8>)> = None;
        while let Some(part) = parts.recv().await {
            match part {
                Part::Begin(body) => {
                    assert!(current.replace((body, Vec::new())).is_none());
                }
                Part::Bytes(piece) => {
                    assert!(piece.len() <= mail::limits::PIECE_BYTES_MAX);
                    current.as_mut().unwrap().1.extend_from_slice(&piece);
                }
                Part::End => {
                    let (body, bytes) = current.take().unwrap();
                    assert_eq!(body.size, bytes.len() as u64);
                    assert!(found.insert(body.key, Some((bytes, body.date))).is_none());
                }
                Part::Lost(key) => {
                    assert!(current.is_none());
                    assert!(found.insert(key, None).is_none());
                }
            }
        }
        found
    };
    let (fetched, found) = tokio::join!(driver.fetch(from, keys, pouring), read);
    fetched.map(|()| found)
}

/// Lists a folder, and tells its messages' flags by key.
pub(crate) async fn list(
    driver: &mut dyn Driver,
    folder: &FolderName,
    since: Option<&Checkpoint>,
) -> Result<(Listing, BTreeMap<Key, Flags>)> {
    let listing = driver.list(folder, since).await?;
    let seen = listing.messages.iter().map(|seen| (seen.key.clone(), seen.flags.clone()));
    let seen = seen.collect();
    Ok((listing, seen))
}

pub(crate) fn change(keys: &[Key], add: &[&str], remove: &[&str]) -> FlagGroup {
    let change = FlagChange { add: flags(add), remove: flags(remove) };
    FlagGroup { keys: keys.to_vec(), change }
}

/// Runs something to its end, with a limit so that nothing hangs.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    run_for(120, work)
}

/// Runs something to its end, with another limit.
pub(crate) fn run_for<T>(seconds: u64, work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(seconds), work).await };
    runtime.block_on(limited).expect("the test takes too long")
}
