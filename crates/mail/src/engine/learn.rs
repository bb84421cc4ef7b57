//! What is learned of messages while they pass through a pipe.

use model::{Error, Result};
use tokio::sync::mpsc;

use crate::{About, Content, ContentHasher, Key, Part, Pouring, mime};

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learn {
    /// At the headers.
    Identity,
    /// At every byte.
    Content,
}

/// What was learned of a message that passed completely.
#[derive(Clone, Debug)]
pub(super) struct Poured {
    pub(super) key: Key,
    pub(super) about: About,
    /// The hash of all bytes, if it was asked for.
    pub(super) content: Option<Content>,
    /// Headers for people: `Message-ID`, `From` and `Subject` as they stand.
    pub(super) heading: [String; 3],
    /// The names of what is attached.
    pub(super) attachments: Vec<String>,
}

/// Takes messages from one pipe, learns of them, and passes them on if there is another pipe.
pub(super) async fn pass_on(
    mut parts: mpsc::Receiver<Part>,
    learn: Learn,
    into: Option<&Pouring>,
) -> Result<Vec<Poured>> {
    let (mut poured, mut open) = (Vec::new(), None);
    while let Some(part) = parts.recv().await {
        match &part {
            Part::Begin(body) => {
                let hasher = ContentHasher::new(learn == Learn::Content);
                open = Some((body.key.clone(), hasher, mime::names()));
            }
            Part::Bytes(bytes) => {
                if let Some((_, hasher, names)) = &mut open {
                    hasher.update(bytes);
                    names.update(bytes);
                }
            }
            Part::End => {
                let (key, hasher, names) = open.take().ok_or_else(disorder)?;
                let attachments = names.finish();
                let heading = hasher.heading();
                let (content, about) = hasher.finish();
                let content = (learn == Learn::Content).then_some(content);
                poured.push(Poured { key, about, content, heading, attachments });
            }
            Part::Lost(_) => {}
        }
        if let Some(into) = into {
            into.send(part).await?;
        }
    }
    Ok(poured)
}

fn disorder() -> Error {
    Error::Internal("a message ended that had not begun".to_owned())
}
