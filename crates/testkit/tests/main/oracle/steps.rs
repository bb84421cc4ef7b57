//! Random steps, as data that shrinks; what depends on the state is filled in when a step is made.

use std::time::Duration;

use model::{
    AddUnits, AttemptChange, AttemptRef, Change, ChangeAttempts, ChangeLocks, Claim, Control, Data,
    Datum, Id, LockChange, LockPath, MakeAttempt, NewUnit, QueueCommand, SetUnits, SpecMeta,
    SpecName, SpecRef, Time, UnitChange, UnitFilter, UnitMeta, UnitName, UnitRef, UnitStatus,
    UpdateWorker, WorkerName,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use testkit::{name, seconds, spec_name, worker_name};

use super::dicts::{SPECS, UNITS, WORKERS, dict, said};

/// One step of a case.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// One write, with an idempotency key or without.
    Write { drafts: Vec<Draft>, keyed: bool },
    /// The last write that had a key, again.
    Repeat,
    /// The store is closed and opened again, if it is on disk.
    Restart,
    /// Time passes.
    Advance(Duration),
    /// A filter is tried.
    Look(SpecName, UnitFilter),
}

/// A command that may still lack what depends on the state.
#[derive(Clone, Debug)]
pub(crate) enum Draft {
    Ready(QueueCommand),
    AddAt { spec: SpecRef, unit: UnitName, data: Data, priority: f64, offset: i64 },
    SetMeta { spec: SpecRef, dict: Data, offset: Option<i64> },
    UnitMeta { spec: SpecRef, filter: UnitFilter, priority: f64, offset: Option<i64> },
    Changes(Vec<Picked>),
    Update { worker: WorkerName, data: Data, offset: Option<i64> },
}

/// A change to an attempt, counted back from the newest.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    back: usize,
    token: Token,
    data: Option<Data>,
    change: Change,
}

#[derive(Clone, Copy, Debug)]
enum Token {
    None,
    Own,
    Wrong,
}

impl Draft {
    /// Makes the command, given the time and all attempts there ever were.
    pub(crate) fn command(&self, now: Time, past: &[AttemptRef]) -> QueueCommand {
        let at = |offset: i64| Time(now.0 + offset * 1_000_000_000);
        match self.clone() {
            Self::Ready(command) => command,
            Self::AddAt { spec, unit, data, priority, offset } => {
                let meta = UnitMeta { priority, not_before: Some(at(offset)) };
                let units = vec![NewUnit { name: unit, data, meta, delay: None }];
                QueueCommand::AddUnits(AddUnits { spec, units })
            }
            Self::SetMeta { spec, dict, offset } => {
                let (_, meta) = SpecMeta::from_dict(&dict.dict().unwrap()).unwrap();
                let meta = SpecMeta { next_continuous: offset.map(at), ..meta };
                QueueCommand::SetSpecMeta { spec, meta }
            }
            Self::UnitMeta { spec, filter, priority, offset } => {
                let meta = UnitMeta { priority, not_before: offset.map(at) };
                let change = UnitChange::Meta(meta);
                QueueCommand::SetUnits(SetUnits { spec, filter, change })
            }
            Self::Changes(picked) => {
                let changes = picked.iter().map(|picked| picked.change(past)).collect();
                QueueCommand::ChangeAttempts(ChangeAttempts { changes })
            }
            Self::Update { worker, data, offset } => QueueCommand::UpdateWorker(UpdateWorker {
                worker,
                mode: format!("{offset:?}"),
                data,
                expiration: offset.map(at),
                last_update: None,
            }),
        }
    }
}

impl Picked {
    fn change(&self, past: &[AttemptRef]) -> AttemptChange {
        let unknown = || AttemptRef { spec: spec_name("x"), unit: name("a"), id: 1_000_000 };
        let attempt = past.iter().rev().nth(self.back).cloned().unwrap_or_else(unknown);
        let token = match self.token {
            Token::None => None,
            Token::Own => Some(attempt.id),
            Token::Wrong => Some(attempt.id + 1),
        };
        AttemptChange { attempt, token, data: self.data.clone(), change: self.change }
    }
}

/// Random cases. Most begin with two specs, because without any nothing can happen.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let two = (dict("x"), dict("y"), add()).prop_map(|(x, y, add)| {
        let set = |data| Draft::Ready(QueueCommand::SetSpec { data });
        Step::Write { drafts: vec![set(x), set(y), Draft::Ready(add)], keyed: false }
    });
    (option::weighted(0.9, two), vec(step(), 1..50))
        .prop_map(|(two, steps)| two.into_iter().chain(steps).collect())
}

fn step() -> impl Strategy<Value = Step> {
    let one = draft().prop_map(|draft| vec![draft]);
    let spans = [0, 1, 1_000_000, 1_000_000_000, 10_000_000_000, 30_000_000_000];
    let spans = spans.into_iter().chain([61_000_000_000, 901_000_000_000]).collect::<Vec<_>>();
    prop_oneof![
        360 => (one, any::<bool>()).prop_map(|(drafts, keyed)| Step::Write { drafts, keyed }),
        120 => (vec(draft(), 2..5), any::<bool>())
            .prop_map(|(drafts, keyed)| Step::Write { drafts, keyed }),
        30 => Just(Step::Repeat),
        3 => Just(Step::Restart),
        120 => select(spans).prop_map(|nanos| Step::Advance(Duration::from_nanos(nanos))),
        30 => (spec(), filter()).prop_map(|(spec, filter)| Step::Look(spec.name, filter)),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    prop_oneof![
        4 => spec_command().prop_map(Draft::Ready),
        5 => add().prop_map(Draft::Ready),
        2 => add_at(),
        2 => sweep().prop_map(Draft::Ready),
        1 => set_meta(),
        1 => unit_meta(),
        7 => claim().prop_map(Draft::Ready),
        4 => make().prop_map(Draft::Ready),
        9 => vec(picked(), 1..4).prop_map(Draft::Changes),
        1 => unit().prop_map(|unit| Draft::Ready(QueueCommand::ClearActive { unit })),
        2 => worker_command(),
        2 => lock_command().prop_map(Draft::Ready),
        1 => prop_oneof![
            3 => Just(QueueCommand::CreateNamespace),
            1 => Just(QueueCommand::DestroyNamespace),
        ].prop_map(Draft::Ready),
    ]
}

/// An incarnation: mostly none, and now and then one that may or may not be right.
fn incarnation() -> impl Strategy<Value = Option<Id>> {
    option::weighted(0.05, 1..30_u64)
}

fn spec() -> impl Strategy<Value = SpecRef> {
    (select(&SPECS[..]), incarnation()).prop_map(|(name, id)| SpecRef { name: spec_name(name), id })
}

fn unit() -> impl Strategy<Value = UnitRef> {
    (select(&SPECS[..]), select(&UNITS[..]), incarnation()).prop_map(|(spec, unit, id)| UnitRef {
        spec: spec_name(spec),
        name: name(unit),
        id,
    })
}

fn worker() -> impl Strategy<Value = WorkerName> {
    select(&WORKERS[..]).prop_map(worker_name)
}

fn priority() -> impl Strategy<Value = f64> {
    select(vec![0.0, 0.0, -1.5, 1.0, 2.0])
}

fn offset() -> impl Strategy<Value = i64> {
    select(vec![-10, 0, 1, 10, 30, 61])
}

fn spec_command() -> impl Strategy<Value = QueueCommand> {
    let dicts = || select(&SPECS[..]).prop_flat_map(dict);
    let control = (option::of(any::<bool>()), option::of(any::<bool>()), option::of(0..3_i64))
        .prop_map(|(continuous, paused, number)| Control {
            continuous,
            paused,
            priority: number.map(|number| number - 1),
            weight: number,
            interval: number.map(|number| seconds(number as u64)),
            max_running: number.map(|number| number as u64),
        });
    prop_oneof![
        10 => dicts().prop_map(|data| QueueCommand::SetSpec { data }),
        2 => (spec(), dicts()).prop_map(|(spec, data)| QueueCommand::ChangeSpec { spec, data }),
        1 => Just(QueueCommand::SetSpec { data: Data::default() }),
        2 => (spec(), control)
            .prop_map(|(spec, control)| QueueCommand::ControlSpec { spec, control }),
        1 => spec().prop_map(|spec| QueueCommand::DestroySpec { spec }),
    ]
}

fn add() -> impl Strategy<Value = QueueCommand> {
    let delay = option::weighted(0.2, select(vec![seconds(0), seconds(10), seconds(30)]));
    let new = (select(&UNITS[..]), said(), priority(), delay).prop_map(
        |(unit, data, priority, delay)| {
            let meta = UnitMeta { priority, not_before: None };
            NewUnit { name: name(unit), data, meta, delay }
        },
    );
    (spec(), vec(new, 0..5))
        .prop_map(|(spec, units)| QueueCommand::AddUnits(AddUnits { spec, units }))
}

fn add_at() -> impl Strategy<Value = Draft> {
    (spec(), select(&UNITS[..]), said(), priority(), offset()).prop_map(
        |(spec, unit, data, priority, offset)| Draft::AddAt {
            spec,
            unit: name(unit),
            data,
            priority,
            offset,
        },
    )
}

fn filter() -> impl Strategy<Value = UnitFilter> {
    let names = option::weighted(0.4, vec(select(&UNITS[..]).prop_map(name), 0..4));
    let statuses = option::weighted(0.4, vec(select(&UnitStatus::ALL[..]), 0..3));
    let after = option::weighted(0.2, select(&UNITS[..]).prop_map(name));
    (names, statuses, after, select(vec![0, 0, 1, 2]))
        .prop_map(|(names, statuses, after, limit)| UnitFilter { names, statuses, after, limit })
}

fn sweep() -> impl Strategy<Value = QueueCommand> {
    let change = prop_oneof![
        1 => Just(UnitChange::Delete),
        1 => priority().prop_map(UnitChange::Priority),
        1 => priority().prop_map(UnitChange::Adjust),
        2 => Just(UnitChange::Again),
        1 => said().prop_map(UnitChange::Data),
    ];
    (spec(), filter(), change).prop_map(|(spec, filter, change)| {
        QueueCommand::SetUnits(SetUnits { spec, filter, change })
    })
}

fn set_meta() -> impl Strategy<Value = Draft> {
    (spec(), dict("x"), option::of(offset())).prop_map(|(spec, dict, offset)| Draft::SetMeta {
        spec,
        dict,
        offset,
    })
}

fn unit_meta() -> impl Strategy<Value = Draft> {
    (spec(), filter(), priority(), option::of(offset())).prop_map(
        |(spec, filter, priority, offset)| Draft::UnitMeta { spec, filter, priority, offset },
    )
}

fn lifetime() -> impl Strategy<Value = Option<Duration>> {
    option::weighted(0.6, select(vec![seconds(0), seconds(10), seconds(30), seconds(1_000)]))
}

fn claim() -> impl Strategy<Value = QueueCommand> {
    let specs = vec(select(&SPECS[..]).prop_map(spec_name), 0..2);
    let runtimes = vec(select(vec!["", "go"]).prop_map(str::to_owned), 0..2);
    let gb = option::weighted(0.3, select(vec![0.0, 0.5, 1.0]));
    (worker(), specs, runtimes, 0..4_u32, lifetime(), gb).prop_map(
        |(worker, specs, runtimes, count, lifetime, available_gb)| {
            QueueCommand::Claim(Claim { worker, specs, runtimes, count, lifetime, available_gb })
        },
    )
}

fn make() -> impl Strategy<Value = QueueCommand> {
    (worker(), unit(), lifetime()).prop_map(|(worker, unit, lifetime)| {
        QueueCommand::MakeAttempt(MakeAttempt { worker, unit, lifetime })
    })
}

fn picked() -> impl Strategy<Value = Picked> {
    let token = prop_oneof![3 => Just(Token::None), 2 => Just(Token::Own), 1 => Just(Token::Wrong)];
    let change = prop_oneof![
        3 => Just(Change::Finish),
        2 => Just(Change::Fail),
        2 => Just(Change::Expire),
        2 => select(vec![0, 10, 60]).prop_map(|span| Change::Renew(seconds(span))),
        2 => select(vec![0, 10, 60]).prop_map(|span| Change::Retry(seconds(span))),
        1 => Just(Change::Retry(Duration::MAX)),
    ];
    let back = prop_oneof![5 => 0..3_usize, 1 => 0..20_usize];
    (back, token, option::of(said()), change).prop_map(|(back, token, data, change)| Picked {
        back,
        token,
        data,
        change,
    })
}

/// Gives paths that stand above and below each other.
pub(crate) fn lock_paths() -> Vec<LockPath> {
    let labels = [Datum::Text("a".to_owned()), Datum::Bytes(b"a".to_vec()), Datum::Int(-1)];
    let mut paths = vec![vec![]];
    for first in &labels {
        paths.push(vec![first.clone()]);
        paths.extend(labels.iter().map(|second| vec![first.clone(), second.clone()]));
    }
    paths.iter().map(|labels| LockPath::new(labels).unwrap()).collect()
}

fn lock_command() -> impl Strategy<Value = QueueCommand> {
    let span = || select(vec![0, 10, 60, 2_000_000]).prop_map(seconds);
    let change = prop_oneof![
        3 => span().prop_map(LockChange::Take),
        2 => span().prop_map(LockChange::TakeSome),
        2 => span().prop_map(LockChange::Keep),
        2 => Just(LockChange::GiveBack),
    ];
    let path = || select(lock_paths());
    let owner = select(vec!["p", "q"]).prop_map(str::to_owned);
    prop_oneof![
        8 => (owner, vec(path(), 0..3), change).prop_map(|(owner, paths, change)| {
            QueueCommand::ChangeLocks(ChangeLocks { owner, paths, change })
        }),
        1 => path().prop_map(|path| QueueCommand::DropLocks { path }),
    ]
}

fn worker_command() -> impl Strategy<Value = Draft> {
    prop_oneof![
        worker().prop_map(|worker| Draft::Ready(QueueCommand::CreateWorker { worker })),
        worker().prop_map(|worker| Draft::Ready(QueueCommand::DeactivateWorker { worker })),
        (worker(), option::of(worker())).prop_map(|(worker, parent)| {
            Draft::Ready(QueueCommand::SetParent { worker, parent })
        }),
        (worker(), said(), option::of(offset())).prop_map(|(worker, data, offset)| Draft::Update {
            worker,
            data,
            offset
        }),
    ]
}
