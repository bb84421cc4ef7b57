//! `lockstep spec`.

use anyhow::Result;
use clap::{Args, Subcommand};
use model::{Control, Spec, SpecName, data_from_json, data_to_json};
use serde_json::{Map, Value, json};

use crate::{
    connect::{Part, Session, pages},
    failure::Failure,
    files,
    output::{printable, table},
    span, view,
};

/// What to do with work specs.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List work specs in name order
    #[command(after_long_help = "Examples:\n  lockstep spec list\n  \
        lockstep spec list --namespace nightly --json")]
    List(Part),
    /// Show one work spec with its dictionary
    #[command(after_long_help = "Examples:\n  lockstep spec show scan")]
    Show {
        /// Its name
        name: String,
    },
    /// Create or replace a work spec
    #[command(after_long_help = SET_EXAMPLES)]
    Set(SetArgs),
    /// Change how a work spec is scheduled; what is not given stays
    #[command(after_long_help = "Examples:\n  lockstep spec control scan --pause\n  \
        lockstep spec control scan --resume --weight 50 --max-running 8")]
    Control(ControlArgs),
    /// Delete a work spec with its units
    #[command(after_long_help = "Examples:\n  lockstep spec delete scan --dry-run\n  \
        lockstep spec delete scan --yes")]
    Delete {
        /// Its name
        name: String,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
}

const SET_EXAMPLES: &str = "\
A value that is JSON is taken as such, anything else as text; KEY=VALUE wins over the file.
Special keys: name, disabled, continuous, interval, priority, weight, nice, min_gb, max_running,
max_getwork, max_retries, then, runtime. All other keys are kept as they are.

Examples:
  lockstep spec set name=scan then=report max_retries=3
  lockstep spec set --file scan.yaml weight=50
  echo '{\"name\": \"scan\"}' | lockstep spec set --file -";

/// The dictionary of a work spec.
#[derive(Args)]
pub(crate) struct SetArgs {
    /// Read the dictionary from this YAML or JSON file; - is standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<String>,
    /// Keys of the dictionary
    #[arg(value_name = "KEY=VALUE", required_unless_present = "file")]
    keys: Vec<String>,
}

/// What to change about the scheduling.
#[derive(Args)]
#[group(id = "controls", multiple = true)]
pub(crate) struct ControlArgs {
    /// The work spec
    name: String,
    /// Hand out no units
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Hand out units again
    #[arg(long)]
    resume: bool,
    /// Work specs of a higher priority go first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// The share among work specs of one priority
    #[arg(long, value_name = "N")]
    weight: Option<i64>,
    /// Make up a unit when there is none (where the dictionary allows it)
    #[arg(long, value_name = "BOOL")]
    continuous: Option<bool>,
    /// The least time between two made-up units, such as 60s
    #[arg(long, value_name = "SPAN")]
    interval: Option<String>,
    /// Most pending units at one time; 0 is no limit
    #[arg(long, value_name = "N")]
    max_running: Option<u64>,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List(part) => list(part, session).await,
            Self::Show { name } => show(SpecName::new(name)?, session).await,
            Self::Set(args) => set(args, session).await,
            Self::Control(args) => control(args, session).await,
            Self::Delete { name, yes, dry_run } => {
                delete(SpecName::new(name)?, yes, dry_run, session).await
            }
        }
    }
}

async fn list(part: Part, session: &Session) -> Result<()> {
    let after = part.after.map(SpecName::new).transpose()?;
    let (specs, next) = pages(
        part.limit,
        after,
        |spec: &Spec| spec.name.clone(),
        async |page| session.lockstep.specs(page).await,
    )
    .await?;
    let shown: Vec<_> = specs.iter().map(view::spec).collect();
    let next = next.as_ref().map(SpecName::as_str);
    session.out.data(&json!({"specs": shown, "next": next}), || specs_table(&specs))
}

async fn show(name: SpecName, session: &Session) -> Result<()> {
    let spec = session.lockstep.spec(name).get().await?;
    session.out.data(&view::spec(&spec), || {
        let data = serde_json::to_string_pretty(&data_to_json(&spec.data)).unwrap_or_default();
        format!("{}\n{}", specs_table(&[spec]), printable(&data))
    })
}

async fn set(args: SetArgs, session: &Session) -> Result<()> {
    let mut dict = match &args.file {
        Some(file) => files::yaml_map(file)?,
        None => Map::new(),
    };
    for pair in &args.keys {
        let (key, value) = key_value(pair)?;
        dict.insert(key, value);
    }
    let data = data_from_json(&Value::Object(dict))?;
    let spec = session.lockstep.set_spec(data).await?.get().await?;
    session.out.data(&view::spec(&spec), || specs_table(&[spec]))
}

fn key_value(pair: &str) -> Result<(String, Value)> {
    let (key, text) = pair.split_once('=').ok_or_else(|| {
        Failure::usage(format!("{pair:?} is not KEY=VALUE"), "write for example weight=50")
    })?;
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    // A name is always text, also where it looks like a number.
    let value = if key == "name" { Value::String(text.to_owned()) } else { value };
    Ok((key.to_owned(), value))
}

async fn control(args: ControlArgs, session: &Session) -> Result<()> {
    let control = Control {
        continuous: args.continuous,
        paused: (args.pause || args.resume).then_some(args.pause),
        priority: args.priority,
        weight: args.weight,
        interval: args.interval.as_deref().map(span::parse).transpose()?,
        max_running: args.max_running,
    };
    if control == Control::default() {
        let hint = "give for example --pause, --resume or --weight 50";
        return Err(Failure::usage("nothing to change", hint).into());
    }
    let spec = session.lockstep.spec(SpecName::new(args.name)?);
    spec.control(control).await?;
    let spec = spec.get().await?;
    session.out.data(&view::spec(&spec), || specs_table(&[spec]))
}

async fn delete(name: SpecName, yes: bool, dry_run: bool, session: &Session) -> Result<()> {
    let spec = session.lockstep.spec(name.clone());
    let units = spec.get().await?.counts.total();
    let what = format!("delete work spec {} with {units} units", printable(name.as_str()));
    if !dry_run {
        session.out.confirm(&what, yes)?;
        spec.destroy().await?;
    }
    let shown = json!({"deleted": name.as_str(), "units": units, "dry_run": dry_run});
    let said =
        if dry_run { format!("would {what}") } else { what.replacen("delete", "deleted", 1) };
    session.out.data(&shown, || said)
}

fn specs_table(specs: &[Spec]) -> String {
    let row = |spec: &Spec| {
        vec![
            printable(spec.name.as_str()),
            if spec.meta.paused { "paused" } else { "running" }.to_owned(),
            spec.meta.priority.to_string(),
            spec.meta.weight.to_string(),
            spec.counts.available.to_string(),
            spec.counts.pending.to_string(),
            spec.counts.finished.to_string(),
            spec.counts.failed.to_string(),
            spec.counts.delayed.to_string(),
        ]
    };
    let heads = [
        "name",
        "state",
        "priority",
        "weight",
        "available",
        "pending",
        "finished",
        "failed",
        "delayed",
    ];
    table(&heads, &specs.iter().map(row).collect::<Vec<_>>())
}
