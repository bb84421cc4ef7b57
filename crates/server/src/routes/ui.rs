//! The pages of the dashboard.

use model::Resource::{
    Audit, Control, Definition, Event, Instance, Mail, Namespace, Secret, Server, Spec, Token,
    Unit, User, Worker,
};

use crate::{
    route::{
        Handler,
        Place::{self, Own, Path},
        Route, Speaks, get, post,
    },
    ui,
};

macro_rules! ns {
    ($($rest:literal)?) => { concat!("/ui/ns/{namespace}", $($rest)?) };
}
macro_rules! definition {
    ($($rest:literal)?) => { concat!(ns!("/definition/{definition}"), $($rest)?) };
}

/// What a link leads to with which somebody without a token can answer a wait.
const LINK: &str = "/ui/approve/{namespace}/{instance}/{secret}";

/// A page that shows something.
const fn shows(path: &'static str, name: &'static str, handler: Handler) -> Route {
    get(path, name, "Shows a page", handler).speaks(Speaks::Page)
}

/// A form of a page.
const fn does(path: &'static str, name: &'static str, handler: Handler) -> Route {
    post(path, name, "Does what a form of a page says", handler)
        .speaks(Speaks::Page)
        .takes::<String>()
        .any_media()
}

/// Everything that browsers ask for.
pub(super) const ROUTES: &[Route] = &[
    shows("/ui", "ui_overview", to!(ui::overview::of_server)),
    shows("/ui/live", "ui_live_all", to!(ui::live_all)).reads(Namespace, Own),
    shows("/ui/search", "ui_search", to!(ui::search::show)),
    shows("/ui/assets/{file}", "ui_asset", to!(ui::asset)).open(),
    shows("/ui/sign-in", "ui_sign_in_page", to!(ui::sign_in_page)).open(),
    does("/ui/sign-in", "ui_sign_in", to!(ui::sign_in)).open(),
    does("/ui/sign-out", "ui_sign_out", to!(ui::sign_out)),
    shows("/ui/sign-in/identity", "ui_identity", to!(ui::identity::begin)).open(),
    shows("/ui/sign-in/callback", "ui_identity_callback", to!(ui::identity::callback)).open(),
    shows("/ui/me", "ui_me", to!(ui::me::show)),
    does("/ui/me", "ui_change_me", to!(ui::me::change)),
    shows("/ui/users", "ui_users", to!(ui::users::list)).reads(User, Place::Server),
    does("/ui/users", "ui_add_user", to!(ui::users::add)).writes(User, Place::Server),
    shows("/ui/user/{user}", "ui_user", to!(ui::users::show)).reads(User, Place::Server),
    does("/ui/user/{user}", "ui_change_user", to!(ui::users::change)).writes(User, Place::Server),
    shows("/ui/audit", "ui_audit", to!(ui::audit::list)).reads(Audit, Own),
    does("/ui/theme", "ui_theme", to!(ui::set_theme)).open(),
    shows("/ui/namespaces", "ui_namespaces", to!(ui::namespaces::list)).reads(Namespace, Own),
    does("/ui/namespaces", "ui_change_namespaces", to!(ui::namespaces::change))
        .writes(Namespace, Own),
    shows("/ui/nodes", "ui_nodes", to!(ui::operate::nodes)).reads(Server, Place::Server),
    shows("/ui/tokens", "ui_tokens", to!(ui::operate::tokens)).reads(Token, Place::Server),
    does("/ui/tokens", "ui_change_tokens", to!(ui::operate::change_tokens))
        .writes(Token, Place::Server),
    shows(ns!(), "ui_namespace", to!(ui::overview::of_namespace)).reads(Namespace, Path),
    shows(ns!("/live"), "ui_live", to!(ui::live)).reads(Namespace, Path),
    shows(ns!("/specs"), "ui_specs", to!(ui::specs::list)).reads(Spec, Path),
    shows(ns!("/spec/{work_spec}"), "ui_spec", to!(ui::specs::show)).reads(Spec, Path),
    does(ns!("/spec/{work_spec}"), "ui_change_spec", to!(ui::specs::change)).writes(Control, Path),
    does(ns!("/spec/{work_spec}/units"), "ui_change_units", to!(ui::specs::change_units))
        .writes(Unit, Path),
    shows(ns!("/spec/{work_spec}/unit/{work_unit}"), "ui_unit", to!(ui::units::show))
        .reads(Unit, Path),
    does(ns!("/spec/{work_spec}/unit/{work_unit}"), "ui_change_unit", to!(ui::units::change))
        .writes(Unit, Path),
    shows(ns!("/workers"), "ui_workers", to!(ui::workers::list)).reads(Worker, Path),
    shows(ns!("/worker/{worker}"), "ui_worker", to!(ui::workers::show)).reads(Worker, Path),
    does(ns!("/worker/{worker}"), "ui_change_worker", to!(ui::workers::change))
        .writes(Worker, Path),
    shows(ns!("/definitions"), "ui_definitions", to!(ui::definitions::list))
        .reads(Definition, Path),
    shows(definition!(), "ui_definition", to!(ui::definitions::show)).reads(Definition, Path),
    does(definition!(), "ui_change_definition", to!(ui::definitions::change))
        .writes(Definition, Path),
    does(definition!("/start"), "ui_start", to!(ui::definitions::start)).writes(Instance, Path),
    shows(definition!("/diff"), "ui_diff", to!(ui::definitions::diff)).reads(Definition, Path),
    does(
        definition!("/trigger/{trigger}"),
        "ui_change_trigger",
        to!(ui::definitions::change_trigger),
    )
    .writes(Instance, Path),
    shows(ns!("/schedules"), "ui_schedules", to!(ui::definitions::schedules))
        .reads(Definition, Path),
    shows(ns!("/publish"), "ui_publish_page", to!(ui::publish::show)).reads(Definition, Path),
    does(ns!("/publish"), "ui_publish", to!(ui::publish::publish)).writes(Definition, Path).large(),
    shows(ns!("/runs"), "ui_runs", to!(ui::publish::list)).reads(Definition, Path),
    shows(ns!("/run/{run}"), "ui_run", to!(ui::publish::run)).reads(Definition, Path),
    shows(ns!("/instances"), "ui_instances", to!(ui::instances::list)).reads(Instance, Path),
    shows(ns!("/instance/{instance}"), "ui_instance", to!(ui::instances::show))
        .reads(Instance, Path),
    does(ns!("/instance/{instance}"), "ui_change_instance", to!(ui::instances::change))
        .writes(Instance, Path),
    shows(ns!("/events"), "ui_events", to!(ui::events::list)).reads(Event, Path),
    does(ns!("/events"), "ui_send_event", to!(ui::events::send)).writes(Event, Path),
    shows(ns!("/approvals"), "ui_approvals", to!(ui::approvals::list)).reads(Instance, Path),
    shows(ns!("/approval/{instance}/{step}"), "ui_approval", to!(ui::approvals::show))
        .reads(Instance, Path),
    does(ns!("/approval/{instance}/{step}"), "ui_answer", to!(ui::approvals::change))
        .writes(Instance, Path),
    shows(LINK, "ui_link", to!(ui::approvals::link)).open(),
    does(LINK, "ui_decide", to!(ui::approvals::decide)).open(),
    shows(ns!("/mail"), "ui_mail", to!(ui::mail::list)).reads(Mail, Path),
    shows(ns!("/mail/{account}"), "ui_account", to!(ui::mail::show)).reads(Mail, Path),
    does(ns!("/mail/{account}"), "ui_change_account", to!(ui::mail::change)).writes(Mail, Path),
    shows(ns!("/secrets"), "ui_secrets", to!(ui::secrets::list)).reads(Secret, Path),
    does(ns!("/secrets"), "ui_change_secrets", to!(ui::secrets::change)).writes(Secret, Path),
];
