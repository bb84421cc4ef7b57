//! Broken requests: a seeded run of requests that are wrong in some way, on a real server.
//!
//! Whatever comes, the server answers, and never with its own failure; what it refuses changes
//! nothing; and data that no request names stays as it is.

mod request;
mod sample;
mod spoil;

use std::{
    collections::BTreeMap,
    fmt, io,
    time::{Duration, Instant},
};

use model::{
    Answer as Told, AttemptsOf, Backend, Namespace, Page, Query, QueueCommand, Result as Done,
    SpecName, SpecRef, UnitFilter, UnitName, UnitRef, Write, data_from_json,
};
use serde_json::{Value, json};

use self::{
    request::Request,
    sample::{Known, Routes, tended},
};
use super::{
    http::{Answer, Caller, Connection},
    local::{Local, panics},
    random::Random,
};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How long a request that may ask the server to wait is waited for.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// How long a claim whose caller has gone may still find something.
const WAITED_OUT: Duration = Duration::from_secs(1);
/// Requests after which there may be little left to ask for.
const TEND_EVERY: usize = 50;
/// Things of one kind that are remembered.
const KNOWN_MAX: usize = 8;
/// A server may refuse a longer request before it has read all of it, and then its answer can be
/// lost on the way.
const READ_WHOLE_MAX: usize = 4 << 10;

/// What a run of broken requests found.
#[derive(Debug, Default)]
pub struct BrokenReport {
    /// Answers by status; 0 counts requests that a server may leave without one.
    pub statuses: BTreeMap<u16, usize>,
    /// For each operation, how often it succeeded and how often it was refused.
    pub operations: BTreeMap<String, (usize, usize)>,
    /// Panics on the server's threads.
    pub panics: u64,
    /// What should not be.
    pub violations: Vec<String>,
}

impl BrokenReport {
    /// Counts the answers whose status is in a class, such as 4 for those from 400 to 499.
    pub fn class(&self, class: u16) -> usize {
        let of_class = self.statuses.iter().filter(|(status, _)| **status / 100 == class);
        of_class.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for BrokenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panics, statuses {:?}", self.panics, self.statuses)?;
        write!(f, ": {} violations", self.violations.len())?;
        for violation in self.violations.iter().take(10) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

/// Sends so many requests.
#[track_caller]
pub fn broken(local: &Local, requests: usize, seed: u64) -> BrokenReport {
    let routes = Routes::new();
    let mut random = Random::new(seed);
    let panics_before = panics();
    local.block_on(set_up(&*local.backend)).expect("a canary");
    let before = local.block_on(canary(&*local.backend)).expect("the canary");
    let report = BrokenReport::default();
    let mut run = Run { local, connection: None, waited: None, known: Known::default(), report };
    for number in 0..requests {
        if number % TEND_EVERY == 0 {
            run.tend();
        }
        let (operation, request) = routes.request(&run.known, &mut random);
        run.one(&operation, &request);
    }
    run.sane();
    let mut report = run.report;
    if local.block_on(canary(&*local.backend)).as_ref() != Ok(&before) {
        report.violations.push("data that no request named has changed".to_owned());
    }
    report.panics = panics() - panics_before;
    report
}

struct Run<'a> {
    local: &'a Local,
    connection: Option<Connection>,
    /// When a claim was last left waiting.
    waited: Option<Instant>,
    known: Known,
    report: BrokenReport,
}

impl Run<'_> {
    fn one(&mut self, operation: &str, request: &Request) {
        let bytes = request.bytes(self.local.address);
        let commits = self.local.backend.commits();
        let reused = self.connection.is_some();
        let mut answer = self.send(request, &bytes);
        let lost = |error: &io::Error| error.kind() != io::ErrorKind::WouldBlock;
        if reused && answer.as_ref().is_err_and(lost) {
            // The server may have closed the connection after the request before.
            answer = self.send(request, &bytes);
        }
        match answer {
            Ok(answer) => {
                let changed = self.local.backend.commits() != commits;
                self.remember(&answer);
                self.judge(operation, &bytes, &answer, changed);
            }
            Err(error) => {
                *self.report.statuses.entry(0).or_default() += 1;
                if error.kind() == io::ErrorKind::WouldBlock && request.may_wait() {
                    self.waited = Some(Instant::now());
                } else if request.is_whole() && bytes.len() < READ_WHOLE_MAX {
                    self.violation("gets no answer", &bytes, &error.to_string());
                }
            }
        }
    }

    fn send(&mut self, request: &Request, bytes: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.local.address, ANSWER_MAX)?,
        };
        connection.set_patience(if request.may_wait() { WAIT_MAX } else { ANSWER_MAX })?;
        // A server may refuse before it has read everything, so its answer counts in any case.
        let sent = connection.send(bytes);
        if !request.is_whole() {
            let _closed = connection.end_sending();
        }
        let answer = connection.receive(request.method())?;
        if sent.is_ok() && request.is_whole() && answer.keeps_open() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn judge(&mut self, operation: &str, bytes: &[u8], answer: &Answer, changed: bool) {
        let status = answer.status;
        *self.report.statuses.entry(status).or_default() += 1;
        let counts = self.report.operations.entry(operation.to_owned()).or_default();
        match status {
            200..300 => counts.0 += 1,
            400..500 => counts.1 += 1,
            _ => {}
        }
        let text = String::from_utf8_lossy(&answer.body);
        if status >= 500 && status != 503 {
            self.violation(&format!("gets {status}"), bytes, &text);
        }
        let is_json = answer.header("content-type").is_some_and(|media| media.contains("json"));
        let is_told = is_json && !bytes.starts_with(b"HEAD");
        if status >= 400 && is_told && answer.code().is_empty() {
            self.violation("is refused without a code", bytes, &text);
        }
        // A refusal with 409 may have ended an attempt that had lost its lease anyway.
        let settled = self.waited.is_none_or(|waited| waited.elapsed() > WAITED_OUT);
        if (400..500).contains(&status) && status != 409 && changed && settled {
            self.violation(&format!("gets {status}, but changed something"), bytes, &text);
        }
    }

    /// Sees to it that there are specs, units and attempts that requests can find.
    fn tend(&mut self) {
        let mut caller = Caller::new(self.local.address, ANSWER_MAX);
        let units = json!({"work_units": [
            {"name": "u1"}, {"name": "u2", "data": {"a": 1}}, {"name": "u3"}, {"name": ""},
            {"name": "\0"}, {"name_base64": "//4="},
        ]});
        let claim = json!({"work_specs": ["plain"], "number_of_work_units": 2});
        let documents = json!({"documents": [{"source": tended("1.0.0")}]});
        let newer = json!({"documents": [{"source": tended("1.1.0")}]});
        let draft = json!({"source": tended("2.0.0")});
        let requests = [
            ("PUT", "/definition/tended/draft", draft),
            ("POST", "/definition", documents),
            ("POST", "/definition", newer),
            ("POST", "/instance", json!({"definition": "tended"})),
            ("POST", "/work_spec", json!({"data": {"name": "plain"}})),
            ("POST", "/work_spec", json!({"data": {"name": "chain", "then": "plain"}})),
            ("POST", "/work_spec/plain/work_unit", units),
            ("POST", "/worker/w1/request_attempts", claim.clone()),
            ("POST", "/worker/w2/request_attempts", claim),
        ];
        for (method, path, body) in requests {
            match caller.call(method, &format!("/namespace/rig{path}"), None, &body) {
                Ok(answer) if answer.status < 300 => self.remember(&answer),
                other => self.report.violations.push(format!("{path} gets {other:?}")),
            }
        }
    }

    /// Remembers what an answer is about, so that later requests can change it.
    fn remember(&mut self, answer: &Answer) {
        let told = answer.json();
        self.known.instances.extend(told.get("instance").and_then(Value::as_u64));
        let published = told.get("published").and_then(Value::as_array).into_iter().flatten();
        let runs = published.filter_map(|one| one.get("run").and_then(Value::as_u64));
        self.known.runs.extend(runs);
        let attempts = told.get("attempts").and_then(Value::as_array);
        let one = told.get("worker_url").is_some().then_some(&told);
        let urls =
            attempts.into_iter().flatten().chain(one).filter_map(|attempt| {
                attempt.get("url").and_then(Value::as_str).map(str::to_owned)
            });
        self.known.attempts.extend(urls);
        keep_newest(&mut self.known.attempts);
        keep_newest(&mut self.known.instances);
        keep_newest(&mut self.known.runs);
    }

    fn violation(&mut self, what: &str, bytes: &[u8], answer: &str) {
        let shown = bytes.get(..bytes.len().min(1_000)).unwrap_or_default().escape_ascii();
        let answer: String = answer.chars().take(300).collect();
        self.report.violations.push(format!("{shown}\n    {what}: {answer}"));
    }

    /// The server still does what it is there for.
    fn sane(&mut self) {
        let mut caller = Caller::new(self.local.address, ANSWER_MAX);
        let spec = json!({"data": {"name": "sane"}});
        let mut post = |path: &str, body| caller.call("POST", path, None, body);
        let set = post("/namespace/sane/work_spec", &spec);
        let added = post("/namespace/sane/work_spec/sane/work_unit", &json!({"name": "unit"}));
        let shown = caller.get("/namespace/sane/work_spec/sane/work_unit/unit");
        for (answer, status) in [(set, 201), (added, 201), (shown, 200)] {
            if !answer.as_ref().is_ok_and(|answer| answer.status == status) {
                self.report.violations.push(format!("a sane request gets {answer:?}"));
            }
        }
    }
}

fn keep_newest<T>(known: &mut Vec<T>) {
    let old = known.len().saturating_sub(KNOWN_MAX);
    known.drain(..old);
}

fn canary_names() -> Done<(Namespace, SpecRef, UnitName)> {
    let spec = SpecRef { name: SpecName::new("canary")?, id: None };
    Ok((Namespace::new("canary")?, spec, UnitName::new(*b"bird")?))
}

/// Makes data that no request names.
async fn set_up(backend: &dyn Backend) -> Done<()> {
    let (namespace, spec, name) = canary_names()?;
    let dict = |value| data_from_json(&value);
    let unit = model::NewUnit {
        name,
        data: dict(json!({"sings": true}))?,
        meta: model::UnitMeta::default(),
        delay: None,
    };
    let set = QueueCommand::SetSpec { data: dict(json!({"name": "canary"}))? };
    let add = QueueCommand::AddUnits(model::AddUnits { spec, units: vec![unit] });
    let commands = vec![set.into(), add.into()];
    backend
        .write(Write { commands, ..Write::one(&namespace, QueueCommand::CreateNamespace) })
        .await?;
    Ok(())
}

/// Looks at the data that no request names.
async fn canary(backend: &dyn Backend) -> Done<Vec<Told>> {
    let (namespace, spec, name) = canary_names()?;
    let unit = UnitRef { spec: spec.name.clone(), name, id: None };
    let queries = [
        Query::Namespace(namespace.clone()),
        Query::Specs(namespace.clone(), Page::default()),
        Query::Units(namespace.clone(), spec, UnitFilter::default()),
        Query::Attempts(namespace.clone(), AttemptsOf::Unit(unit), Page::default()),
        Query::Workers(namespace.clone(), Page::default()),
        Query::Summary(Some(namespace), None),
    ];
    let mut told = Vec::new();
    for query in queries {
        told.push(backend.read(query, 0).await?.answer);
    }
    Ok(told)
}
