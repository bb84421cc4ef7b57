//! Random names, keys and delays.

use std::{fmt::Write, time::Duration};

use model::{Error, Result};

/// Makes 32 random hexadecimal digits.
pub(crate) fn id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    }))
}

/// Growing delays between tries of one call: each is random in the upper half of its step, so that
/// many clients do not come back at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    step: Duration,
    max: Duration,
}

impl Backoff {
    /// Starts with a first step and doubles it up to a longest one.
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { step: first, max }
    }

    /// Gives the delay before the next try.
    pub(crate) fn delay(&mut self) -> Duration {
        let step = self.step;
        self.step = (step * 2).min(self.max);
        // Without random numbers the delay is the longest of its step, which is still a delay.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        step / 2 + (step / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let step = Duration::from_millis;
        let mut backoff = Backoff::new(step(100), step(350));
        for max in [100, 200, 350, 350] {
            let delay = backoff.delay();
            assert!(delay >= step(max / 2) && delay <= step(max), "{delay:?} of {max} ms");
        }
    }

    #[test]
    fn ids_differ() {
        let (one, other) = (id().unwrap(), id().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
