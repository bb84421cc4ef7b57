//! Keys, and what is sealed under them: AES-256-GCM with random nonces.

use std::fmt;

use model::{Error, Id, Namespace, Result, Revision, SecretName, hex, limits};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of the id of a key.
const ID_BYTES: usize = 8;

/// The id of a key, which follows from it and tells nothing of it.
pub(crate) type KeyId = [u8; ID_BYTES];

/// The keys of a server for secrets: all of them open, and the first seals.
///
/// Nonces are random, so one key may seal 2^32 values (NIST SP 800-38D, 8.3); at one a second that
/// takes 136 years.
pub struct Keys {
    keys: Vec<Key>,
    random: SystemRandom,
}

/// A key, as what is derived from it for each purpose.
struct Key {
    id: KeyId,
    sealing: LessSafeKey,
    digesting: hmac::Key,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.ids()).finish()
    }
}

/// What a value is sealed for. What was sealed for one place cannot be opened in another.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: &'a Namespace,
    /// The incarnation of the namespace.
    pub(crate) live: Id,
    pub(crate) name: &'a SecretName,
    pub(crate) revision: Revision,
}

impl Place<'_> {
    /// Gives the associated data: each text with its length in front, so that no two places have
    /// the same.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"lockstep secret 1".to_vec();
        for text in [self.namespace.as_str(), self.name.as_str()] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.live.to_be_bytes());
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes
    }
}

impl Keys {
    /// Takes keys in the order in which they were given.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is none, or one twice; [`Error::TooLarge`] if there are more
    /// than [`limits::SECRETS_KEYS_MAX`].
    pub fn new(keys: &[Zeroizing<[u8; KEY_BYTES]>]) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::bad_input("there is no key for secrets"));
        }
        if keys.len() > limits::SECRETS_KEYS_MAX {
            return Err(Error::too_large("keys", keys.len(), limits::SECRETS_KEYS_MAX));
        }
        let keys = keys.iter().map(Key::new).collect::<Result<Vec<_>>>()?;
        for (place, key) in keys.iter().enumerate() {
            if keys.iter().take(place).any(|other| other.id == key.id) {
                let id = hex(&key.id);
                return Err(Error::bad_input(format!("key {id} is there more than once")));
            }
        }
        Ok(Self { keys, random: SystemRandom::new() })
    }

    /// Gives the ids of the keys, in their order.
    pub fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| hex(&key.id)).collect()
    }

    fn first(&self) -> Result<&Key> {
        self.keys.first().ok_or(Error::NoSecretsKey)
    }

    /// Gives the id of the key that seals.
    pub(crate) fn first_id(&self) -> Result<KeyId> {
        Ok(self.first()?.id)
    }

    /// Seals a value for a place: nonce, sealed text, tag.
    pub(crate) fn seal(&self, place: Place<'_>, value: &str) -> Result<Vec<u8>> {
        let failed = |_| Error::Internal("a secret cannot be sealed".to_owned());
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| Error::Unavailable("the system gives no random numbers".to_owned()))?;
        // All the room at once, so that no copy in the clear is left behind.
        let mut text = Vec::with_capacity(value.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(value.as_bytes());
        let (nonce_of, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(place.bytes()));
        let sealed = self.first()?.sealing.seal_in_place_append_tag(nonce_of, aad, &mut text);
        if sealed.is_err() {
            text.zeroize();
        }
        sealed.map_err(failed)?;
        Ok([&nonce[..], &text].concat())
    }

    /// Opens what was sealed for a place under the key with this id.
    ///
    /// # Errors
    /// [`Error::SecretNotOpened`] if that key is not here, or anything of it was changed.
    pub(crate) fn open(
        &self,
        id: &KeyId,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let Some(key) = self.keys.iter().find(|key| key.id == *id) else {
            return Err(missing(id, place.name.as_str()));
        };
        let changed = || {
            let Place { namespace, name, .. } = place;
            Error::SecretNotOpened(format!(
                "secret \"{name}\" of namespace \"{namespace}\" cannot be opened: what is stored \
                 is not what was sealed for it"
            ))
        };
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or_else(changed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| changed())?;
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(place.bytes());
        let opened = key.sealing.open_in_place(nonce, aad, &mut text).map_err(|_| changed())?;
        let length = opened.len();
        text.truncate(length);
        Ok(text)
    }

    /// Digests a value under the first key, so that nobody without it can try values.
    pub(crate) fn digest(&self, value: &str) -> Result<String> {
        Ok(hex(hmac::sign(&self.first()?.digesting, value.as_bytes()).as_ref()))
    }

    pub(crate) fn has(&self, id: &KeyId) -> bool {
        self.keys.iter().any(|key| key.id == *id)
    }
}

/// Says that a key is not there under which something is sealed.
pub(crate) fn missing(id: &[u8], name: &str) -> Error {
    let id = hex(id);
    Error::SecretNotOpened(format!(
        "secret {name:?} is sealed under key {id}, which is not among those given"
    ))
}

impl Key {
    fn new(key: &Zeroizing<[u8; KEY_BYTES]>) -> Result<Self> {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        let derived = |label: &str| hmac::sign(&master, label.as_bytes());
        let mut id = [0; ID_BYTES];
        let full = derived("lockstep secrets: id");
        id.iter_mut().zip(full.as_ref()).for_each(|(to, from)| *to = *from);
        let sealing = derived("lockstep secrets: seal");
        let sealing = UnboundKey::new(&AES_256_GCM, sealing.as_ref());
        let sealing = sealing.map_err(|_| Error::Internal("a key has another size".to_owned()))?;
        let digesting = derived("lockstep secrets: digest");
        Ok(Self {
            id,
            sealing: LessSafeKey::new(sealing),
            digesting: hmac::Key::new(hmac::HMAC_SHA256, digesting.as_ref()),
        })
    }
}

#[cfg(test)]
mod tests;
