//! The events by which others can follow an instance, as the specification names them.

use serde_json::{Map, Value as Json, json};

use super::{
    outcome::{Note, Record, What},
    program::Program,
};

/// Gives the events of one row of a journal, in their order, as CloudEvents.
///
/// The number is that of the row; ids of events are made of it, so that the same row always gives
/// the same events. Their source is the instance, as `/instances/{id}`.
pub fn lifecycle(program: &Program, instance: &str, row: u64, record: &Record) -> Vec<Json> {
    let name = format!("{}-{instance}.{}", program.name, program.namespace);
    let mut events = Vec::new();
    for (number, note) in record.notes.iter().enumerate() {
        let (of, word, when) = match kind(note) {
            Some(kind) => kind,
            None => continue,
        };
        let mut data = Map::new();
        if note.step.is_none() || of == "workflow" {
            data.insert("name".to_owned(), name.clone().into());
        } else {
            data.insert("workflow".to_owned(), name.clone().into());
        }
        if let Some(step) = note.step.as_ref().filter(|_| of == "task") {
            // What stands after the path is the number of the round.
            let path = step.rsplit_once('/').map_or(step.as_str(), |(path, _)| path);
            data.insert("task".to_owned(), format!("/{path}").into());
        }
        if note.what == What::Started && of == "workflow" {
            let definition = json!({
                "namespace": program.namespace,
                "name": program.name,
                "version": program.version,
            });
            data.insert("definition".to_owned(), definition);
        }
        data.insert(when.to_owned(), record.delivery.at.to_string().into());
        match note.what {
            What::Completed if of == "workflow" => {
                data.insert("output".to_owned(), note.data.clone());
            }
            What::Faulted => _ = data.insert("error".to_owned(), note.data.clone()),
            _ => {}
        }
        events.push(json!({
            "specversion": "1.0",
            "id": format!("{instance}/{row}/{number}"),
            "source": format!("/instances/{instance}"),
            "type": format!("io.serverlessworkflow.{of}.{word}.v1"),
            "subject": note.step,
            "time": record.delivery.at.to_string(),
            "datacontenttype": "application/json",
            "data": data,
        }));
    }
    events
}

/// Says of what an event tells, what happened to it, and what the time of that is called.
fn kind(note: &Note) -> Option<(&'static str, &'static str, &'static str)> {
    let of = if note.step.is_some() { "task" } else { "workflow" };
    Some(match note.what {
        What::Started => (of, "started", "startedAt"),
        What::Completed => (of, "completed", "completedAt"),
        What::Faulted => (of, "faulted", "faultedAt"),
        What::Cancelled => (of, "cancelled", "cancelledAt"),
        What::Suspended | What::Incident => (of, "suspended", "suspendedAt"),
        What::Resumed => (of, "resumed", "resumedAt"),
        What::Retried => ("task", "retried", "retriedAt"),
        What::Waiting => ("workflow", "correlation-started", "startedAt"),
        What::Correlated => ("workflow", "correlation-completed", "completedAt"),
        What::Skipped | What::Caught | What::Compensating | What::Compensated => return None,
    })
}
