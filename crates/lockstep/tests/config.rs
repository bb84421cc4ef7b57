//! Settings and where they come from.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Said, lockstep, run};

fn setting<'a>(settings: &'a Value, key: &str) -> &'a Value {
    let all = settings["settings"].as_array().unwrap();
    all.iter().find(|setting| setting["key"] == key).unwrap()
}

#[test]
fn each_layer_wins_over_those_below() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/lockstep");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    fs::write(&file, "url = \"http://file\"\nnamespace = \"file\"\n[serve]\ngrace = \"3s\"\n")
        .unwrap();
    let mut command = lockstep(home.path());
    command.env("LOCKSTEP_URL", "http://env").env("LOCKSTEP_NAMESPACE", "env");
    let args = ["config", "show", "--origin", "--json", "--namespace", "flag"];
    let shown = run(&mut command, &args).with_code(0).json();

    let expect = |key: &str, value: &str, origin: String| {
        assert_eq!(setting(&shown, key), &json!({"key": key, "value": value, "origin": origin}));
    };
    expect("namespace", "flag", "flag --namespace".to_owned());
    expect("url", "http://env", "environment LOCKSTEP_URL".to_owned());
    expect("serve.grace", "3s", format!("file {}", file.display()));
    expect("serve.listen", "127.0.0.1:5980", "default".to_owned());
    let store = format!("sqlite:{}/.local/share/lockstep/lockstep.db", home.path().display());
    expect("serve.store", &store, "default".to_owned());
    assert_eq!(setting(&shown, "token")["value"], Value::Null);
}

#[test]
fn secrets_are_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let mut command = lockstep(home.path());
    command.env("LOCKSTEP_TOKEN", "lk_secret");
    let said = run(&mut command, &["config", "show", "--origin"]).with_code(0);
    assert!(!said.out.contains("lk_secret") && said.out.contains("(hidden)"), "{said:?}");
}

#[test]
fn wrong_settings_are_refused_with_a_hint() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("lockstep.toml");
    let check = |text: &str| -> Said {
        fs::write(&file, text).unwrap();
        run(&mut lockstep(home.path()), &["config", "check", "--config", file.to_str().unwrap()])
    };
    for (text, part, hint) in [
        ("ulr = \"x\"", "unknown key \"ulr\"", "did you mean \"url\"?"),
        ("lissten = \"x\"", "unknown key \"lissten\"", "did you mean \"serve.listen\"?"),
        ("zzz = 1", "unknown key \"zzz\"", "the keys are url, token,"),
        ("url = ", "is not TOML", "correct the file"),
        ("[serve]\ngrace = \"soon\"", "\"soon\" is not a span of time", ""),
        ("[serve]\nlisten = \"here\"", "\"here\" is not an address", "127.0.0.1:5980"),
        ("[serve]\nstore = \"mysql\"", "unknown store \"mysql\"", "sqlite:PATH"),
        ("[serve]\nrequire_token = \"maybe\"", "\"maybe\" is neither", "`true` or `false`"),
        ("[serve]\nrate_limit = -1", "\"-1\" is not a number", "0 for no limit"),
        ("[log]\nformat = \"xml\"", "unknown log format \"xml\"", "`json`"),
    ] {
        let said = check(text).with_code(2);
        assert!(said.err.contains(part) && said.err.contains(hint), "{said:?}");
    }
    check("url = \"http://127.0.0.1:1\"\n[log]\nfilter = \"warn\"").with_code(0);
    run(&mut lockstep(home.path()), &["config", "check", "--config", "/nonexistent"]).with_code(1);
}

#[test]
fn a_file_of_one_s_own_holds_the_token() {
    let home = tempfile::tempdir().unwrap();
    let mut command = lockstep(home.path());
    command.env("LOCKSTEP_URL", "http://127.0.0.1:1").env("LOCKSTEP_TOKEN_FILE", "/nonexistent");
    let said = run(&mut command, &["spec", "list"]).with_code(1);
    assert!(said.err.contains("cannot read the token file /nonexistent"), "{said:?}");
}
