//! Stages that a program adds to the pipeline: to refuse, to write along, to make true elsewhere.

use std::{collections::BTreeSet, sync::Arc};

use flow::publish::Change;
use model::{BoxFuture, Definition, Error, Namespace, Result};
use queue::Work;

/// Which other stages of its phase a stage comes before and after, by their ids. Ids that are not
/// there mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// It comes before these.
    pub before: Vec<String>,
    /// It comes after these.
    pub after: Vec<String>,
}

/// What a run is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'p> {
    /// The namespace.
    pub namespace: &'p Namespace,
    /// Who asks.
    pub actor: &'p str,
    /// The changes.
    pub changes: &'p [Change],
}

/// A stage that looks at what is about to be done, and may refuse it.
pub trait PrepareStage: Send + Sync {
    /// Gives its name.
    fn id(&self) -> &str;

    /// Says where it stands among its like.
    fn order(&self) -> Order {
        Order::default()
    }

    /// Looks; what it answers is kept with the run.
    ///
    /// # Errors
    /// Whatever keeps the change from being made, such as [`Error::Refused`].
    fn run<'a>(&'a self, proposal: Proposal<'a>) -> BoxFuture<'a, Result<String>>;
}

/// A stage in the transaction itself: it reads and writes rows, and nothing else.
pub trait CommitStage: Send + Sync {
    /// Gives its name.
    fn id(&self) -> &str;

    /// Says where it stands among its like.
    fn order(&self) -> Order {
        Order::default()
    }

    /// Works in the transaction, more than once if the store asks for that.
    ///
    /// # Errors
    /// Whatever keeps the change from being made; all of it is undone.
    fn run(&self, work: &mut Work<'_>, changes: &[Change]) -> Result<String>;
}

/// A stage that makes true elsewhere what a definition wants: it goes by the definition as it is
/// and not by what was done to it, so doing it again is no harm.
pub trait SettleStage: Send + Sync {
    /// Gives its name.
    fn id(&self) -> &str;

    /// Says where it stands among its like.
    fn order(&self) -> Order {
        Order::default()
    }

    /// Makes it true; it is tried again for ever as long as it cannot.
    ///
    /// # Errors
    /// Whatever is in the way. The definition stays published.
    fn run<'a>(
        &'a self,
        namespace: &'a Namespace,
        definition: &'a Definition,
    ) -> BoxFuture<'a, Result<String>>;
}

/// All that is added to a pipeline.
#[derive(Clone, Default)]
pub struct Extensions {
    /// Stages that refuse or warn.
    pub prepare: Vec<Arc<dyn PrepareStage>>,
    /// Stages in the transaction.
    pub commit: Vec<Arc<dyn CommitStage>>,
    /// Stages that make something true elsewhere.
    pub settle: Vec<Arc<dyn SettleStage>>,
}

impl Extensions {
    /// Gives the names of the stages of a phase.
    pub(crate) fn ids(&self, phase: &str) -> Vec<String> {
        match phase {
            "prepare" => self.prepare.iter().map(|stage| stage.id().to_owned()).collect(),
            "commit" => self.commit.iter().map(|stage| stage.id().to_owned()).collect(),
            "settle" => self.settle.iter().map(|stage| stage.id().to_owned()).collect(),
            _ => Vec::new(),
        }
    }
}

/// Puts the stages of each phase in order.
pub(super) fn sorted(extensions: Extensions) -> Result<Extensions> {
    let Extensions { prepare, commit, settle } = extensions;
    Ok(Extensions {
        prepare: sort(prepare, |stage| (stage.id().to_owned(), stage.order()))?,
        commit: sort(commit, |stage| (stage.id().to_owned(), stage.order()))?,
        settle: sort(settle, |stage| (stage.id().to_owned(), stage.order()))?,
    })
}

/// Puts stages in the only order that their declarations and names allow, in whichever order they
/// came.
fn sort<T>(stages: Vec<T>, of: impl Fn(&T) -> (String, Order)) -> Result<Vec<T>> {
    let mut left: Vec<(String, Order, T)> = Vec::with_capacity(stages.len());
    for stage in stages {
        let (id, order) = of(&stage);
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err(Error::bad_input(format!(
                "stage {id:?} must be named with lower-case letters, digits and hyphens"
            )));
        }
        if left.iter().any(|(other, ..)| *other == id) {
            return Err(Error::bad_input(format!("two stages are named {id:?}")));
        }
        left.push((id, order, stage));
    }
    left.sort_by(|one, other| one.0.cmp(&other.0));
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = left.iter().position(|(id, order, _)| {
            !left.iter().any(|(other, theirs, _)| {
                other != id && (order.after.contains(other) || theirs.before.contains(id))
            })
        });
        let Some(free) = free else {
            let names: BTreeSet<&str> = left.iter().map(|(id, ..)| id.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            return Err(Error::bad_input(format!(
                "the stages {} wait for each other; change what they come before and after",
                names.join(", ")
            )));
        };
        sorted.push(left.remove(free).2);
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(stages: &[(&'static str, &[&str], &[&str])]) -> Result<Vec<&'static str>> {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        let of = |stage: &(&'static str, Order)| (stage.0.to_owned(), stage.1.clone());
        let made = stages
            .iter()
            .map(|(id, before, after)| (*id, Order { before: names(before), after: names(after) }));
        Ok(sort(made.collect(), of)?.into_iter().map(|(id, _)| id).collect())
    }

    #[test]
    fn the_order_is_that_of_the_declarations_and_then_of_the_names() {
        assert_eq!(
            order(&[("c", &[], &[]), ("a", &[], &["b"]), ("b", &[], &[])]).unwrap(),
            ["b", "a", "c"]
        );
        assert_eq!(order(&[("b", &["a"], &[]), ("a", &[], &[])]).unwrap(), ["b", "a"]);
        assert_eq!(order(&[("a", &["gone"], &["gone"])]).unwrap(), ["a"]);
    }

    #[test]
    fn the_order_of_registration_means_nothing() {
        let one = order(&[("a", &[], &["c"]), ("b", &[], &[]), ("c", &[], &[])]);
        let other = order(&[("c", &[], &[]), ("b", &[], &[]), ("a", &[], &["c"])]);
        assert_eq!(one.unwrap(), other.unwrap());
    }

    #[test]
    fn stages_that_wait_for_each_other_are_refused() {
        let error = order(&[("a", &[], &["b"]), ("b", &[], &["a"]), ("c", &[], &[])]).unwrap_err();
        assert!(error.to_string().contains("a, b"), "{error}");
        assert!(order(&[("a", &[], &[]), ("a", &[], &[])]).is_err());
        assert!(order(&[("A b", &[], &[])]).is_err());
    }
}
