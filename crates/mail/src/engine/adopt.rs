//! Taking over what another program remembers.

use std::collections::{HashMap, HashSet};

use model::{Error, Result};
use serde::Serialize;

use super::{Mode, round::Session, worker::Worker};
use crate::{
    Checkpoint, Delta, FolderName, Identified, Key, Seen, Side, Sides,
    driver::{At, Folder},
    import::{Known, Remembered, number_of},
    limits::CALL_MESSAGES_MAX,
    state::Change,
};

/// What was taken over of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The folder.
    pub folder: FolderName,
    /// Messages of which it is known now that they are on both sides.
    pub paired: usize,
    /// Messages that the program knows and that are left to the first round.
    pub left: usize,
    /// Why nothing was taken over, if so.
    pub why: Option<String>,
}

/// Messages whose headers are compared, in each folder.
const SAMPLE: usize = 20;

/// A folder on both sides.
struct Place<'a> {
    local: Side,
    workers: Sides<&'a Worker>,
    deltas: Sides<Delta>,
    at: Sides<At>,
}

impl Session<'_> {
    /// Takes over what another program remembers of each folder that both sides have, where it fits
    /// what is there. No message is transferred, and nothing is changed on either side.
    ///
    /// # Errors
    /// If the account was synced before, or a side or the state cannot be used.
    pub async fn adopt(
        &self,
        local: Side,
        read: &(dyn Fn(&FolderName) -> Result<Option<Remembered>> + Sync),
    ) -> Result<Vec<Adopted>> {
        if !self.state.overview(self.now()).await?.folders.is_empty() {
            return Err(Error::LockConflict(
                "the account was synced before, and knows more than another program".to_owned(),
            ));
        }
        self.check_stores(&Mode::Apply).await?;
        let workers = self.workers().await?;
        let here = workers.get(local).folders().await?.folders;
        let there = workers.get(local.other()).folders().await?.folders;
        let there: HashMap<&FolderName, &Folder> =
            there.iter().map(|folder| (&folder.name, folder)).collect();
        let mut adopted = Vec::new();
        for folder in &here {
            let Some(other) = there.get(&folder.name) else { continue };
            let name = folder.name.clone();
            let none = |why: String| Adopted {
                folder: folder.name.clone(),
                paired: 0,
                left: 0,
                why: Some(why),
            };
            adopted.push(match read(&name) {
                Ok(Some(remembered)) => {
                    let both = Sides::with(local, folder, *other);
                    let workers = workers.as_ref().map(|worker| &**worker);
                    self.take_over(local, workers, both, &remembered).await?
                }
                Ok(None) => none("nothing is remembered of it".to_owned()),
                Err(error) => none(error.to_string()),
            });
        }
        Ok(adopted)
    }

    async fn take_over(
        &self,
        local: Side,
        workers: Sides<&Worker>,
        folders: Sides<&Folder>,
        remembered: &Remembered,
    ) -> Result<Adopted> {
        let name = folders.left.name.clone();
        let nothing = std::sync::Arc::default();
        let left = workers.left.examine(&name, None, &nothing).await?;
        let right = workers.right.examine(&name, None, &nothing).await?;
        let deltas = Sides { left, right };
        let at = deltas
            .as_ref()
            .map(|delta| At { folder: name.clone(), epoch: epoch(delta).unwrap_or_default() });
        let place = Place { local, workers, deltas, at };
        let known = remembered.pairs.len();
        let none = |why: &str| Adopted {
            folder: name.clone(),
            paired: 0,
            left: known,
            why: Some(why.to_owned()),
        };
        let epoch = place.at.get(local.other()).epoch.parse().unwrap_or_default();
        if !remembered.epochs.is_empty() && !remembered.epochs.contains(&epoch) {
            return Ok(none("the server has given its messages other numbers since"));
        }
        let found = place.find(remembered);
        let identities = place.identify(&found).await?;
        let fitting = place.fitting(found, &identities, remembered.tracer_bytes);
        if !place.sample_fits(&fitting, &identities).await? {
            return Ok(none("other messages have these numbers"));
        }
        let paired = fitting.len();
        let mut changes = vec![Change::AddFolder(name.clone())];
        for side in Side::BOTH {
            let id = folders.get(side).id.clone();
            changes.extend(id.map(|id| Change::FolderId(name.clone(), side, id)));
            // Without a token all of it is listed next time, and it is seen if numbers change.
            let epoch = place.at.get(side).epoch.clone();
            let checkpoint = Checkpoint { epoch, token: None };
            changes.push(Change::Checkpoint(name.clone(), side, checkpoint));
        }
        changes.push(Change::Known(name.clone()));
        changes.extend(fitting.into_iter().map(|(here, there, known)| Change::AddPair {
            folder: name.clone(),
            keys: Sides::with(local, here.key.clone(), there.key.clone()),
            stamps: Sides::with(local, here.stamp, there.stamp),
            flags: known.flags.clone(),
            identity: identities.get(&here.key).map(|known| known.identity),
        }));
        self.state.record(changes).await?;
        Ok(Adopted { folder: name, paired, left: known - paired, why: None })
    }
}

/// What both sides call a message that is remembered.
type Found<'a> = (&'a Seen, &'a Seen, &'a Known);

impl Place<'_> {
    /// Finds the messages that are remembered on both sides, where there is no doubt.
    fn find<'a>(&'a self, remembered: &'a Remembered) -> Vec<Found<'a>> {
        let mut here: HashMap<u32, &Seen> = HashMap::new();
        let mut twice = HashSet::new();
        for seen in &self.deltas.get(self.local).new {
            let Key::Name(name) = &seen.key else { continue };
            let Some(number) = number_of(name) else { continue };
            if here.insert(number, seen).is_some() {
                twice.insert(number);
            }
        }
        let there = self.deltas.get(self.local.other()).new.iter();
        let there: HashMap<&Key, &Seen> = there.map(|seen| (&seen.key, seen)).collect();
        let mut found = Vec::new();
        for known in &remembered.pairs {
            let here = here.remove(&known.number).filter(|_| !twice.contains(&known.number));
            let there = there.get(&Key::Uid(known.uid)).copied();
            found.extend(here.zip(there).map(|(here, there)| (here, there, known)));
        }
        found
    }

    /// Learns what tells the messages apart, by the files that are here.
    async fn identify(&self, found: &[Found<'_>]) -> Result<HashMap<Key, Identified>> {
        let mut identities = HashMap::with_capacity(found.len());
        for some in found.chunks(CALL_MESSAGES_MAX) {
            let keys = some.iter().map(|(here, ..)| here.key.clone()).collect();
            let worker = self.workers.get(self.local);
            let known = worker.identify(self.at.get(self.local), keys).await?;
            identities.extend(known.into_iter().map(|known| (known.key.clone(), known)));
        }
        Ok(identities)
    }

    /// Keeps those that are as long on both sides, but for what the program adds.
    fn fitting<'a>(
        &self,
        found: Vec<Found<'a>>,
        identities: &HashMap<Key, Identified>,
        tracer_bytes: u64,
    ) -> Vec<Found<'a>> {
        let fits = |(here, there, _): &Found<'_>| {
            let size = identities.get(&here.key).map(|known| known.size);
            let difference = size.zip(there.size).map(|(here, there)| here.abs_diff(there));
            difference.is_some_and(|bytes| bytes == 0 || bytes == tracer_bytes)
        };
        let mut taken = HashSet::new();
        found.into_iter().filter(fits).filter(|found| taken.insert(&found.1.key)).collect()
    }

    /// Compares the headers of some, spread over all.
    async fn sample_fits(
        &self,
        fitting: &[Found<'_>],
        identities: &HashMap<Key, Identified>,
    ) -> Result<bool> {
        let step = (fitting.len() / SAMPLE).max(1);
        let some = || fitting.iter().step_by(step);
        let keys = some().map(|(_, there, _)| there.key.clone()).collect();
        let other = self.local.other();
        let known = self.workers.get(other).identify(self.at.get(other), keys).await?;
        let there: HashMap<&Key, &Identified> =
            known.iter().map(|known| (&known.key, known)).collect();
        Ok(some().all(|(here, seen, _)| {
            let here = identities.get(&here.key).map(|known| known.identity);
            here.is_some() && here == there.get(&seen.key).map(|known| known.identity)
        }))
    }
}

fn epoch(delta: &Delta) -> Option<smol_str::SmolStr> {
    delta.checkpoint.as_ref().map(|checkpoint| checkpoint.epoch.clone())
}
