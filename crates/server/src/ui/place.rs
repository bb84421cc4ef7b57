//! Where the pages are.

use model::{Id, Namespace, SpecName, UnitName, UserName, Wait, WorkerName};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) use crate::urls::segment;

/// Where the dashboard starts.
pub(crate) const HOME: &str = "/ui";
pub(crate) const SIGN_IN: &str = "/ui/sign-in";
pub(crate) const AUDIT: &str = "/ui/audit";

/// Gives a page of a namespace.
pub(crate) fn of(namespace: &Namespace, page: &str) -> String {
    let name = segment(namespace.as_str().as_bytes());
    if page.is_empty() { format!("/ui/ns/{name}") } else { format!("/ui/ns/{name}/{page}") }
}

pub(crate) fn spec(namespace: &Namespace, spec: &SpecName) -> String {
    format!("{}/{}", of(namespace, "spec"), segment(spec.as_str().as_bytes()))
}

pub(crate) fn unit(namespace: &Namespace, spec: &SpecName, unit: &UnitName) -> String {
    format!("{}/unit/{}", self::spec(namespace, spec), segment(unit.as_bytes()))
}

pub(crate) fn worker(namespace: &Namespace, worker: &WorkerName) -> String {
    format!("{}/{}", of(namespace, "worker"), segment(worker.as_str().as_bytes()))
}

pub(crate) fn definition(namespace: &Namespace, definition: &str) -> String {
    format!("{}/{}", of(namespace, "definition"), segment(definition.as_bytes()))
}

pub(crate) fn trigger(namespace: &Namespace, definition: &str, trigger: &str) -> String {
    let definition = self::definition(namespace, definition);
    format!("{definition}/trigger/{}", segment(trigger.as_bytes()))
}

pub(crate) fn run(namespace: &Namespace, run: &Id) -> String {
    format!("{}/{run}", of(namespace, "run"))
}

pub(crate) fn instance(namespace: &Namespace, instance: &Id) -> String {
    format!("{}/{instance}", of(namespace, "instance"))
}

pub(crate) fn account(namespace: &Namespace, account: &str) -> String {
    format!("{}/{}", of(namespace, "mail"), segment(account.as_bytes()))
}

pub(crate) fn wait(namespace: &Namespace, wait: &Wait) -> String {
    let waits = of(namespace, "approval");
    format!("{waits}/{}/{}", wait.instance, segment(wait.name.as_bytes()))
}

/// Gives the page of a user.
pub(crate) fn user(name: &UserName) -> String {
    format!("/ui/user/{}", segment(name.as_str().as_bytes()))
}

/// Gives the page that a link leads to.
pub(crate) fn link(namespace: &Namespace, instance: Id, secret: &str) -> String {
    format!("/ui/approve/{}/{instance}/{secret}", segment(namespace.as_str().as_bytes()))
}

/// Gives a page of this server that somebody wants to go to, and the first one in place of any
/// other address.
pub(crate) fn own(to: &str) -> String {
    let is_own = to.starts_with(HOME) && !to.contains(['\\', '\n', '\r']);
    if is_own { to.to_owned() } else { HOME.to_owned() }
}

/// Writes a value of a query.
pub(crate) fn value(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
