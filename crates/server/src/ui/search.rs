//! Finding things by the beginning of their names.

use askama::Template;
use model::{
    Definition, Error, InstanceQuery, Namespace, Page, Query, Result, Spec, SpecName, UnitName,
    UnitRef, Worker, WorkerName,
};
use serde::Serialize;

use super::{
    ask::{self, visible},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{call::Call, outcome::Outcome};

/// Namespaces that are looked into where none is given.
const NAMESPACES_MAX: usize = 20;
/// Things of each kind in each namespace.
const FOUND_MAX: usize = 10;
/// Specs in which a unit of exactly this name is looked for.
const SPECS_MAX: usize = 50;

#[derive(Template, Serialize)]
#[template(path = "search.html")]
struct Search {
    asked: String,
    found: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    kind: &'static str,
    namespace: Namespace,
    name: String,
    href: String,
}

/// Lists what begins with what is asked for; where that is one thing, it leads there.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let asked = params.word("q")?.unwrap_or_default();
    let mut search = Search { asked, found: Vec::new() };
    let namespaces = match params.word("namespace")? {
        Some(name) if name == "-" => vec![Namespace::empty()],
        Some(name) => vec![Namespace::new(name)?],
        None => {
            let all = visible(ask::namespaces(&call, None).await)?.unwrap_or_default();
            all.into_iter().map(|info| info.name).collect()
        }
    };
    if !search.asked.is_empty() {
        for namespace in namespaces.iter().take(NAMESPACES_MAX) {
            search.look_into(&call, namespace).await?;
        }
    }
    match search.found.as_slice() {
        [one] => Ok(Outcome::see_other(one.href.clone())),
        _ => page(&call, Frame::new("Search", Here::Search), &search),
    }
}

impl Search {
    async fn look_into(&mut self, call: &Call, namespace: &Namespace) -> Result<()> {
        let asked = self.asked.clone();
        if namespace.as_str().starts_with(&asked) {
            self.add("namespace", namespace, namespace.to_string(), place::of(namespace, ""));
        }
        if let Ok(id) = asked.trim_start_matches('#').parse() {
            let query = Query::Instances(namespace.clone(), InstanceQuery::One(id));
            if is_there(call.read(query).await)? {
                self.add("instance", namespace, asked.clone(), place::instance(namespace, &id));
            }
        }
        let page = |limit| (before(&asked), limit);
        let (after, limit) = page(SPECS_MAX as u32);
        let after = after.and_then(|name| SpecName::new(name).ok());
        let specs = visible(ask::specs(call, namespace, Page { after, limit }).await)?;
        let specs = specs.unwrap_or_default().0;
        for Spec { name, .. } in begins(&specs, &asked, |spec: &Spec| spec.name.as_str()) {
            self.add("spec", namespace, name.to_string(), place::spec(namespace, name));
        }
        let (after, limit) = page(FOUND_MAX as u32 + 1);
        let definitions =
            visible(ask::definitions(call, namespace, Page { after: after.clone(), limit }).await)?;
        let definitions = definitions.unwrap_or_default().0;
        for Definition { name, .. } in begins(&definitions, &asked, |one| one.name.as_str()) {
            self.add("definition", namespace, name.clone(), place::definition(namespace, name));
        }
        let after = after.and_then(|name| WorkerName::new(name).ok());
        let workers = visible(ask::workers(call, namespace, Page { after, limit }).await)?;
        let workers = workers.unwrap_or_default().0;
        for Worker { name, .. } in begins(&workers, &asked, |one| one.name.as_str()) {
            self.add("worker", namespace, name.to_string(), place::worker(namespace, name));
        }
        self.look_for_unit(call, namespace).await
    }

    /// Looks for a unit of exactly this name in the first specs.
    async fn look_for_unit(&mut self, call: &Call, namespace: &Namespace) -> Result<()> {
        let Ok(name) = UnitName::new(self.asked.as_bytes()) else { return Ok(()) };
        let first = Page { after: None, limit: SPECS_MAX as u32 };
        let specs = visible(ask::specs(call, namespace, first).await)?.unwrap_or_default().0;
        for Spec { name: spec, .. } in specs {
            let unit = UnitRef { spec: spec.clone(), name: name.clone(), id: None };
            if is_there(call.read(Query::Unit(namespace.clone(), unit)).await)? {
                let href = place::unit(namespace, &spec, &name);
                self.add("unit", namespace, format!("{spec} / {}", self.asked), href);
            }
        }
        Ok(())
    }

    fn add(&mut self, kind: &'static str, namespace: &Namespace, name: String, href: String) {
        self.found.push(Found { kind, namespace: namespace.clone(), name, href });
    }
}

/// Gives a name that is just before all that begin with a text, where that is simple to say.
fn before(asked: &str) -> Option<String> {
    let mut name = asked.to_owned();
    let last = name.pop()?;
    let below = u32::from(last).checked_sub(1).and_then(char::from_u32)?;
    name.push(below);
    // All that follow it up to the text itself are few.
    name.push('\u{10ffff}');
    Some(name)
}

fn begins<'a, T>(
    all: &'a [T],
    asked: &'a str,
    name: impl Fn(&T) -> &str + 'a,
) -> impl Iterator<Item = &'a T> {
    all.iter().filter(move |one| name(one).starts_with(asked)).take(FOUND_MAX)
}

/// Tells whether a record is there and may be seen.
fn is_there<T>(read: Result<T>) -> Result<bool> {
    match read {
        Ok(_) => Ok(true),
        Err(
            Error::Denied(_)
            | Error::NoSuchInstance(_)
            | Error::NoSuchNamespace(_)
            | Error::NoSuchWorkSpec(_)
            | Error::NoSuchWorkUnit(_),
        ) => Ok(false),
        Err(error) => Err(error),
    }
}
