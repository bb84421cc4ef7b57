//! The routes of workflow definitions.

use model::Resource::Definition;

use super::PAGE;
use crate::{
    http::definition as to,
    route::{Handler, Place::Path, Route, Speaks, delete, get, post, put},
    wire,
};

macro_rules! definition {
    ($($rest:literal)?) => { concat!("/namespace/{namespace}/definition/{definition}", $($rest)?) };
}

const fn reads(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    get(path, name, summary, handler).reads(Definition, Path).speaks(Speaks::Json)
}

/// A run of the pipeline: 202 says that it goes on after the answer.
const fn runs(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: Handler,
) -> Route {
    post(path, name, summary, handler)
        .writes(Definition, Path)
        .speaks(Speaks::Json)
        .large()
        .gives::<wire::PublishedList>(200)
}

/// Everything that can be called about definitions.
pub(super) const ROUTES: &[Route] = &[
    reads(
        "/namespace/{namespace}/definition",
        "list_definitions",
        "Lists definitions",
        to!(to::list),
    )
    .with(PAGE)
    .gives::<wire::DefinitionList>(200),
    runs(
        "/namespace/{namespace}/definition",
        "publish_definitions",
        "Publishes documents as one change",
        to!(to::publish),
    )
    .takes::<wire::ToPublish>(),
    runs(
        "/namespace/{namespace}/definition_bundle",
        "change_definitions",
        "Makes several changes of definitions as one",
        to!(to::bundle),
    )
    .takes::<wire::ToBundle>(),
    reads(
        "/namespace/{namespace}/definition_run",
        "list_runs",
        "Lists runs of the publishing pipeline",
        to!(to::runs),
    )
    .with(PAGE)
    .gives::<wire::RunList>(200),
    reads(
        "/namespace/{namespace}/definition_run/{run}",
        "get_run",
        "Shows a run with its stages",
        to!(to::run),
    )
    .gives::<model::Run>(200),
    reads(
        "/namespace/{namespace}/definition_change",
        "list_definition_changes",
        "Lists changes of definitions in their order",
        to!(to::changes),
    )
    .with(PAGE)
    .gives::<wire::ChangeList>(200),
    reads(
        "/namespace/{namespace}/definition_audit",
        "audit_definitions",
        "Checks the invariants of definitions",
        to!(to::audit),
    )
    .gives::<wire::AuditList>(200),
    reads(
        "/namespace/{namespace}/definition_pipeline",
        "explain_pipeline",
        "Lists the stages of the publishing pipeline",
        to!(to::pipeline),
    )
    .gives::<model::Pipeline>(200),
    reads(definition!(), "get_definition", "Shows a definition", to!(to::show))
        .gives::<model::Definition>(200),
    runs(
        definition!("/retract"),
        "retract_definition",
        "Lets a definition start nothing more",
        to!(to::retract),
    )
    .takes::<wire::Withdraw>(),
    runs(
        definition!("/delete"),
        "delete_definition",
        "Retracts a definition and hides its name",
        to!(to::delete),
    )
    .takes::<wire::Withdraw>(),
    runs(
        definition!("/rollback"),
        "roll_definition_back",
        "Publishes an earlier version",
        to!(to::roll_back),
    )
    .takes::<wire::RollBack>(),
    reads(definition!("/version"), "list_versions", "Lists versions", to!(to::versions))
        .gives::<wire::VersionList>(200),
    reads(
        definition!("/version/{version}"),
        "get_version",
        "Shows a version, or the one that is published",
        to!(to::version),
    )
    .gives::<model::Version>(200),
    delete(
        definition!("/version/{version}"),
        "delete_version",
        "Deletes a version",
        to!(to::delete_version),
    )
    .writes(Definition, Path)
    .speaks(Speaks::Json)
    .gives::<wire::PublishedList>(200),
    reads(definition!("/trigger"), "list_triggers", "Lists triggers", to!(to::triggers))
        .gives::<wire::TriggerList>(200),
    reads(definition!("/run"), "list_definition_runs", "Lists its runs", to!(to::runs_of))
        .with(PAGE)
        .gives::<wire::RunList>(200),
    reads(definition!("/draft"), "get_draft", "Shows a draft", to!(to::draft))
        .gives::<wire::Draft>(200),
    put(definition!("/draft"), "save_draft", "Keeps a draft", to!(to::save_draft))
        .writes(Definition, Path)
        .speaks(Speaks::Json)
        .takes::<wire::Draft>()
        .large(),
    delete(definition!("/draft"), "delete_draft", "Forgets a draft", to!(to::delete_draft))
        .writes(Definition, Path)
        .speaks(Speaks::Json),
];
