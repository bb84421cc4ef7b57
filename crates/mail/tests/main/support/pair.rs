//! An account between directories and a real server, and everything that is on both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mail::{
    Driver, Flags, FolderName, Key, Sides,
    driver::{
        Connect,
        imap::{ImapDriver, ImapStore},
        maildir::{Layout, MaildirDriver, MaildirSettings, MaildirStore},
    },
    engine::{Account, Context, Mode, Settings, Summary, sync},
    state::{Database, State},
};
use model::{Result, Time};
use tempfile::TempDir;

use super::{at, dovecot::Dovecot, fetch, imap, list, settings};

/// How long a server may act on what a lost connection sent. Shorter than it should be, so that
/// some of it is really seen.
const GRACE: Duration = Duration::from_millis(100);

/// Everything on a side: how often each message is in each folder with which flags.
pub(crate) type Everything = BTreeMap<(Vec<u8>, FolderName, Flags), usize>;

/// Directories on the left, a server on the right, and the state between them.
pub(crate) struct Pair<'a> {
    pub(crate) home: TempDir,
    pub(crate) server: &'a Dovecot,
    pub(crate) user: String,
    /// Where the server is reached: the port of the server itself, or of someone on the way.
    pub(crate) port: u16,
    pub(crate) settings: Settings,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(server: &'a Dovecot, user: &str) -> Self {
        let settings = Settings { grace: GRACE, ..Settings::default() };
        Self {
            home: TempDir::new().unwrap(),
            server,
            user: user.to_owned(),
            port: server.ports().0,
            settings,
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join("mail")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.path().join("state.db")
    }

    fn directories(&self) -> MaildirStore {
        MaildirStore::new(MaildirSettings {
            root: self.root(),
            layout: Layout::Nested,
            read_only: false,
        })
    }

    pub(crate) fn left(&self) -> MaildirDriver {
        self.directories().driver()
    }

    /// Gives a connection of somebody else, who is not disturbed by anyone on the way.
    pub(crate) fn right(&self) -> ImapDriver {
        imap(self.server, &self.user, &[])
    }

    pub(crate) fn account(&self) -> Account {
        let right: Arc<dyn Connect> = Arc::new(ImapStore::new(settings(self.port, &self.user)));
        Account {
            name: "home".to_owned(),
            stores: Sides { left: Arc::new(self.directories()), right },
            retention: None,
            settings: self.settings.clone(),
        }
    }

    pub(crate) async fn try_round(&self, mode: &Mode) -> Result<Summary> {
        round(self.account(), &self.database(), mode).await
    }

    /// Makes one round of an account that another process set up.
    pub(crate) async fn elsewhere(home: &str, port: u16, user: &str) -> Summary {
        let home = Path::new(home);
        let root = home.join("mail");
        let left = MaildirSettings { root, layout: Layout::Nested, read_only: false };
        let right: Arc<dyn Connect> = Arc::new(ImapStore::new(settings(port, user)));
        let mut account = Account {
            name: "home".to_owned(),
            stores: Sides { left: Arc::new(MaildirStore::new(left)), right },
            retention: None,
            settings: Settings { grace: GRACE, ..Settings::default() },
        };
        account.settings.guard.count = usize::MAX;
        round(account, &home.join("state.db"), &Mode::Apply).await.unwrap()
    }

    /// Makes a round in which nothing goes wrong.
    pub(crate) async fn round(&self) -> Summary {
        let summary = self.try_round(&Mode::Apply).await.unwrap();
        assert_eq!(summary.problems, []);
        summary
    }

    /// Makes rounds until nothing changes any more.
    pub(crate) async fn settle(&self) {
        for _ in 0..10 {
            if self.round().await.is_quiet() {
                return;
            }
        }
        panic!("ten rounds were not enough");
    }

    /// Makes sure that both sides hold the same, and gives it.
    pub(crate) async fn same(&self) -> Everything {
        let left = everything(&mut self.left()).await;
        let right = everything(&mut self.right()).await;
        let only = |one: &Everything, other: &Everything| -> Vec<String> {
            let differs = one.iter().filter(|(key, count)| other.get(*key) != Some(*count));
            let shown = differs.map(|((body, folder, flags), count)| {
                let body = String::from_utf8_lossy(body);
                format!("{count} × {folder} [{flags}] {}", &body[..body.len().min(150)])
            });
            shown.collect()
        };
        assert_eq!(only(&left, &right), Vec::<String>::new(), "what is left only");
        assert_eq!(only(&right, &left), Vec::<String>::new(), "what is right only");
        left
    }
}

async fn round(account: Account, database: &Path, mode: &Mode) -> Result<Summary> {
    let state = State::start(Database::open(database)?)?;
    let now = || {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        Time(i64::try_from(since.as_nanos()).unwrap())
    };
    let context = Context { now: &now, progress: &|_| {} };
    sync(&account, &state, mode, &context).await
}

/// Reads everything that a store holds.
pub(crate) async fn everything(driver: &mut dyn Driver) -> Everything {
    let mut all = Everything::new();
    for folder in driver.folders().await.unwrap().folders {
        let (listing, seen) = list(driver, &folder.name, None).await.unwrap();
        let keys: Vec<Key> = seen.keys().cloned().collect();
        let fetched = fetch(driver, &at(&folder.name, &listing), &keys).await.unwrap();
        for (key, found) in fetched {
            let (body, _) = found.unwrap();
            *all.entry((body, folder.name.clone(), seen[&key].clone())).or_default() += 1;
        }
    }
    all
}

/// Tells how many messages there are.
pub(crate) fn count(all: &Everything) -> usize {
    all.values().sum()
}
