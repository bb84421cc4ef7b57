//! Keeps below what a server allows.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use model::{BoxFuture, Result};
use tokio::time::{Instant, sleep_until};

use super::{Control, Operation};

/// Holds up operations and bytes, over all connections together.
#[derive(Debug)]
pub struct Rate {
    operations: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Rate {
    /// Allows so many operations and bytes in a second, and as many at once.
    pub fn new(operations_a_second: Option<u32>, bytes_a_second: Option<u32>) -> Self {
        Self {
            operations: operations_a_second.map(Bucket::new),
            bytes: bytes_a_second.map(Bucket::new),
        }
    }
}

impl Control for Rate {
    fn before(&self, _operation: Operation) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if let Some(operations) = &self.operations {
                sleep_until(operations.take(1, Instant::now())).await;
            }
            Ok(())
        })
    }

    fn bytes(&self, count: usize) -> Option<BoxFuture<'_, ()>> {
        let bytes = self.bytes.as_ref()?;
        Some(Box::pin(async move { sleep_until(bytes.take(count, Instant::now())).await }))
    }
}

/// What fills up with time and is emptied by use.
#[derive(Debug)]
struct Bucket {
    a_second: f64,
    /// When everything that was taken so far will have been filled up again.
    paid: Mutex<Instant>,
}

impl Bucket {
    fn new(a_second: u32) -> Self {
        Self { a_second: f64::from(a_second.max(1)), paid: Mutex::new(Instant::now()) }
    }

    /// Takes out; gives the time at which that is allowed.
    fn take(&self, count: usize, now: Instant) -> Instant {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let span = Duration::from_secs_f64(f64::from(count) / self.a_second);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        *paid = (*paid).max(now) + span;
        // A full bucket holds a second's worth.
        paid.checked_sub(Duration::from_secs(1)).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_free_and_the_rest_takes_its_time() {
        let bucket = Bucket::new(1_000);
        let now = Instant::now();
        let waits: Vec<_> = (0..5).map(|_| bucket.take(1_000, now)).collect();
        let seconds: Vec<_> = waits.iter().map(|at| (*at - now).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 3, 4]);
        // What was not used for long is forgotten but for a second's worth.
        let later = now + Duration::from_mins(1);
        assert!(bucket.take(1_000, later) <= later);
        assert!(bucket.take(1_000, later) > later);
    }
}
