//! What a row of the route table says.

use model::{BoxFuture, Resource, Result, Verb, limits};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{call::Call, outcome::Outcome};

/// Answers a call.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Result<Outcome>>;

/// Makes the schema of a wire type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Counts the routes of some tables.
#[expect(clippy::indexing_slicing, reason = "it runs while compiling, where nothing else can")]
pub(crate) const fn count(parts: &[&[Route]]) -> usize {
    let (mut sum, mut part) = (0, 0);
    while part < parts.len() {
        sum += parts[part].len();
        part += 1;
    }
    sum
}

/// Puts tables together.
#[expect(clippy::indexing_slicing, reason = "it runs while compiling, where nothing else can")]
pub(crate) const fn joined<const N: usize>(parts: &[&[Route]]) -> [Route; N] {
    let mut all = [parts[0][0]; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            all[at] = parts[part][row];
            (at, row) = (at + 1, row + 1);
        }
        part += 1;
    }
    all
}

/// One method on one path.
#[derive(Clone, Copy)]
pub struct Route {
    /// The method; `HEAD` works wherever `GET` does.
    pub method: &'static str,
    /// The path, with `{name}` for each escaped name.
    pub path: &'static str,
    /// Who may call it.
    pub guard: Guard,
    /// A stable name for generated clients.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The status of success.
    pub status: u16,
    pub(crate) handler: Handler,
    pub(crate) speaks: Speaks,
    pub(crate) takes: Option<SchemaOf>,
    pub(crate) gives: Option<SchemaOf>,
    pub(crate) body_bytes_max: usize,
    /// Whether the body may be of any media type.
    pub(crate) any_media: bool,
    /// Whether the handler reads the body itself, as it comes.
    pub(crate) streams: bool,
    pub(crate) parameters: &'static [Parameter],
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Everyone.
    Open,
    /// Everyone with a token; what the call says decides the rest.
    Known,
    /// Nodes of the same store.
    Node,
    /// Those with a scope.
    Needs(Verb, Resource, Place),
}

/// Where a route's scope is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the namespace of the path.
    Path,
    /// In the namespace that the body names.
    Body,
    /// In the caller's own namespace, to which the answer is restricted.
    Own,
    /// On the whole server.
    Server,
}

/// The formats of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// The ancestor's media types, by negotiation; errors in its envelope unless the client asks
    /// for problem+json.
    Ancestor,
    /// Plain JSON; errors as problem+json.
    Json,
    /// A page of the dashboard, or the same as JSON; errors likewise.
    Page,
    /// Text of this type; errors as problem+json.
    Text(&'static str),
}

/// A query parameter, as the API page describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    /// The JSON type.
    pub(crate) kind: &'static str,
    /// Whether it may be given more than once.
    pub(crate) many: bool,
}

const fn row(
    method: &'static str,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        guard: Guard::Known,
        name,
        summary,
        status: 200,
        handler,
        speaks: Speaks::Ancestor,
        takes: None,
        gives: None,
        body_bytes_max: limits::BODY_BYTES_MAX,
        any_media: false,
        streams: false,
        parameters: &[],
    }
}

pub(crate) const fn get(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    row("GET", path, name, summary, handler)
}

pub(crate) const fn post(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    row("POST", path, name, summary, handler)
}

pub(crate) const fn put(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    row("PUT", path, name, summary, handler).empty()
}

pub(crate) const fn delete(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    row("DELETE", path, name, summary, handler).empty()
}

impl Route {
    /// Tells whether the route changes something.
    pub fn mutates(&self) -> bool {
        matches!(self.guard, Guard::Needs(Verb::Write, ..)) || self.path == "/v1/write"
    }

    /// Tells whether it is a page of the dashboard, and no part of the API.
    pub fn is_page(&self) -> bool {
        self.speaks == Speaks::Page
    }

    /// Tells whether what a request begins is in its trace, and a request without one begins one.
    pub(crate) fn begins_trace(&self) -> bool {
        matches!(self.name, "hook" | "send_events" | "start_instance")
    }

    /// Tells whether the path leads through a work spec.
    pub(crate) fn is_below_spec(&self) -> bool {
        self.path.contains("{work_spec}")
    }

    pub(crate) const fn reads(mut self, resource: Resource, place: Place) -> Self {
        self.guard = Guard::Needs(Verb::Read, resource, place);
        self
    }

    pub(crate) const fn writes(mut self, resource: Resource, place: Place) -> Self {
        self.guard = Guard::Needs(Verb::Write, resource, place);
        self
    }

    /// Opens the route to nodes of the same store, and to nobody else.
    pub(crate) const fn for_nodes(mut self) -> Self {
        self.guard = Guard::Node;
        self
    }

    /// Opens the route to everyone.
    pub(crate) const fn open(mut self) -> Self {
        self.guard = Guard::Open;
        self
    }

    pub(crate) const fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Some(subschema::<T>);
        self
    }

    pub(crate) const fn gives<T: JsonSchema>(mut self, status: u16) -> Self {
        self.status = status;
        self.gives = Some(subschema::<T>);
        self
    }

    /// Says that success has no body.
    pub(crate) const fn empty(mut self) -> Self {
        self.status = 204;
        self.gives = None;
        self
    }

    /// Lets the body be as large as unit data may be.
    pub(crate) const fn large(mut self) -> Self {
        self.body_bytes_max = limits::BODY_BYTES_UNITS_MAX;
        self
    }

    /// Lets the body be of any media type.
    pub(crate) const fn any_media(mut self) -> Self {
        self.any_media = true;
        self
    }

    /// Lets the handler read the body as it comes, of whatever media type it is.
    pub(crate) const fn streams(mut self) -> Self {
        self.streams = true;
        self.any_media = true;
        self
    }

    pub(crate) const fn speaks(mut self, speaks: Speaks) -> Self {
        self.speaks = speaks;
        self
    }

    pub(crate) const fn with(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
