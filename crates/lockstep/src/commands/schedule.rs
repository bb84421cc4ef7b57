//! `lockstep schedule`.

use anyhow::Result;
use clap::{Args, Subcommand};
use model::{
    Answer, DefinitionAnswer, DefinitionQuery, InstanceCommand, Query, Time, Trigger,
    TriggerControl,
};
use serde_json::json;

use super::event::time;
use crate::{
    connect::{Session, unexpected},
    output::{printable, table},
};

/// What to do with schedules and other triggers.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List triggers: what fires when, and how often it has
    #[command(after_long_help = "Examples:\n  lockstep schedule list")]
    List {
        /// Only those of this definition
        #[arg(value_name = "DEFINITION")]
        definition: Option<String>,
    },
    /// Let a trigger fire no more
    #[command(after_long_help = "Examples:\n  lockstep schedule pause nightly-report cron")]
    Pause(OneArgs),
    /// Let a trigger fire again; what was missed is missed
    #[command(after_long_help = "Examples:\n  lockstep schedule resume nightly-report cron")]
    Resume(OneArgs),
    /// Start an instance for each slot of a stretch of time that has passed
    #[command(after_long_help = "Examples:\n  lockstep schedule backfill nightly-report cron \
        --from 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z")]
    Backfill {
        #[command(flatten)]
        one: OneArgs,
        /// From this time on
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Time,
        /// Before this time
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Time,
    },
}

/// Which trigger.
#[derive(Args)]
pub(crate) struct OneArgs {
    /// The definition
    definition: String,
    /// The trigger, by the name that `schedule list` shows
    trigger: String,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::List { definition } => list(session, definition).await,
            Self::Pause(one) => control(session, one, TriggerControl::Pause).await,
            Self::Resume(one) => control(session, one, TriggerControl::Resume).await,
            Self::Backfill { one, from, until } => {
                control(session, one, TriggerControl::Backfill { from, until }).await
            }
        }
    }
}

async fn control(session: &Session, one: OneArgs, control: TriggerControl) -> Result<()> {
    let OneArgs { definition, trigger } = one;
    let shown = definition.clone();
    let command = InstanceCommand::ControlTrigger { definition, trigger, control };
    session.lockstep.command(command).await?;
    list(session, Some(shown)).await
}

async fn list(session: &Session, definition: Option<String>) -> Result<()> {
    let namespace = session.lockstep.namespace().clone();
    let query = Query::Definitions(namespace, DefinitionQuery::Triggers(definition));
    let Answer::Definitions(DefinitionAnswer::Triggers(triggers)) =
        session.lockstep.ask(query).await?
    else {
        return Err(unexpected().into());
    };
    let shown = serde_json::to_value(&triggers)?;
    session.out.data(&json!({ "triggers": shown }), || rows(&triggers))
}

fn rows(triggers: &[Trigger]) -> String {
    let when = |time: &Option<Time>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let row = |trigger: &Trigger| {
        vec![
            printable(&trigger.definition),
            printable(&trigger.name),
            trigger.kind.clone(),
            printable(&trigger.text),
            if trigger.is_paused { "paused" } else { "on" }.to_owned(),
            when(&trigger.next),
            when(&trigger.last),
            trigger.fired.to_string(),
            trigger.missed.to_string(),
        ]
    };
    let heads =
        ["definition", "trigger", "kind", "what", "state", "next", "last", "fired", "missed"];
    table(&heads, &triggers.iter().map(row).collect::<Vec<_>>())
}
