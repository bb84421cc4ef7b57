//! Random numbers that come again with the same seed.

use std::{
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The variable that sets the seed of a run.
const SEED: &str = "LOCKSTEP_SEED";

/// A sequence of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Gives the next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Gives a number below a bound, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// Is true so many times of a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// Gives a span from one to another.
    pub fn span(&mut self, least: Duration, most: Duration) -> Duration {
        let micros = most.saturating_sub(least).as_micros().try_into().unwrap_or(usize::MAX);
        least + Duration::from_micros(self.below(micros) as u64)
    }

    /// Picks one of several, of which there is at least one.
    #[track_caller]
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = self.below(items.len());
        items.get(at).expect("something to pick from")
    }

    /// Picks one of several words, of which there is at least one.
    #[track_caller]
    pub fn word<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let word: &&str = self.pick(words);
        word
    }

    /// Starts another sequence, so that each thread has its own.
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }
}

/// Gives the seed of a run, which `LOCKSTEP_SEED` sets, and prints it so that the run can be
/// repeated.
#[track_caller]
pub fn seed(what: &str) -> u64 {
    let seed = match env::var(SEED) {
        Ok(text) => text.parse().expect("LOCKSTEP_SEED is a whole number"),
        Err(_) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Random::new(since.as_nanos() as u64).draw() >> 16
        }
    };
    eprintln!("{what}: {SEED}={seed} repeats this run");
    seed
}
