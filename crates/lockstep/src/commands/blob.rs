//! `lockstep blob`.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use client::Lockstep;
use model::{Answer, BlobAnswer, BlobId, BlobInfo, BlobQuery, Error, Page, Query, limits};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::{
    connect::{Part, Session, pages, unexpected},
    output::{printable, table},
};

const PUT_EXAMPLES: &str = "\
Keeps content that is too large for data, and prints its id, which is the SHA-256 of it. Data refers
to it by {\"$blob\": {\"id\": \"…\"}}; a blob to which no row of the namespace refers is forgotten
a day after it was put.

Examples:
  lockstep blob put invoice.pdf --type application/pdf
  tar cz photos | lockstep blob put - --json";

/// What to do with blobs.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Keep content and print its id
    #[command(after_long_help = PUT_EXAMPLES)]
    Put(PutArgs),
    /// Read the content of a blob
    #[command(after_long_help = "Examples:\n  lockstep blob get 9f86d08… --out invoice.pdf")]
    Get {
        /// Its id
        #[arg(value_parser = BlobId::parse)]
        id: BlobId,
        /// The new file to write; - is standard output
        #[arg(long, value_name = "FILE", default_value = "-")]
        out: PathBuf,
    },
    /// List blobs in the order of their ids
    #[command(after_long_help = "Examples:\n  lockstep blob list --json")]
    List(Part),
}

/// What to keep.
#[derive(Args)]
pub(crate) struct PutArgs {
    /// The file; - is standard input
    file: PathBuf,
    /// Its media type
    #[arg(long = "type", value_name = "TYPE", default_value = "application/octet-stream")]
    kind: String,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Put(args) => put(args, session).await,
            Self::Get { id, out } => get(&session.lockstep, id, &out).await,
            Self::List(part) => list(part, session).await,
        }
    }
}

async fn put(args: PutArgs, session: &Session) -> Result<()> {
    let name = args.file.display().to_string();
    let is_input = args.file == Path::new("-");
    let mut from: Box<dyn io::Read + Send> = match is_input {
        true => Box::new(io::stdin()),
        false => {
            let file = std::fs::File::open(&args.file);
            let file = file.with_context(|| format!("cannot open {name}"))?;
            let bytes = file.metadata()?.len();
            if bytes > limits::BLOB_BYTES_MAX {
                let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
                let max = number(limits::BLOB_BYTES_MAX);
                return Err(Error::too_large("a blob in bytes", number(bytes), max).into());
            }
            Box::new(file)
        }
    };
    let mut upload = session.lockstep.begin_blob(&args.kind).await?;
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut piece).with_context(|| format!("cannot read {name}"));
        let pushed = match read {
            Ok(0) => break,
            Ok(count) => upload.push(piece.get(..count).unwrap_or_default()).await,
            Err(error) => {
                // What was sent is forgotten by itself if this fails, too.
                let _forgotten = upload.abandon().await;
                return Err(error);
            }
        };
        if let Err(error) = pushed {
            let _forgotten = upload.abandon().await;
            return Err(error.into());
        }
    }
    let info = upload.finish().await?;
    session.out.data(&serde_json::to_value(&info)?, || info.id.to_string())
}

/// Writes the content part by part; a file has its name only once all of it was found right.
async fn get(lockstep: &Lockstep, id: BlobId, out: &Path) -> Result<()> {
    let info = lockstep.blob(id).await?;
    if out == Path::new("-") {
        return copy(lockstep, &info, &mut tokio::io::stdout()).await;
    }
    let cannot = || format!("cannot write {}", out.display());
    let mut partial = out.to_owned().into_os_string();
    partial.push(".partial");
    let mut file = tokio::fs::File::create_new(&partial).await.with_context(cannot)?;
    let copied = copy(lockstep, &info, &mut file).await;
    let done = match copied {
        Ok(()) => tokio::fs::hard_link(&partial, out).await.with_context(cannot),
        Err(error) => Err(error),
    };
    // What is left of it is of no use, and under its own name it stays.
    let _removed = tokio::fs::remove_file(&partial).await;
    done
}

async fn copy(
    lockstep: &Lockstep,
    info: &BlobInfo,
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> Result<()> {
    let mut hash = Sha256::new();
    for seq in 0..info.bytes.div_ceil(limits::BLOB_PART_BYTES) {
        let part = lockstep.blob_part(info.id, seq).await?;
        hash.update(&part);
        to.write_all(&part).await?;
    }
    to.flush().await?;
    if hash.finalize().as_slice() == info.id.0 {
        return Ok(());
    }
    Err(Error::Internal(format!("what came is not the content of blob {}", info.id)).into())
}

async fn list(part: Part, session: &Session) -> Result<()> {
    let lockstep = &session.lockstep;
    let after = part.after.as_deref().map(BlobId::parse).transpose()?;
    let fetch = async |page: Page<BlobId>| {
        let query = Query::Blobs(lockstep.namespace().clone(), BlobQuery::Blobs(page));
        match lockstep.ask(query).await? {
            Answer::Blobs(BlobAnswer::Blobs(blobs)) => Ok(blobs),
            _ => Err(unexpected()),
        }
    };
    let (blobs, next) = pages(part.limit, after, |blob: &BlobInfo| blob.id, fetch).await?;
    let shown = json!({ "blobs": serde_json::to_value(&blobs)?, "next": next });
    session.out.data(&shown, || {
        let row = |blob: &BlobInfo| {
            let (id, bytes) = (blob.id.to_string(), blob.bytes.to_string());
            vec![id, bytes, printable(&blob.kind), blob.created.to_string()]
        };
        table(&["id", "bytes", "type", "created"], &blobs.iter().map(row).collect::<Vec<_>>())
    })?;
    if let Some(next) = next {
        session.out.note(format!("there are more; go on with --after {next}"));
    }
    Ok(())
}
