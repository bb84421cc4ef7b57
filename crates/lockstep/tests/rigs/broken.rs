//! Whatever is sent, the server answers, and never with its own failure.

use std::sync::Arc;

use model::{
    Backend, BoxFuture, Committed, Error, Event, Namespace, Query, Read, Result, Revision, Write,
};
use testkit::rig::{Local, broken, seed};

const REQUESTS: usize = 20_000;

#[test]
fn broken_requests_break_nothing() {
    let report = broken(&Local::start(), REQUESTS, seed("broken requests"));
    eprintln!("{report}");
    assert!(report.violations.is_empty() && report.panics == 0, "{report}");
    assert!(report.class(2) > REQUESTS / 10, "hardly any request is understood: {report}");
    assert!(report.class(4) > REQUESTS / 3, "hardly any request is broken: {report}");
    for (operation, (done, refused)) in &report.operations {
        // Only nodes of the same store come in there, and the rig is none.
        let is_closed = operation.starts_with("peer_");
        assert_eq!(*done > 0, !is_closed, "{operation}: {report}");
        assert!(*refused > 0, "{operation} is never refused: {report}");
    }
}

/// A backend with defects.
struct Faulty {
    backend: Arc<dyn Backend>,
    fault: Fault,
}

#[derive(Clone, Copy)]
enum Fault {
    /// Panics where a worker is asked for.
    Panic,
    /// Fails where units are listed.
    Internal,
    /// Says that a write was refused that was made.
    Refused,
    /// Also changes what no request names.
    Stray,
}

impl Backend for Faulty {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(async move {
            if matches!(self.fault, Fault::Stray) && write.namespace.as_str() == "rig" {
                let canary = Namespace::new("canary")?;
                let stray = Write { namespace: canary, request_id: None, ..write.clone() };
                let _any = self.backend.write(stray).await;
            }
            let committed = self.backend.write(write).await?;
            match self.fault {
                Fault::Refused if !committed.events.is_empty() && committed.revision % 7 == 0 => {
                    Err(Error::bad_input("not understood"))
                }
                _ => Ok(committed),
            }
        })
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        match (self.fault, &query) {
            (Fault::Panic, Query::Worker(..)) => panic!("planted"),
            (Fault::Internal, Query::Units(..)) => {
                Box::pin(async { Err(Error::Internal("planted".to_owned())) })
            }
            _ => self.backend.read(query, at_least),
        }
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.backend.events(namespace, after, limit)
    }
}

#[track_caller]
fn finds(fault: Fault, says: &str) {
    let local = Local::with(|backend| Arc::new(Faulty { backend, fault }));
    let report = broken(&local, 2_000, seed("planted defect"));
    assert!(report.violations.iter().any(|what| what.contains(says)), "{report}");
    assert_eq!(report.panics > 0, matches!(fault, Fault::Panic), "{report}");
}

#[test]
fn planted_defects_are_found() {
    finds(Fault::Panic, "gets 500");
    finds(Fault::Stray, "data that no request named has changed");
    finds(Fault::Internal, "gets 500");
}

#[test]
fn writes_that_were_made_but_refused_are_found() {
    finds(Fault::Refused, "but changed something");
}
