//! The way of every request through the server: method, format, caller, body, handler.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use model::{Access, BoxFuture, Principal, TraceContext};
use tracing::{Instrument, Span};

use crate::{
    app::App,
    authorized::Authorized,
    body,
    call::{Call, namespace_of, spec_of},
    listen::Peer,
    negotiate::{Accepted, MEDIA_TYPES, accepted, prefers_page},
    outcome::{Outcome, Response},
    peers::PeerDoor,
    problem::{FORM_DEFAULT, Form, Refusal, not_found},
    route::{Guard, Place, Route, Speaks},
    routes::ROUTES,
    trace::{self, Traced},
    ui::{self, Visit},
};

/// All methods of one path.
#[derive(Clone)]
pub(crate) struct Endpoint {
    app: Arc<App>,
    /// The routes with their places in the table.
    routes: Arc<[(usize, &'static Route)]>,
}

impl Endpoint {
    pub(crate) fn new(app: Arc<App>, path: &str) -> Self {
        let here = ROUTES.iter().enumerate().filter(|(_, route)| route.path == path);
        Self { app, routes: here.collect() }
    }

    fn find(&self, method: &str) -> Option<(usize, &'static Route)> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.routes.iter().copied().find(|(_, route)| route.method == method)
    }

    fn allow(&self) -> String {
        let mut methods: Vec<&str> = Vec::new();
        for (_, route) in self.routes.iter() {
            methods.push(route.method);
            if route.method == "GET" {
                methods.push("HEAD");
            }
        }
        methods.join(", ")
    }

    async fn answer(self, request: Request) -> Response {
        let path = request.uri().path();
        if path.contains("%2F") || path.contains("%2f") {
            return not_found();
        }
        let method = request.method().as_str();
        let Some((index, route)) = self.find(method) else {
            let form = accepted(request.headers()).map_or(FORM_DEFAULT, form_of);
            return Refusal::method(method, self.allow()).into_response(form);
        };
        // Where everything starts for programs, people are led to the pages.
        if route.path == "/" && prefers_page(request.headers()) {
            let page = Outcome::see_other(ui::HOME.to_owned());
            return page.into_response(HeaderValue::from_static("text/html"), None);
        }
        let (mut request, tracer) = (request, self.app.tracer.get());
        let traced = Traced::begin(tracer, route, request.headers_mut());
        let span = traced.as_ref().map_or_else(Span::none, |Traced { context, .. }| {
            tracing::info_span!("request", trace = context.trace_id(), span = context.span_id())
        });
        let response = self.respond(index, route, request).instrument(span).await;
        if let Some(traced) = traced {
            traced.end(route, response.status());
        }
        response
    }

    async fn respond(&self, index: usize, route: &'static Route, request: Request) -> Response {
        let start = Instant::now();
        let _in_flight = self.app.metrics.enter();
        let (media, form) = match formats(route, &request) {
            Ok(formats) => formats,
            Err(refusal) => return self.refuse(index, start, refusal, FORM_DEFAULT),
        };
        // Whoever signs in after sending a form begins anew, for its fields are gone.
        let there = (request.method() == Method::GET).then(|| request.uri().clone());
        let done = run(Arc::clone(&self.app), route, request);
        let response = match caught(done).await {
            Some(Ok((outcome, held))) => {
                outcome.into_response(HeaderValue::from_static(media), held.as_ref())
            }
            Some(Err(refusal)) if form == Form::Page && refusal.wants_caller() => {
                let to_sign_in = ui::to_sign_in(there.as_ref());
                to_sign_in.into_response(HeaderValue::from_static(media), None)
            }
            Some(Err(refusal)) => return self.refuse(index, start, refusal, form),
            None => {
                tracing::error!(route = route.path, "request handler panicked");
                return self.refuse(index, start, Refusal::panic(), form);
            }
        };
        let status = response.status();
        self.app.metrics.answered(index, status, start.elapsed());
        tracing::debug!(route = route.path, status = status.as_u16(), "answered");
        response
    }

    fn refuse(&self, index: usize, start: Instant, refusal: Refusal, form: Form) -> Response {
        if refusal.status.is_server_error() {
            tracing::warn!(?refusal, "request failed");
        }
        self.app.metrics.answered(index, refusal.status, start.elapsed());
        refusal.into_response(form)
    }
}

impl tower::Service<Request> for Endpoint {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let endpoint = self.clone();
        Box::pin(async move { Ok(endpoint.answer(request).await) })
    }
}

/// Chooses the media type of success and the form of errors.
fn formats(route: &Route, request: &Request) -> Result<(&'static str, Form), Refusal> {
    match route.speaks {
        Speaks::Page if ui::wants_page(request.headers(), request.uri()) => {
            Ok(("text/html; charset=utf-8", Form::Page))
        }
        Speaks::Json | Speaks::Page => Ok(("application/json", Form::Problem)),
        Speaks::Text(media) => Ok((media, Form::Problem)),
        Speaks::Ancestor if !request.headers().contains_key(header::ACCEPT) => {
            Ok((MEDIA_TYPES[0], FORM_DEFAULT))
        }
        Speaks::Ancestor => {
            let accepted = accepted(request.headers())?;
            let media = accepted.media.ok_or_else(Refusal::not_acceptable)?;
            Ok((media, form_of(accepted)))
        }
    }
}

fn form_of(accepted: Accepted) -> Form {
    if accepted.problem {
        return Form::Problem;
    }
    accepted.media.map_or(FORM_DEFAULT, Form::Envelope)
}

/// What a handler gave, and the `If-None-Match` of its request.
type Answered = Result<(Outcome, Option<HeaderValue>), Refusal>;

/// Lets the caller in, reads the body and runs the handler.
async fn run(app: Arc<App>, route: &'static Route, request: Request) -> Answered {
    let (head, body) = request.into_parts();
    let peer = Peer::of(&head.extensions).ip;
    let (principal, visit) = match route.guard {
        Guard::Open => (app.auth.anyone(peer)?, Visit::Open),
        Guard::Node => {
            if let Err(error) = PeerDoor::check(app.peers.get(), &head.headers) {
                app.auth.anyone(peer)?;
                return Err(error.into());
            }
            (app.auth.nobody(), Visit::Open)
        }
        _ if route.is_page() => app.auth.visitor(&head, peer).await?,
        Guard::Known | Guard::Needs(..) => {
            (app.auth.caller(&head.headers, &head.uri, peer).await?, Visit::Token)
        }
    };
    check(route, &principal, head.uri.path())?;
    let (body, stream) = match route.streams {
        true => (Bytes::new(), Some(body)),
        false => (read_body(route, &head, body).await?, None),
    };
    let held = head.headers.get(header::IF_NONE_MATCH).cloned();
    let context = trace::context(&head.headers).and_then(TraceContext::parse);
    let trace = context.map(TraceContext::trace_id);
    let backend = Authorized::new(Arc::clone(&app.backend), principal).traced(trace.as_deref());
    let absence = backend.absence();
    let call = Call { app, backend, route, visit, head, body, stream: Mutex::new(stream) };
    let uri = call.head.uri.clone();
    let outcome = (route.handler)(call).await.map_err(|error| {
        let refusal = Refusal::from(as_below_spec(route, uri.path(), error));
        refusal.looked_at(absence.get().copied())
    })?;
    Ok((outcome, held))
}

/// Says of a spec in a namespace that does not exist that the spec does not exist, as the
/// ancestor does, in which every namespace exists that is spoken of.
fn as_below_spec(route: &Route, path: &str, error: model::Error) -> model::Error {
    match error {
        model::Error::NoSuchNamespace(_) if route.is_below_spec() => spec_of(route, path)
            .map_or_else(|error| error, |spec| model::Error::NoSuchWorkSpec(spec.to_string())),
        error => error,
    }
}

async fn read_body(
    route: &Route,
    head: &http::request::Parts,
    body: Body,
) -> Result<Bytes, Refusal> {
    if route.takes.is_none() {
        return Ok(Bytes::new());
    }
    body::check_headers(&head.headers, route.any_media)?;
    body::read(body, route.body_bytes_max).await
}

/// Refuses a caller whose scopes do not reach the route at all; the backend checks the rest.
fn check(route: &Route, principal: &Principal, path: &str) -> model::Result<()> {
    let Guard::Needs(verb, resource, place) = route.guard else { return Ok(()) };
    let namespace = match place {
        Place::Path => Some(namespace_of(route, path)?),
        // What the body names is checked when it is read.
        Place::Own | Place::Body => return principal.check_somewhere(verb, resource),
        Place::Server => None,
    };
    principal.check(&Access { verb, resource, namespace })
}

/// Runs a future whose panic becomes none.
pub(crate) async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // After a panic the future is dropped and never polled again.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_panic) => Poll::Ready(None),
        }
    })
    .await
}
