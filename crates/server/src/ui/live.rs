//! Telling pages that something has changed, as server-sent events.
//!
//! The id of an event is the revision, so a browser that comes back is told at once if it missed
//! something, and not otherwise. Which page shows what stays with the page: it loads itself again.

use std::{future::pending, net::IpAddr, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::channel::{Channel, Sender};
use model::{Answer, Backend, Error, Namespace, Page, Query, Result, Revision};
use tokio::time::{Instant, sleep};

use super::session::Visit;
use crate::{app::App, authorized::Authorized, call::Call, listen::Peer, outcome::Outcome};

/// How often to look for changes.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often to say something, so that a client that has gone is noticed.
const SPEAK_EVERY: Duration = Duration::from_secs(15);

/// Tells of changes to one namespace.
pub(crate) async fn of_namespace(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    follow(call, Some(namespace)).await
}

/// Tells of changes to anything that the visitor may see.
pub(crate) async fn of_all(call: Call) -> Result<Outcome> {
    follow(call, None).await
}

async fn follow(call: Call, namespace: Option<Namespace>) -> Result<Outcome> {
    let full = |_| Error::Unavailable("too many pages are open".to_owned());
    let place = call.app.live.clone().try_acquire_owned().map_err(full)?;
    let held = call.head.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let from = held.map_or_else(|| call.params()?.word("from"), |id| Ok(Some(id.to_owned())))?;
    let mut told: Option<Revision> = from.and_then(|text| text.parse().ok());
    let backend = call.backend.clone();
    // Whoever may not look is told so, and not left waiting.
    position(&backend, namespace.as_ref()).await?;
    let (mut sender, body) = Channel::<Bytes, Error>::new(1);
    let (app, visit, peer) = (call.app, call.visit, Peer::of(&call.head.extensions).ip);
    tokio::spawn(async move {
        tokio::select! {
            () = app.drained() => {}
            () = tell(&mut sender, &backend, namespace.as_ref(), &mut told) => {}
            () = signed_out(&app, visit, peer) => {}
        }
        drop(place);
    });
    let outcome = Outcome::stream(Body::new(body)).with_media("text/event-stream");
    Ok(outcome.with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// Waits until the visitor is no longer who was let in.
async fn signed_out(app: &App, visit: Visit, peer: IpAddr) {
    let Visit::Session(cookie) = visit else { return pending().await };
    // Sleeps because a store does not call when a session ends.
    while let Ok(true) = app.auth.is_signed_in(&cookie, peer).await {
        sleep(SPEAK_EVERY).await;
    }
}

/// Tells of each change until the client has gone.
async fn tell(
    sender: &mut Sender<Bytes, Error>,
    backend: &Authorized,
    namespace: Option<&Namespace>,
    told: &mut Option<Revision>,
) {
    let mut spoke = Instant::now();
    loop {
        let Ok(now) = position(backend, namespace).await else { return };
        let text = if *told != Some(now) {
            *told = Some(now);
            format!("id: {now}\nevent: changed\ndata: {now}\n\n")
        } else if spoke.elapsed() >= SPEAK_EVERY {
            ": still here\n\n".to_owned()
        } else {
            // Sleeps because a backend can be asked for its revision, but does not call.
            sleep(LOOK_EVERY).await;
            continue;
        };
        spoke = Instant::now();
        if sender.send_data(text.into()).await.is_err() {
            return;
        }
    }
}

/// Gives a number that grows with every change.
pub(crate) async fn position(
    backend: &Authorized,
    namespace: Option<&Namespace>,
) -> Result<Revision> {
    let query = match namespace {
        Some(name) => Query::Namespace(name.clone()),
        None => Query::Namespaces(Page::default()),
    };
    match backend.read(query, 0).await {
        Ok(read) => match read.answer {
            Answer::Namespace(info) => Ok(info.revision),
            Answer::Namespaces(infos) => Ok(infos.iter().map(|info| info.revision).sum()),
            _ => Err(crate::call::mismatch()),
        },
        // It comes into being when something is put into it.
        Err(Error::NoSuchNamespace(_)) => Ok(0),
        Err(error) => Err(error),
    }
}
