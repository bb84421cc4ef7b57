//! Expressions and schemas at work.
//!
//! No jq that runs in this process could be kept from harming it, so jq runs in a child process:
//! [`serve`] is the loop of that child, with limits on memory and processor time that end the
//! child and nothing else. Whoever owns the children sends [`crate::run::Ask`]s and gets
//! [`crate::run::Answer`]s; [`frame`] says how they travel. What is so simple that it cannot do
//! harm, such as `.a.b == 1`, is computed by [`quick`] in place.

pub mod frame;
mod jq;
mod normal;
mod quick;
mod schema;
mod serve;
mod size;

pub use jq::{FUNCTIONS_REFUSED, functions};
pub use quick::quick;
pub use serve::{Limits, serve};
pub use size::size;

pub(crate) use jq::{check, deep};
pub(crate) use normal::normal;
pub(crate) use schema::check as check_schema;

use crate::run::{Answer, Ask};

/// Computes something in this very process, which may not survive it: for the child, and for
/// tests.
pub fn compute(ask: &Ask, known: &mut Known) -> Answer {
    let result = match ask {
        Ask::Expression { source, input, variables, .. } => {
            known.filters.evaluate(source, input, variables)
        }
        Ask::Schema { schema, value } => schema::validate(schema, value),
    };
    match result {
        Ok(value) => Answer::Value(value),
        Err(why) => Answer::Failed(why),
    }
}

/// What was compiled before and is kept.
#[derive(Default)]
pub struct Known {
    filters: jq::Filters,
}
