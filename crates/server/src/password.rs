//! Passwords: hashed with Argon2id, off the threads that serve, and only so many at a time.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use model::{Error, PasswordHash, Result, limits};
use tokio::sync::Semaphore;

/// What OWASP asks for at least: 19 MiB, two passes, one lane.
const KIB: u32 = 19 << 10;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How long somebody who signs in waits for others who do.
const TURN_MAX: Duration = Duration::from_secs(5);

/// What is compared with where there is no user, so that this takes as long as where there is one.
static NOBODY: LazyLock<Option<PasswordHash>> =
    LazyLock::new(|| hash_password("the password of nobody").ok());

/// Hashes a password that somebody chose.
///
/// # Errors
/// [`Error::BadInput`] for one that is too short, [`Error::TooLarge`], [`Error::Unavailable`]
/// without random numbers.
pub fn hash_password(password: &str) -> Result<PasswordHash> {
    if password.len() > limits::PASSWORD_BYTES_MAX {
        return Err(Error::too_large("password", password.len(), limits::PASSWORD_BYTES_MAX));
    }
    let (chars, least) = (password.chars().count(), limits::PASSWORD_CHARS_MIN);
    if chars < least {
        return Err(Error::bad_input(format!(
            "the password has {chars} characters, and needs {least}: length is what makes it hard \
             to guess"
        )));
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::Unavailable(format!("the password cannot be hashed: {error}"))
    };
    let params = Params::new(KIB, PASSES, LANES, None).map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: phc::PasswordHash =
        argon2.hash_password(password.as_bytes()).map_err(|error| failed(&error))?;
    PasswordHash::new(hash.to_string())
}

/// Tells whether a password is the one that was hashed. The costs are those of the hash.
fn is_right(password: &str, hash: &PasswordHash) -> bool {
    let hash = phc::PasswordHash::new(hash.as_str());
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Hashes for one server.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(limits::PASSWORDS_AT_A_TIME)) }
    }

    /// Hashes a password that somebody chose.
    ///
    /// # Errors
    /// Those of [`hash_password`], and [`Error::Unavailable`] if too many wait.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash> {
        let password = password.to_owned();
        self.run(move || hash_password(&password)).await?
    }

    /// Tells whether a password is the one that was hashed; without a hash it is not, and that
    /// takes as long to find out.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many wait.
    pub(crate) async fn is_right(
        &self,
        password: &str,
        hash: Option<PasswordHash>,
    ) -> Result<bool> {
        let is_too_long = password.len() > limits::PASSWORD_BYTES_MAX;
        let (password, hash) = match is_too_long {
            true => (String::new(), None),
            false => (password.to_owned(), hash),
        };
        self.run(move || match hash {
            Some(hash) => is_right(&password, &hash),
            None => {
                let _same_time = NOBODY.as_ref().map(|hash| is_right(&password, hash));
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let busy = || Error::Unavailable("too many are signing in just now".to_owned());
        let turn = tokio::time::timeout(TURN_MAX, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| Error::Internal(format!("hashing failed: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let hash = hash_password("correct horse battery").unwrap();
        let again = hash_password("correct horse battery").unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_ne!(hash.as_str(), again.as_str(), "each has a salt of its own");
        assert!(is_right("correct horse battery", &hash));
        assert!(!is_right("correct horse batterz", &hash) && !is_right("", &hash));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(hash_password("elevenchars").unwrap_err().to_string().contains("needs 12"));
        assert!(hash_password("twelve chars").is_ok());
        let endless = "a".repeat(limits::PASSWORD_BYTES_MAX + 1);
        assert!(matches!(hash_password(&endless), Err(Error::TooLarge { .. })));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = Passwords::new();
        assert!(!passwords.is_right("the password of nobody", None).await.unwrap());
        let hash = passwords.hash("correct horse battery").await.unwrap();
        assert!(passwords.is_right("correct horse battery", Some(hash)).await.unwrap());
    }
}
