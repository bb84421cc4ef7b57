//! What makes stores fail after a number of effects, and lets users act in the middle of a round.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use model::{Error, Result};

/// Lets so many effects happen and fails everything after them, as if the process had ended.
/// Stores and states may share one.
pub struct Fuse {
    left: AtomicI64,
    /// What happens after so many more calls.
    surprise: Mutex<Option<(u32, Surprise)>>,
}

type Surprise = Box<dyn FnOnce() + Send>;

impl Fuse {
    /// Makes a fuse that never burns.
    pub fn endless() -> Self {
        Self { left: AtomicI64::new(i64::MAX), surprise: Mutex::new(None) }
    }

    /// Lets so many more effects happen.
    pub fn set(&self, effects: i64) {
        self.left.store(effects, Ordering::SeqCst);
    }

    /// Lets something happen before a later call of a driver, as when a user acts during a round.
    pub fn surprise(&self, calls: u32, surprise: impl FnOnce() + Send + 'static) {
        let mut waiting = self.surprise.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some((calls, Box::new(surprise)));
    }

    /// Gives the number of effects that may still happen; negative once it has burnt.
    pub fn left(&self) -> i64 {
        self.left.load(Ordering::SeqCst)
    }

    /// Counts an effect.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it may not happen.
    pub fn effect(&self) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.left.store(-1, Ordering::SeqCst);
        }
        self.check()
    }

    /// Counts a call.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it has burnt.
    pub(super) fn call(&self) -> Result<()> {
        let mut waiting = self.surprise.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match &mut *waiting {
            Some((0, _)) => waiting.take(),
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
            None => None,
        };
        drop(waiting);
        if let Some((_, surprise)) = due {
            surprise();
        }
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.left() < 0 {
            return Err(Error::Unavailable("the connection was cut".to_owned()));
        }
        Ok(())
    }
}

impl fmt::Debug for Fuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fuse").field("left", &self.left()).finish_non_exhaustive()
    }
}
