//! What can be kept: answers to questions about one spec, unit, worker or definition by name, and
//! that there is none of that name.
//!
//! Namespaces are not kept, since every commit changes the revision that they show, and neither are
//! tokens, which belong to no namespace's history and must end everywhere at once.

use model::{
    Answer, DefinitionAnswer, DefinitionQuery, Error, Id, Namespace, Query, RecordKey, Result,
    SpecRef, Time, UnitRef, UnitStatus,
};

/// How long an answer holds if nobody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// For good.
    Always,
    /// Until a time.
    Until(Time),
    /// Until anything at all falls due.
    UntilDue,
}

/// Takes the incarnation out of a question by name, which makes it a key in the cache; none if the
/// answers to such questions are not kept.
pub(crate) fn take_id(query: &mut Query) -> Option<Option<Id>> {
    match query {
        Query::Spec(_, spec) => Some(spec.id.take()),
        Query::Unit(_, unit) => Some(unit.id.take()),
        Query::Worker(..)
        | Query::Definitions(_, DefinitionQuery::One(_) | DefinitionQuery::Version(_, None)) => {
            Some(None)
        }
        Query::Namespaces(_)
        | Query::Namespace(_)
        | Query::Specs(..)
        | Query::Units(..)
        | Query::Attempt(..)
        | Query::Attempts(..)
        | Query::Workers(..)
        | Query::Locks(..)
        | Query::Summary(..)
        | Query::Definitions(..)
        | Query::Instances(..)
        | Query::Mail(..)
        | Query::OldestReady
        | Query::Nodes
        | Query::Blobs(..)
        | Query::Secrets(..)
        | Query::Audit(_)
        | Query::Tokens
        | Query::TokenByHash(_)
        | Query::Users(_)
        | Query::Since(_) => None,
    }
}

/// Gives the keys of a record, if records of its kind are kept one by one.
pub(crate) fn keys_of(
    namespace: &Namespace,
    record: RecordKey,
) -> impl Iterator<Item = Query> + use<> {
    let namespace = namespace.clone();
    let mut second = None;
    let first = match record {
        RecordKey::Spec(name) => Some(Query::Spec(namespace, SpecRef { name, id: None })),
        RecordKey::Unit(spec, name) => {
            Some(Query::Unit(namespace, UnitRef { spec, name, id: None }))
        }
        RecordKey::Worker(name) => Some(Query::Worker(namespace, name)),
        RecordKey::Definition(name) => {
            let published = DefinitionQuery::Version(name.clone(), None);
            second = Some(Query::Definitions(namespace.clone(), published));
            Some(Query::Definitions(namespace, DefinitionQuery::One(name)))
        }
        RecordKey::Namespace
        | RecordKey::SpecAll(_)
        | RecordKey::Locks
        | RecordKey::Token(_)
        | RecordKey::Instance(_) => None,
    };
    first.into_iter().chain(second)
}

/// Tells whether an error says that there is nothing of the very name that was asked for.
///
/// That the spec of a unit does not exist is not kept, as the event that makes the spec does not
/// name the unit.
pub(crate) fn is_absent(key: &Query, error: &Error) -> bool {
    matches!(
        (key, error),
        (Query::Spec(..), Error::NoSuchWorkSpec(_))
            | (Query::Unit(..), Error::NoSuchWorkUnit(_))
            | (Query::Worker(..), Error::NoSuchWorker(_))
            | (Query::Definitions(..), Error::NoSuchDefinition(_) | Error::NoSuchVersion { .. })
    )
}

/// Gives the incarnation that an answer shows.
pub(crate) fn id_of(answer: &Answer) -> Option<Id> {
    match answer {
        Answer::Spec(spec) => Some(spec.id),
        Answer::Unit(unit) => Some(unit.id),
        Answer::Worker(worker) => Some(worker.id),
        _ => None,
    }
}

/// Makes what was found by name the answer to a question for one incarnation.
pub(crate) fn guard<T>(
    key: &Query,
    asked: Option<Id>,
    found: Result<T>,
    id: impl Fn(&T) -> Option<Id>,
) -> Result<T> {
    if asked.is_none() {
        return found;
    }
    match found {
        Ok(found) if id(&found) != asked => Err(Error::Gone),
        Err(error) if is_absent(key, &error) => Err(Error::Gone),
        found => found,
    }
}

/// Tells how long an answer holds by itself.
pub(crate) fn holds(answer: &Answer) -> Holds {
    match answer {
        Answer::Unit(unit) => match (unit.status, &unit.active) {
            (UnitStatus::Pending, Some(active)) => Holds::Until(active.expiration),
            (UnitStatus::Delayed, _) => unit.meta.not_before.map_or(Holds::UntilDue, Holds::Until),
            (UnitStatus::Pending, None) => Holds::UntilDue,
            (UnitStatus::Available | UnitStatus::Finished | UnitStatus::Failed, _) => Holds::Always,
        },
        Answer::Worker(worker) if worker.active => Holds::Until(worker.expiration),
        // Its counts change when a lease ends or a delay is over, and it does not say when.
        Answer::Spec(spec) if spec.counts.pending > 0 || spec.counts.delayed > 0 => Holds::UntilDue,
        _ => Holds::Always,
    }
}

/// Estimates the bytes that an entry takes.
pub(crate) fn weight(key: &Query, answer: Option<&Answer>) -> usize {
    const ENTRY: usize = 512;
    let name = match key {
        Query::Unit(namespace, unit) => {
            namespace.as_str().len() + unit.spec.as_str().len() + unit.name.as_bytes().len()
        }
        Query::Spec(namespace, spec) => namespace.as_str().len() + spec.name.as_str().len(),
        Query::Worker(namespace, worker) => namespace.as_str().len() + worker.as_str().len(),
        Query::Definitions(namespace, query) => {
            let (DefinitionQuery::One(name) | DefinitionQuery::Version(name, _)) = query else {
                return ENTRY;
            };
            namespace.as_str().len() + name.len()
        }
        _ => 0,
    };
    let data = match answer {
        Some(Answer::Unit(unit)) => {
            let attempt = unit.active.as_ref();
            let attempt = attempt.map_or(0, |attempt| {
                256 + attempt.data.as_cbor().len() + attempt.worker.as_str().len()
            });
            256 + unit.data.as_cbor().len() + attempt
        }
        Some(Answer::Spec(spec)) => 256 + spec.data.as_cbor().len(),
        Some(Answer::Worker(worker)) => {
            let children = worker.children.iter().map(|child| 32 + child.as_str().len());
            256 + worker.data.as_cbor().len() + worker.mode.len() + children.sum::<usize>()
        }
        Some(Answer::Definitions(DefinitionAnswer::Version(version))) => 256 + version.source.len(),
        _ => 0,
    };
    ENTRY + 2 * name + data
}
