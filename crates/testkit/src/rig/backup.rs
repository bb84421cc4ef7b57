//! The backup rig: backups of a store under load, each restored and held against the ledger and the
//! history of the store that went on.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use model::{Event, EventBody, UnitStatus};
use tempfile::TempDir;

use super::{
    auditor::{Audit, Seen},
    crew::Crew,
    ledger::Entry,
    look::{Follower, look},
    random::Random,
    server::{Server, clean},
};

/// How long the load goes on between two backups.
const LOAD_MIN: Duration = Duration::from_millis(50);
const LOAD_MAX: Duration = Duration::from_millis(500);

/// How to run the rig.
#[derive(Debug)]
pub struct BackupOptions {
    /// The `lockstep` program.
    pub program: PathBuf,
    /// How many backups to take.
    pub backups: u32,
    /// What the run's random numbers start from.
    pub seed: u64,
    /// How to take them.
    pub way: BackupWay,
}

/// How a backup is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupWay {
    /// With `lockstep backup`.
    Program,
    /// By copying the database file alone, which is wrong, to see that it is found out.
    FileCopy,
}

/// What a run found.
#[derive(Debug)]
pub struct BackupReport {
    /// The revision that each restored store had.
    pub revisions: Vec<u64>,
    /// What the auditor says of the store that went on.
    pub audit: Audit,
    /// What should not be.
    pub violations: Vec<String>,
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revisions, audit, violations } = self;
        write!(f, "backups at revisions {revisions:?}: {} violations", violations.len())?;
        for violation in violations.iter().take(20) {
            write!(f, "\n  {violation}")?;
        }
        write!(f, "\nof the store: {audit}")
    }
}

/// A backup, and what had been acknowledged before it began.
struct Taken {
    file: PathBuf,
    acked: Vec<Entry>,
}

/// Takes backups under load, ends the load, and restores each of them.
#[track_caller]
pub fn backups(options: &BackupOptions) -> BackupReport {
    let mut random = Random::new(options.seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::new(&options.program, folder.path(), &mut random);
    server.start();
    server.wait_until_ready().expect("a server");
    let mut crew = Crew::start(vec![server.address()], folder.path(), &mut random);
    let follower = Follower::start(crew.stage.clone());
    let mut violations = Vec::new();
    let mut taken = Vec::new();
    for number in 1..=options.backups {
        thread::sleep(random.span(LOAD_MIN, LOAD_MAX));
        let acked = acked(&folder.path().join("ledger.ndjson"));
        let file = folder.path().join(format!("backup-{number}.db"));
        match take(options, &server.store(), &file) {
            Ok(()) => taken.push(Taken { file, acked }),
            Err(why) => violations.push(why),
        }
    }
    violations.extend(crew.drain().err());
    let audit = crew.close();
    let followed = follower.end();
    let mut revisions = Vec::new();
    for one in &taken {
        match restored(&options.program, one, &mut random) {
            Ok(seen) => revisions.push(compare(one, &seen, &followed, &mut violations)),
            Err(why) => violations.push(why),
        }
    }
    BackupReport { revisions, audit, violations }
}

/// Gives what is in the ledger so far; the last line may still be written.
#[track_caller]
fn acked(ledger: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(ledger).expect("a ledger");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let entry = |line| serde_json::from_str(line).expect("an entry in the ledger");
    whole.lines().map(entry).collect()
}

fn take(options: &BackupOptions, store: &Path, file: &Path) -> Result<(), String> {
    match options.way {
        BackupWay::FileCopy => fs::copy(store, file).map(drop).map_err(|why| why.to_string()),
        BackupWay::Program => {
            let store = format!("sqlite:{}", store.display());
            let backup = format!("sqlite:{}", file.display());
            run(&options.program, &["backup", "--store", &store, &file.display().to_string()])?;
            run(&options.program, &["verify", "--store", &backup])
        }
    }
}

fn run(program: &Path, args: &[&str]) -> Result<(), String> {
    let output = clean(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|why| why.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{args:?}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// Restores a backup, and looks at it through a server.
fn restored(program: &Path, taken: &Taken, random: &mut Random) -> Result<Seen, String> {
    let folder = TempDir::new().map_err(|why| why.to_string())?;
    let mut server = Server::new(program, folder.path(), random);
    let store = format!("sqlite:{}", server.store().display());
    run(program, &["restore", &taken.file.display().to_string(), "--store", &store])?;
    server.start();
    server.wait_until_ready()?;
    look(server.address())
}

/// What a history says of the units.
#[derive(Default)]
struct Told {
    /// By name, the attempt that finished it.
    units: BTreeMap<String, Option<u64>>,
}

impl Told {
    fn tell(&mut self, body: &EventBody) {
        match body {
            EventBody::UnitsAdded(_, units) => {
                self.units.extend(units.iter().map(|unit| (unit.to_string(), None)));
            }
            EventBody::UnitFinished(_, unit, attempt) => {
                self.units.insert(unit.to_string(), Some(*attempt));
            }
            _ => {}
        }
    }
}

/// Holds a restored store against a prefix of the history, and the prefix against what had been
/// acknowledged; gives the length of the prefix.
fn compare(taken: &Taken, seen: &Seen, followed: &[Event], wrong: &mut Vec<String>) -> u64 {
    let name = taken.file.display();
    let first = seen.kept.first().map_or(1, |event| event.revision);
    let position = usize::try_from(first - 1).unwrap_or(usize::MAX);
    let original = followed.get(position..).unwrap_or_default();
    let same = seen.kept.iter().zip(original).take_while(|(one, other)| one == other).count();
    let length = position + same;
    // A server that starts applies what had fallen due, and nothing else.
    let is_due =
        |body: &EventBody| matches!(body, EventBody::UnitReleased(..) | EventBody::UnitsReady(..));
    for event in seen.kept.iter().skip(same) {
        if !event.bodies.iter().all(is_due) {
            wrong.push(format!("{name}: revision {} is another: {event:?}", event.revision));
        }
    }
    let mut told = Told::default();
    let prefix = followed.iter().take(length);
    prefix.flat_map(|event| &event.bodies).for_each(|body| told.tell(body));
    let shown: BTreeMap<String, Option<u64>> = seen
        .units
        .iter()
        .map(|unit| {
            let by = unit.active.as_ref().map(|active| active.id);
            (unit.name.to_string(), by.filter(|_| unit.status == UnitStatus::Finished))
        })
        .collect();
    if shown != told.units {
        wrong.push(format!("{name}: the units are not those of revision {length}"));
    }
    missing(taken, &shown, wrong);
    length as u64
}

/// Whatever had been acknowledged before the backup began has to be in it.
fn missing(taken: &Taken, shown: &BTreeMap<String, Option<u64>>, wrong: &mut Vec<String>) {
    let name = taken.file.display();
    let mut asked: BTreeMap<&str, &[String]> = BTreeMap::new();
    for entry in &taken.acked {
        match entry {
            Entry::AddAsked { call, units } => drop(asked.insert(call, units)),
            Entry::AddAcked { call } => {
                let units = asked.get(call.as_str()).copied().unwrap_or_default();
                if !units.iter().all(|unit| shown.contains_key(unit)) {
                    wrong.push(format!("{name}: {call} was acknowledged, and is not there"));
                }
            }
            Entry::FinishAcked { unit, attempt } => {
                if shown.get(unit) != Some(&Some(*attempt)) {
                    wrong.push(format!("{name}: {unit} was finished by {attempt}, and is not"));
                }
            }
            Entry::Claimed { .. }
            | Entry::FinishAsked { .. }
            | Entry::FinishRefused { .. }
            | Entry::Surprise { .. } => {}
        }
    }
}
