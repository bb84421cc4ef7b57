//! Canaries: the values of secrets go where steps send them, and are kept nowhere.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Server, run_with, until};

const SECRETS: usize = 20;

fn canary(number: usize) -> String {
    format!("canary-{number:02}-7c1e")
}

/// Says back what it was told, as JSON, and gives it to the test; a path with `fail` gives an error
/// that says it, too.
fn echo() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            // What a client sends in one go comes in a few parts; then it waits.
            while let Ok(read @ 1..) = stream.read(&mut part) {
                request.extend_from_slice(&part[..read]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let mut body = json!({"said": request});
            if request.contains("/oauth2/token") {
                body["access_token"] = canary(19).into();
            }
            let body = body.to_string();
            let status = if request.contains("/fail") { "500 No" } else { "200 OK" };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            let _test_is_over = sender.send(request);
        }
    });
    (url, heard)
}

/// A workflow that brings each of its secrets into a step of some kind; first those that go along
/// with requests.
fn requests(echo: &str) -> String {
    let names: Vec<String> = (0..SECRETS).map(|number| format!("s{number}")).collect();
    format!(
        r#"document: {{dsl: 1.0.3, namespace: shop, name: canaries, version: 1.0.0}}
use: {{secrets: [{names}]}}
do:
- set:
    set: {{a: '${{ $secrets.s0 }}', b: '${{ "x" + $secrets.s1.inner }}'}}
    export: {{as: '${{ . }}'}}
- header:
    call: http
    with:
      method: get
      endpoint: '{echo}/header'
      headers: {{x-canary: '${{ "Key " + $secrets.s2 }}'}}
- body:
    call: http
    with: {{method: post, endpoint: '{echo}/body', body: {{deep: ['${{ $secrets.s3 }}']}}}}
- query:
    call: http
    with: {{method: get, endpoint: '{echo}/query', query: {{key: '${{ $secrets.s4 }}'}}}}
- bearer:
    call: http
    with:
      method: get
      endpoint: {{uri: '{echo}/bearer', authentication: {{bearer: {{use: s5}}}}}}
- basic:
    call: http
    with:
      method: get
      endpoint: {{uri: '{echo}/basic', authentication: {{basic: {{use: s6}}}}}}
- oauth:
    call: http
    with:
      method: get
      endpoint:
        uri: '{echo}/oauth'
        authentication:
          oauth2:
            authority: '{echo}'
            grant: client_credentials
            client: {{id: me, secret: '${{ $secrets.s7 }}'}}
"#,
        names = names.join(", ")
    )
}

/// The rest of it: what fails, what runs here, and what is done without a request.
fn others(echo: &str) -> String {
    format!(
        r#"- fails:
    try:
    - ask:
        call: http
        with: {{method: post, endpoint: '{echo}/fail', body: '${{ $secrets.s8 }}'}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- shell:
    run:
      shell:
        command: 'echo "$CANARY" "$0"; echo "$CANARY" >&2'
        environment: {{CANARY: '${{ $secrets.s9 }}'}}
      return: all
- broken:
    try:
    - shell:
        run:
          shell:
            command: 'echo "$CANARY" >&2; exit 3'
            environment: {{CANARY: '${{ $secrets.s10 }}'}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- emit:
    emit:
      event: {{with: {{source: shop, type: told.v1, data: {{canary: '${{ $secrets.s11 }}'}}}}}}
- choose: {{switch: [{{yes: {{when: '$secrets.s12 == "x"', then: end}}}}, {{no: {{then: each}}}}]}}
- each:
    for: {{each: item, in: '${{ [$secrets.s13] }}'}}
    do: [{{keep: {{set: {{kept: '${{ $item }}'}}}}}}]
- fork: {{fork: {{branches: [{{one: {{set: {{kept: '${{ $secrets.s14 }}'}}}}}}]}}}}
- unit: {{call: work, with: {{spec: others, data: {{canary: '${{ $secrets.s15 }}'}}}}}}
- raises:
    try:
    - raise:
        raise:
          error: {{type: 'https://x.example/e', status: 400, detail: '${{ $secrets.s16 }}'}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- computes:
    try:
    - error: {{set: {{kept: '${{ $secrets.s17 | error }}'}}}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- wait: {{wait: {{milliseconds: 10}}, output: {{as: '${{ {{kept: $secrets.s18}} }}'}}}}
- last:
    call: http
    with: {{method: post, endpoint: '{echo}/last', body: '${{ $context }}'}}
"#
    )
}

/// Gives the files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[track_caller]
fn has_no_canary(what: &str, text: &str) {
    if let Some(place) = text.find("canary-") {
        let start = text[..place].char_indices().rev().nth(200).map_or(0, |(at, _)| at);
        panic!("{what}: …{}", &text[start..(place + 60).min(text.len())]);
    }
}

#[test]
fn no_secret_is_kept_anywhere() {
    let (echo, heard) = echo();
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..SECRETS {
        let secret = match number {
            1 => json!({"inner": canary(1)}).to_string(),
            6 => json!({"username": "me", "password": canary(6)}).to_string(),
            _ => canary(number),
        };
        fs::write(folder.path().join(format!("s{number}")), secret).unwrap();
    }
    let store = format!("sqlite:{}", home.path().join("data/lockstep.db").display());
    let secrets = folder.path().to_str().unwrap();
    let flags =
        ["--store", &store, "--secrets", secrets, "--processes", "--steps-may-call", "127.0.0.0/8"];
    let server = Server::start_with(home, &flags);
    let shop = |args: &[&str]| server.json(&[&["--namespace", "shop"], args].concat());
    let publish = ["workflow", "publish", "-", "--json", "--namespace", "shop"];
    let document = requests(&echo) + &others(&echo);
    run_with(&mut server.command(), &publish, &document).with_code(0);
    shop(&["spec", "set", "name=others"]);
    let id = shop(&["run", "canaries", "--input", "{}"])["instance"].as_u64().unwrap();
    let unit = until("the step of another worker is there", || {
        let units = shop(&["unit", "list", "others"]);
        units["units"].as_array().and_then(|units| units.first().cloned())
    });
    assert!(unit.to_string().contains("{{secret s15#"), "others get the name: {unit}");
    let worker = ["worker", "--exec", "echo '{}'", "--spec", "others", "--until-empty"];
    server.run(&[&["--namespace", "shop"], &worker[..]].concat()).with_code(0);
    let id = id.to_string();
    let done = until("the instance has ended", || {
        let shown = shop(&["instance", "show", &id]);
        shown["ended"].is_string().then_some(shown)
    });
    assert_eq!(done["status"], "finished", "{done}");

    // Where they are sent, they come as they are; what expressions made of them, too.
    let said: Vec<String> = heard.try_iter().collect();
    let sent: BTreeSet<usize> =
        (0..SECRETS).filter(|number| said.iter().any(|it| it.contains(&canary(*number)))).collect();
    assert_eq!(sent, BTreeSet::from([0, 1, 2, 3, 4, 5, 7, 8, 19]), "{said:#?}");
    assert!(said.iter().any(|it| it.to_lowercase().contains("authorization: basic ")));

    // And nobody is told them.
    let shown = |args: &[&str]| shop(args).to_string();
    has_no_canary("the instance", &done.to_string());
    has_no_canary("the journal", &shown(&["instance", "journal", &id]));
    has_no_canary("the events", &shown(&["event", "list"]));
    has_no_canary("the units", &unit.to_string());
    let journal: Value = shop(&["instance", "journal", &id]);
    assert!(journal.to_string().contains("{{secret s9#"), "what came back is told by name");
    let kept = server.kill_and_keep();
    let all = files(&kept.path().join("data"));
    assert!(!all.is_empty());
    for file in all {
        let bytes = fs::read(&file).unwrap();
        has_no_canary(&file.display().to_string(), &String::from_utf8_lossy(&bytes));
        // The password in its header is a secret, too.
        let basic = "bWU6Y2FuYXJ5LTA2";
        assert!(!String::from_utf8_lossy(&bytes).contains(basic), "{}", file.display());
    }
}
