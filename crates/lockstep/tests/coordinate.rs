//! A Python client against the real program.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::Server;

/// Every method there is.
const METHODS: &str = "add_work_units archive authenticate clear control_work_spec \
    count_work_units del_work_spec del_work_units delete_namespace get_child_work_units \
    get_config get_work get_work_spec get_work_spec_meta get_work_unit_status get_work_units \
    get_worker_info list_work_specs list_worker_modes lock locksome mode_counts now \
    prioritize_work_units readlock renew set_work_spec unlock update_work_unit worker_heartbeat \
    worker_stats worker_unregister";

/// The Python into which the test command installs `cbor2`.
fn python() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    assert!(place.exists(), "there is no {}: `cargo xtask test` makes it", place.display());
    place
}

#[test]
fn a_python_client_calls_every_method() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.yaml");
    std::fs::write(&config, "coordinate:\n  addresses: [here]\n").unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let args =
        ["--store", &store, "--rpc", "127.0.0.1:0", "--rpc-config", config.to_str().unwrap()];
    let server = Server::start_with(home, &args);
    let address = server.rpc_address();
    let (host, port) = address.rsplit_once(':').unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coordinate/client.py");
    let output = Command::new(python()).arg(script).args([host, port]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complains = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complains}");
    assert_eq!(said.trim(), format!("called: {METHODS}"));
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_taken_address_is_told() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start_with(home, &["--store", "memory", "--rpc", "127.0.0.1:0"]);
    let rpc = server.rpc_address();
    let args = ["serve", "--store", "memory", "--listen", "127.0.0.1:0", "--rpc", &rpc];
    let said = server.run(&args).with_code(5);
    assert!(said.err.contains("choose another address with --rpc, or --rpc off"), "{said:?}");
}

#[test]
fn others_need_tokens_for_it_too() {
    let server = Server::start();
    let args = ["serve", "--store", "memory", "--listen", "127.0.0.1:0", "--rpc", "0.0.0.0:0"];
    let said = server.run(&args).with_code(2);
    assert!(said.err.contains("the store has no token"), "{said:?}");
}
