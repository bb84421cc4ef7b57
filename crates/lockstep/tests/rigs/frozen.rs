//! A worker that was frozen past its lease changes nothing.

use std::{path::Path, thread};

use testkit::rig::{Frozen, Random, Server, seed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
const TIMES: usize = 20;

/// Runs it several times at once on one server, and gives what went wrong.
fn run(times: usize, overtaken: bool) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(PROGRAM);
    let mut random = Random::new(seed("frozen workers"));
    let mut server = Server::new(program, folder.path(), &mut random);
    server.start();
    server.wait_until_ready().unwrap();
    let (address, folder) = (server.address(), folder.path());
    thread::scope(|scope| {
        let frozen = |number| Frozen { program, address, folder, number, overtaken };
        let runs: Vec<_> =
            (0..times).map(|number| scope.spawn(move || frozen(number).run())).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap().err()).collect()
    })
}

#[test]
fn a_frozen_worker_changes_nothing() {
    assert_eq!(run(TIMES, true), Vec::<String>::new());
}

#[test]
fn a_finish_that_is_accepted_is_noticed() {
    let wrong = run(1, false);
    assert!(wrong.len() == 1 && wrong[0].contains("exit code 0"), "{wrong:?}");
}
