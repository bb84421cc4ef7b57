//! Copying messages: bodies go from driver to driver, and never through here.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, future, stream};
use model::{Result, Time};
use serde_json::json;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;
use tokio::sync::Mutex;

use super::{
    Progress,
    apply::Applying,
    learn::{Learn, Poured},
    worker::PouredAll,
};
use crate::{
    Flags, Key, Side, Sides,
    driver::{Append, Appended, At, Capabilities},
    limits::GHOST_HOURS,
    mime::words,
    pipe,
    plan::Ghost,
    state::Change,
};

/// A message that is still to be copied.
#[derive(Clone, Debug)]
struct Copy {
    key: Key,
    flags: Flags,
    size: Option<u64>,
    stamp: Option<u64>,
}

/// What is still to be copied to a side.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies(Vec<Copy>);

impl Copies {
    /// Adds a message.
    pub(super) fn put(&mut self, key: Key, flags: Flags, size: Option<u64>, stamp: Option<u64>) {
        self.0.push(Copy { key, flags, size, stamp });
    }

    /// Gives what they are called on the side that they come from.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().map(|copy| &copy.key)
    }

    /// Cuts into as much as a store likes to get at once.
    fn windows(self, target: &Capabilities) -> Vec<Vec<Copy>> {
        let (mut windows, mut window, mut bytes) = (Vec::new(), Vec::new(), 0_u64);
        for copy in self.0 {
            let size = copy.size.unwrap_or(SIZE_GUESSED);
            let full = window.len() >= target.append_messages_max.max(1)
                || bytes.saturating_add(size) > target.append_bytes_max;
            if full && !window.is_empty() {
                windows.push(std::mem::take(&mut window));
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            window.push(copy);
        }
        windows.extend((!window.is_empty()).then_some(window));
        windows
    }
}

/// Bytes of a message whose size nobody told.
const SIZE_GUESSED: u64 = 16 << 10;
/// Windows that are under way at once, so that one is read while another is made durable.
const WINDOWS_MAX: usize = 2;

impl Applying<'_> {
    /// Copies messages to a side.
    pub(super) async fn copy(&mut self, to: Side, copies: Copies) -> Result<()> {
        if copies.0.is_empty() {
            return Ok(());
        }
        let folder = self.examined.case.folder.clone();
        let messages = copies.0.len();
        let bytes = copies.0.iter().map(|copy| copy.size).sum();
        (self.session.context.progress)(Progress::Copying { folder, messages, bytes });
        let target = self.workers.get(to).capabilities().await?;
        let turn = Mutex::new(());
        let this = &*self;
        let windows = copies.windows(&target).into_iter();
        let tasks = windows.map(|window| this.window(to, window, &target, &turn));
        let tasks: Vec<_> = tasks.collect();
        let mut outcomes = stream::iter(tasks).buffered(WINDOWS_MAX);
        let (mut copied, mut incomplete, mut again) =
            (crate::engine::Counts::default(), false, false);
        let mut failure = None;
        while let Some((outcome, failed)) = outcomes.next().await {
            copied.copied += outcome.messages;
            copied.bytes += outcome.bytes;
            incomplete |= outcome.lost;
            again |= outcome.unknown;
            if let Err(error) = failed {
                failure = failure.or(Some(error));
            }
        }
        drop(outcomes);
        self.done.counts.get_mut(to).add(copied);
        self.done.incomplete |= incomplete;
        self.done.again |= again;
        failure.map_or(Ok(()), Err)
    }

    async fn window(
        &self,
        to: Side,
        window: Vec<Copy>,
        target: &Capabilities,
        turn: &Mutex<()>,
    ) -> (Copied, Result<()>) {
        let mut copied = Copied::default();
        let outcome = self.transfer(to, window, target, turn, &mut copied).await;
        (copied, outcome)
    }

    async fn transfer(
        &self,
        to: Side,
        window: Vec<Copy>,
        target: &Capabilities,
        turn: &Mutex<()>,
        copied: &mut Copied,
    ) -> Result<()> {
        let at = &self.examined.at;
        let keys: Vec<Key> = window.iter().map(|copy| copy.key.clone()).collect();
        if target.ghosts {
            // The intent is durable before the append is sent.
            self.session.state.record(vec![self.intend(to, keys.clone())]).await?;
        }
        let again = |key: &Key| self.open.get(to).contains(key);
        let whole = target.ghosts && keys.iter().any(again);
        let learn = if whole { Learn::Content } else { Learn::Identity };
        let seed = self.seed(to);
        let append = |copy: &Copy| Append {
            source: copy.key.clone(),
            name: name(&seed, &copy.key),
            flags: copy.flags.clone(),
        };
        let appends = window.iter().map(append).collect();
        let (pouring, parts) = pipe();
        let (poured, appended) = {
            // Both must be asked in one turn: each side takes windows in the same order.
            let _turn = turn.lock().await;
            let source = self.workers.get(to.other());
            let poured = source.pour(at.get(to.other()), keys, learn, pouring).await?;
            (poured, self.workers.get(to).append(at.get(to), appends, parts).await?)
        };
        let (poured, appended) = future::join(poured.answer(), appended.answer()).await;
        let appended = appended?;
        // What came before a connection was lost is known as well as all else.
        let (learned, outcome) = match poured {
            Ok(PouredAll { learned, outcome }) => (learned, outcome),
            Err(error) => (Vec::new(), Err(error)),
        };
        let known = learned.iter().map(|poured| (&poured.key, poured)).collect();
        let changes = self.remember(to, &window, &appended, &known, copied);
        self.session.state.record(changes).await?;
        let folder = self.examined.case.folder.clone();
        let (messages, bytes) = (copied.messages, copied.bytes);
        (self.session.context.progress)(Progress::Copied { folder, messages, bytes });
        outcome
    }

    pub(super) fn intend(&self, side: Side, keys: Vec<Key>) -> Change {
        let folder = self.examined.case.folder.clone();
        Change::Intend { folder, side, keys, run: self.run }
    }

    fn remember(
        &self,
        to: Side,
        window: &[Copy],
        appended: &[Appended],
        known: &HashMap<&Key, &Poured>,
        copied: &mut Copied,
    ) -> Vec<Change> {
        let folder = &self.examined.case.folder;
        let copies: HashMap<&Key, &Copy> = window.iter().map(|copy| (&copy.key, copy)).collect();
        let (mut changes, mut settled, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for done in appended {
            let Some(copy) = copies.get(&done.source).filter(|_| seen.insert(&done.source)) else {
                continue;
            };
            let learned = known.get(&done.source);
            copied.messages += 1;
            copied.bytes += learned.map_or(0, |learned| learned.about.size);
            settled.push(done.source.clone());
            if self.open.get(to).contains(&done.source)
                && let Some((learned, content)) =
                    learned.and_then(|learned| Some((learned, learned.content?)))
            {
                let ghost = Ghost { side: to, identity: learned.about.identity, content };
                changes.push(Change::AddGhost(folder.clone(), ghost, self.ghosts_until()));
            }
            // What is there under a key that nobody told is looked for by the next pass, by what
            // tells it apart; what is not certain enough for that is paired by its content.
            copied.unknown |= done.key.is_none();
            let is_strong = learned.is_some_and(|learned| learned.about.identity.is_strong());
            let untold = is_strong.then(|| Key::untold(&done.source));
            let Some(key) = done.key.clone().or(untold) else { continue };
            changes.push(Change::AddPair {
                folder: folder.clone(),
                keys: Sides::with(to, key, done.source.clone()),
                stamps: Sides::with(to, done.stamp, copy.stamp),
                flags: copy.flags.clone(),
                identity: learned.map(|learned| learned.about.identity),
            });
            let about = (&copy.key, &copy.flags);
            changes.extend(self.arrived(to.other(), about, learned.unwrap_or(&&NOTHING)));
        }
        copied.lost |= settled.len() < window.len();
        changes.push(Change::Settle(folder.clone(), to, settled));
        changes
    }

    /// Tells whether what is new in the folder is news, and not what it had when it was new to us.
    pub(super) fn is_news(&self) -> bool {
        let row = self.examined.work.row.as_ref();
        row.is_some_and(|row| row.known) && !self.examined.dissolved
    }

    /// Finds the side to which a message came first, where it is on both: not that which has our
    /// own copy of it.
    pub(super) fn origin(&self, keys: &Sides<Key>) -> Side {
        let is_ours = |to: &Side| {
            let source = keys.get(to.other());
            let named = Key::Name(name(&self.seed(*to), source).as_str().into());
            self.open.get(*to).contains(source) || *keys.get(*to) == named
        };
        Side::BOTH.into_iter().find(is_ours).map_or(Side::Right, Side::other)
    }

    /// Tells of a new message, if it is news.
    pub(super) fn arrived(
        &self,
        side: Side,
        (key, flags): (&Key, &Flags),
        learned: &Poured,
    ) -> Option<Change> {
        if !self.is_news() {
            return None;
        }
        let at = self.examined.at.get(side);
        let [message_id, from, subject] = &learned.heading;
        let id = format!("{}/{}/{key}/{side}/arrived", at.folder, at.epoch);
        let data = json!({
            "folder": at.folder, "side": side, "key": key, "epoch": at.epoch,
            "identity": learned.about.identity, "flags": flags,
            "size": learned.about.size, "message_id": message_id, "from": words(from),
            "sender": sender(from), "subject": words(subject), "attachments": learned.attachments,
        });
        Some(self.session.event(id, "io.lockstep.mail.message.arrived.v1", data))
    }

    fn ghosts_until(&self) -> Time {
        self.session.now().plus(std::time::Duration::from_hours(GHOST_HOURS))
    }

    /// Gives what makes names for copies of this folder's messages the same at each attempt.
    fn seed(&self, to: Side) -> String {
        let At { folder, epoch } = self.examined.at.get(to.other());
        format!("{}\0{to}\0{folder}\0{epoch}\0", self.session.account.name)
    }
}

/// What came of a window.
#[derive(Debug, Default)]
struct Copied {
    messages: usize,
    bytes: u64,
    /// Whether some messages were not copied.
    lost: bool,
    /// Whether some messages are there under keys that nobody told.
    unknown: bool,
}

/// What is known of a message that nobody has learned anything of.
pub(super) static NOTHING: Poured = Poured {
    key: Key::Uid(0),
    about: crate::About { size: 0, identity: crate::Identity([0; 16]) },
    content: None,
    heading: [String::new(), String::new(), String::new()],
    attachments: Vec::new(),
};

/// Gives the bare address of who sent a message, in small letters.
fn sender(from: &str) -> String {
    let bare = from.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    bare.map_or(from, |(address, _)| address).trim().to_ascii_lowercase()
}

/// Gives a name that nothing else has, the same for the same message.
pub(super) fn name(seed: &str, key: &Key) -> SmolStr {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(format!("{seed}{key}"));
    let letter = |byte: &u8| LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'a');
    digest.iter().take(26).map(|byte| char::from(letter(byte))).collect()
}
