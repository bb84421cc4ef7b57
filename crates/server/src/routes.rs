//! The route table: everything that can be called.

use model::Resource::{Attempt, Control, Event, Instance, Namespace, Server, Spec, Unit, Worker};

use crate::{
    http::{attempt, door, event, instance, namespace, ops, root, spec, summary, unit, worker},
    route::{
        Parameter,
        Place::{self, Body, Own, Path},
        Route, Speaks, count, delete, get, joined, post, put,
    },
    wire,
};

const LIMIT: Parameter = Parameter {
    name: "limit",
    says: "At most this many; absent is all.",
    kind: "integer",
    many: false,
};
const PREVIOUS: Parameter = Parameter {
    name: "previous",
    says: "Only what comes after this name (or attempt id), in the order of the list.",
    kind: "string",
    many: false,
};
const PAGE: &[Parameter] = &[PREVIOUS, LIMIT];
const FILTER: &[Parameter] = &[
    Parameter { name: "name", says: "Only units of these names.", kind: "string", many: true },
    Parameter { name: "status", says: "Only units in these statuses.", kind: "string", many: true },
    PREVIOUS,
    LIMIT,
];
const INSTANCES: &[Parameter] = &[
    Parameter {
        name: "definition",
        says: "Only instances of this definition.",
        kind: "string",
        many: false,
    },
    Parameter {
        name: "status",
        says: "Only instances in this status.",
        kind: "string",
        many: false,
    },
    Parameter {
        name: "newest",
        says: "Whether the newest come first.",
        kind: "boolean",
        many: false,
    },
    PREVIOUS,
    LIMIT,
];
const COUNTS: &[Parameter] = &[Parameter {
    name: "counts",
    says: "Whether to count available and pending units.",
    kind: "boolean",
    many: false,
}];

/// Paths that are known but take no method, as with the ancestor.
pub(crate) const NOT_FOR_USE: [&str; 1] =
    ["/namespace/{namespace}/work_spec/{work_spec}/work_unit/{work_unit}/attempt"];

macro_rules! path {
    (ns $($rest:literal)?) => { concat!("/namespace/{namespace}", $($rest)?) };
    (spec $($rest:literal)?) => { concat!(path!(ns "/work_spec/{work_spec}"), $($rest)?) };
    (unit $($rest:literal)?) => { concat!(path!(spec "/work_unit/{work_unit}"), $($rest)?) };
    (attempt $($rest:literal)?) => {
        concat!(path!(unit "/attempt/{worker}/{attempt}"), $($rest)?)
    };
    (instance $($rest:literal)?) => { concat!(path!(ns "/instance/{instance}"), $($rest)?) };
    (worker $($rest:literal)?) => { concat!(path!(ns "/worker/{worker}"), $($rest)?) };
}

/// Makes a handler of an async function.
macro_rules! to {
    ($handler:path) => {
        |call| Box::pin($handler(call))
    };
}

const fn change(path: &'static str, name: &'static str, summary: &'static str) -> Route {
    post(path, name, summary, to!(attempt::change))
        .writes(Attempt, Path)
        .takes::<wire::AttemptCompletion>()
        .large()
        .empty()
}

const fn document(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: crate::route::Handler,
) -> Route {
    get(path, name, summary, handler).open().speaks(Speaks::Json)
}

mod beside;
mod definition;
mod node;
mod ui;

/// The parts of the table.
const PARTS: &[&[Route]] = &[OWN, definition::ROUTES, beside::ROUTES, node::ROUTES, ui::ROUTES];

/// Everything that can be called.
pub const ROUTES: &[Route] = &joined::<{ count(PARTS) }>(PARTS);

/// What is neither about definitions nor a page of the dashboard.
const OWN: &[Route] = &[
    get("/", "root", "Shows where everything starts", to!(root::show)).gives::<wire::Root>(200),
    get("/summary", "summary", "Counts all work units", to!(summary::of_all))
        .reads(Spec, Own)
        .gives::<Vec<wire::SummaryRow<'static>>>(200),
    // Namespaces.
    get("/namespace", "list_namespaces", "Lists namespaces", to!(namespace::list))
        .reads(Namespace, Own)
        .with(PAGE)
        .gives::<wire::NamespaceList>(200),
    post("/namespace", "create_namespace", "Creates a namespace", to!(namespace::create))
        .writes(Namespace, Body)
        .takes::<wire::NewNamespace>()
        .gives::<wire::Namespace<'static>>(201),
    get(path!(ns), "get_namespace", "Shows a namespace", to!(namespace::show))
        .reads(Namespace, Path)
        .gives::<wire::Namespace<'static>>(200),
    delete(path!(ns), "destroy_namespace", "Destroys a namespace", to!(namespace::destroy))
        .writes(Namespace, Path),
    get(path!(ns "/summary"), "namespace_summary", "Counts units", to!(summary::of_namespace))
        .reads(Spec, Path)
        .gives::<Vec<wire::SummaryRow<'static>>>(200),
    // Work specs.
    get(path!(ns "/work_spec"), "list_work_specs", "Lists work specs", to!(spec::list))
        .reads(Spec, Path)
        .with(PAGE)
        .gives::<wire::SpecList>(200),
    post(path!(ns "/work_spec"), "set_work_spec", "Sets a work spec", to!(spec::set))
        .writes(Spec, Path)
        .takes::<wire::NewSpec>()
        .large()
        .gives::<wire::Named<'static>>(201),
    get(path!(spec), "get_work_spec", "Shows a work spec", to!(spec::show))
        .reads(Spec, Path)
        .gives::<wire::Spec<'static>>(200),
    put(path!(spec), "change_work_spec", "Replaces a dictionary", to!(spec::change))
        .writes(Spec, Path)
        .takes::<wire::NewSpec>()
        .large(),
    delete(path!(spec), "destroy_work_spec", "Destroys a work spec", to!(spec::destroy))
        .writes(Spec, Path),
    get(path!(spec "/meta"), "get_meta", "Shows how units are scheduled", to!(spec::meta))
        .reads(Spec, Path)
        .with(COUNTS)
        .gives::<wire::Meta>(200),
    put(path!(spec "/meta"), "set_meta", "Sets how units are scheduled", to!(spec::set_meta))
        .writes(Control, Path)
        .takes::<wire::Meta>(),
    get(path!(spec "/counts"), "get_counts", "Counts units by status", to!(spec::counts))
        .reads(Spec, Path)
        .gives::<wire::Counts>(200),
    get(path!(spec "/summary"), "work_spec_summary", "Counts units", to!(summary::of_spec))
        .reads(Spec, Path)
        .gives::<Vec<wire::SummaryRow<'static>>>(200),
    // Work units.
    post(path!(spec "/change"), "set_priorities", "Sets priorities", to!(unit::set_priorities))
        .writes(Unit, Path)
        .with(FILTER)
        .takes::<wire::PriorityChange>()
        .empty(),
    post(
        path!(spec "/adjust"),
        "adjust_priorities",
        "Adds to priorities",
        to!(unit::adjust_priorities),
    )
    .writes(Unit, Path)
    .with(FILTER)
    .takes::<wire::PriorityChange>()
    .empty(),
    get(path!(spec "/work_unit"), "list_work_units", "Lists units", to!(unit::list))
        .reads(Unit, Path)
        .with(FILTER)
        .gives::<wire::UnitList>(200),
    post(path!(spec "/work_unit"), "add_work_units", "Adds one unit or a batch", to!(unit::add))
        .writes(Unit, Path)
        .takes::<wire::AddUnits>()
        .large()
        .gives::<wire::Added>(201),
    delete(path!(spec "/work_unit"), "delete_work_units", "Deletes units", to!(unit::delete_all))
        .writes(Unit, Path)
        .with(FILTER)
        .gives::<wire::Deleted>(200),
    get(path!(unit), "get_work_unit", "Shows a unit", to!(unit::show))
        .reads(Unit, Path)
        .gives::<wire::Unit>(200),
    put(path!(unit), "change_work_unit", "Changes or releases a unit", to!(unit::change))
        .writes(Unit, Path)
        .takes::<wire::PutUnit>(),
    delete(path!(unit), "delete_work_unit", "Deletes a unit", to!(unit::delete)).writes(Unit, Path),
    // Attempts.
    get(path!(unit "/attempts"), "list_attempts", "Lists attempts", to!(attempt::of_unit))
        .reads(Attempt, Path)
        .with(PAGE)
        .gives::<wire::AttemptList>(200),
    get(
        path!(unit "/num-attempts"),
        "count_attempts",
        "Counts a unit's attempts",
        to!(attempt::count_of_unit),
    )
    .reads(Unit, Path)
    .gives::<u64>(200),
    get(path!(attempt), "get_attempt", "Shows an attempt", to!(attempt::show))
        .reads(Attempt, Path)
        .gives::<wire::Attempt<'static>>(200),
    change(path!(attempt "/renew"), "renew_attempt", "Extends a lease"),
    change(path!(attempt "/expire"), "expire_attempt", "Gives a unit back"),
    change(path!(attempt "/finish"), "finish_attempt", "Ends an attempt with success"),
    change(path!(attempt "/fail"), "fail_attempt", "Ends an attempt without success"),
    change(path!(attempt "/retry"), "retry_attempt", "Ends an attempt to try its unit again"),
    // Workers.
    get(path!(ns "/worker"), "list_workers", "Lists workers", to!(worker::list))
        .reads(Worker, Path)
        .with(PAGE)
        .gives::<wire::WorkerList>(200),
    get(path!(worker), "get_worker", "Shows a worker", to!(worker::show))
        .reads(Worker, Path)
        .gives::<wire::Worker<'static>>(200),
    put(path!(worker), "change_worker", "Updates or deactivates a worker", to!(worker::change))
        .writes(Worker, Path)
        .takes::<wire::PutWorker>(),
    post(
        path!(worker "/request_attempts"),
        "request_attempts",
        "Claims units, and waits for some if asked to",
        to!(worker::request_attempts),
    )
    .writes(Attempt, Path)
    .takes::<wire::AttemptRequest>()
    .gives::<wire::Claimed<'static>>(200),
    post(
        path!(worker "/make_attempt"),
        "make_attempt",
        "Starts an attempt on one unit",
        to!(worker::make_attempt),
    )
    .writes(Attempt, Path)
    .takes::<wire::MakeAttempt>()
    .gives::<wire::Attempt<'static>>(200),
    post(
        path!(worker "/work"),
        "work",
        "Ends or renews attempts and claims the next ones",
        to!(worker::work),
    )
    .writes(Attempt, Path)
    .takes::<wire::Work>()
    .large()
    .gives::<wire::Worked<'static>>(200),
    get(
        path!(worker "/active_attempts"),
        "list_active_attempts",
        "Lists a worker's pending attempts",
        to!(worker::active_attempts),
    )
    .reads(Attempt, Path)
    .with(PAGE)
    .gives::<wire::AttemptList>(200),
    get(
        path!(worker "/all_attempts"),
        "list_all_attempts",
        "Lists all attempts a worker ever made",
        to!(worker::all_attempts),
    )
    .reads(Attempt, Path)
    .with(PAGE)
    .gives::<wire::AttemptList>(200),
    get(
        path!(worker "/child_attempts"),
        "list_child_attempts",
        "Lists the pending attempts of a worker's children",
        to!(worker::child_attempts),
    )
    .reads(Attempt, Path)
    .with(PAGE)
    .gives::<wire::AttemptList>(200),
    // Instances of workflows, and events for them.
    post(path!(ns "/instance"), "start_instance", "Starts a workflow", to!(instance::start))
        .writes(Instance, Path)
        .speaks(Speaks::Json)
        .takes::<model::Start>()
        .large()
        .gives::<wire::Started>(201),
    get(path!(ns "/instance"), "list_instances", "Lists instances", to!(instance::list))
        .reads(Instance, Path)
        .speaks(Speaks::Json)
        .with(INSTANCES)
        .gives::<wire::InstanceList>(200),
    get(path!(instance), "get_instance", "Shows an instance", to!(instance::show))
        .reads(Instance, Path)
        .speaks(Speaks::Json)
        .gives::<model::Instance>(200),
    get(path!(instance "/journal"), "get_journal", "Shows a journal", to!(instance::journal))
        .reads(Instance, Path)
        .speaks(Speaks::Json)
        .with(PAGE)
        .gives::<wire::Journal<model::JournalEntry>>(200),
    post(
        path!(instance "/control"),
        "control_instance",
        "Cancels, pauses, resumes, retries, skips or restarts",
        to!(instance::control),
    )
    .writes(Instance, Path)
    .speaks(Speaks::Json)
    .takes::<model::InstanceControl>()
    .gives::<wire::Started>(200),
    post(
        path!(ns "/definition/{definition}/trigger/{trigger}/control"),
        "control_trigger",
        "Pauses, resumes or backfills a trigger",
        to!(instance::control_trigger),
    )
    .writes(Instance, Path)
    .speaks(Speaks::Json)
    .takes::<model::TriggerControl>()
    .empty(),
    post(path!(ns "/event"), "send_events", "Takes CloudEvents in", to!(event::receive))
        .writes(Event, Path)
        .speaks(Speaks::Json)
        .takes::<model::CloudEvent>()
        .any_media()
        .large()
        .gives::<wire::ReceivedList>(200),
    get(path!(ns "/event"), "list_events", "Lists events for workflows", to!(event::list))
        .reads(Event, Path)
        .speaks(Speaks::Json)
        .with(PAGE)
        .gives::<wire::EventList>(200),
    post(path!(ns "/event/match"), "match_event", "Explains triggers", to!(event::explain))
        .reads(Event, Path)
        .speaks(Speaks::Json)
        .takes::<model::CloudEvent>()
        .gives::<wire::Explanation>(200),
    post("/hooks/{namespace}/{path}", "hook", "Makes an event of a request", to!(event::hook))
        .writes(Event, Path)
        .speaks(Speaks::Json)
        .takes::<serde_json::Value>()
        .any_media()
        .gives::<wire::ReceivedList>(202),
    // The native door.
    post("/v1/write", "write", "Makes commands", to!(door::write))
        .speaks(Speaks::Json)
        .takes::<model::Write>()
        .large()
        .gives::<model::Committed>(200),
    post("/v1/read", "read", "Answers a query", to!(door::read))
        .speaks(Speaks::Json)
        .takes::<door::Asked>()
        .gives::<model::Read>(200),
    post("/v1/events", "events", "Shows a namespace's history", to!(door::events))
        .reads(Event, Body)
        .speaks(Speaks::Json)
        .takes::<door::AskedEvents>()
        .gives::<Vec<model::Event>>(200),
    // What operators look at.
    document("/v1/limits", "limits", "Lists every limit", to!(ops::limits))
        .gives::<wire::LimitList>(200),
    document("/livez", "livez", "Says that the process answers", to!(ops::live))
        .gives::<wire::Health>(200),
    document("/readyz", "readyz", "Says whether to send requests here", to!(ops::ready))
        .gives::<wire::Health>(200),
    document("/version", "version", "Says what program answers", to!(ops::version))
        .gives::<wire::Version>(200),
    document("/openapi.json", "openapi", "Describes this API", to!(ops::document))
        .gives::<serde_json::Value>(200),
    document("/api", "api", "Describes this API for people", to!(ops::api))
        .speaks(Speaks::Text("text/html; charset=utf-8"))
        .gives::<String>(200),
    get("/metrics", "metrics", "Shows metrics for Prometheus", to!(ops::metrics))
        .reads(Server, Place::Server)
        .speaks(Speaks::Text("text/plain; version=0.0.4; charset=utf-8"))
        .gives::<String>(200),
];
