//! Publishing, retracting and deleting definitions: what each stage of the pipeline means in terms
//! of rows.
//!
//! A definition is one head row; which version is published is one column of it. The head, its
//! versions, its triggers, the log of the catalog and the run that did it are one transaction, so
//! there is never a version without its triggers or a change without its place in the log. The
//! pipeline around that transaction is in the crate `engine`.

mod answer;
mod audit;
mod change;
mod commit;
mod draft;
mod effects;
mod log;
mod rows;
mod runs;
mod trigger;

pub use answer::answer;
pub use change::{
    Action, Change, NewVersion, Reference, bad, check, compile, parse, references, resolve,
    version_of,
};
pub use commit::{Commit, STEPS, Step, operation};
pub use draft::{delete_draft, save_draft};
pub use effects::{effect, observe};
pub use log::{CatalogBody, CatalogRow, changes, destroyed, epoch, epoch_key};
pub use rows::{DefinitionRow, DraftRow, Head, TriggerBody, TriggerRow, VersionBody, VersionRow};
pub use runs::{RunBody, RunRow, lease_over, run_of};
pub use trigger::{HOOK_EVENT, OnEvent, TriggerSpec, Wanted, match_key, plan_triggers, route_of};
