//! Commands: the only way to change records.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, AttemptRef, BlobCommand, BlobInfo, ChangeLocks, Data, DefinitionCommand, Error, Id,
    InstanceCommand, LockPath, MailCommand, Published, Received, SecretCommand, SecretName,
    SpecMeta, SpecName, SpecRef, Time, TokenInfo, UnitFilter, UnitMeta, UnitName, UnitRef,
    UserCommand, WorkerName,
};

/// A change, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Work on the queue.
    Queue(QueueCommand),
    /// Work on the server's own records.
    Admin(AdminCommand),
    /// Work on workflow definitions.
    Definition(DefinitionCommand),
    /// Work on instances of workflows, and events for them.
    Instance(InstanceCommand),
    /// Work on what is remembered of mail accounts.
    Mail(MailCommand),
    /// Work on blobs.
    Blob(BlobCommand),
    /// Work on users and their sessions.
    User(UserCommand),
    /// Work on secrets.
    Secret(SecretCommand),
}

/// A change to namespaces, specs, units, attempts and workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum QueueCommand {
    /// Creates the namespace of the write unless it exists.
    CreateNamespace,
    /// Removes the namespace of the write with all that is in it.
    DestroyNamespace,
    /// Creates or replaces the spec that the dictionary names. Answers [`Reply::Id`].
    SetSpec {
        /// The dictionary; the special keys are those of [`SpecMeta::from_dict`].
        data: Data,
    },
    /// Replaces the dictionary of an existing spec, whose name must not change.
    ChangeSpec {
        /// The spec.
        spec: SpecRef,
        /// The dictionary.
        data: Data,
    },
    /// Replaces the settable meta fields: all but `can_be_continuous`, `next_work_spec`, `runtime`.
    SetSpecMeta {
        /// The spec.
        spec: SpecRef,
        /// The meta.
        meta: SpecMeta,
    },
    /// Changes the given meta fields of a spec and keeps the others.
    ControlSpec {
        /// The spec.
        spec: SpecRef,
        /// The fields.
        control: Control,
    },
    /// Removes a spec with its units and attempts.
    DestroySpec {
        /// The spec.
        spec: SpecRef,
    },
    /// Adds units, or replaces data and meta of those that exist. Answers [`Reply::Ids`].
    AddUnits(AddUnits),
    /// Changes or deletes the units that a filter selects. Answers [`Reply::Swept`].
    SetUnits(SetUnits),
    /// Takes ready units for a worker. Answers [`Reply::Attempts`].
    Claim(Claim),
    /// Starts an attempt on a unit whatever its state. Answers [`Reply::Attempts`].
    MakeAttempt(MakeAttempt),
    /// Renews or ends attempts; each stands by itself. Answers [`Reply::Changed`].
    ChangeAttempts(ChangeAttempts),
    /// Detaches a unit's active attempt, so that the unit is ready again.
    ClearActive {
        /// The unit.
        unit: UnitRef,
    },
    /// Creates a worker unless it exists. Answers [`Reply::Id`].
    CreateWorker {
        /// The worker.
        worker: WorkerName,
    },
    /// Creates or updates a worker, which makes it active.
    UpdateWorker(UpdateWorker),
    /// Makes a worker inactive.
    DeactivateWorker {
        /// The worker; created where it does not exist.
        worker: WorkerName,
    },
    /// Sets or clears the parent of a worker; both are created where they do not exist.
    SetParent {
        /// The worker.
        worker: WorkerName,
        /// Its parent.
        parent: Option<WorkerName>,
    },
    /// Takes, keeps or gives back locks.
    ChangeLocks(ChangeLocks),
    /// Drops the lock of a path and all locks below it, whoever holds them.
    DropLocks {
        /// The path.
        path: LockPath,
    },
}

/// Meta fields to change; absent ones stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// See [`SpecMeta::continuous`].
    pub continuous: Option<bool>,
    /// See [`SpecMeta::paused`].
    pub paused: Option<bool>,
    /// See [`SpecMeta::priority`].
    pub priority: Option<i64>,
    /// See [`SpecMeta::weight`].
    pub weight: Option<i64>,
    /// See [`SpecMeta::interval`].
    pub interval: Option<Duration>,
    /// See [`SpecMeta::max_running`].
    pub max_running: Option<u64>,
}

/// Units to add to one spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddUnits {
    /// The spec.
    pub spec: SpecRef,
    /// At most [`crate::limits::BATCH_MAX`] units; of one name the last counts.
    pub units: Vec<NewUnit>,
}

/// A unit to add.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUnit {
    /// The name.
    pub name: UnitName,
    /// Its data.
    #[serde(default)]
    pub data: Data,
    /// Priority and time.
    #[serde(default)]
    pub meta: UnitMeta,
    /// A delay from now, in place of `meta.not_before`.
    #[serde(default)]
    pub delay: Option<Duration>,
}

/// A change to all units that a filter selects.
///
/// One command looks at a bounded part; where more may follow, [`Reply::Swept`] says from where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUnits {
    /// The spec.
    pub spec: SpecRef,
    /// Which units.
    pub filter: UnitFilter,
    /// What to do with them.
    pub change: UnitChange,
}

/// What to do with a selected unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitChange {
    /// Deletes the unit with its attempts.
    Delete,
    /// Sets the priority; finite.
    Priority(f64),
    /// Adds to the priority; finite.
    Adjust(f64),
    /// Replaces priority and time.
    Meta(UnitMeta),
    /// Detaches the active attempt of units that are finished or failed, so that they run again.
    Again,
    /// Replaces the data of units that nobody works on: those that are available or delayed.
    Data(Data),
}

/// A request for work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who asks; created where it does not exist.
    pub worker: WorkerName,
    /// Only these specs; empty is all, unknown ones are ignored.
    #[serde(default)]
    pub specs: Vec<SpecName>,
    /// Only specs of these runtimes; empty is all.
    #[serde(default)]
    pub runtimes: Vec<String>,
    /// How many units at most; less than 1 is 1.
    #[serde(default)]
    pub count: u32,
    /// How long the lease is; absent is [`crate::limits::LIFETIME_DEFAULT`].
    #[serde(default)]
    pub lifetime: Option<Duration>,
    /// Memory that the worker has, in GB; absent is not checked.
    #[serde(default)]
    pub available_gb: Option<f64>,
}

/// A request for an attempt on one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeAttempt {
    /// Who asks; created where it does not exist.
    pub worker: WorkerName,
    /// The unit.
    pub unit: UnitRef,
    /// How long the lease is; absent is [`crate::limits::LIFETIME_DEFAULT`].
    #[serde(default)]
    pub lifetime: Option<Duration>,
}

/// Changes to attempts, at most [`crate::limits::BATCH_MAX`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAttempts {
    /// The changes, in order.
    pub changes: Vec<AttemptChange>,
}

/// A change to one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptChange {
    /// The attempt.
    pub attempt: AttemptRef,
    /// The caller's token: where given, anything but the unit's current attempt answers
    /// [`Error::LostLease`] and changes nothing at all.
    #[serde(default)]
    pub token: Option<Id>,
    /// New data; absent keeps what there is.
    #[serde(default)]
    pub data: Option<Data>,
    /// What to do.
    pub change: Change,
}

/// What to do with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Extends the lease to now plus this span.
    Renew(Duration),
    /// Gives the unit back.
    Expire,
    /// Ends with success.
    Finish,
    /// Ends without success.
    Fail,
    /// Ends, and the unit is to be tried again after this delay.
    Retry(Duration),
}

/// What a worker says of itself; it replaces what it said before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorker {
    /// The worker; created where it does not exist.
    pub worker: WorkerName,
    /// What it is doing.
    pub mode: String,
    /// Its environment.
    pub data: Data,
    /// When it counts as dead; absent is now plus [`crate::limits::LIFETIME_DEFAULT`].
    pub expiration: Option<Time>,
    /// When it said so; absent is now.
    pub last_update: Option<Time>,
}

/// A change to the server's own records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminCommand {
    /// Stores a token by its hash.
    CreateToken {
        /// What a list shows of it.
        info: TokenInfo,
        /// The SHA-256 of the whole token.
        hash: [u8; 32],
    },
    /// Removes a token, which stops working at once.
    RevokeToken {
        /// Its id.
        id: String,
    },
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// The record's incarnation.
    Id(Id),
    /// The units' incarnations, in the order asked.
    Ids(Vec<Id>),
    /// The attempts that were started, best first.
    Attempts(Vec<Attempt>),
    /// Which of the locks were taken, in the order asked.
    Locked(Vec<bool>),
    /// The outcome of each change, in the order asked.
    Changed(Vec<Result<(), Error>>),
    /// What became of a definition.
    Definition(Published),
    /// What became of each event, in the order sent.
    Received(Vec<Received>),
    /// The blob.
    Blob(BlobInfo),
    /// What sealing anew did.
    Resealed {
        /// How many secrets were sealed under the first key.
        count: u64,
        /// The last secret looked at, where more may follow: ask again from there.
        next: Option<SecretName>,
    },
    /// What a query-wide change did.
    Swept {
        /// How many units were changed or deleted.
        count: u64,
        /// The last unit looked at, where more may follow: ask again from there.
        next: Option<UnitName>,
    },
}

impl From<DefinitionCommand> for Command {
    fn from(command: DefinitionCommand) -> Self {
        Self::Definition(command)
    }
}

impl From<InstanceCommand> for Command {
    fn from(command: InstanceCommand) -> Self {
        Self::Instance(command)
    }
}

impl From<MailCommand> for Command {
    fn from(command: MailCommand) -> Self {
        Self::Mail(command)
    }
}

impl From<BlobCommand> for Command {
    fn from(command: BlobCommand) -> Self {
        Self::Blob(command)
    }
}

impl From<UserCommand> for Command {
    fn from(command: UserCommand) -> Self {
        Self::User(command)
    }
}

impl From<SecretCommand> for Command {
    fn from(command: SecretCommand) -> Self {
        Self::Secret(command)
    }
}

impl From<QueueCommand> for Command {
    fn from(command: QueueCommand) -> Self {
        Self::Queue(command)
    }
}
