//! `lockstep unit`, besides adding.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use anyhow::Result;
use clap::{Args, Subcommand};
use client::SpecHandle;
use model::{
    Attempt, SpecName, Unit, UnitChange, UnitFilter, UnitName, UnitStatus, data_to_json, unescape,
};
use serde_json::json;

use super::unit_add::{self, AddArgs};
use crate::{
    connect::{Part, Session, pages},
    failure::Failure,
    output::printable,
    view,
};

/// What to do with work units.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Add one unit, or many from lines of JSON
    #[command(after_long_help = unit_add::EXAMPLES)]
    Add(AddArgs),
    /// List units in name order
    #[command(after_long_help = "Examples:\n  lockstep unit list scan\n  \
        lockstep unit list scan --status failed --limit 0 --json\n  \
        lockstep unit list scan --after src/main.rs")]
    List(ListArgs),
    /// Show one unit with all its attempts
    #[command(after_long_help = "Examples:\n  lockstep unit show scan src/main.rs")]
    Show {
        /// Its work spec
        spec: String,
        /// Its name
        name: OsString,
    },
    /// Let finished or failed units run again
    #[command(after_long_help = "Examples:\n  lockstep unit retry scan src/main.rs\n  \
        lockstep unit retry scan --status failed")]
    Retry(Selection),
    /// Delete units with their attempts
    #[command(after_long_help = "Examples:\n  lockstep unit delete scan src/main.rs\n  \
        lockstep unit delete scan --status finished --yes\n  \
        lockstep unit delete scan --all --dry-run")]
    Delete {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
        /// Only count what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Set or adjust the priority of units; higher goes first
    #[command(
        after_long_help = "Examples:\n  lockstep unit priority scan src/main.rs --set 10\n  \
        lockstep unit priority scan --status available --adjust -2.5"
    )]
    Priority {
        #[command(flatten)]
        selection: Selection,
        /// The new priority
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        #[arg(required_unless_present = "adjust", conflicts_with = "adjust")]
        set: Option<f64>,
        /// What to add to the priority
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        adjust: Option<f64>,
    },
}

/// Which part of which units to list.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// The work spec
    spec: String,
    /// Only units of this status: available, pending, finished, failed or delayed
    #[arg(long, value_name = "STATUS", value_parser = UnitStatus::parse)]
    status: Vec<UnitStatus>,
    #[command(flatten)]
    part: Part,
}

/// Which units to change.
#[derive(Args)]
#[group(id = "selection")]
pub(crate) struct Selection {
    /// The work spec
    spec: String,
    /// Only these units
    #[arg(required_unless_present_any = ["status", "all"])]
    names: Vec<OsString>,
    /// Only units of this status: available, pending, finished, failed or delayed
    #[arg(long, value_name = "STATUS", value_parser = UnitStatus::parse)]
    status: Vec<UnitStatus>,
    /// All units of the work spec
    #[arg(long, conflicts_with_all = ["names", "status"])]
    all: bool,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Add(args) => unit_add::run(args, session).await,
            Self::List(args) => list(args, session).await,
            Self::Show { spec, name } => show(SpecName::new(spec)?, name, session).await,
            Self::Retry(selection) => {
                let (spec, filter) = selection.parts(session)?;
                let count = spec.sweep(filter, UnitChange::Again).await?;
                changed("retried", count, session)
            }
            Self::Delete { selection, yes, dry_run } => {
                delete(selection, yes, dry_run, session).await
            }
            Self::Priority { selection, set, adjust } => {
                let (spec, filter) = selection.parts(session)?;
                let change = match (set, adjust) {
                    (Some(priority), _) => UnitChange::Priority(priority),
                    (None, adjust) => UnitChange::Adjust(adjust.unwrap_or(0.0)),
                };
                let count = spec.sweep(filter, change).await?;
                changed("changed", count, session)
            }
        }
    }
}

impl Selection {
    fn parts(self, session: &Session) -> Result<(SpecHandle, UnitFilter)> {
        let names = self.names.into_iter().map(unit_name).collect::<Result<Vec<_>>>()?;
        let filter = UnitFilter {
            names: (!names.is_empty()).then_some(names),
            statuses: (!self.status.is_empty()).then_some(self.status),
            ..UnitFilter::default()
        };
        Ok((session.lockstep.spec(SpecName::new(self.spec)?), filter))
    }
}

/// Takes a unit name from the command line as it is, byte for byte.
pub(crate) fn unit_name(name: OsString) -> Result<UnitName> {
    Ok(UnitName::new(name.into_vec())?)
}

async fn list(args: ListArgs, session: &Session) -> Result<()> {
    let spec = session.lockstep.spec(SpecName::new(args.spec)?);
    let after = args.part.after.map(|text| UnitName::new(unescape(&text)?)).transpose()?;
    let statuses = (!args.status.is_empty()).then_some(args.status);
    let (units, next) = pages(
        args.part.limit,
        after,
        |unit: &Unit| unit.name.clone(),
        async |page| {
            let filter = UnitFilter {
                statuses: statuses.clone(),
                after: page.after,
                limit: page.limit,
                names: None,
            };
            Ok(spec.units(filter).await?.0)
        },
    )
    .await?;
    let shown: Vec<_> = units.iter().map(view::unit).collect();
    let next = next.as_ref().map(view::next_unit);
    if let (Some(next), false) = (&next, session.out.json) {
        session.out.note(format!("more may follow: --after {}", printable(next)));
    }
    session.out.data(&json!({"units": shown, "next": next}), || view::units_table(&units))
}

async fn show(spec: SpecName, name: OsString, session: &Session) -> Result<()> {
    let unit = session.lockstep.unit(spec, unit_name(name)?);
    let found = unit.get().await?;
    let key = |attempt: &Attempt| attempt.id;
    let (attempts, _) = pages(0, None, key, async |page| unit.attempts(page).await).await?;
    let mut shown = view::unit(&found);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("history".to_owned(), attempts.iter().map(view::attempt).collect());
    }
    session.out.data(&shown, || {
        let data = serde_json::to_string_pretty(&data_to_json(&found.data)).unwrap_or_default();
        let (unit, history) = (view::units_table(&[found]), view::attempts_table(&attempts));
        format!("{unit}\n{}\n\n{history}", printable(&data))
    })
}

async fn delete(selection: Selection, yes: bool, dry_run: bool, session: &Session) -> Result<()> {
    let what = format!("delete the selected units of {}", printable(&selection.spec));
    let yes = yes || !selection.names.is_empty();
    let (spec, filter) = selection.parts(session)?;
    if dry_run {
        let count = count(&spec, filter).await?;
        let json = json!({"deleted": count, "dry_run": true});
        return session.out.data(&json, || format!("would delete {count} units"));
    }
    session.out.confirm(&what, yes)?;
    changed("deleted", spec.delete_units(filter).await?, session)
}

async fn count(spec: &SpecHandle, mut filter: UnitFilter) -> Result<usize> {
    let mut count = 0;
    loop {
        let (units, next) = spec.units(filter.clone()).await?;
        count += units.len();
        match next {
            Some(next) => filter.after = Some(next),
            None => return Ok(count),
        }
    }
}

fn changed(what: &str, count: u64, session: &Session) -> Result<()> {
    session.out.data(&json!({ what: count }), || format!("{what} {count} units"))
}

/// Reads JSON from a flag.
pub(crate) fn json_flag(flag: &str, text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| {
        let hint = "write for example '{\"n\": 1}'";
        Failure::usage(format!("{flag} is not JSON: {error}"), hint).into()
    })
}
