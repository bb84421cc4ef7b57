//! Clients that are too slow lose their places, and nobody else notices.

use std::time::Duration;

use testkit::rig::{Local, slow};

const CLIENTS: usize = 200;
/// By when the last slow client must be gone.
const GONE_BY: Duration = Duration::from_secs(15);
/// How long every client has in any case.
const FAIR: Duration = Duration::from_secs(5);

#[test]
fn slow_clients_are_sent_away() {
    let local = Local::start();
    let report = slow(local.address, CLIENTS, GONE_BY);
    eprintln!("{report}");
    assert_eq!((report.closed, report.open, report.failed), (CLIENTS, 0, 0), "{report}");
    assert!(report.first >= FAIR && report.last <= GONE_BY, "{report}");
    let bearable = (report.alone * 2).max(Duration::from_millis(100));
    assert!(report.answered > 100 && report.beside <= bearable, "{report}");
}

#[test]
fn slow_clients_that_stay_are_noticed() {
    let local = Local::start();
    let report = slow(local.address, 3, Duration::from_secs(1));
    assert_eq!((report.closed, report.open), (0, 3), "{report}");
}
