//! The main job, on a small folder.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::json;

use crate::support::{get, lockstep, run, terminate, until, wait};

#[test]
fn all_is_well_on_a_small_folder() {
    let home = tempfile::tempdir().unwrap();
    let files = home.path().join("files");
    fs::create_dir(&files).unwrap();
    for number in 0..12 {
        fs::write(files.join(format!("{number} \"file\".txt")), "line\n".repeat(number)).unwrap();
    }
    let args = ["demo", "--dir", files.to_str().unwrap(), "--json"];
    let said = run(&mut lockstep(home.path()), &args).with_code(0);
    let report = said.json();
    assert_eq!(report["ok"], true);
    let sums = json!({"files": 12, "bytes": 66 * 5, "lines": 66});
    assert_eq!((&report["reported"], &report["counted"]), (&sums, &sums));
    let killed = &report["killed"];
    assert!(killed["held"].as_u64().unwrap() > 0, "{killed}");
    assert_eq!(killed["held"], killed["offered_again"]);
    assert!(said.err.contains("with SIGKILL while it held"), "{said:?}");
    let versions = report["scenes"]["workflow"]["versions"].as_array().unwrap();
    let told: Vec<_> = versions.iter().map(|row| (&row["version"], &row["instances"])).collect();
    assert_eq!(told, [(&json!("1.0.0"), &json!(8)), (&json!("2.0.0"), &json!(8))]);
    let mail = &report["scenes"]["mail"];
    assert_eq!((&mail["workflows"], &mail["messages"]), (&json!(2), &json!(6)), "{mail}");
}

#[test]
fn nothing_to_do_is_told() {
    let home = tempfile::tempdir().unwrap();
    let args = ["demo", "--dir", home.path().to_str().unwrap()];
    let said = run(&mut lockstep(home.path()), &args).with_code(2);
    assert!(said.err.contains("there is no file to read"), "{said:?}");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let (files, temporary) = (home.path().join("files"), home.path().join("tmp"));
    fs::create_dir(&files).unwrap();
    fs::create_dir(&temporary).unwrap();
    fs::write(files.join("a"), "a").unwrap();
    let mut demo = lockstep(home.path())
        .args(["demo", "--dir", files.to_str().unwrap()])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("a worker has started", || {
        let mut folders = fs::read_dir(&temporary).unwrap();
        folders.next()?.ok()?.path().join("rust.log").exists().then_some(())
    });
    terminate(&demo);
    assert_eq!(wait(&mut demo).code(), Some(130));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn what_was_shown_can_be_looked_at_until_it_is_interrupted() {
    let home = tempfile::tempdir().unwrap();
    let (files, temporary) = (home.path().join("files"), home.path().join("tmp"));
    fs::create_dir(&files).unwrap();
    fs::create_dir(&temporary).unwrap();
    for number in 0..12 {
        fs::write(files.join(number.to_string()), "line\n".repeat(number)).unwrap();
    }
    let mut demo = lockstep(home.path())
        .args(["demo", "--dir", files.to_str().unwrap(), "--keep"])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.skip_while(|line| !line.contains("until you press Ctrl-C"));
    let url = lines.next().unwrap();
    let url = url.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    for _ in 0..5 {
        let line = lines.next().unwrap();
        let page = line.split_once(&url).unwrap_or_else(|| panic!("{line}")).1;
        assert_eq!(get(&url, page), 200, "{line}");
    }
    terminate(&demo);
    assert_eq!(wait(&mut demo).code(), Some(0));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
}
