//! The two stores of mail of the demo, looked at and changed as files.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

use super::{ACCOUNT, GUARD, LOOK_AGAIN, NAMESPACE, STALLED, stalled};
use crate::{
    dovecot::{Dovecot, PASSWORD, PATH},
    output::Output,
};

/// The name of a side.
pub(super) type Side = &'static str;
const SIDES: [Side; 2] = ["left", "right"];
/// Who has mail in the Dovecot.
const USER: &str = "demo";

/// Messages by folder, flags and content, as often as they are there.
pub(super) type Everything = BTreeMap<(String, String, String), usize>;

/// A Maildir, and a Dovecot or a second Maildir.
pub(super) struct Place {
    root: PathBuf,
    server: Option<Dovecot>,
}

/// Starts a Dovecot, or says why there is none.
fn server(root: &Path) -> io::Result<Dovecot> {
    let asked = Command::new("dovecot").arg("--version").env("PATH", PATH).output();
    let asked = asked.map_err(|_| io::Error::other("no Dovecot is installed"))?;
    let version = String::from_utf8_lossy(&asked.stdout);
    if !version.starts_with("2.3.") {
        let version = version.trim();
        return Err(io::Error::other(format!("the demo knows Dovecot 2.3, and here is {version}")));
    }
    Dovecot::start_in(root, &[])
}

impl Place {
    /// Makes both sides empty: the right one in a Dovecot where one starts.
    pub(super) fn new(root: &Path, out: Output) -> Result<Self> {
        let server = match server(root) {
            Ok(server) => Some(server),
            Err(error) => {
                out.note(format!("mail: both sides are Maildirs, since {error}"));
                None
            }
        };
        let place = Self { root: root.to_owned(), server };
        for side in SIDES {
            for name in ["", "cur", "new", "tmp"] {
                let directory = place.mail(side).join("INBOX").join(name);
                fs::create_dir_all(&directory)?;
                place.hand_over(side, &directory)?;
            }
            place.hand_over(side, &place.mail(side))?;
        }
        Ok(place)
    }

    /// Says what the right side is.
    pub(super) fn right(&self) -> &'static str {
        if self.server.is_some() { "a Dovecot" } else { "another Maildir" }
    }

    /// Gives the directory in which the mail of a side is.
    fn mail(&self, side: Side) -> PathBuf {
        match &self.server {
            Some(server) if side == "right" => server.mail(USER),
            _ => self.root.join(side),
        }
    }

    /// Gives a file to the user that the server runs as, as whoever delivers mail does.
    fn hand_over(&self, side: Side, path: &Path) -> Result<()> {
        if let Some(server) = &self.server
            && side == "right"
        {
            let owner = fs::metadata(server.file("mail"))?;
            chown(path, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(())
    }

    /// Writes the file of the account, and gives its folder.
    pub(super) fn accounts(&self) -> Result<PathBuf> {
        let folder = self.root.join("accounts");
        fs::create_dir_all(&folder)?;
        let maildir =
            |side| format!("url = {:?}\n", format!("maildir:{}", self.mail(side).display()));
        let right = match &self.server {
            Some(server) => {
                let password = self.root.join("password");
                fs::write(&password, PASSWORD)?;
                let url = format!("imap+plain://{USER}@127.0.0.1:{}", server.ports().0);
                format!("url = {url:?}\npassword_file = {password:?}\n")
            }
            None => maildir("right"),
        };
        let removed = self.root.join("removed");
        let account = format!(
            "namespace = {NAMESPACE:?}\n[left]\n{}[right]\n{right}[sync]\n\
             interval = \"1s\"\nremoved = {removed:?}\n\
             [guard]\ncount = {GUARD}\npercent = 10\nemptied = 100\n",
            maildir("left"),
        );
        fs::write(folder.join(format!("{ACCOUNT}.toml")), account)?;
        Ok(folder)
    }

    pub(super) fn deliver(&self, side: Side, name: &str, text: &str) -> Result<()> {
        let inbox = self.mail(side).join("INBOX");
        let draft = inbox.join("tmp").join(name);
        fs::write(&draft, text)?;
        self.hand_over(side, &draft)?;
        fs::rename(draft, inbox.join("cur").join(format!("{name}.demo:2,")))?;
        Ok(())
    }

    /// Does something with the file of a message.
    pub(super) fn change(
        &self,
        side: Side,
        text: &str,
        act: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<()> {
        for (_, file) in files(&self.mail(side))? {
            if fs::read_to_string(&file).is_ok_and(|found| plain(&found) == plain(text)) {
                return act(&file).with_context(|| file.display().to_string());
            }
        }
        bail!("a message that was on both sides is no longer on the {side} one")
    }

    pub(super) fn everything(&self, side: Side) -> Result<Everything> {
        let mut all = Everything::new();
        for (folder, file) in files(&self.mail(side))? {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let flags = name.split_once(":2,").map_or("", |(_, flags)| flags);
            // A file that is renamed meanwhile is found at the next look.
            if let Ok(text) = fs::read_to_string(&file) {
                expect(&mut all, &folder, flags, &text);
            }
        }
        Ok(all)
    }

    /// Waits until both sides have exactly this.
    pub(super) async fn wait_for(&self, expected: &Everything, what: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let [left, right] = SIDES.map(|side| self.everything(side));
            if left? == *expected && right? == *expected {
                return Ok(());
            }
            if begun.elapsed() > STALLED {
                return Err(stalled(&format!("mail does not come to be the same: {what}")));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Gives the files of all messages with their folders.
fn files(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = place.file_name().and_then(|name| name.to_str());
            let folder = place.parent().and_then(|folder| folder.strip_prefix(root).ok());
            if let (Some("cur" | "new"), Some(folder)) = (name, folder) {
                found.push((folder.display().to_string(), path));
            }
        }
    }
    Ok(found)
}

pub(super) fn flagged(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("S");
    name.into()
}

fn plain(text: &str) -> String {
    text.replace('\r', "")
}

pub(super) fn key(folder: &str, flags: &str, text: &str) -> (String, String, String) {
    (folder.to_owned(), flags.to_owned(), plain(text))
}

pub(super) fn expect(all: &mut Everything, folder: &str, flags: &str, text: &str) {
    *all.entry(key(folder, flags, text)).or_default() += 1;
}
