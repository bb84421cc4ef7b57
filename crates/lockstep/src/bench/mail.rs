//! `lockstep bench mail`: a sync between directories and a Dovecot, beside mbsync.
//!
//! Both programs bring the same messages to the same kind of directories, from accounts of their
//! own on one server, and the same changes are made before each of their runs.

mod changes;
mod corpus;
mod program;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{
    Plan, Report,
    figure::{Figure, medians},
    machine,
    targets::{Aim, Target, target},
};
use crate::{dovecot::Dovecot, output::Output};
use changes::Account;
use program::{Program, Sample};

/// The parts, with the number of messages.
const SMALL: (&str, usize) = ("one folder of 10,000 messages", 10_000);
const LARGE: (&str, usize) = ("one folder of 100,000 messages", 100_000);
const FOLDERS: &str = "200 folders of 20 messages";

/// What is measured in a folder, in this order.
const PULL: &str = "first pull";
const NOTHING: &str = "nothing changed";
const FLAGS: &str = "500 flags changed on each side";
const NEW: &str = "500 new on each side";
const REMOVED: &str = "500 removed on each side";

/// How many messages change on each side.
const CHANGES: usize = 500;

/// Measures everything below a folder, whose disk is the one that is measured.
pub(crate) fn run(plan: &Plan, folder: &Path, out: Output) -> Result<Report> {
    if cfg!(debug_assertions) {
        out.note("this is a debug build: its figures say nothing, measure one made with --release");
    }
    Program::Mbsync.check().context("the measurement needs mbsync: install the package isync")?;
    let machine = machine::facts();
    let mut runs = Vec::with_capacity(plan.runs);
    for number in 1..=plan.runs {
        let note = |part: &str| out.note(format!("run {number} of {}: {part}", plan.runs));
        let folder = tempfile::tempdir_in(folder)?;
        let place = Place::start(folder.path())?;
        let mut figures = Vec::new();
        if is_wanted(plan, SMALL.0) {
            note(SMALL.0);
            figures.extend(place.one_folder(SMALL)?);
        }
        if is_wanted(plan, FOLDERS) {
            note(FOLDERS);
            figures.extend(place.many_folders()?);
        }
        runs.push(figures);
    }
    let mut figures = medians(&runs);
    // This takes so long that it is measured once, and only where time does not matter.
    if (plan.runs > 1 || plan.only.is_some()) && is_wanted(plan, LARGE.0) {
        out.note(LARGE.0);
        let folder = tempfile::tempdir_in(folder)?;
        figures.extend(Place::start(folder.path())?.one_folder(LARGE)?);
    }
    Ok(Report { machine, plan: plan.clone(), figures, targets: targets() })
}

fn is_wanted(plan: &Plan, part: &str) -> bool {
    plan.only.as_ref().is_none_or(|only| part.contains(only.as_str()))
}

/// The bars: what a careful sync can do on two cores.
fn targets() -> Vec<Target> {
    let bar =
        |part, what: &str, unit: &str, most| target(part, &name(what, unit), 0, Aim::AtMost(most));
    vec![
        bar(SMALL.0, PULL, TIME, 2.5),
        bar(SMALL.0, PULL, MEMORY, 16.5),
        bar(SMALL.0, NOTHING, TIME, 0.03),
        bar(SMALL.0, NOTHING, WIRE, 2.0),
        bar(SMALL.0, FLAGS, TIME, 0.2),
        bar(SMALL.0, NEW, TIME, 1.0),
        bar(SMALL.0, REMOVED, TIME, 0.2),
        bar(LARGE.0, PULL, TIME, 25.0),
        bar(LARGE.0, PULL, MEMORY, 21.0),
        bar(LARGE.0, NOTHING, TIME, 0.08),
        bar(LARGE.0, NOTHING, WIRE, 2.0),
    ]
}

/// A server, and directories beside it.
struct Place {
    server: Dovecot,
    folder: std::path::PathBuf,
}

impl Place {
    fn start(folder: &Path) -> Result<Self> {
        let server = Dovecot::start_in(folder, &[]).context("the measurement needs a Dovecot")?;
        Ok(Self { server, folder: folder.to_owned() })
    }

    /// Gives an account of a program, whose mail on the server the corpus is linked into.
    fn account(&self, program: Program, messages: usize) -> Result<Account<'_>> {
        let user = format!("{}{messages}", program.name());
        Account::make(&self.server, program, &user, &self.folder.join(&user))
    }

    /// Measures everything in one large folder.
    fn one_folder(&self, (part, messages): (&'static str, usize)) -> Result<Vec<Figure>> {
        let corpus = corpus::make(&self.folder.join(format!("corpus{messages}")), messages)?;
        let mut samples: Vec<(&str, [Sample; 2])> = Vec::new();
        let mut accounts = Vec::new();
        for program in Program::BOTH {
            let account = self.account(program, messages)?;
            account.fill("INBOX", &corpus)?;
            accounts.push(account);
        }
        for what in [PULL, NOTHING, FLAGS, NEW, REMOVED] {
            let mut pair = Vec::new();
            for account in &mut accounts {
                match what {
                    FLAGS => account.change_flags(CHANGES)?,
                    NEW => account.add(CHANGES)?,
                    REMOVED => account.remove(CHANGES)?,
                    NOTHING => account.calm()?,
                    _ => {}
                }
                pair.push(account.sync()?);
                account.check().with_context(|| format!("after {what}"))?;
            }
            let pair = pair.try_into().map_err(|_| anyhow::anyhow!("there are two programs"))?;
            samples.push((what, pair));
        }
        Ok(samples.into_iter().flat_map(|(what, pair)| figures(part, what, &pair)).collect())
    }

    /// Measures what many folders cost in which nothing happens.
    fn many_folders(&self) -> Result<Vec<Figure>> {
        let corpus = corpus::make(&self.folder.join("corpus20"), 20)?;
        let mut pair = Vec::new();
        for program in Program::BOTH {
            let mut account = self.account(program, 200)?;
            for folder in 0..200 {
                account.fill(&format!("folder{folder:03}"), &corpus)?;
            }
            account.sync()?;
            account.calm()?;
            pair.push(account.sync()?);
        }
        let pair = pair.try_into().map_err(|_| anyhow::anyhow!("there are two programs"))?;
        Ok(figures(FOLDERS, NOTHING, &pair))
    }
}

const TIME: &str = "time";
const PROCESSOR: &str = "processor time";
const MEMORY: &str = "memory";
const WIRE: &str = "on the wire";

fn name(what: &str, measure: &str) -> String {
    format!("{what}: {measure}")
}

/// What is measured, in which unit, and where a sample has it.
type Measure = (&'static str, &'static str, fn(&Sample) -> f64);

/// Makes figures of ours, each beside that of mbsync.
fn figures(part: &'static str, what: &str, [ours, theirs]: &[Sample; 2]) -> Vec<Figure> {
    let measures: [Measure; 4] = [
        (TIME, "s", |sample| sample.time.as_secs_f64()),
        (PROCESSOR, "s", |sample| sample.processor.as_secs_f64()),
        (MEMORY, "MB", |sample| sample.memory_bytes as f64 / 1e6),
        (WIRE, "kB", |sample| sample.wire_bytes as f64 / 1e3),
    ];
    let figure = |(measure, unit, get): Measure| {
        let floor = Figure::new(part, "mbsync", get(theirs), unit);
        let figure = Figure::new(part, name(what, measure), get(ours), unit);
        figure.bounded_by("mbsync", get(ours), Some(&floor))
    };
    measures.map(figure).into()
}

/// Makes sure of something about two accounts that must be alike.
fn same(what: &str, left: usize, right: usize) -> Result<()> {
    ensure!(left == right, "{what}: {left} on the left and {right} on the right");
    Ok(())
}
