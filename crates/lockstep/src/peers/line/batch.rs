//! Writes that go the same way at the same time go in one message, for a message costs as much as a
//! write. None is held up for company: where they are made, all of one commit meet anyway.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard, PoisonError},
};

use client::{Parcel, Passed};
use model::{Command, QueueCommand, Write, limits};
use tokio::sync::oneshot;

use super::Line;

/// Messages that are under way at a time: with the claims that wait, fewer than the connections of
/// one address.
const MESSAGES_MAX: usize = 64;
const _: () = assert!(
    MESSAGES_MAX + limits::PASSED_ON_WAITING_MAX < limits::CONNECTIONS_PER_PEER_MAX,
    "a node has room for all messages of another"
);
/// Bytes in a message of more than one write, and in its answer, about, so that none waits long for
/// others.
const BYTES_MAX: usize = 256 << 10;
/// What a claimed unit is taken to add to an answer, in bytes.
const UNIT_BYTES: usize = 1 << 10;

/// The writes that are to go, and how many messages are under way.
#[derive(Default)]
pub(super) struct Waiting {
    letters: VecDeque<Letter>,
    under_way: usize,
}

/// A write that is to go.
struct Letter {
    parcel: Parcel,
    /// Bytes that it and its answer take, about.
    weight: usize,
    told: oneshot::Sender<Passed>,
}

impl Waiting {
    /// Takes what goes into the next message, without what its callers have given up: they were
    /// answered otherwise, and it would have its effect long after.
    fn take(&mut self) -> (Vec<Parcel>, Vec<oneshot::Sender<Passed>>) {
        self.letters.retain(|letter| !letter.told.is_closed());
        let (mut count, mut bytes) = (0, 0);
        for letter in &self.letters {
            bytes += letter.weight;
            if count > 0 && (bytes > BYTES_MAX || count == limits::PASSED_ON_MAX) {
                break;
            }
            count += 1;
        }
        self.letters.drain(..count).map(|letter| (letter.parcel, letter.told)).unzip()
    }
}

/// Counts the units that a write may claim.
fn claimed(write: &Write) -> usize {
    let count = |command: &Command| match command {
        Command::Queue(QueueCommand::Claim(claim)) => claim.count as usize,
        _ => 0,
    };
    write.commands.iter().map(count).sum()
}

impl Line {
    /// Passes a write on, together with others; one that waits goes by itself.
    pub(in crate::peers) async fn pass_on(self: &Arc<Self>, write: &Write) -> Passed {
        let lost = || Passed::Unknown("the message was given up".to_owned());
        let parcel = match Parcel::pack(write) {
            Ok(parcel) => parcel,
            Err(passed) => return passed,
        };
        if !write.wait.is_zero() {
            return self.remote.pass_on(&[parcel]).await.pop().unwrap_or_else(lost);
        }
        let (told, hears) = oneshot::channel();
        let weight = parcel.size().saturating_add(claimed(write).saturating_mul(UNIT_BYTES));
        let is_free = {
            let mut waiting = self.waiting();
            waiting.letters.push_back(Letter { parcel, weight, told });
            let is_free = waiting.under_way < MESSAGES_MAX;
            waiting.under_way += usize::from(is_free);
            is_free
        };
        if is_free {
            // Others may wait for the answers too, so they do not end with this caller.
            tokio::spawn(Arc::clone(self).send());
        }
        hears.await.unwrap_or_else(|_| lost())
    }

    /// Sends messages until nothing is left to go.
    async fn send(self: Arc<Self>) {
        // Whoever is on the way here comes along.
        tokio::task::yield_now().await;
        loop {
            let (parcels, told) = {
                let mut waiting = self.waiting();
                let taken = waiting.take();
                if taken.0.is_empty() {
                    waiting.under_way -= 1;
                    return;
                }
                taken
            };
            for (told, passed) in told.into_iter().zip(self.remote.pass_on(&parcels).await) {
                // Who no longer waits has been answered otherwise.
                let _heard = told.send(passed);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use model::Namespace;

    use super::*;

    /// Gives letters of these weights, and those who wait for the answers.
    fn waiting(weights: &[usize]) -> (Waiting, Vec<oneshot::Receiver<Passed>>) {
        let parcel = Parcel::pack(&Write::of(&Namespace::empty(), Vec::new())).unwrap();
        let letter = |weight: &usize| {
            let (told, hears) = oneshot::channel();
            (Letter { parcel: parcel.clone(), weight: *weight, told }, hears)
        };
        let (letters, hear) = weights.iter().map(letter).unzip();
        (Waiting { letters, under_way: 0 }, hear)
    }

    #[test]
    fn a_message_has_few_writes_and_bytes() {
        let (mut many, _hear) = waiting(&[1; limits::PASSED_ON_MAX + 1]);
        assert_eq!(many.take().0.len(), limits::PASSED_ON_MAX);
        assert_eq!(many.take().0.len(), 1);
        assert_eq!(many.take().0.len(), 0);
        let (mut large, _hear) = waiting(&[10, BYTES_MAX, 10, 10]);
        let counts = std::iter::from_fn(|| Some(large.take().0.len()).filter(|count| *count > 0));
        assert_eq!(counts.collect::<Vec<_>>(), [1, 1, 2]);
    }

    #[test]
    fn what_was_given_up_does_not_go() {
        let (mut waiting, mut hear) = waiting(&[10; 3]);
        drop(hear.remove(1));
        assert_eq!(waiting.take().0.len(), 2);
        assert_eq!(waiting.take().0.len(), 0);
    }
}
