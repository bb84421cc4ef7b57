//! What pages ask the backend, in the visitor's name.

use model::{
    Answer, Attempt, AttemptsOf, CloudEvent, Definition, DefinitionAnswer, DefinitionQuery, Error,
    Id, Instance, InstanceAnswer, InstanceFilter, InstanceQuery, JournalEntry, Namespace,
    NamespaceInfo, Page, Query, Read, Received, Reply, Result, Revision, Run, Spec, SpecName, Time,
    Trigger, Version, Worker, WorkerName,
};

use crate::call::{Call, mismatch, take};

/// Rows of a page of a list.
pub(crate) const ROWS: u32 = 50;

/// A page of a list, read with one row more than is shown, to know whether there are more.
pub(crate) fn rows<K>(after: Option<K>) -> Page<K> {
    Page { after, limit: ROWS + 1 }
}

/// Takes the row that is too many off, and gives the key of the last that is shown if there are
/// more.
pub(crate) fn cut<T, K>(rows: &mut Vec<T>, key: impl Fn(&T) -> K) -> Option<K> {
    if rows.len() <= ROWS as usize {
        return None;
    }
    rows.truncate(ROWS as usize);
    rows.last().map(key)
}

/// Gives none in place of what the visitor may not see.
pub(crate) fn visible<T>(asked: Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(Error::Denied(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives nothing in place of what is in a namespace that does not exist yet.
fn or_none<T>(asked: Result<(Vec<T>, Revision)>) -> Result<(Vec<T>, Revision)> {
    match asked {
        Err(Error::NoSuchNamespace(_)) => Ok((Vec::new(), 0)),
        asked => asked,
    }
}

pub(crate) async fn namespaces(
    call: &Call,
    after: Option<Namespace>,
) -> Result<Vec<NamespaceInfo>> {
    take!(call.read(Query::Namespaces(rows(after))).await?.answer, Answer::Namespaces)
}

/// When the oldest ready unit of each spec was added.
pub(crate) async fn oldest(call: &Call) -> Result<Vec<(Namespace, SpecName, Time)>> {
    take!(call.read(Query::OldestReady).await?.answer, Answer::OldestReady)
}

pub(crate) async fn specs(
    call: &Call,
    of: &Namespace,
    page: Page<SpecName>,
) -> Result<(Vec<Spec>, Revision)> {
    or_none(match call.read(Query::Specs(of.clone(), page)).await {
        Ok(Read { as_of, answer }) => Ok((take!(answer, Answer::Specs)?, as_of)),
        Err(error) => Err(error),
    })
}

pub(crate) async fn workers(
    call: &Call,
    of: &Namespace,
    page: Page<WorkerName>,
) -> Result<(Vec<Worker>, Revision)> {
    or_none(match call.read(Query::Workers(of.clone(), page)).await {
        Ok(Read { as_of, answer }) => Ok((take!(answer, Answer::Workers)?, as_of)),
        Err(error) => Err(error),
    })
}

pub(crate) async fn attempts(
    call: &Call,
    of: &Namespace,
    which: AttemptsOf,
    page: Page<u64>,
) -> Result<Vec<Attempt>> {
    take!(call.read(Query::Attempts(of.clone(), which, page)).await?.answer, Answer::Attempts)
}

async fn about(
    call: &Call,
    of: &Namespace,
    query: DefinitionQuery,
) -> Result<(DefinitionAnswer, Revision)> {
    let read = call.read(Query::Definitions(of.clone(), query)).await?;
    Ok((take!(read.answer, Answer::Definitions)?, read.as_of))
}

pub(crate) async fn definitions(
    call: &Call,
    of: &Namespace,
    page: Page<String>,
) -> Result<(Vec<Definition>, Revision)> {
    or_none(match about(call, of, DefinitionQuery::List(page)).await {
        Ok((answer, as_of)) => Ok((take!(answer, DefinitionAnswer::Definitions)?, as_of)),
        Err(error) => Err(error),
    })
}

pub(crate) async fn definition(
    call: &Call,
    of: &Namespace,
    name: &str,
) -> Result<(Definition, Revision)> {
    let (answer, as_of) = about(call, of, DefinitionQuery::One(name.to_owned())).await?;
    Ok((take!(answer, DefinitionAnswer::Definition)?, as_of))
}

pub(crate) async fn versions(call: &Call, of: &Namespace, name: &str) -> Result<Vec<Version>> {
    let (answer, _) = about(call, of, DefinitionQuery::Versions(name.to_owned())).await?;
    take!(answer, DefinitionAnswer::Versions)
}

/// Reads a version with its document; none is the published one.
pub(crate) async fn version(
    call: &Call,
    of: &Namespace,
    name: &str,
    version: Option<String>,
) -> Result<Version> {
    let (answer, _) = about(call, of, DefinitionQuery::Version(name.to_owned(), version)).await?;
    take!(answer, DefinitionAnswer::Version)
}

pub(crate) async fn triggers(
    call: &Call,
    of: &Namespace,
    name: Option<String>,
) -> Result<(Vec<Trigger>, Revision)> {
    or_none(match about(call, of, DefinitionQuery::Triggers(name)).await {
        Ok((answer, as_of)) => Ok((take!(answer, DefinitionAnswer::Triggers)?, as_of)),
        Err(error) => Err(error),
    })
}

pub(crate) async fn runs(
    call: &Call,
    of: &Namespace,
    name: Option<String>,
    page: Page<Id>,
) -> Result<(Vec<Run>, Revision)> {
    or_none(match about(call, of, DefinitionQuery::Runs(name, page)).await {
        Ok((answer, as_of)) => Ok((take!(answer, DefinitionAnswer::Runs)?, as_of)),
        Err(error) => Err(error),
    })
}

/// Reads one run with its stages.
pub(crate) async fn run(call: &Call, of: &Namespace, id: Id) -> Result<(Run, Revision)> {
    let (answer, as_of) = about(call, of, DefinitionQuery::Run(id)).await?;
    let run = take!(answer, DefinitionAnswer::Runs)?.into_iter().next();
    Ok((run.ok_or(Error::NoSuchRun(id))?, as_of))
}

/// Reads the stages that runs go through.
pub(crate) async fn pipeline(call: &Call, of: &Namespace) -> Result<model::Pipeline> {
    let (answer, _) = about(call, of, DefinitionQuery::Pipeline).await?;
    take!(answer, DefinitionAnswer::Pipeline)
}

pub(crate) async fn instances(
    call: &Call,
    of: &Namespace,
    filter: InstanceFilter,
) -> Result<(Vec<Instance>, Revision)> {
    let query = Query::Instances(of.clone(), InstanceQuery::List(filter));
    or_none(match call.read(query).await {
        Ok(Read { as_of, answer }) => {
            let answer = take!(answer, Answer::Instances)?;
            Ok((take!(answer, InstanceAnswer::Instances)?, as_of))
        }
        Err(error) => Err(error),
    })
}

/// Reads events, newest first.
pub(crate) async fn events(
    call: &Call,
    of: &Namespace,
    page: Page<u64>,
) -> Result<(Vec<(CloudEvent, Received)>, Revision)> {
    let query = Query::Instances(of.clone(), InstanceQuery::Latest(page));
    or_none(match call.read(query).await {
        Ok(Read { as_of, answer }) => {
            let answer = take!(answer, Answer::Instances)?;
            Ok((take!(answer, InstanceAnswer::Events)?, as_of))
        }
        Err(error) => Err(error),
    })
}

pub(crate) async fn instance(
    call: &Call,
    of: &Namespace,
    id: Id,
) -> Result<(Box<Instance>, Revision)> {
    let read = call.read(Query::Instances(of.clone(), InstanceQuery::One(id))).await?;
    let answer = take!(read.answer, Answer::Instances)?;
    Ok((take!(answer, InstanceAnswer::Instance)?, read.as_of))
}

pub(crate) async fn journal(
    call: &Call,
    of: &Namespace,
    id: Id,
    page: Page<u64>,
) -> Result<Vec<JournalEntry>> {
    let query = InstanceQuery::Journal(id, page);
    let read = call.read(Query::Instances(of.clone(), query)).await?;
    take!(take!(read.answer, Answer::Instances)?, InstanceAnswer::Journal)
}

/// Makes one change, and gives its reply.
pub(crate) async fn change(
    call: &Call,
    of: &Namespace,
    command: impl Into<model::Command>,
) -> Result<Reply> {
    let committed = call.write(of.clone(), vec![command.into()]).await?;
    committed.replies.into_iter().next().ok_or_else(mismatch)
}
