//! `lockstep mail import-state`.

use std::{env, fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use mail::{
    FolderName, Side,
    controller::{Control as _, Names, Utf7},
    driver::maildir::{MaildirSettings, MaildirStore},
    engine::{Context, Session},
    import::{Mbsync, Offlineimap, Remembered},
};
use serde_json::json;

use super::{
    place::{self, Address, Opened, now},
    vault::Vault,
};
use crate::{
    config::folder,
    failure::Failure,
    output::{Output, printable, table},
};

/// Whose memory to take over, and into which account.
#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The program
    program: Program,
    /// The account, one side of which is the Maildir that the program has filled
    account: String,
    /// Folder in which the program keeps what it remembers: with mbsync the one of `SyncState`,
    /// with offlineimap `Account-NAME` [default: where the program keeps it unless it is told]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

/// A program that keeps mail in step.
#[derive(Clone, Copy, ValueEnum)]
enum Program {
    /// The program of the package isync
    Mbsync,
    /// The program of that name, for Python 2 or 3
    Offlineimap,
}

impl ImportArgs {
    /// Takes over what another program remembers.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let name = &self.account;
        let opened = place::open(name, vault).await?;
        let maildir = Maildir::of(name, &opened)?;
        let read = self.reader(&maildir.store)?;
        let read = |folder: &FolderName| read(&maildir.own_name(folder)?);
        let context = Context { now: &now, progress: &|_| {} };
        let session = Session::new(&opened.account, &opened.state, &context);
        let adopted = session.adopt(maildir.side, &read).await?;
        let rows: Vec<Vec<String>> = adopted
            .iter()
            .map(|one| {
                let why = one.why.clone().unwrap_or_default();
                let name = printable(one.folder.as_str());
                vec![name, one.paired.to_string(), one.left.to_string(), printable(&why)]
            })
            .collect();
        let heads = ["folder", "taken over", "left", "why"];
        out.data(&json!({"account": name, "folders": adopted}), || table(&heads, &rows))?;
        let left = adopted.iter().any(|one| one.left > 0 || one.why.is_some());
        if left {
            out.note("what is left is paired by its headers and content in the first sync");
        }
        out.note(format!("see what a sync would do with `lockstep mail plan {name}`"));
        Ok(ExitCode::SUCCESS)
    }

    /// Makes what reads the memory of one folder.
    fn reader(&self, store: &MaildirStore) -> Result<Box<Reader>> {
        let store = store.clone();
        match self.program {
            Program::Mbsync => {
                let usual = [
                    env::home_dir().map(|home| home.join(".mbsync")),
                    folder("XDG_STATE_HOME", ".local/state").map(|place| place.join("isync")),
                ];
                let usual = usual.into_iter().flatten().filter(|place| place.is_dir());
                let places = self.state.clone().map_or_else(|| usual.collect(), |one| vec![one]);
                let mbsync = Mbsync { places };
                Ok(Box::new(move |folder| mbsync.read(folder, &store.path_of(folder)?)))
            }
            Program::Offlineimap => {
                let account = self.state.clone().map_or_else(only_account, Ok)?;
                let offlineimap = Offlineimap { account };
                Ok(Box::new(move |folder| offlineimap.read(folder)))
            }
        }
    }
}

type Reader = dyn Fn(&FolderName) -> model::Result<Option<Remembered>> + Sync;

/// The side that is a Maildir.
struct Maildir {
    side: Side,
    store: MaildirStore,
    names: Names,
    is_utf7: bool,
}

impl Maildir {
    /// Finds it in an account, of which the other side is a server.
    fn of(name: &str, opened: &Opened) -> Result<Self> {
        let stores = opened.file.stores();
        let mut found = Vec::new();
        for side in Side::BOTH {
            let file = stores.get(side);
            if let Address::Maildir(root, layout) = Address::parse(&file.url)? {
                let settings = MaildirSettings { root, layout, read_only: true };
                let (store, names) = (MaildirStore::new(settings), Names::new(file.names.clone())?);
                found.push(Self { side, store, names, is_utf7: file.utf7 });
            }
        }
        match found.pop() {
            Some(one) if found.is_empty() => Ok(one),
            _ => Err(Failure::usage(
                format!("the account {name:?} is not a Maildir and a server"),
                "make an account of the Maildir and the server that the other program syncs",
            )
            .into()),
        }
    }

    /// Gives what the Maildir itself calls a folder.
    fn own_name(&self, folder: &FolderName) -> model::Result<FolderName> {
        let name = self.names.inward(folder)?;
        if self.is_utf7 { Utf7.inward(&name) } else { Ok(name) }
    }
}

/// Finds the only account of offlineimap.
fn only_account() -> Result<PathBuf> {
    let place = env::home_dir().context("there is no home folder")?.join(".offlineimap");
    let hint = "give its folder with --state, such as ~/.offlineimap/Account-Home";
    let mut found = Vec::new();
    for entry in fs::read_dir(&place).into_iter().flatten() {
        let entry = entry.with_context(|| format!("cannot read {}", place.display()))?;
        if entry.file_name().as_encoded_bytes().starts_with(b"Account-") {
            found.push(entry.path());
        }
    }
    match found.pop() {
        Some(one) if found.is_empty() => Ok(one),
        Some(_) => {
            let message = format!("offlineimap has several accounts in {}", place.display());
            Err(Failure::usage(message, hint).into())
        }
        None => {
            let message = format!("there is no account of offlineimap in {}", place.display());
            Err(Failure::usage(message, hint).into())
        }
    }
}
