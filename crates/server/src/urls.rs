//! The URLs of resources; always absolute paths.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Attempt, Id, Namespace, SpecName, UnitName, WorkerName, escape};

/// What follows the URLs that take a unit filter.
pub(crate) const FILTER: &str = "{?name*,status*,previous,limit}";

/// Writes one name of a path. Dots alone are encoded too, for clients resolve them away.
pub(crate) fn segment(name: &[u8]) -> String {
    if name == b"." || name == b".." {
        return format!("-{}", URL_SAFE_NO_PAD.encode(name));
    }
    escape(name)
}

pub(crate) fn namespace(namespace: &Namespace) -> String {
    format!("/namespace/{}", segment(namespace.as_str().as_bytes()))
}

pub(crate) fn spec(namespace: &Namespace, spec: &SpecName) -> String {
    format!("{}/work_spec/{}", self::namespace(namespace), segment(spec.as_str().as_bytes()))
}

pub(crate) fn unit(namespace: &Namespace, spec: &SpecName, unit: &UnitName) -> String {
    unit_in(&self::spec(namespace, spec), unit)
}

/// Writes the URL of a unit below that of its spec.
pub(crate) fn unit_in(spec_url: &str, unit: &UnitName) -> String {
    format!("{spec_url}/work_unit/{}", segment(unit.as_bytes()))
}

pub(crate) fn worker(namespace: &Namespace, worker: &WorkerName) -> String {
    format!("{}/worker/{}", self::namespace(namespace), segment(worker.as_str().as_bytes()))
}

pub(crate) fn attempt(unit_url: &str, attempt: &Attempt) -> String {
    attempt_of(unit_url, &attempt.worker, attempt.id)
}

fn attempt_of(unit_url: &str, worker: &WorkerName, id: Id) -> String {
    format!("{unit_url}/attempt/{}/{id}", segment(worker.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_do_not_climb() {
        let name = Namespace::new("..").unwrap();
        assert_eq!(namespace(&name), "/namespace/-Li4");
        assert_eq!(namespace(&Namespace::new(".").unwrap()), "/namespace/-Lg");
        let spec = SpecName::new("a b").unwrap();
        assert_eq!(self::spec(&name, &spec), "/namespace/-Li4/work_spec/-YSBi");
    }
}
