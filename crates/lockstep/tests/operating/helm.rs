//! The chart for Kubernetes: what can be said of it without Kubernetes.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use serde_json::Value;

use super::deploy::{known, understood};
use crate::support::{Server, get};

fn chart() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/helm/lockstep")
}

fn values() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(chart().join("values.yaml")).unwrap()).unwrap()
}

/// The templates by name.
fn templates() -> BTreeMap<String, String> {
    let files = fs::read_dir(chart().join("templates")).unwrap().map(Result::unwrap);
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    files.map(|it| (it.file_name().into_string().unwrap(), read(it.path()))).collect()
}

/// What stands in double braces.
fn actions(text: &str) -> Vec<&str> {
    let parts = text.split("{{").skip(1);
    parts.map(|part| part.split_once("}}").expect("braces are closed").0).collect()
}

/// Follows a path such as `.Values.image.tag`.
fn value<'a>(values: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').skip(2).try_fold(values, |at, key| at.get(key))
}

#[test]
fn templates_ask_for_values_that_are_there() {
    let values = values();
    for (name, text) in templates() {
        let (mut open, mut asked) = (0_i32, 0);
        for action in actions(&text) {
            let action = action.trim_matches(['-', ' ']);
            match action.split(' ').next().unwrap() {
                "if" | "with" | "range" | "define" => open += 1,
                "end" => open -= 1,
                _ => {}
            }
            assert!(open >= 0, "{name}: {action}");
            for word in action.split([' ', '(', ')']).filter(|word| word.starts_with(".Values.")) {
                assert!(value(&values, word).is_some(), "{name}: no value {word}");
                asked += 1;
            }
        }
        assert_eq!(open, 0, "{name}: something is not ended");
        assert!(asked > 0 || name == "_helpers.tpl", "{name}");
    }
}

#[test]
fn the_deployment_runs_what_there_is() {
    let deployment = &templates()["deployment.yaml"];
    let values = values();
    let text = |path| value(&values, path).and_then(Value::as_str).unwrap().to_owned();
    let store =
        format!("{}?password_file=/run/secrets/lockstep/password", text(".Values.postgres.url"));
    let variables = BTreeMap::from([
        ("LOCKSTEP_STORE".to_owned(), store),
        ("LOCKSTEP_LISTEN".to_owned(), "0.0.0.0:5980".to_owned()),
        (
            "LOCKSTEP_PEER_URL".to_owned(),
            format!("{}://10.0.0.7:5980", text(".Values.peers.scheme")),
        ),
        ("LOCKSTEP_RPC".to_owned(), "off".to_owned()),
        ("LOCKSTEP_LOG_FORMAT".to_owned(), text(".Values.log.format")),
        ("LOCKSTEP_LOG".to_owned(), text(".Values.log.filter")),
    ]);
    let named = deployment.lines().filter_map(|line| line.trim().strip_prefix("- name: LOCKSTEP_"));
    let named: Vec<String> = named.map(|name| format!("LOCKSTEP_{name}")).collect();
    let mut expected: Vec<_> = variables.keys().cloned().collect();
    expected.sort_by_key(|name| named.iter().position(|it| it == name));
    assert_eq!(named, expected);
    known(&variables);
    assert!(deployment.contains("args: [\"serve\"]"));
    understood(&["serve"]);
    let server = Server::start();
    let probes =
        deployment.lines().filter_map(|line| line.split_once("path: /")?.1.split(',').next());
    let probes: Vec<&str> = probes.collect();
    assert_eq!(probes, ["readyz", "livez", "readyz"]);
    for probe in probes {
        assert_eq!(get(&server.url, &format!("/{probe}")), 200);
    }
    for hardened in [
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [ALL]",
        "automountServiceAccountToken: false",
    ] {
        assert!(deployment.contains(hardened), "{hardened}");
    }
}

/// Where Helm is, it says what it thinks of the chart.
#[test]
fn helm_takes_the_chart() {
    for args in
        [["lint", "--strict"].as_slice(), &["template", "--set=serviceMonitor.enabled=true"]]
    {
        match Command::new("helm").args(args).arg(chart()).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{args:?}: {said}");
            }
            Err(error) => eprintln!("not tried: {error}"),
        }
    }
}
