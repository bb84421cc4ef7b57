//! A store with everything in it that callers can put there.

use std::{path::Path, sync::Arc, time::Duration};

use engine::Engine;
use model::{
    AddUnits, AdminCommand, AttemptChange, AttemptRef, Backend as _, Change, ChangeAttempts,
    ChangeLocks, Claim, Command, Data, Datum, Error, LockChange, LockPath, MakeAttempt, Namespace,
    NewUnit, QueueCommand, Reply, Scope, SetUnits, SpecRef, TokenInfo, UnitChange, UnitMeta,
    UnitRef, UpdateWorker, Write,
};
use serde_json::json;
use store::{Sqlite, SqliteOptions};
use testkit::{
    ManualClock, START, all, data, dict_data, name, new_unit, request, rig::Random, spec_name,
    worker_name,
};

const NAMESPACES: [&str; 3] = ["", "nightly", "\u{1}a\0b/é"];
const SPECS: [&str; 4] = ["scan", "report", "\u{1}\u{2}", "later"];
const UNITS: [&[u8]; 7] = [b"a", b"b", b"\0", b"\xff\xfe", "é".as_bytes(), b"\"\n\\", b"z/z z"];
const WORKERS: [&str; 3] = ["one", "two\u{1}", "three"];
const STEPS: usize = 400;
/// A namespace that is never destroyed.
pub const LAST: &str = "last";

/// Makes a database by random commands over an engine.
pub fn make(path: &Path, seed: u64) {
    let mut random = Random::new(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Arc::new(Sqlite::open(path, SqliteOptions::default()).unwrap());
    let clock = Arc::new(ManualClock::new());
    let engine = Engine::new(store, clock.clone());
    let mut attempts = Vec::new();
    for step in 0..STEPS {
        let namespace = Namespace::new(random.word(&NAMESPACES)).unwrap();
        let request_id = random.percent(30).then(|| format!("request-{step}"));
        let count = 1 + random.below(2);
        let commands = (0..count).map(|_| command(&mut random, &attempts, step)).collect();
        let write = Write { request_id, ..Write::of(&namespace, commands) };
        // Many make no sense where they come; those are refused and leave nothing.
        if let Ok(committed) = runtime.block_on(engine.write(write)) {
            for reply in committed.replies {
                if let Reply::Attempts(new) = reply {
                    attempts.extend(new.iter().map(|attempt| attempt.as_ref()));
                }
            }
        }
        clock.advance(random.span(Duration::ZERO, Duration::from_secs(60)));
    }
    runtime.block_on(engine.write(last(&mut random))).unwrap();
    drop(engine);
    // The last job of the store that is being closed may still hold it.
    while matches!(Sqlite::open(path, SqliteOptions::default()), Err(Error::Unavailable(_))) {
        std::thread::yield_now();
    }
}

/// Makes sure that there is something of everything, whatever the random commands left.
fn last(random: &mut Random) -> Write {
    let spec = SpecRef { name: spec_name(SPECS[0]), id: None };
    let worker = worker_name(WORKERS[0]);
    let parent = Some(worker_name(WORKERS[1]));
    let paths = vec![LockPath::new(&[Datum::Int(1)]).unwrap()];
    let change = LockChange::Take(Duration::from_secs(3_600));
    let commands = [
        QueueCommand::SetSpec { data: spec_data(random, SPECS[0]) },
        QueueCommand::AddUnits(AddUnits { spec, units: UNITS.map(new_unit).to_vec() }),
        QueueCommand::Claim(Claim { worker: worker.clone(), ..request() }),
        QueueCommand::SetParent { worker, parent },
        QueueCommand::ChangeLocks(ChangeLocks { owner: "owner".to_owned(), paths, change }),
    ];
    let commands = commands.map(Command::from).into_iter();
    let commands = commands.chain([Command::Admin(token(random, STEPS))]).collect();
    Write {
        request_id: Some("last".to_owned()),
        ..Write::of(&Namespace::new(LAST).unwrap(), commands)
    }
}

fn command(random: &mut Random, attempts: &[AttemptRef], step: usize) -> Command {
    let spec = spec_name(random.word(&SPECS));
    let of_spec = SpecRef { name: spec.clone(), id: None };
    let unit = name(random.pick(&UNITS));
    let worker = worker_name(random.word(&WORKERS));
    let lifetime = Some(random.span(Duration::from_secs(1), Duration::from_secs(900)));
    let command = match random.below(26) {
        0..4 => QueueCommand::SetSpec { data: spec_data(random, spec.as_str()) },
        4..10 => QueueCommand::AddUnits(AddUnits { spec: of_spec, units: units(random) }),
        10..15 => QueueCommand::Claim(Claim {
            worker,
            specs: Vec::new(),
            runtimes: Vec::new(),
            count: 1 + u32::try_from(random.below(3)).unwrap(),
            lifetime,
            available_gb: None,
        }),
        15..19 if !attempts.is_empty() => QueueCommand::ChangeAttempts(ChangeAttempts {
            changes: vec![AttemptChange {
                attempt: random.pick(attempts).clone(),
                token: None,
                data: random.percent(50).then(|| unit_data(random)),
                change: *random.pick(&[
                    Change::Finish,
                    Change::Fail,
                    Change::Expire,
                    Change::Renew(Duration::from_secs(600)),
                    Change::Retry(Duration::from_secs(30)),
                ]),
            }],
        }),
        19 => QueueCommand::MakeAttempt(MakeAttempt {
            worker,
            unit: UnitRef { spec, name: unit, id: None },
            lifetime,
        }),
        20 => QueueCommand::UpdateWorker(UpdateWorker {
            worker,
            mode: "run".to_owned(),
            data: unit_data(random),
            expiration: None,
            last_update: None,
        }),
        21 => QueueCommand::SetParent { worker, parent: Some(worker_name(random.word(&WORKERS))) },
        22 => QueueCommand::ChangeLocks(ChangeLocks {
            owner: "owner".to_owned(),
            paths: vec![LockPath::new(&[Datum::Bytes(random.pick(&UNITS).to_vec())]).unwrap()],
            change: LockChange::Take(Duration::from_secs(3_600)),
        }),
        23 => QueueCommand::SetUnits(SetUnits {
            spec: of_spec,
            filter: all(),
            change: random
                .pick(&[UnitChange::Delete, UnitChange::Adjust(0.1), UnitChange::Again])
                .clone(),
        }),
        24 if random.percent(30) => QueueCommand::DestroyNamespace,
        24 => QueueCommand::DestroySpec { spec: of_spec },
        _ => return Command::Admin(token(random, step)),
    };
    command.into()
}

fn spec_data(random: &mut Random, name: &str) -> Data {
    let weight = random.below(50);
    data(&json!({"name": name, "weight": weight, "then": SPECS[3], "min_gb": 0.1}))
}

fn units(random: &mut Random) -> Vec<NewUnit> {
    let unit = |unit: &&[u8]| {
        let priority = *random.pick(&[0.0, -0.0, 0.1, -1e300, 5e-324, 1e300]);
        let delay = random.percent(20).then(|| Duration::from_secs(120));
        let meta = UnitMeta { priority, not_before: None };
        NewUnit { name: name(unit), data: unit_data(random), meta, delay }
    };
    UNITS.iter().map(unit).collect()
}

fn unit_data(random: &mut Random) -> Data {
    dict_data([
        ("text", Datum::Text(random.word(&NAMESPACES).to_owned())),
        ("bytes", Datum::Bytes(random.pick(&UNITS).to_vec())),
        ("float", Datum::Float(0.1)),
        ("int", Datum::Int(random.draw().into())),
        ("tuple", Datum::Tuple(vec![Datum::Null, Datum::Bool(true)])),
    ])
}

fn token(random: &mut Random, step: usize) -> AdminCommand {
    let mut hash = [0; 32];
    hash.iter_mut().for_each(|byte| *byte = random.draw().to_le_bytes()[0]);
    let scopes = vec![Scope::parse("read:*").unwrap()];
    let namespace = Some(Namespace::new("nightly").unwrap());
    let id = format!("{step:012}");
    let info = TokenInfo { id, namespace, scopes, created: START, expires: None };
    AdminCommand::CreateToken { info, hash }
}
