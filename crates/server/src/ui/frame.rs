//! What all pages have around them, and how they are answered.

use askama::Template;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use model::{Error, Namespace, Result};
use serde::Serialize;

use super::{
    assets::{ICON, SCRIPT, STYLE},
    place,
    session::{Visit, theme},
    show,
};
use crate::{call::Call, negotiate::prefers_page, outcome::Outcome};

/// What pages may load and do, and who may show them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Asks for a page without what is around it.
const FRAGMENT: &str = "lockstep-fragment";

/// The parts of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    Overview,
    Namespaces,
    Specs,
    Workers,
    Definitions,
    Instances,
    Events,
    Schedules,
    Mail,
    Secrets,
    Approvals,
    Link,
    Nodes,
    Users,
    Tokens,
    Audit,
    Me,
    Search,
    SignIn,
}

/// What is around one page.
pub(crate) struct Frame {
    title: String,
    here: Here,
    namespace: Option<Namespace>,
    is_live: bool,
    revision: u64,
    /// Where the page goes on to by itself.
    leads_to: Option<String>,
}

impl Frame {
    /// Makes the frame of a page about the server.
    pub(crate) fn new(title: impl Into<String>, here: Here) -> Self {
        Self {
            title: title.into(),
            here,
            namespace: None,
            is_live: false,
            revision: 0,
            leads_to: None,
        }
    }

    /// Makes the frame of a page about a namespace.
    pub(crate) fn of(namespace: &Namespace, title: impl Into<String>, here: Here) -> Self {
        Self { namespace: Some(namespace.clone()), ..Self::new(title, here) }
    }

    /// Has the page go on to another one by itself.
    pub(crate) fn leads_to(self, to: &str) -> Self {
        Self { leads_to: Some(to.to_owned()), ..self }
    }

    /// Has the page follow what changes after this revision.
    pub(crate) fn live(self, revision: u64) -> Self {
        Self { is_live: true, revision, ..self }
    }
}

#[derive(Template)]
#[template(path = "frame.html")]
struct Whole<'a> {
    frame: &'a Frame,
    body: String,
    theme: Option<&'static str>,
    /// Where the page follows changes; empty if it does not.
    live: String,
    who: &'a str,
    is_signed_in: bool,
    /// Where the page is, to come back.
    there: &'a str,
    twin: String,
    form: String,
    said: Option<&'static str>,
}

impl Whole<'_> {
    fn style(&self) -> &'static str {
        &STYLE.name
    }

    fn script(&self) -> &'static str {
        &SCRIPT.name
    }

    fn icon(&self) -> &'static str {
        &ICON.name
    }

    /// Tells whether the page stands alone, without a way to others.
    fn is_alone(&self) -> bool {
        matches!(self.frame.here, Here::SignIn | Here::Link)
    }

    /// Gives the parts of a namespace: page, name, key and whether it is here.
    fn parts(&self, of: &Namespace) -> Vec<(String, &'static str, &'static str, bool)> {
        let parts = [
            ("", "Overview", "o", Here::Overview),
            ("specs", "Specs", "s", Here::Specs),
            ("workers", "Workers", "w", Here::Workers),
            ("definitions", "Definitions", "d", Here::Definitions),
            ("instances", "Instances", "i", Here::Instances),
            ("approvals", "Approvals", "p", Here::Approvals),
            ("events", "Events", "e", Here::Events),
            ("schedules", "Schedules", "c", Here::Schedules),
            ("mail", "Mail", "a", Here::Mail),
            ("secrets", "Secrets", "r", Here::Secrets),
        ];
        let here = self.frame.here;
        parts.map(|(page, name, key, part)| (place::of(of, page), name, key, part == here)).into()
    }

    fn server(&self) -> [(&'static str, &'static str, &'static str, bool); 6] {
        let here = |part| self.frame.here == part && self.frame.namespace.is_none();
        [
            (place::HOME, "Overview", "h", here(Here::Overview)),
            ("/ui/namespaces", "Namespaces", "n", here(Here::Namespaces)),
            ("/ui/nodes", "Nodes", "m", here(Here::Nodes)),
            ("/ui/users", "Users", "u", here(Here::Users)),
            ("/ui/tokens", "Tokens", "t", here(Here::Tokens)),
            (place::AUDIT, "Audit log", "l", here(Here::Audit)),
        ]
    }
}

/// Answers with a page, what is within its frame, or the same as JSON.
pub(crate) fn page<V: Template + Serialize>(
    call: &Call,
    frame: Frame,
    view: &V,
) -> Result<Outcome> {
    let (headers, uri) = (&call.head.headers, &call.head.uri);
    if !wants_page(headers, uri) {
        let outcome = Outcome::json(view)?.with_media("application/json");
        return Ok(with_headers(outcome));
    }
    let failed = |error: askama::Error| Error::Internal(format!("no page: {error}"));
    let body = view.render().map_err(failed)?;
    let html = if headers.contains_key(FRAGMENT) {
        body
    } else {
        let there = uri.path_and_query().map_or(place::HOME, |path| path.as_str());
        let live = match &frame.namespace {
            _ if !frame.is_live => String::new(),
            Some(namespace) => place::of(namespace, "live"),
            None => format!("{}/live", place::HOME),
        };
        let who = &call.backend.principal().name;
        let mark = if there.contains('?') { '&' } else { '?' };
        let whole = Whole {
            theme: theme(headers),
            live,
            who: who.strip_prefix("user/").unwrap_or(who),
            is_signed_in: matches!(call.visit, Visit::Session(_)),
            there,
            twin: format!("{there}{mark}format=json"),
            form: call.app.sessions.form_token(&call.visit),
            said: said(call),
            body,
            frame: &frame,
        };
        whole.render().map_err(failed)?
    };
    Ok(with_headers(Outcome::whole(html).with_media("text/html; charset=utf-8")))
}

fn with_headers(outcome: Outcome) -> Outcome {
    page_headers()
        .into_iter()
        .fold(outcome, |outcome, (name, value)| outcome.with_header(name, value))
}

/// Says under which terms pages are shown: they load nothing from elsewhere, run nothing but our
/// own script, are in no frame, and are not kept.
pub(crate) fn page_headers() -> [(HeaderName, HeaderValue); 5] {
    [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
}

/// What a page says after an action has led back to it: words of our own only.
fn said(call: &Call) -> Option<&'static str> {
    let word = call.params().ok()?.word("done").ok()??;
    Some(match word.as_str() {
        "paused" => "Paused. Work that is under way goes on; nothing new starts.",
        "resumed" => "Resumed.",
        "saved" => "Saved.",
        "created" => "Created.",
        "deleted" => "Deleted.",
        "retried" => "It will be tried again.",
        "more" => "There were too many for one request. Do it again for the rest.",
        "released" => "Released: its lease is over, and it can be claimed again.",
        "skipped" => "Skipped: the workflow goes on as if the step had given that output.",
        "cancelled" => "Cancelled.",
        "restarted" => "Started again. This is the new instance.",
        "started" => "Started.",
        "sent" => "The event was taken in.",
        "set" => "Set. Whatever names it uses the new value from now on.",
        "removed" => "Removed.",
        "revoked" => "Revoked. The token stops working within a second.",
        "disabled" => "Disabled. The user is signed out everywhere and cannot sign in.",
        "enabled" => "Enabled. The user can sign in again.",
        "signed-out" => "Signed out everywhere.",
        "password" => "The password is set. The user is signed out everywhere.",
        "deactivated" => "Deactivated.",
        "answered" => "Answered. The workflow goes on with it.",
        "let-through" => "Confirmed. The next round removes exactly that set.",
        "backfilled" => "Backfilled: each missed slot of that time has fired.",
        _ => return None,
    })
}

/// Tells whether a page is wanted, and not the same as JSON.
pub(crate) fn wants_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let asks_for_json =
        uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
    !asks_for_json && prefers_page(headers)
}

/// Leads whoever is not known to where to sign in, and from there back.
pub(crate) fn to_sign_in(there: Option<&Uri>) -> Outcome {
    let there = there.and_then(Uri::path_and_query).map_or(place::HOME, |path| path.as_str());
    Outcome::see_other(format!("{}?to={}", place::SIGN_IN, place::value(there)))
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    status: u16,
    reason: &'a str,
    code: &'a str,
    message: &'a str,
    hint: &'a str,
    style: &'a str,
    icon: &'a str,
}

/// Makes the page that says why there is no other.
pub(crate) fn refused(status: StatusCode, code: &str, message: &str, hint: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("Error");
    let (style, icon) = (STYLE.name.as_str(), ICON.name.as_str());
    let page = Refused { status: status.as_u16(), reason, code, message, hint, style, icon };
    page.render().unwrap_or_else(|_| reason.to_owned())
}
