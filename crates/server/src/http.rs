//! The handlers: one file per resource.

pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod blob;
pub(crate) mod definition;
pub(crate) mod door;
pub(crate) mod event;
pub(crate) mod instance;
pub(crate) mod namespace;
pub(crate) mod ops;
pub(crate) mod peer;
pub(crate) mod root;
pub(crate) mod secret;
pub(crate) mod spec;
pub(crate) mod summary;
pub(crate) mod unit;
pub(crate) mod user;
pub(crate) mod worker;
