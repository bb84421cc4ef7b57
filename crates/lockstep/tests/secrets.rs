//! Canaries: the values of secrets go where they are used, and are kept and told nowhere.

mod cli;
mod documents;
mod forms;
mod listeners;

use std::{collections::BTreeSet, fs, path::Path, sync::mpsc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    support::{Server, fetch, post, run, run_with, until},
    traces::Listener,
};
use documents::{others, requests};
use forms::{has_no_canary, has_no_canary_in};

/// Secrets that the workflow names, of which every other one is sealed in the store.
const SECRETS: usize = 20;
/// Further ones, by what they are.
const FILE: usize = 20;
const VARIABLE: usize = 21;
const COMMAND: usize = 22;
const SEALED: usize = 23;
const REFRESH: usize = 24;
const CLIENT: usize = 25;
const HEADER: usize = 26;
const KEY: usize = 27;

fn canary(number: usize) -> String {
    match number {
        // These go through forms, in which they look otherwise.
        4 | 7 | REFRESH => format!("canary-{number:02}&7c/1e \"x\""),
        _ => format!("canary-{number:02}-7c1e"),
    }
}

fn is_sealed(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// What the value of a secret of the workflow is.
fn value(number: usize) -> String {
    match number {
        1 => json!({"inner": canary(1)}).to_string(),
        6 => json!({"username": "me", "password": canary(6)}).to_string(),
        _ => canary(number),
    }
}

/// A server that has everything that could tell something, at the level at which it tells most.
struct Stage {
    server: Server,
    data: tempfile::TempDir,
    collector: Listener,
    echo: (String, mpsc::Receiver<String>),
    mail: (String, mpsc::Receiver<String>),
}

impl Stage {
    fn start() -> Self {
        let (home, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (collector, echo, mail) = (Listener::start(), listeners::echo(), listeners::mail());
        let (secrets, accounts) = (home.path().join("secrets"), home.path().join("mail"));
        fs::create_dir(&secrets).unwrap();
        for number in (0..SECRETS).filter(|number| !is_sealed(*number)) {
            fs::write(secrets.join(format!("s{number}")), value(number)).unwrap();
        }
        accounts_in(&accounts, home.path(), (&mail.0, &echo.0));
        let store = format!("sqlite:{}", data.path().join("lockstep.db").display());
        let folders = [&secrets, &accounts].map(|folder| folder.to_str().unwrap());
        let places = ["--store", &store, "--secrets", folders[0], "--mail", folders[1]];
        let more = ["--steps-may-call", "127.0.0.0/8", "--processes", "--log", "trace"];
        let keys = ["--secrets-key", "env:CANARY_KEY", "--otlp-endpoint", &collector.url];
        let flags = [&places[..], &more, &keys].concat();
        let password = canary(VARIABLE);
        let variables = [("CANARY_KEY", key()), ("CANARY_PASSWORD", password)];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let server = Server::start_in(home, &flags, &variables);
        Self { server, data, collector, echo, mail }
    }

    fn shop(&self, args: &[&str]) -> Value {
        self.server.json(&[&["--namespace", "shop"], args].concat())
    }

    /// Seals secrets in the store.
    fn seal(&self) {
        let set = |name: &str, value: &str| {
            let args = ["secret", "set", name, "--namespace", "shop", "--json"];
            run_with(&mut self.server.command(), &args, value).with_code(0);
        };
        for number in (0..SECRETS).filter(|number| is_sealed(*number)) {
            set(&format!("s{number}"), &value(number));
        }
        set("mail", &format!("{}\n", canary(SEALED)));
        // One that is replaced and one that is removed leave nothing, either.
        set("replaced", &canary(SEALED));
        set("replaced", "nothing");
        set("removed", &canary(SEALED));
        self.shop(&["secret", "remove", "removed", "--yes"]);
    }

    /// Runs the workflow to its end, and gives its instance.
    fn play(&self) -> Value {
        let publish = ["workflow", "publish", "-", "--json", "--namespace", "shop"];
        let document = requests(&self.echo.0) + &others(&self.echo.0);
        run_with(&mut self.server.command(), &publish, &document).with_code(0);
        self.shop(&["spec", "set", "name=others"]);
        let id = self.shop(&["run", "birds", "--input", "{}"])["instance"].as_u64().unwrap();
        let unit = until("the step of another worker is there", || {
            let units = self.shop(&["unit", "list", "others"]);
            units["units"].as_array().and_then(|units| units.first().cloned())
        });
        assert!(unit.to_string().contains("{{secret s15#"), "others get the name: {unit}");
        has_no_canary("the units", &unit.to_string());
        let worker = ["worker", "--exec", "echo '{}'", "--spec", "others", "--until-empty"];
        self.server.run(&[&["--namespace", "shop"], &worker[..]].concat()).with_code(0);
        until("the instance has ended", || {
            let shown = self.shop(&["instance", "show", &id.to_string()]);
            shown["ended"].is_string().then_some(shown)
        })
    }

    /// Looks that what was sent has reached whom it was for; the number is of those who heard it.
    fn check_heard(&self) {
        let said: Vec<String> = self.echo.1.try_iter().collect();
        let plain: Vec<String> = said
            .iter()
            .map(|it| percent_decode_str(&it.replace('+', " ")).decode_utf8_lossy().into_owned())
            .collect();
        let has = |number: &usize| {
            let (is, quoted) = (canary(*number), json!(canary(*number)).to_string());
            let inner = quoted[1..quoted.len() - 1].to_owned();
            plain.iter().any(|it| it.contains(&is) || it.contains(&inner))
        };
        let sent: BTreeSet<usize> = (0..=KEY).filter(has).collect();
        let expected = [0, 1, 2, 3, 4, 5, 7, 8, 19, REFRESH, CLIENT];
        assert_eq!(sent, BTreeSet::from(expected), "{said:#?}");
        assert!(said.iter().any(|it| it.to_lowercase().contains("authorization: basic ")));
        let mut wanted: BTreeSet<usize> = BTreeSet::from([FILE, VARIABLE, COMMAND, SEALED, 19]);
        until("all passwords of mail accounts were tried", || {
            for line in self.mail.1.try_iter() {
                let proof = line.rsplit(' ').next().and_then(|proof| STANDARD.decode(proof).ok());
                let proof = String::from_utf8_lossy(&proof.unwrap_or_default()).into_owned();
                wanted.retain(|it| !line.contains(&canary(*it)) && !proof.contains(&canary(*it)));
            }
            wanted.is_empty().then_some(())
        });
    }

    /// Asks for what is refused, and for what is not there.
    fn err(&self) {
        let server = &self.server;
        let unknown = json!({"commands": [{"secret": {"set": {"value": canary(HEADER)}}}]});
        assert_eq!(post(&server.url, "/v1/write", &unknown.to_string()), 400);
        for args in [["secret", "set", "a b"], ["secret", "set", ".a"]] {
            let said = run_with(&mut server.command(), &args, &canary(HEADER)).with_code(2);
            has_no_canary("a refusal", &said.err);
        }
        let said = run(&mut server.command(), &["secret", "remove", "none", "--yes"]).with_code(3);
        assert!(said.err.contains("code: no_such_secret"), "{said:?}");
        let hook = json!({"order": 1}).to_string();
        assert_eq!(post(&server.url, "/hooks/shop/none", &hook), 202);
    }
}

/// The key, in a form in which it is looked for.
fn key() -> String {
    let bytes = format!("{:-<32}", canary(KEY));
    bytes.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes accounts that know their passwords in each way that there is.
fn accounts_in(folder: &Path, home: &Path, (mail, echo): (&str, &str)) {
    fs::create_dir(folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (password, command) = (file("password", &canary(FILE)), file("command", &canary(COMMAND)));
    let (refresh, client) = (file("refresh", &canary(REFRESH)), file("client", &canary(CLIENT)));
    let oauth = format!(
        "oauth = {{token_url = \"{echo}/oauth2/token\", client_id = \"me\", \
         client_secret_file = \"{client}\", refresh_token_file = \"{refresh}\"}}"
    );
    let accounts = [
        ("file", format!("password_file = \"{password}\"")),
        ("variable", "password_env = \"CANARY_PASSWORD\"".to_owned()),
        ("command", format!("password_command = \"cat {command}\"")),
        ("sealed", "password_secret = \"mail\"".to_owned()),
        ("oauth", oauth),
    ];
    for (name, how) in accounts {
        let maildir = home.join(format!("maildir-{name}"));
        let text = format!(
            "namespace = \"shop\"\n[left]\nurl = \"imap+plain://me@{mail}\"\n{how}\n[right]\n\
             url = \"maildir:{}\"\n",
            maildir.display()
        );
        fs::write(folder.join(format!("{name}.toml")), text).unwrap();
    }
}

/// Gives the pages that show something of everything.
fn pages(instance: u64) -> Vec<String> {
    let all = ["/ui", "/ui/namespaces", "/ui/tokens", "/ui/nodes"].map(str::to_owned);
    let parts = ["", "/specs", "/secrets", "/events", "/mail", "/runs", "/instances", "/workers"];
    let mut pages: Vec<String> = parts.iter().map(|part| format!("/ui/ns/shop{part}")).collect();
    pages.extend(all);
    pages.extend(["file", "sealed", "oauth"].map(|name| format!("/ui/ns/shop/mail/{name}")));
    pages.push("/ui/ns/shop/definition/birds".to_owned());
    pages.extend((0..40).map(|seq| format!("/ui/ns/shop/instance/{instance}?seq={seq}")));
    pages
}

#[test]
fn no_secret_is_kept_or_told_anywhere() {
    let stage = Stage::start();
    stage.seal();
    let done = stage.play();
    assert_eq!(done["status"], "finished", "{done}");
    stage.check_heard();
    stage.err();
    let server = &stage.server;
    let token = server.json(&["token", "create", "--all-namespaces", "--scope", "*"]);
    let token = token["token"].as_str().unwrap().to_owned();
    run(server.command().env("LOCKSTEP_TOKEN", &token), &["spec", "list"]).with_code(0);

    // Nobody is told them.
    let id = done["id"].as_u64().unwrap();
    let number = id.to_string();
    let asked = [
        &["instance", "journal", &number][..],
        &["event", "list", "--limit", "0"],
        &["secret", "list"],
        &["audit", "list", "--limit", "0"],
        &["mail", "status", "--server"],
        &["workflow", "show", "shop/birds"],
        &["unit", "list", "lockstep.http"],
    ];
    let told: Vec<String> = asked.iter().map(|args| stage.shop(args).to_string()).collect();
    assert!(told[0].contains("{{secret s9#"), "what came back is told by name");
    has_no_canary("the instance", &done.to_string());
    asked.iter().zip(&told).for_each(|(args, told)| has_no_canary(&args.join(" "), told));
    for page in pages(id) {
        let mark = if page.contains('?') { '&' } else { '?' };
        has_no_canary(&page, &fetch(&server.url, &page));
        let twin = format!("{page}{mark}format=json");
        has_no_canary(&twin, &fetch(&server.url, &twin));
    }
    has_no_canary("the metrics", &fetch(&server.url, "/metrics"));
    // With the write-ahead log, and while the server runs.
    has_no_canary_in(stage.data.path());
    let kept = |folder: &Path| {
        for file in forms::files(folder) {
            let text = fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains(&token), "{}", file.display());
        }
    };
    kept(stage.data.path());

    let Stage { server, data, collector, .. } = stage;
    let (_, lines) = server.terminate();
    assert!(lines.iter().any(|line| line.contains("TRACE")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains(&token)), "a token is told");
    lines.iter().for_each(|line| has_no_canary("the log", line));
    let spans = collector.heard();
    assert!(!spans.is_empty());
    spans.iter().for_each(|(head, body)| has_no_canary("a span", &format!("{head}{body}")));
    has_no_canary_in(data.path());
    export(data.path());
    kept(data.path());
}

/// Exports the store and looks into what was written.
fn export(data: &Path) {
    let store = format!("sqlite:{}", data.join("lockstep.db").display());
    let file = data.join("export");
    let args = ["export", "--store", &store, "--out", file.to_str().unwrap()];
    run(&mut crate::support::lockstep(data), &args).with_code(0);
    has_no_canary_in(data);
}
