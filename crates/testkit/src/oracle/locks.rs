//! Locks: a list that is searched from end to end.

use std::time::Duration;

use model::{ChangeLocks, Error, LockChange, LockPath, Reply, Result, Time, limits};

use super::Oracle;

/// A lock that was taken, and until when it is held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    path: LockPath,
    owner: String,
    until: Time,
}

impl Oracle {
    /// Gives the owner of a lock that is held.
    pub fn lock_owner(&self, path: &LockPath) -> Option<&str> {
        let held = self.locks.iter().find(|held| held.path == *path);
        held.map(|held| held.owner.as_str())
    }

    /// Lets go of locks that have run out.
    pub(super) fn settle_locks(&mut self) {
        let now = self.now;
        self.locks.retain(|held| held.until >= now);
    }

    pub(super) fn change_locks(&mut self, command: &ChangeLocks) -> Result<Reply> {
        let free = |path: &LockPath| {
            let apart = |other: &LockPath| !path.covers(other) && !other.covers(path);
            self.locks.iter().all(|held| apart(&held.path))
        };
        let free: Vec<bool> = command.paths.iter().map(free).collect();
        match command.change {
            LockChange::Take(span) => {
                let taken = command.paths.iter().zip(&free).find(|(_, free)| !**free);
                if let Some((path, _)) = taken {
                    return Err(Error::LockConflict(format!("{path} is not lockable")));
                }
                self.hold(command, &free, span);
            }
            LockChange::TakeSome(span) => {
                self.hold(command, &free, span);
                return Ok(Reply::Locked(free));
            }
            LockChange::Keep(span) => {
                self.check_owner(command, "held by None")?;
                self.hold(command, &vec![true; free.len()], span);
            }
            LockChange::GiveBack => {
                self.check_owner(command, "not held")?;
                self.locks.retain(|held| !command.paths.contains(&held.path));
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn drop_locks(&mut self, path: &LockPath) -> Reply {
        self.locks.retain(|held| !path.covers(&held.path));
        Reply::Done
    }

    fn check_owner(&self, command: &ChangeLocks, absent: &str) -> Result<()> {
        for path in &command.paths {
            let says = match self.lock_owner(path) {
                None => absent.to_owned(),
                Some(owner) if owner == command.owner => continue,
                Some(owner) => format!("held by {owner}"),
            };
            return Err(Error::LockConflict(format!("{path} is {says}")));
        }
        Ok(())
    }

    fn hold(&mut self, command: &ChangeLocks, which: &[bool], span: Duration) {
        let span = if span.is_zero() { limits::LOCK_DEFAULT } else { span.min(limits::LOCK_MAX) };
        for (path, _) in command.paths.iter().zip(which).filter(|(_, which)| **which) {
            self.locks.retain(|held| held.path != *path);
            let (path, owner) = (path.clone(), command.owner.clone());
            self.locks.push(Held { path, owner, until: self.now.plus(span) });
        }
    }
}
