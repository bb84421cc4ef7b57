//! Addresses and databases that will not do: each is told, and nothing is half-done.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use testkit::cluster::Cluster;

use crate::support::{Said, lockstep, run};

/// Tries to serve a store; no port is ever opened.
fn serve(store: &str, environment: &[(&str, &str)]) -> Said {
    let home = tempfile::tempdir().unwrap();
    let mut command = lockstep(home.path());
    command.envs(environment.iter().copied());
    run(&mut command, &["serve", "--listen", "127.0.0.1:0", "--store", store])
}

/// Insists on an exit code and on some words, and on none of a secret.
#[track_caller]
fn refused(said: Said, code: i32, says: &[&str]) {
    let said = said.with_code(code);
    for word in says {
        assert!(said.err.contains(word), "no {word:?} in {said:?}");
    }
    assert!(said.err.contains("hint: "), "{said:?}");
    assert!(!said.err.contains("s3cret"), "the password is shown: {said:?}");
}

/// Runs SQL as an operator would.
fn sql(cluster: &Cluster, database: &str, text: &str) -> String {
    let mut psql = cluster.command("psql").unwrap();
    let url = with(cluster, database);
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
    psql.args(["--set=ON_ERROR_STOP=1", "--dbname", &url, "--command", text]);
    let output = psql.output().unwrap();
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The address of another database of a cluster.
fn with(cluster: &Cluster, database: &str) -> String {
    cluster.url().strip_suffix("postgres").unwrap().to_owned() + database
}

fn tables(cluster: &Cluster, database: &str) -> String {
    let count = "SELECT count(*) FROM pg_tables WHERE schemaname NOT LIKE 'pg_%' \
                 AND schemaname <> 'information_schema'";
    sql(cluster, database, count)
}

#[test]
fn an_address_that_cannot_be_read() {
    for url in ["postgres://me@host:port/work", "postgres://me@host/work?sslmode=maybe"] {
        refused(serve(url, &[]), 2, &["code: bad_input"]);
    }
    refused(serve("mysql://me@host/work", &[]), 2, &["unknown store", "postgres://USER@HOST"]);
}

#[test]
fn nobody_at_the_other_end() {
    let said = serve("postgres://me:s3cret@127.0.0.1:1/work", &[]);
    refused(said, 5, &["127.0.0.1:1/work", "check that it runs", "code: unavailable"]);
    let said = serve("postgres://me@no.such.host.invalid/work?sslmode=disable", &[]);
    refused(said, 5, &["no.such.host.invalid", "code: unavailable"]);
    // An address of the documentation's own network, which no packet reaches or comes from.
    let said = serve("postgres://me@192.0.2.1/work?sslmode=disable", &[]);
    refused(said, 5, &["192.0.2.1", "code: unavailable"]);
}

#[test]
fn a_wrong_user_password_or_database() {
    let mut cluster = Cluster::start(&["fsync=off"]).unwrap();
    sql(&cluster, "postgres", "CREATE ROLE me LOGIN PASSWORD 's3cret'");
    sql(&cluster, "postgres", "CREATE DATABASE work OWNER me");
    cluster.stop("INT").unwrap();
    let rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\n\
                 host all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(cluster.data().join("pg_hba.conf"), rules).unwrap();
    cluster.run().unwrap();
    let url = with(&cluster, "work").replace("postgres@", "me@");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");

    let wrong = url.replace("me@", "me:s3cret-not@");
    refused(serve(&wrong, &[]), 2, &["refuses the user or the password", "password_file"]);
    refused(serve(&url, &[("PGPASSWORD", "s3cret-not")]), 2, &["refuses the user"]);
    refused(serve(&url, &[]), 2, &["refuses the user"]);
    refused(serve(&url.replace("me@", "you:s3cret@"), &[]), 2, &["refuses the user"]);
    let missing = format!("{url}?password_file={}", file.display());
    refused(serve(&missing, &[]), 2, &["password file", "cannot be read"]);
    let other = url.replace("/work", "/other").replace("me@", "me:s3cret@");
    refused(serve(&other, &[]), 2, &["has no such database", "createdb"]);
    assert_eq!(tables(&cluster, "work"), "0", "nothing is half-done");

    // And the right one is taken from wherever it may stand.
    fs::write(&file, "s3cret\n").unwrap();
    for (url, environment) in [
        (url.replace("me@", "me:s3cret@"), &[][..]),
        (missing, &[]),
        (url.clone(), &[("PGPASSWORD", "s3cret")]),
    ] {
        let mut command = lockstep(folder.path());
        command.envs(environment.iter().copied());
        let args = ["token", "list", "--store", &url];
        run(&mut command, &args).with_code(0);
    }
}

#[test]
fn a_database_that_is_not_ours_or_newer() {
    let cluster = Cluster::start(&["fsync=off"]).unwrap();
    let make = |name: &str| {
        sql(
            &cluster,
            "postgres",
            &format!(
                "CREATE DATABASE {name} {}",
                match name {
                    "latin" => "ENCODING 'LATIN1' TEMPLATE template0",
                    _ => "",
                }
            ),
        );
        with(&cluster, name)
    };
    let foreign = make("foreign_one");
    sql(&cluster, "foreign_one", "CREATE SCHEMA lockstep; CREATE TABLE lockstep.spec (a int)");
    refused(serve(&foreign, &[]), 2, &["tables of another program", "?schema=NAME"]);
    assert_eq!(tables(&cluster, "foreign_one"), "1");

    refused(serve(&make("latin"), &[]), 2, &["has the encoding LATIN1", "createdb --encoding"]);
    assert_eq!(tables(&cluster, "latin"), "0");

    let home = tempfile::tempdir().unwrap();
    let newer = make("newer");
    run(&mut lockstep(home.path()), &["token", "list", "--store", &newer]).with_code(0);
    sql(&cluster, "newer", "INSERT INTO lockstep.migration VALUES (99, 0)");
    let before = tables(&cluster, "newer");
    for args in [["serve", "--store", &newer], ["export", "--store", &newer]] {
        let said = run(lockstep(home.path()).env("LOCKSTEP_LISTEN", "127.0.0.1:0"), &args);
        refused(said, 2, &["newer Lockstep", "start that version"]);
    }
    assert_eq!(tables(&cluster, "newer"), before);

    let changed = make("changed");
    run(&mut lockstep(home.path()), &["token", "list", "--store", &changed]).with_code(0);
    sql(&cluster, "changed", "UPDATE lockstep.migration SET checksum = 1");
    refused(serve(&changed, &[]), 2, &["is not the one that this program knows"]);
}

#[test]
fn a_user_who_may_not_make_tables() {
    let cluster = Cluster::start(&["fsync=off"]).unwrap();
    sql(&cluster, "postgres", "CREATE ROLE guest LOGIN");
    sql(&cluster, "postgres", "CREATE DATABASE work");
    let url = with(&cluster, "work").replace("postgres@", "guest@");
    let said = serve(&url, &[]);
    refused(said, 2, &["permission denied", "GRANT"]);
    assert_eq!(tables(&cluster, "work"), "0");
}

#[test]
fn a_standby_can_only_be_read() {
    let mut cluster = Cluster::start(&["fsync=off"]).unwrap();
    let home = tempfile::tempdir().unwrap();
    let store = cluster.url();
    run(&mut lockstep(home.path()), &["token", "list", "--store", &store]).with_code(0);
    let file = home.path().join("store.ndjson");
    let file = file.to_str().unwrap();
    let export = ["export", "--store", &store, "--out", file];
    run(&mut lockstep(home.path()), &export).with_code(0);
    cluster.stop("INT").unwrap();
    fs::write(cluster.data().join("standby.signal"), "").unwrap();
    cluster.run().unwrap();
    refused(serve(&store, &[]), 2, &["is a standby", "point the store at the primary"]);
    let said = run(&mut lockstep(home.path()), &["import", file, "--store", &store]);
    refused(said, 2, &["is a standby"]);
    // Reading is what a standby is for.
    run(&mut lockstep(home.path()), &["verify", "--store", &store]).with_code(0);
}

/// A file system of a few megabytes, which only root can make.
struct Small(TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers() {
    let Some(small) = Small::mount() else {
        eprintln!("not tried: only root can make a small file system");
        return;
    };
    let cluster = Cluster::start(&["fsync=off"]).unwrap();
    let place = small.path().join("space");
    fs::create_dir(&place).unwrap();
    let mut owner = Command::new("chown");
    owner.arg("--reference").arg(cluster.data()).arg(&place);
    assert!(owner.status().unwrap().success());
    let make = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    sql(&cluster, "postgres", &make);
    sql(&cluster, "postgres", "CREATE DATABASE work TABLESPACE small");
    let home = tempfile::tempdir().unwrap();
    let store = with(&cluster, "work");
    let args = ["--store", &store, "--log", "error"];
    let server = crate::support::Server::start_with(home, &args);
    server.json(&["spec", "set", "name=scan"]);
    let fill = small.path().join("fill");
    // What is left is taken by somebody else.
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", fill.display()));
    assert!(!dd.output().unwrap().status.success(), "the file system is full");
    let data = format!("{{\"text\": \"{}\"}}", "x".repeat(100_000));
    let mut acknowledged = Vec::new();
    let full = (0..500).find_map(|unit| {
        let name = format!("{unit:03}");
        let said = server.run(&["unit", "add", "scan", &name, "--data", &data]);
        if said.code == 0 {
            acknowledged.push(name);
            return None;
        }
        Some(said)
    });
    let full = full.expect("a disk that is full");
    assert!(full.code == 5 && full.err.contains("code: storage_full"), "{full:?}");
    assert_eq!(server.json(&["spec", "show", "scan"])["name"], "scan", "reads go on");
    fs::remove_file(&fill).unwrap();
    server.run(&["unit", "add", "scan", "after"]).with_code(0);
    acknowledged.push("after".to_owned());
    for unit in &acknowledged {
        server.run(&["unit", "show", "scan", unit]).with_code(0);
    }
    let said = run(&mut lockstep(server.home.path()), &["verify", "--store", &store]);
    said.with_code(0);
    drop(server);
    drop(cluster);
}
