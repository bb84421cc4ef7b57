//! The dashboard: pages for people over the same backend and scopes as the API.
//!
//! A page is a struct that is both a template and JSON ([`frame::page`]), so each page has a twin
//! that says the same. Pages work without scripts; what they can do is forms that are posted to
//! them and lead back. `assets/dashboard.js` only adds what is nice to have.

mod ask;
mod assets;
mod beside;
mod form;
mod frame;
mod journal;
mod live;
mod place;
mod session;
mod show;
mod waterfall;

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod definitions;
pub(crate) mod events;
pub(crate) mod identity;
pub(crate) mod instances;
pub(crate) mod mail;
pub(crate) mod me;
pub(crate) mod namespaces;
pub(crate) mod operate;
pub(crate) mod overview;
pub(crate) mod publish;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod specs;
pub(crate) mod units;
pub(crate) mod users;
pub(crate) mod workers;

pub(crate) use assets::serve as asset;
pub(crate) use frame::{page_headers, refused, to_sign_in, wants_page};
pub(crate) use live::{of_all as live_all, of_namespace as live};
pub(crate) use place::{HOME, value as place_value};
pub(crate) use session::{
    Cookie, Sessions, Visit, set_theme, show as sign_in_page, sign_in, sign_out,
};
