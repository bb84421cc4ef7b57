//! How often callers may ask.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use metrics::Counter;
use model::{Error, Result, limits};

/// How many requests one caller may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// [`limits::REQUESTS_PER_SECOND_MAX`], but any number for the programs that an open server
    /// lets in without a token.
    Usual,
    /// So many a second, for everyone.
    Max(NonZeroU32),
    /// Any number, also of wrong tokens.
    Unlimited,
}

impl Rate {
    /// Gives the requests of a caller in a second, and at once after a rest; 0 is any number.
    pub(crate) fn numbers(self) -> (u32, u32) {
        match self {
            Self::Usual => (limits::REQUESTS_PER_SECOND_MAX, limits::REQUESTS_AT_ONCE_MAX),
            Self::Max(number) => (number.get(), number.get().saturating_mul(2)),
            Self::Unlimited => (0, 0),
        }
    }
}

/// All that is counted of the callers of one server.
pub(crate) struct Rates {
    pub(crate) rate: Rate,
    tokens: Buckets<String>,
    peers: Buckets<IpAddr>,
    wrong: Buckets<IpAddr>,
    passwords_of_user: Buckets<String>,
    passwords_of_peer: Buckets<IpAddr>,
}

impl Rates {
    pub(crate) fn new(rate: Rate) -> Self {
        let wrong = match rate {
            Rate::Usual | Rate::Max(_) => {
                (limits::WRONG_TOKENS_PER_SECOND_MAX, limits::WRONG_TOKENS_AT_ONCE_MAX)
            }
            Rate::Unlimited => (0, 0),
        };
        let refused = |what| metrics::counter!("lockstep_rate_limited_total", "what" => what);
        Self {
            rate,
            tokens: Buckets::new("requests", rate.numbers(), refused("requests")),
            peers: Buckets::new("requests", rate.numbers(), refused("requests")),
            wrong: Buckets::new("wrong tokens", wrong, refused("wrong_tokens")),
            passwords_of_user: Buckets::of_passwords(rate, refused("wrong_passwords")),
            passwords_of_peer: Buckets::of_passwords(rate, refused("wrong_passwords")),
        }
    }

    /// Counts a request of a token's holder.
    pub(crate) fn holder(&self, token: &str) -> Result<()> {
        self.tokens.take(token, Instant::now())
    }

    /// Counts a request of somebody who shows no token.
    pub(crate) fn stranger(&self, peer: IpAddr) -> Result<()> {
        self.peers.take(&network(peer), Instant::now())
    }

    /// Refuses a token that was never seen from where too many wrong ones came.
    pub(crate) fn may_guess(&self, peer: IpAddr) -> Result<()> {
        self.wrong.look(&network(peer), Instant::now())
    }

    /// Counts a password before it is looked at, so that many at once are no way around.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] after too many wrong ones for that user or from that peer.
    pub(crate) fn try_password(&self, user: &str, peer: IpAddr) -> Result<Try<'_>> {
        let (user, peer, now) = (user.to_owned(), network(peer), Instant::now());
        self.passwords_of_peer.take(&peer, now)?;
        self.passwords_of_user.take(&user, now)?;
        Ok(Try { rates: self, user, peer })
    }

    /// Counts a wrong token.
    pub(crate) fn guessed(&self, peer: IpAddr) {
        // Whoever is over the limit now is refused the next time.
        let _counted = self.wrong.take(&network(peer), Instant::now());
    }
}

/// A password that is being tried: it counts as wrong until it was found right.
pub(crate) struct Try<'r> {
    rates: &'r Rates,
    user: String,
    peer: IpAddr,
}

impl Try<'_> {
    /// Takes back that it counts.
    pub(crate) fn was_right(self) {
        self.rates.passwords_of_user.give(&self.user);
        self.rates.passwords_of_peer.give(&self.peer);
    }
}

/// Gives what one peer holds: an address of IPv4, or a whole network of IPv6, in which it could
/// take another address for each request.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// A token bucket for each key: it holds so many at once, and is filled by so many a second.
struct Buckets<K> {
    what: &'static str,
    /// What each request takes; none where nothing is limited.
    each: Option<Duration>,
    full: Duration,
    /// When each bucket will be full again; a key that is absent has a full one.
    filled: Mutex<HashMap<K, Instant>>,
    refused: Counter,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(what: &'static str, (per_second, at_once): (u32, u32), refused: Counter) -> Self {
        let each = Duration::from_secs(1).checked_div(per_second);
        let full = each.unwrap_or_default().saturating_mul(at_once);
        Self { what, each, full, filled: Mutex::default(), refused }
    }

    /// Makes the buckets of wrong passwords, which take longer to fill than a second.
    fn of_passwords(rate: Rate, refused: Counter) -> Self {
        let each = (rate != Rate::Unlimited).then_some(limits::WRONG_PASSWORD_EVERY);
        let full = limits::WRONG_PASSWORD_EVERY.saturating_mul(limits::WRONG_PASSWORDS_AT_ONCE_MAX);
        Self { what: "wrong passwords", each, full, filled: Mutex::default(), refused }
    }

    /// Puts one back into a bucket.
    fn give<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Some(each) = self.each else { return };
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filled) = filled.get_mut(key) {
            *filled = filled.checked_sub(each).unwrap_or(*filled);
        }
    }

    /// Takes one out of a bucket.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] if there is none in it.
    fn take<Q>(&self, key: &Q, now: Instant) -> Result<()>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let Some(each) = self.each else { return Ok(()) };
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let after = filled.get(key).map_or(now, |filled| (*filled).max(now)) + each;
        self.check(after, now)?;
        match filled.get_mut(key) {
            Some(filled) => *filled = after,
            None => {
                if filled.len() >= limits::CALLERS_COUNTED_MAX {
                    make_room(&mut filled, now);
                }
                filled.insert(key.to_owned(), after);
            }
        }
        Ok(())
    }

    /// Tells whether one could be taken out of a bucket.
    fn look(&self, key: &K, now: Instant) -> Result<()> {
        let Some(each) = self.each else { return Ok(()) };
        let filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let after = filled.get(key).map_or(now, |filled| (*filled).max(now)) + each;
        self.check(after, now)
    }

    fn check(&self, after: Instant, now: Instant) -> Result<()> {
        let Some(over) = after.duration_since(now).checked_sub(self.full) else { return Ok(()) };
        if over.is_zero() {
            return Ok(());
        }
        self.refused.increment(1);
        // A part of a second counts as a whole one, for `Retry-After` has no parts.
        let seconds = over.as_secs() + u64::from(over.subsec_nanos() > 0);
        Err(Error::TooManyRequests { what: self.what.to_owned(), seconds })
    }
}

/// Forgets the buckets that are full, or else the one that will be full first.
fn make_room<K: Eq + Hash>(filled: &mut HashMap<K, Instant>, now: Instant) {
    let first = filled.values().min().copied().unwrap_or(now).max(now);
    filled.retain(|_, at| *at > first);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_second: u32, at_once: u32) -> Buckets<IpAddr> {
        Buckets::new("requests", (per_second, at_once), Counter::noop())
    }

    fn peer(last: u32) -> IpAddr {
        IpAddr::V4((0xC000_0200 + last).into())
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let (buckets, now) = (buckets(10, 3), Instant::now());
        for _ in 0..3 {
            buckets.take(&peer(1), now).unwrap();
        }
        let refused = Error::TooManyRequests { what: "requests".to_owned(), seconds: 1 };
        assert_eq!(buckets.look(&peer(1), now), Err(refused.clone()));
        assert_eq!(buckets.take(&peer(1), now), Err(refused));
        buckets.take(&peer(2), now).unwrap();
        let later = now + Duration::from_millis(100);
        buckets.look(&peer(1), later).unwrap();
        buckets.take(&peer(1), later).unwrap();
        assert!(buckets.take(&peer(1), later).is_err());
        let rested = later + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| buckets.take(&peer(1), rested).is_ok()).count(), 3);
    }

    #[test]
    fn a_right_password_does_not_count_and_wrong_ones_do() {
        let rates = Rates::new(Rate::Usual);
        for _ in 0..100 {
            rates.try_password("ann", peer(1)).unwrap().was_right();
        }
        for _ in 0..limits::WRONG_PASSWORDS_AT_ONCE_MAX {
            rates.try_password("ann", peer(1)).unwrap();
        }
        let refused = |user: &str, from: u32| match rates.try_password(user, peer(from)) {
            Err(Error::TooManyRequests { seconds, .. }) => seconds,
            _ => 0,
        };
        let every = limits::WRONG_PASSWORD_EVERY.as_secs();
        assert_eq!(refused("ann", 2), every, "the user is guarded from wherever it comes");
        assert_eq!(refused("bob", 1), every, "the peer is held up for whomever it tries");
        assert_eq!(refused("bob", 2), 0);
    }

    #[test]
    fn what_is_not_limited_is_not_counted() {
        let (buckets, now) = (buckets(0, 0), Instant::now());
        assert!((0..1_000).all(|_| buckets.take(&peer(1), now).is_ok()));
        assert!(buckets.filled.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_is_bounded_and_offenders_are_not_forgotten() {
        let (buckets, now) = (buckets(10, 3), Instant::now());
        for _ in 0..3 {
            buckets.take(&peer(0), now).unwrap();
        }
        for other in 1..20_000 {
            buckets.take(&peer(other), now).unwrap();
        }
        assert!(buckets.filled.lock().unwrap().len() <= limits::CALLERS_COUNTED_MAX);
        assert!(buckets.take(&peer(0), now).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }
}
