//! A mail account of two Maildirs that a worker keeps in step with a server.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
};

use tempfile::TempDir;

use super::stage::shop;
use crate::support::{Server, lockstep, run, until};

/// One account, with the worker that makes its rounds.
pub struct Post {
    home: TempDir,
    worker: Child,
    name: String,
}

impl Post {
    /// Opens an account with these folders and so many messages in each, and waits until both
    /// sides are the same.
    pub fn start(server: &Server, name: &str, folders: &[(&str, usize)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let url = |side: &str| format!("maildir:{}", home.path().join(side).display());
        for side in ["left", "right"] {
            fs::create_dir(home.path().join(side)).unwrap();
        }
        let add =
            ["mail", "account", "add", name, "--left", &url("left"), "--right", &url("right")];
        run(&mut lockstep(home.path()), &add).with_code(0);
        let file = home.path().join(format!(".config/lockstep/mail/{name}.toml"));
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("interval = \"5m\"", "interval = \"1s\"");
        let text = text.replace("count = 20", "count = 2");
        fs::write(&file, format!("namespace = \"shop\"\n{text}")).unwrap();
        let mut command = lockstep(home.path());
        command.env("LOCKSTEP_URL", &server.url).args(["mail", "worker"]).stderr(Stdio::null());
        let post = Self { name: name.to_owned(), worker: command.spawn().unwrap(), home };
        for side in ["left", "right"] {
            post.make(side, "INBOX");
        }
        for (folder, count) in folders {
            (1..=*count).for_each(|number| post.deliver("left", folder, number));
        }
        for (folder, count) in folders {
            until("both sides are the same", || {
                (post.count("right", folder) == *count).then_some(())
            });
        }
        post.until_proved(server);
        post
    }

    /// Waits until the server has been told that both sides are the same.
    pub fn until_proved(&self, server: &Server) {
        until("the account is proved", || {
            let shown = shop(server, &["mail", "status", &self.name, "--server"]);
            shown[0]["standing"]["proved"].as_str().map(drop)
        });
    }

    fn make(&self, side: &str, folder: &str) -> PathBuf {
        let place = self.home.path().join(side).join(folder);
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(place.join(name)).unwrap();
        }
        place.join("cur")
    }

    fn path(&self, side: &str, folder: &str, number: usize) -> PathBuf {
        self.home.path().join(side).join(folder).join("cur").join(format!("{number}.x:2,"))
    }

    /// Puts a message into a folder.
    pub fn deliver(&self, side: &str, folder: &str, number: usize) {
        self.make(side, folder);
        let text = format!("Message-ID: <{folder}-{number}@x>\nSubject: s\n\nbody {number}\n");
        fs::write(self.path(side, folder, number), text).unwrap();
    }

    /// Removes messages that were delivered on the left.
    pub fn remove(&self, folder: &str, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            fs::remove_file(self.path("left", folder, number)).unwrap();
        }
    }

    /// Counts the messages of a folder.
    pub fn count(&self, side: &str, folder: &str) -> usize {
        let place = self.home.path().join(side).join(folder);
        let of = |place: PathBuf| fs::read_dir(place).map_or(0, |entries| entries.count());
        of(place.join("cur")) + of(place.join("new"))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let _gone = self.worker.kill();
        let _reaped = self.worker.wait();
    }
}
