//! The server as a process.

use std::{io::Write as _, net::TcpStream, process::Stdio};

use serde_json::Value;

use crate::support::{Server, get, lockstep, run, terminate, wait};

#[test]
fn sigterm_ends_it_well() {
    let server = Server::start();
    assert_eq!(get(&server.url, "/livez"), 200);
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn sigterm_does_not_wait_for_idle_workers() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    let mut worker = server
        .command()
        .args(["worker", "--exec", "true", "--name", "w"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    crate::support::until("the worker is known", || {
        (server.run(&["worker", "show", "w"]).code == 0).then_some(())
    });
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
    worker.kill().unwrap();
    wait(&mut worker);
}

#[test]
fn a_store_on_disk_keeps_everything() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/deep/er/queue.db", home.path().display());
    let server = Server::start_with(home, &["--store", &store]);
    server.json(&["spec", "set", "name=scan"]);
    server.json(&["unit", "add", "scan", "a"]);
    let said = server.run(&["serve", "--store", &store, "--listen", "127.0.0.1:0"]).with_code(5);
    assert!(said.err.contains("is open in another process"), "{said:?}");
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_store_is_found_again() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let mut server = Server::start_with(home, &["--store", &store]);
    server.json(&["spec", "set", "name=scan"]);
    let home = std::mem::replace(&mut server.home, tempfile::tempdir().unwrap());
    drop(server);
    let server = Server::start_with(home, &["--store", &store]);
    assert_eq!(server.json(&["spec", "show", "scan"])["name"], "scan");
}

#[test]
fn an_address_in_use_is_told() {
    let server = Server::start();
    let address = server.url.strip_prefix("http://").unwrap();
    let said = server.run(&["serve", "--store", "memory", "--listen", address]).with_code(5);
    assert!(said.err.contains("choose another address with --listen"), "{said:?}");
}

#[test]
fn logs_can_be_json_throughout() {
    let home = tempfile::tempdir().unwrap();
    let mut child = lockstep(home.path())
        .args(["serve", "--store", "memory", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["fields"]["message"], "listening");
    terminate(&child);
    for line in lines {
        serde_json::from_str::<Value>(&line.unwrap()).unwrap();
    }
    assert_eq!(wait(&mut child).code(), Some(0));
}

#[test]
fn what_is_logged_of_a_request_has_the_trace_of_its_caller() {
    let home = tempfile::tempdir().unwrap();
    let args = ["--log-format", "json", "--log", "info,server=debug"];
    let mut child = lockstep(home.path())
        .args(["serve", "--store", "memory", "--listen", "127.0.0.1:0"])
        .args(args)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let address = lines.next().unwrap()["fields"]["address"].as_str().unwrap().to_owned();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    write!(stream, "{head}traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n").unwrap();
    let logged = lines.find(|line| line["fields"]["message"] == "answered").unwrap();
    assert_eq!(logged["fields"]["route"], "/livez");
    assert_eq!(logged["span"]["trace"], trace, "{logged}");
    terminate(&child);
    assert_eq!(lines.last().unwrap()["fields"]["message"], "stopping");
    assert_eq!(wait(&mut child).code(), Some(0));
}

#[test]
fn a_bad_log_filter_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let args = ["serve", "--store", "memory", "--log", "server=loud"];
    let said = run(&mut lockstep(home.path()), &args).with_code(2);
    assert!(said.err.contains("bad log filter"), "{said:?}");
}

#[test]
fn systemd_is_told_how_it_stands() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let heard = || {
        let mut word = [0; 64];
        let len = systemd.recv(&mut word).unwrap();
        String::from_utf8(word[..len].to_vec()).unwrap()
    };
    let mut child = lockstep(home.path())
        .args(["serve", "--store", "memory", "--listen", "127.0.0.1:0", "--rpc", "off"])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "100000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(heard(), "READY=1");
    assert_eq!([heard(), heard()], ["WATCHDOG=1", "WATCHDOG=1"]);
    terminate(&child);
    let mut word = heard();
    while word == "WATCHDOG=1" {
        word = heard();
    }
    assert_eq!(word, "STOPPING=1");
    assert!(wait(&mut child).success());
}
