//! What all requests share, and the router made from the route table.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use axum::Router;
use http::{HeaderValue, StatusCode, header};
use model::{Backend, Result, Tracer, limits};
use tokio::sync::{Semaphore, watch};

use crate::{
    auth::Auth,
    endpoint::Endpoint,
    metrics::Metrics,
    oidc::Oidc,
    outcome::{Response, full},
    peers::PeerDoor,
    problem,
    rate::{Rate, Rates},
    routes::{NOT_FOR_USE, ROUTES},
    ui::Sessions,
};

/// The state of one server.
pub(crate) struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) auth: Auth,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Sessions,
    /// The identity provider, if there is one.
    pub(crate) oidc: OnceLock<Oidc>,
    /// The door for nodes of the same store, if they may pass writes on to this one.
    pub(crate) peers: OnceLock<PeerDoor>,
    /// Who takes the spans of requests.
    pub(crate) tracer: OnceLock<Arc<dyn Tracer>>,
    /// Pages that may be kept up to date at a time.
    pub(crate) live: Arc<Semaphore>,
    /// Whether this server wants more requests; false as soon as it is told to stop.
    ready: AtomicBool,
    draining: watch::Sender<bool>,
}

impl App {
    /// Makes the state; with an open port, callers on loopback need no token.
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        open_port: Option<u16>,
        rate: Rate,
    ) -> Result<Arc<Self>> {
        // First, for whatever counts reports to the recorder that this installs.
        let metrics = Metrics::new();
        Ok(Arc::new(Self {
            auth: Auth::new(Arc::clone(&backend), open_port, Rates::new(rate)),
            backend,
            metrics,
            sessions: Sessions::new()?,
            oidc: OnceLock::new(),
            peers: OnceLock::new(),
            tracer: OnceLock::new(),
            live: Arc::new(Semaphore::new(limits::LIVE_PAGES_MAX)),
            ready: AtomicBool::new(true),
            draining: watch::Sender::new(false),
        }))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Stops taking new work, and ends requests that only wait.
    pub(crate) fn drain(&self) {
        self.ready.store(false, Ordering::Release);
        self.draining.send_replace(true);
    }

    /// Waits until the server is told to stop.
    pub(crate) async fn drained(&self) {
        // The sender lives as long as this state, so waiting cannot fail.
        let mut draining = self.draining.subscribe();
        let _closed = draining.wait_for(|draining| *draining).await;
    }
}

/// Makes the router from the route table.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
    paths.extend(NOT_FOR_USE);
    paths.sort_unstable();
    paths.dedup();
    let router = paths.into_iter().fold(Router::new(), |router, path| {
        router.route_service(path, Endpoint::new(Arc::clone(app), path))
    });
    router.fallback(unknown)
}

/// Answers URLs that are in no table; doubled slashes lead to the URL without them.
async fn unknown(request: axum::extract::Request) -> Response {
    let uri = request.uri();
    if !uri.path().contains("//") {
        return problem::not_found();
    }
    let mut clean = String::with_capacity(uri.path().len());
    for segment in uri.path().split('/').filter(|segment| !segment.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    if uri.path().ends_with('/') {
        clean.push('/');
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    let Ok(location) = HeaderValue::from_str(&clean) else { return problem::not_found() };
    let mut response = http::Response::new(full(""));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(header::LOCATION, location);
    response
}
