//! Blobs.

use model::{
    Answer, BlobAnswer, BlobCommand, BlobId, BlobInfo, BlobQuery, Content, Error, Id, Query, Reply,
    Result, limits,
};

use super::Lockstep;
use crate::reply::take;

/// Content on its way to become a blob; what is not finished is forgotten by itself.
#[derive(Debug)]
pub struct BlobUpload {
    lockstep: Lockstep,
    upload: Id,
    sent: u64,
    part: Vec<u8>,
}

fn part_bytes() -> usize {
    usize::try_from(limits::BLOB_PART_BYTES).unwrap_or(usize::MAX)
}

impl BlobUpload {
    /// Adds content at the end.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limits of a blob or of all blobs of the namespace.
    pub async fn push(&mut self, mut content: &[u8]) -> Result<()> {
        while !content.is_empty() {
            let room = part_bytes() - self.part.len();
            let (now, later) = content.split_at(room.min(content.len()));
            self.part.extend_from_slice(now);
            content = later;
            if self.part.len() == part_bytes() {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let content = Content(std::mem::take(&mut self.part));
        let (upload, at, length) = (self.upload, self.sent, content.0.len() as u64);
        self.lockstep.command(BlobCommand::Part { upload, at, content }).await?;
        self.sent += length;
        Ok(())
    }

    /// Makes a blob of what was added.
    ///
    /// # Errors
    /// Whatever the backend says.
    pub async fn finish(mut self) -> Result<BlobInfo> {
        if !self.part.is_empty() {
            self.send().await?;
        }
        let finish = BlobCommand::Finish { upload: self.upload };
        take!(self.lockstep.command(finish).await?, Reply::Blob(info) => info)
    }

    /// Forgets what was added.
    ///
    /// # Errors
    /// Whatever the backend says.
    pub async fn abandon(self) -> Result<()> {
        self.lockstep.command(BlobCommand::Abandon { upload: self.upload }).await.map(drop)
    }
}

impl Lockstep {
    /// Begins with content of a media type.
    pub async fn begin_blob(&self, kind: &str) -> Result<BlobUpload> {
        let begin = BlobCommand::Begin { kind: kind.to_owned() };
        let upload = take!(self.command(begin).await?, Reply::Id(id) => id)?;
        Ok(BlobUpload { lockstep: self.clone(), upload, sent: 0, part: Vec::new() })
    }

    /// Makes a blob of content.
    pub async fn put_blob(&self, kind: &str, content: &[u8]) -> Result<BlobInfo> {
        let mut upload = self.begin_blob(kind).await?;
        match upload.push(content).await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                // The first error says more, and what was sent is forgotten by itself.
                let _forgotten = upload.abandon().await;
                Err(error)
            }
        }
    }

    async fn ask_blobs(&self, query: BlobQuery) -> Result<BlobAnswer> {
        let query = Query::Blobs(self.namespace().clone(), query);
        take!(self.ask(query).await?, Answer::Blobs(answer) => answer)
    }

    /// Shows a blob.
    ///
    /// # Errors
    /// [`Error::NoSuchBlob`].
    pub async fn blob(&self, id: BlobId) -> Result<BlobInfo> {
        take!(self.ask_blobs(BlobQuery::Blob(id)).await?, BlobAnswer::Blob(info) => info)
    }

    /// Gives one part of a blob's content, counted from 0.
    ///
    /// # Errors
    /// [`Error::NoSuchBlob`].
    pub async fn blob_part(&self, id: BlobId, seq: u64) -> Result<Vec<u8>> {
        let answer = self.ask_blobs(BlobQuery::Part(id, seq)).await?;
        take!(answer, BlobAnswer::Part(content) => content.0)
    }

    /// Gives the whole content of a blob, having looked whether it is what its id says.
    ///
    /// # Errors
    /// [`Error::NoSuchBlob`], or [`Error::Internal`] for content that is damaged.
    pub async fn get_blob(&self, id: BlobId) -> Result<Vec<u8>> {
        let info = self.blob(id).await?;
        let mut content = Vec::new();
        for seq in 0..info.bytes.div_ceil(limits::BLOB_PART_BYTES) {
            content.extend(self.blob_part(id, seq).await?);
        }
        if BlobId::of(&content) == id {
            return Ok(content);
        }
        Err(Error::Internal(format!("what came is not the content of blob {id}")))
    }
}
