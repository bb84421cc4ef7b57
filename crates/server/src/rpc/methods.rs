//! All methods in one table: how many arguments each takes, who may call it, how it answers.

use std::sync::Arc;

use model::{
    Access, Answer, BoxFuture, Caller, Command, Committed, Datum, Error, Namespace, Principal,
    Query, QueueCommand, Reply, Resource, Result, Verb, Write,
};

use super::{
    args::Args, connection::Rpc, lock, other, spec, unit, update, value::Value, work, worker,
};
use crate::call::mismatch;

type Run = fn(Call) -> BoxFuture<'static, Result<Value>>;

/// A method.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// How many arguments it takes.
    arguments: usize,
    /// What its caller must be allowed.
    needs: Option<(Verb, Resource)>,
    shape: Shape,
    run: Run,
}

/// How a method answers.
enum Shape {
    /// With the value.
    Bare,
    /// With the value and null; with this and a message if there is no such spec, or if a lock
    /// stands in the way.
    Pair(Datum),
}

use Resource::{Attempt, Control, Lock, Spec, Unit, Worker};
use Shape::{Bare, Pair};
use Verb::{Read, Write as Change};

const FALSE: Shape = Pair(Datum::Bool(false));
const NOUGHT: Shape = Pair(Datum::Int(0));
const NULL: Shape = Pair(Datum::Null);

macro_rules! methods {
    ($($name:ident($arguments:literal) $verb:ident $resource:ident, $shape:expr, $run:path;)+) => {
        &[$(Method {
            name: stringify!($name),
            arguments: $arguments,
            needs: Some(($verb, $resource)),
            shape: $shape,
            run: |call| Box::pin($run(call)),
        }),+]
    };
}

/// The methods that need a scope.
static METHODS: &[Method] = methods! {
    set_work_spec(1) Change Spec, FALSE, spec::set;
    get_work_spec(1) Read Spec, Bare, spec::get;
    get_work_spec_meta(1) Read Spec, NULL, spec::meta;
    control_work_spec(2) Change Control, FALSE, spec::control;
    list_work_specs(1) Read Spec, Bare, spec::list;
    del_work_spec(1) Change Spec, FALSE, spec::delete;
    clear(0) Change Spec, Bare, spec::clear;
    add_work_units(2) Change Unit, FALSE, unit::add;
    get_work_units(2) Read Unit, NULL, unit::get;
    get_work_unit_status(2) Read Unit, NULL, unit::status;
    count_work_units(1) Read Spec, NULL, unit::count;
    prioritize_work_units(2) Change Unit, Bare, unit::prioritize;
    del_work_units(2) Change Unit, NOUGHT, unit::delete;
    update_work_unit(3) Change Attempt, FALSE, update::update;
    get_work(2) Change Attempt, NULL, work::get;
    worker_heartbeat(5) Change Worker, FALSE, worker::heartbeat;
    worker_unregister(1) Change Worker, FALSE, worker::unregister;
    list_worker_modes(0) Read Worker, NULL, worker::modes;
    mode_counts(0) Read Worker, NULL, worker::mode_counts;
    worker_stats(0) Read Worker, Bare, worker::stats;
    get_worker_info(1) Read Worker, NULL, worker::info;
    get_child_work_units(1) Read Attempt, NULL, worker::child_units;
    lock(3) Change Lock, FALSE, lock::lock;
    locksome(3) Change Lock, NULL, lock::lock_some;
    renew(3) Change Lock, FALSE, lock::renew;
    readlock(1) Read Lock, Bare, lock::read;
    unlock(2) Change Lock, FALSE, lock::unlock;
    delete_namespace(1) Change Lock, Bare, lock::delete;
};

/// The methods that anyone may call who may call at all.
static FREE: &[Method] = &[
    free("archive", 1, Bare, |call| Box::pin(other::archive(call))),
    free("get_config", 0, NULL, |call| Box::pin(other::config(call))),
    free("now", 0, Bare, |call| Box::pin(other::now(call))),
];

const fn free(name: &'static str, arguments: usize, shape: Shape, run: Run) -> Method {
    Method { name, arguments, needs: None, shape, run }
}

/// Finds a method by its name.
pub(crate) fn find(name: &str) -> Result<&'static Method> {
    METHODS.iter().chain(FREE).find(|method| method.name == name).ok_or_else(|| {
        // The ancestor looks for methods under the names that they have in its own language.
        Error::bad_input(format!("no such method {}", camel_case(name)))
    })
}

fn camel_case(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>())
    };
    // Names of the ancestor's own are short; a longer one is not repeated in full.
    let name: String = name.chars().take(100).collect();
    name.split('_').filter_map(word).collect()
}

pub(crate) fn wrong_number() -> Error {
    Error::bad_input("wrong number of parameters")
}

impl Method {
    /// Runs the method for a caller.
    pub(crate) async fn run(
        &self,
        rpc: &Arc<Rpc>,
        caller: &Principal,
        params: Vec<Datum>,
    ) -> Result<Value> {
        if let Some((verb, resource)) = self.needs {
            let namespace = Some(Namespace::empty());
            caller.check(&Access { verb, resource, namespace })?;
        }
        if params.len() != self.arguments {
            return Err(wrong_number());
        }
        let caller = Caller { name: caller.name.clone(), trace: None };
        let call = Call { rpc: Arc::clone(rpc), caller, args: Args::new(params) };
        let result = (self.run)(call).await;
        match &self.shape {
            Bare => result,
            Pair(zero) => in_band(zero.clone(), result),
        }
    }
}

/// Makes the pair of a result, in which some refusals are a message.
pub(crate) fn in_band(zero: Datum, result: Result<Value>) -> Result<Value> {
    match result {
        Ok(value) => Ok(value.pair(None)),
        Err(error @ (Error::NoSuchWorkSpec(_) | Error::LockConflict(_))) => {
            Ok(Value::Plain(zero).pair(Some(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

/// One call of a method, whose caller may make it.
pub(crate) struct Call {
    pub(crate) rpc: Arc<Rpc>,
    caller: Caller,
    pub(crate) args: Args,
}

impl Call {
    /// Asks. The namespace of all methods exists as soon as somebody asks about it.
    pub(crate) async fn read(&self, query: Query) -> Result<Answer> {
        // Who may call the method may know what it needs to know.
        let backend = self.rpc.backend();
        match backend.read(query.clone(), 0).await {
            Err(Error::NoSuchNamespace(_)) => {
                let create = QueueCommand::CreateNamespace;
                let caller = self.caller.clone();
                let write = Write { caller, ..Write::one(&Namespace::empty(), create) };
                backend.write(write).await?;
                Ok(backend.read(query, 0).await?.answer)
            }
            read => Ok(read?.answer),
        }
    }

    /// Makes commands as a whole.
    pub(crate) async fn write(
        &self,
        commands: impl IntoIterator<Item = QueueCommand>,
    ) -> Result<Committed> {
        let commands: Vec<Command> = commands.into_iter().map(Command::from).collect();
        // The method's own scope covers all that it does.
        let caller = self.caller.clone();
        let write = Write { caller, ..Write::of(&Namespace::empty(), commands) };
        self.rpc.backend().write(write).await
    }

    /// Makes one command and gives its reply.
    pub(crate) async fn command(&self, command: QueueCommand) -> Result<Reply> {
        self.write([command]).await?.replies.pop().ok_or_else(mismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_are_named_as_the_ancestor_does() {
        let Err(error) = find("do_some_thing") else { panic!("there is one") };
        assert_eq!(error.to_string(), "no such method DoSomeThing");
        assert!(find("now").is_ok() && find("get_work").is_ok());
    }
}
