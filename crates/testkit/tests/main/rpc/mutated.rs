//! Whatever is sent, the server answers, and nobody else notices.

use std::sync::Arc;

use model::{
    Backend, BoxFuture, Committed, Event, Namespace, Query, Read, Result, Revision, Write,
};
use testkit::{
    rig::{Local, seed},
    rpc::mutated,
};

const FRAMES: usize = 50_000;
/// What the history of all these calls and the allocator may keep.
const GROWN_MAX: u64 = 64 << 20;

#[test]
fn mutated_frames_break_nothing() {
    let report = mutated(&Local::start(), FRAMES, seed("mutated frames"));
    eprintln!("{report}");
    assert!(report.violations.is_empty() && report.panics == 0, "{report}");
    assert!(report.done > FRAMES / 20, "hardly any request is understood: {report}");
    assert!(report.refused > FRAMES / 4, "hardly any request is broken: {report}");
    assert!(report.unanswered > FRAMES / 100, "hardly any frame is broken: {report}");
    assert!(report.undisturbed > 100, "{report}");
    assert!(report.grown < GROWN_MAX, "{report}");
}

/// A backend that panics where workers are listed.
struct Faulty(Arc<dyn Backend>);

impl Backend for Faulty {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        self.0.write(write)
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        assert!(!matches!(query, Query::Workers(..)), "a planted defect");
        self.0.read(query, at_least)
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.0.events(namespace, after, limit)
    }
}

#[test]
fn a_panic_is_seen_and_answered() {
    let local = Local::with(|backend| Arc::new(Faulty(backend)));
    let report = mutated(&local, 1_000, seed("mutated frames"));
    assert!(report.panics > 0, "{report}");
    assert!(report.violations.iter().any(|told| told.contains("a method panicked")), "{report}");
    assert!(report.undisturbed > 0, "{report}");
}
