//! The door for nodes of the same store.

use std::{fmt, sync::Arc};

use http::{HeaderMap, header};
use model::{Backend, Error, Result, Time};
use sha2::{Digest, Sha256};

use crate::auth::bearer;

/// What a node has for those that pass writes on to it.
pub struct PeerDoor {
    /// What they have to show.
    pub secret: String,
    /// What makes their writes, and passes none of them on.
    pub backend: Arc<dyn Backend>,
    /// Tells when something falls due next.
    pub next_due: Box<dyn Fn() -> Time + Send + Sync>,
}

impl fmt::Debug for PeerDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerDoor").finish_non_exhaustive()
    }
}

impl PeerDoor {
    /// Lets in who shows the secret, and takes the same time whatever else they show.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], also where there is no such door.
    pub(crate) fn check(door: Option<&Self>, headers: &HeaderMap) -> Result<()> {
        let shown = headers.get(header::AUTHORIZATION).map(|value| bearer(value.as_bytes()));
        let differs = door.zip(shown).map(|(door, shown)| {
            // Of digests nobody can choose how far they agree.
            let (secret, shown) = (Sha256::digest(&door.secret), Sha256::digest(shown));
            secret.iter().zip(shown).fold(0, |sum, (one, other)| sum | (one ^ other))
        });
        match differs {
            Some(0) => Ok(()),
            _ => Err(Error::Unauthenticated("only nodes of the same store come in here".into())),
        }
    }
}
