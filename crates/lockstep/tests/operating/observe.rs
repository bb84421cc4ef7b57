//! The dashboard and the alert rules: every metric and label in them is one that a server has, and
//! every metric of a server is in the book.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
};

use serde_json::Value;

use crate::support::{Server, fetch, run_with, until};

fn file(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The metrics of a server by name, each with its labels.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Reads the text format; the parts of a histogram count as metrics of their own.
fn parse(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            metrics.entry(rest.split(' ').next().unwrap().to_owned()).or_default();
        } else if !line.starts_with('#') && !line.is_empty() {
            let end = line.find(['{', ' ']).unwrap();
            let labels = metrics.entry(line[..end].to_owned()).or_default();
            labels.extend(labels_of(&line[end..]));
        }
    }
    metrics
}

/// Finds the names before `=` in the braces that a text begins with.
fn labels_of(text: &str) -> Vec<String> {
    let Some(inside) = text.strip_prefix('{') else { return Vec::new() };
    let mut labels = Vec::new();
    let (mut name, mut is_quoted) = (String::new(), false);
    for c in inside.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '}' => break,
            ',' => name.clear(),
            '=' | '!' if !name.is_empty() => labels.push(std::mem::take(&mut name)),
            '=' | '!' | '~' | ' ' => {}
            c => name.push(c),
        }
    }
    labels
}

/// Makes a server do a little of everything.
fn busy() -> Server {
    let server = Server::start_with(
        tempfile::tempdir().unwrap(),
        &["--store", "memory", "--rpc", "127.0.0.1:0"],
    );
    let mut rpc = TcpStream::connect(server.rpc_address()).unwrap();
    // A frame with nothing in it, which is answered as what cannot be read.
    rpc.write_all(&[0xd8, 0x18, 0x40]).unwrap();
    assert!(rpc.read(&mut [0; 64]).unwrap() > 0);
    let run = |args: &[&str]| {
        server.run(&[&["--namespace", "n"], args].concat()).with_code(0);
    };
    run(&["spec", "set", "name=s"]);
    run(&["unit", "add", "s", "good"]);
    run(&["unit", "add", "s", "bad"]);
    run(&["unit", "add", "s", "left"]);
    let exec = r#"test "$LOCKSTEP_UNIT" = good"#;
    run(&["worker", "--exec", exec, "--spec", "s", "--until-empty"]);
    run(&["unit", "add", "s", "more"]);
    let document = "document: {dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}\n\
                    do: [a: {set: {b: 1}}]\n";
    let publish = ["workflow", "publish", "-", "--namespace", "n"];
    run_with(&mut server.command(), &publish, document).with_code(0);
    run(&["run", "w", "--follow"]);
    server
}

/// What an expression asks for: names of metrics, with labels.
fn asked(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for prefix in ["lockstep_", "coordinate_"] {
        for (at, _) in expression.match_indices(prefix) {
            let before = expression[..at].chars().next_back();
            let rest = &expression[at..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if !before.is_some_and(is_name) {
                found.push((rest[..end].to_owned(), labels_of(&rest[end..])));
            }
        }
    }
    found
}

/// Insists that a server has what is asked for.
fn answered(what: &str, expression: &str, metrics: &Metrics) {
    let balance = expression.matches('(').count() == expression.matches(')').count();
    assert!(balance && expression.matches('{').count() == expression.matches('}').count());
    let asked = asked(expression);
    assert!(!asked.is_empty() || expression.starts_with("up{"), "{what}: {expression}");
    for (name, labels) in asked {
        let known = metrics.get(&name).unwrap_or_else(|| panic!("{what}: nothing is {name}"));
        for label in labels {
            // What is scraped gets this one from Prometheus.
            let is_there = label == "instance" || known.contains(&label);
            assert!(is_there, "{what}: {name} has no {label}, but {known:?}");
        }
    }
}

#[test]
fn dashboards_and_alerts_ask_for_what_a_server_has() {
    let server = busy();
    let metrics = until("the instance is done", || {
        let metrics = parse(&fetch(&server.url, "/metrics"));
        metrics.contains_key("lockstep_pipeline_barrier_seconds_bucket").then_some(metrics)
    });
    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/lockstep.json")).unwrap();
    let mut panels = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            panels += 1;
            answered(title, target["expr"].as_str().unwrap(), &metrics);
        }
    }
    assert!(panels > 20, "{panels}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let name = variable["name"].as_str().unwrap();
        answered(name, query, &metrics);
        let label = query.rsplit_once(", ").unwrap().1.trim_end_matches(')');
        let (metric, _) = asked(query).remove(0);
        assert!(label == "instance" || metrics[&metric].contains(label), "{query}");
    }
    let alerts: Value = serde_saphyr::from_str(&file("deploy/prometheus/alerts.yaml")).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() > 5);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        answered(name, rule["expr"].as_str().unwrap(), &metrics);
        for paper in ["summary", "action"] {
            assert!(rule["annotations"][paper].is_string(), "{name} has no {paper}");
        }
    }
}

#[test]
fn the_book_has_every_metric() {
    let server = busy();
    let page = file("docs/book/src/howto/metrics.md");
    let metrics = parse(&fetch(&server.url, "/metrics"));
    assert!(metrics.len() > 20);
    for name in metrics.keys() {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        assert!(page.contains(&format!("| `{whole}` |")), "{name} is not in the book");
    }
}

#[test]
fn what_nothing_has_is_noticed() {
    let metrics = parse("# TYPE a_total counter\nlockstep_b{x=\"1\",y=\"}\"} 1\n");
    assert_eq!(metrics["lockstep_b"].iter().collect::<Vec<_>>(), ["x", "y"]);
    answered("good", "sum(lockstep_b{x!~\"a=b\", y=\"1\"})", &metrics);
    for wrong in ["lockstep_c", "lockstep_b{z=\"1\"}", "up == 0"] {
        let refused = std::panic::catch_unwind(|| answered("bad", wrong, &metrics));
        assert!(refused.is_err(), "{wrong}");
    }
}
