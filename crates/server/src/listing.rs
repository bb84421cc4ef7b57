//! Lists: read page by page, and sent while they are read where they are long.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::channel::Channel;
use model::{Answer, Backend, Error, Page, Query, Result, Revision, limits};
use serde::Serialize;

use crate::{authorized::Authorized, call::Call, outcome::Outcome};

/// Pages that are read ahead of a client that takes its time.
const PAGES_AHEAD: usize = 1;

/// What a list is made of.
pub(crate) struct Listing<K, Q, W> {
    /// The only key of the JSON object around the list.
    pub(crate) key: &'static str,
    /// Where to start and how many items to give; 0 is all.
    pub(crate) page: Page<K>,
    /// Makes the query for one page.
    pub(crate) query: Q,
    /// Writes the items of one page, and tells where the next one starts if there may be one.
    pub(crate) write: W,
}

/// The items of a page, as JSON with commas between.
#[derive(Default)]
pub(crate) struct Items {
    json: Vec<u8>,
    count: u32,
}

impl Items {
    pub(crate) fn push<T: Serialize>(&mut self, item: &T) -> Result<()> {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        serde_json::to_writer(&mut self.json, item)
            .map_err(|error| Error::Internal(format!("no JSON: {error}")))
    }
}

impl<K, Q, W> Listing<K, Q, W>
where
    K: Clone + Send + 'static,
    Q: Fn(Page<K>) -> Query + Send + 'static,
    W: Fn(Answer, &mut Items) -> Result<Option<K>> + Send + 'static,
{
    /// Answers with the list: in one piece if it fits on one page, else as a stream.
    pub(crate) async fn answer(mut self, call: &Call) -> Result<Outcome> {
        let at_least = call.at_least()?;
        let mut body = format!("{{\"{}\":[", self.key).into_bytes();
        let (items, as_of) = match self.next(&call.backend, at_least).await {
            // What is looked into comes into being, as with the ancestor; until something is
            // put into it, it is empty.
            Err(Error::NoSuchNamespace(_) | Error::NoSuchWorker(_))
                if !call.route.is_below_spec() =>
            {
                (Items::default(), 0)
            }
            first => first?,
        };
        body.extend_from_slice(&items.json);
        if self.page.after.is_none() {
            body.extend_from_slice(b"]}");
            return Ok(Outcome::whole(body).tagged(as_of));
        }
        let (mut sender, stream) = Channel::<Bytes, Error>::new(PAGES_AHEAD);
        let backend = call.backend.clone();
        let mut empty = items.count == 0;
        tokio::spawn(async move {
            let mut part = body;
            loop {
                // A client that went away ends the reading too.
                if sender.send_data(part.into()).await.is_err() {
                    return;
                }
                if self.page.after.is_none() {
                    let _gone = sender.send_data(Bytes::from_static(b"]}")).await;
                    return;
                }
                match self.next(&backend, at_least).await {
                    Ok((items, _)) => {
                        let comma = !empty && items.count > 0;
                        part = if comma { vec![b','] } else { Vec::new() };
                        part.extend_from_slice(&items.json);
                        empty &= items.count == 0;
                    }
                    Err(error) => return sender.abort(error),
                }
            }
        });
        Ok(Outcome::stream(Body::new(stream)))
    }

    /// Reads one page and moves on; where nothing is left, `page.after` becomes none.
    async fn next(
        &mut self,
        backend: &Authorized,
        at_least: Revision,
    ) -> Result<(Items, Revision)> {
        let wanted = self.page.limit;
        let page = Page { after: self.page.after.take(), limit: wanted };
        let read = backend.read((self.query)(page), at_least).await?;
        let mut items = Items::default();
        let next = (self.write)(read.answer, &mut items)?;
        if wanted == 0 || wanted > items.count {
            self.page.after = next;
            self.page.limit = wanted.saturating_sub(items.count);
        }
        Ok((items, read.as_of))
    }
}

/// Tells where the next page starts after a full one.
pub(crate) fn after_full<T, K>(items: &[T], key: impl Fn(&T) -> K) -> Option<K> {
    (items.len() >= limits::PAGE_MAX as usize).then(|| items.last().map(key)).flatten()
}
