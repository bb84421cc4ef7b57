//! The files of `deploy`: every command, flag and variable in them is one that the program has.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::support::{lockstep, run};

/// Where the program is in the image and on the machine.
const PROGRAM: &str = "/usr/local/bin/lockstep";

fn deploy(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
    fs::read_to_string(path).unwrap()
}

/// Insists on arguments that the program takes: it shows its help instead of doing anything, but
/// only once it has understood all that comes before.
pub(super) fn understood(args: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let said = run(&mut lockstep(home.path()), &[args, &["--help"]].concat());
    assert_eq!(said.code, 0, "{args:?}: {said:?}");
}

/// Insists on variables that the program reads, with values that it takes.
pub(super) fn known(variables: &BTreeMap<String, String>) {
    let home = tempfile::tempdir().unwrap();
    let mut command = lockstep(home.path());
    command.env_remove("LOCKSTEP_RPC").envs(variables);
    let said = run(&mut command, &["config", "show", "--origin"]).with_code(0);
    for variable in variables.keys() {
        let from = format!("environment {variable}");
        assert!(said.out.contains(&from), "nothing reads {variable}: {}", said.out);
    }
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

fn variables(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_it_refuses_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let args = ["serve", "--no-such-flag", "--help"];
    run(&mut lockstep(home.path()), &args).with_code(2);
}

#[test]
fn compose_starts_two_nodes_over_one_database() {
    let text = deploy("compose.yaml");
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let services = file["services"].as_object().unwrap();
    let ours: Vec<_> = services.iter().filter(|(_, it)| it["image"] == "lockstep").collect();
    let nodes = ours.iter().filter(|(_, it)| it["command"][0] == "serve");
    assert_eq!(nodes.clone().count(), 2);
    for (name, node) in nodes.clone() {
        let url = format!("http://{name}:5980");
        assert_eq!(words(&node["command"]), ["serve", "--peer-url", &url], "{name}");
    }
    for (name, service) in &ours {
        let environment = variables(&service["environment"]);
        known(&environment);
        let args = words(&service["command"]);
        understood(&args);
        let store = &environment["LOCKSTEP_STORE"];
        assert!(store.contains("password_file=/run/secrets/postgres_password"), "{name}");
        if let Some(at) = args.iter().position(|arg| *arg == "--store") {
            assert_eq!(args[at + 1], store, "{name}");
        }
        assert_eq!(service["depends_on"]["postgres"]["condition"], "service_healthy", "{name}");
        assert_eq!(words(&service["secrets"]), ["postgres_password"], "{name}");
    }
    for (name, node) in nodes {
        let check = words(&node["healthcheck"]["test"]);
        assert_eq!(check[..2], ["CMD", PROGRAM], "{name}");
        understood(&check[2..]);
    }
    let postgres = &services["postgres"];
    assert_eq!(words(&postgres["healthcheck"]["test"])[..2], ["CMD", "pg_isready"]);
    let password = &postgres["environment"]["POSTGRES_PASSWORD_FILE"];
    assert_eq!(password, "/run/secrets/postgres_password");
    assert!(file["secrets"]["postgres_password"]["file"].is_string());
    let dovecot = &services["dovecot"];
    assert_eq!(words(&dovecot["profiles"]), ["mail"], "it runs only when it is asked for");
    assert!(words(&dovecot["ports"]).iter().all(|port| port.starts_with("127.0.0.1:")));
    let published = ours.iter().flat_map(|(_, it)| it["ports"].as_array().into_iter().flatten());
    assert!(published.clone().all(|port| port.as_str().unwrap().starts_with("127.0.0.1:")));
    assert_eq!(published.count(), 2);
}

/// The instructions of a Dockerfile, lines that go on joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = |line: &str| line.trim().split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    joined.lines().filter_map(split).collect()
}

#[test]
fn the_image_is_small_and_runs_as_nobody() {
    let instructions = instructions(&deploy("Dockerfile"));
    let of = |name: &str| -> Vec<&str> {
        let own = instructions.iter().filter(|(it, _)| it == name);
        own.map(|(_, rest)| rest.trim()).collect()
    };
    let list = |text: &str| -> Vec<String> { serde_json::from_str(text).unwrap() };
    assert_eq!(of("FROM").len(), 2, "what builds it does not stay in it");
    let rust = format!("rust:{}", env!("CARGO_PKG_RUST_VERSION"));
    assert!(of("FROM")[0].starts_with(&rust), "{rust}");
    assert!(of("USER").iter().all(|user| !user.starts_with('0') && !user.starts_with("root")));
    assert_eq!(of("USER").len(), 1);
    assert_eq!(list(of("ENTRYPOINT")[0]), [PROGRAM]);
    let command = list(of("CMD")[0]);
    understood(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let check = list(of("HEALTHCHECK")[0].split_once("CMD").unwrap().1.trim());
    assert_eq!(check[0], PROGRAM);
    understood(&check[1..].iter().map(String::as_str).collect::<Vec<_>>());
    let pairs = of("ENV").into_iter().flat_map(str::split_whitespace);
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let variables: BTreeMap<_, _> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(variables.contains_key("LOCKSTEP_STORE"));
    known(&variables);
}

#[test]
fn what_the_program_is_built_from_is_sent_to_the_builder() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ignored = deploy("Dockerfile.dockerignore");
    let sent: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(sent.iter().all(|name| root.join(name).exists()), "{sent:?}");
    assert!(["Cargo.toml", "Cargo.lock", "crates", "xtask"].iter().all(|it| sent.contains(it)));
    // Whatever a source includes from outside of the crates has to be there as well.
    let included = Command::new("grep")
        .args(["-rhoE", "include_(str|bytes)!\\(\"(\\.\\./){4}[a-z]+", "--include=*.rs"])
        .arg(root.join("crates"))
        .output()
        .unwrap();
    let included = String::from_utf8(included.stdout).unwrap();
    let mut folders = included.lines().filter_map(|line| line.rsplit('/').next());
    assert!(folders.clone().count() > 0);
    assert!(folders.all(|folder| sent.contains(&folder)), "{included}");
}

#[test]
fn the_unit_is_hardened_and_understood() {
    let text = deploy("lockstep.service");
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let of = |name: &str| -> Vec<&str> {
        lines.iter().filter(|(it, _)| *it == name).map(|(_, value)| *value).collect()
    };
    let command: Vec<&str> = of("ExecStart")[0].split(' ').collect();
    assert_eq!(command[0], PROGRAM);
    understood(&command[1..]);
    let pairs = of("Environment").into_iter().filter_map(|pair| pair.split_once('='));
    let variables: BTreeMap<_, _> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let folder = format!("sqlite:/var/lib/{}/", of("StateDirectory")[0]);
    assert!(variables["LOCKSTEP_STORE"].starts_with(&folder));
    known(&variables);
    for (name, value) in [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("DynamicUser", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
    ] {
        assert_eq!(of(name), [value]);
    }
    // Where systemd is, it says what it thinks of the file.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lockstep.service");
    fs::write(&file, text.replace(PROGRAM, env!("CARGO_BIN_EXE_lockstep"))).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg(&file).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("lockstep.service"), "{said}");
        }
        Err(error) => eprintln!("not tried: {error}"),
    }
}
