//! The frozen worker: it holds a unit, is stopped past its lease, and wakes up when another has
//! finished the unit. Nothing that it does then may change anything.

use std::{
    fs,
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use super::{
    http::{Answer, Caller},
    server::clean,
};

/// How long any one step may take.
const STEP_MAX: Duration = Duration::from_secs(30);
/// How often a step is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the worker runs: it stops itself, and when it goes on, finishes the unit by itself, with
/// its token. The files appear whole, so that nobody reads half of one.
const COMMAND: &str = r#"
    echo $$ > "$RIG_FILES.pid.new" && mv "$RIG_FILES.pid.new" "$RIG_FILES.pid"
    kill -STOP $$
    "$RIG_PROGRAM" attempt finish "$LOCKSTEP_SPEC" "$LOCKSTEP_UNIT" "$LOCKSTEP_ATTEMPT" \
        --data '{"by": "frozen"}' 2> "$RIG_FILES.error" > "$RIG_FILES.output"
    echo $? > "$RIG_FILES.exit.new" && mv "$RIG_FILES.exit.new" "$RIG_FILES.exit"
"#;

/// One run with a frozen worker.
#[derive(Debug)]
pub struct Frozen<'a> {
    /// The `lockstep` program.
    pub program: &'a Path,
    /// The server.
    pub address: SocketAddr,
    /// A folder for what the worker leaves.
    pub folder: &'a Path,
    /// The number of the run, which gives it a namespace of its own.
    pub number: usize,
    /// Whether another worker finishes the unit meanwhile, as it must for the run to pass.
    pub overtaken: bool,
}

impl Frozen<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// What the late worker changed, or what else went wrong.
    pub fn run(&self) -> Result<(), String> {
        let mut caller = Caller::new(self.address, STEP_MAX);
        let namespace = format!("/namespace/frozen-{}", self.number);
        let spec = json!({"data": {"name": "ice"}});
        expect(201, self.post(&mut caller, &format!("{namespace}/work_spec"), &spec))?;
        let unit = json!({"name": "cube", "data": {"size": 1}});
        let units = format!("{namespace}/work_spec/ice/work_unit");
        expect(201, self.post(&mut caller, &units, &unit))?;

        let mut worker = self.worker()?;
        let command = parse(&wait_for(&self.file("pid"))?)?;
        let thaw = Thaw { command, worker: &mut worker };
        if self.overtaken {
            thaw.worker(Signal::STOP);
            self.overtake(&mut caller, &namespace)?;
        }
        let before = self.record(&mut caller)?;
        let exit = self.exit(&thaw)?;
        let told = fs::read_to_string(self.file("error")).unwrap_or_default();
        if exit.trim() != "4" || !told.contains("code: lost_lease") {
            return Err(format!("the late finish ended with exit code {}: {told}", exit.trim()));
        }
        self.finish_late(&mut caller, &namespace)?;
        self.unchanged(&before, &self.record(&mut caller)?)?;
        let tally = thaw.end()?;
        let done = ["finished", "failed", "retried", "given_back"].map(|word| tally.get(word));
        if done != [Some(&json!(0)); 4] {
            return Err(format!("the worker thinks that it did {tally}"));
        }
        self.unchanged(&before, &self.record(&mut caller)?)
    }

    /// Starts the worker that will be frozen, with the shortest lease that it can keep.
    fn worker(&self) -> Result<Child, String> {
        clean(self.program)
            .args(["worker", "--exec", COMMAND, "--spec", "ice", "--name", "frozen", "--json"])
            .args(["--lifetime", "1s", "--concurrency", "1", "--until-empty"])
            .args(["--namespace", &format!("frozen-{}", self.number)])
            .args(["--url", &format!("http://{}", self.address)])
            .env("RIG_PROGRAM", self.program)
            .env("RIG_FILES", self.folder.join(format!("frozen-{}", self.number)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("no worker: {error}"))
    }

    /// Lets the command go on, and waits for the exit code of its finish.
    fn exit(&self, thaw: &Thaw<'_>) -> Result<String, String> {
        until("the command has not finished", || {
            // The command may not even have stopped itself yet, so once may be too early.
            thaw.command(Signal::CONT);
            fs::read_to_string(self.file("exit")).ok()
        })
    }

    /// Waits as another worker until the unit is offered again, and finishes it.
    fn overtake(&self, caller: &mut Caller, namespace: &str) -> Result<(), String> {
        let claim = json!({"work_specs": ["ice"], "wait_ms": 25_000});
        let path = format!("{namespace}/worker/other/request_attempts");
        let claimed = expect(200, self.post(caller, &path, &claim))?.json();
        let id = claimed.pointer("/attempts/0/id").and_then(Value::as_u64);
        let id = id.ok_or_else(|| format!("the unit is not offered again: {claimed}"))?;
        let finish = json!({"token": id, "data": {"by": "other"}});
        let path = format!("{namespace}/work_spec/ice/work_unit/cube/attempt/other/{id}/finish");
        expect(204, self.post(caller, &path, &finish)).map(drop)
    }

    /// Finishes once more with the first attempt's token, to see the answer itself.
    fn finish_late(&self, caller: &mut Caller, namespace: &str) -> Result<(), String> {
        let unit = format!("{namespace}/work_spec/ice/work_unit/cube");
        let listed = expect(200, caller.get(&format!("{unit}/attempts")).map_err(text))?.json();
        let id = listed.pointer("/attempts/0/id").and_then(Value::as_u64).unwrap_or_default();
        let finish = json!({"token": id, "data": {"by": "frozen"}});
        let path = format!("{unit}/attempt/frozen/{id}/finish");
        let answer = expect(409, self.post(caller, &path, &finish))?;
        match answer.code().as_str() {
            "ErrLostLease" => Ok(()),
            code => Err(format!("a late finish is refused for {code}")),
        }
    }

    /// Gives the unit and its attempts, byte for byte as the server shows them.
    fn record(&self, caller: &mut Caller) -> Result<Vec<String>, String> {
        let unit = json!({"spec": "ice", "name": "cube", "id": null});
        let namespace = format!("frozen-{}", self.number);
        let queries = [
            json!({"unit": [namespace, unit]}),
            json!({"attempts": [namespace, {"unit": unit}, {"after": null, "limit": 0}]}),
        ];
        let mut record = Vec::new();
        for query in queries {
            let body = json!({"query": query});
            let answer = expect(200, self.post(caller, "/v1/read", &body))?;
            // The revision moves whenever a worker says that it lives.
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            record.push(text.split_once("\"answer\":").unwrap_or_default().1.to_owned());
        }
        Ok(record)
    }

    fn unchanged(&self, before: &[String], after: &[String]) -> Result<(), String> {
        if before == after && before.iter().all(|part| part.contains("cube")) {
            return Ok(());
        }
        Err(format!("the late worker changed {before:#?} to {after:#?}"))
    }

    fn post(&self, caller: &mut Caller, path: &str, body: &Value) -> Result<Answer, String> {
        caller.call("POST", path, None, body).map_err(text)
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("frozen-{}.{suffix}", self.number))
    }
}

/// Processes that do not stay frozen, whatever happens.
struct Thaw<'a> {
    command: Pid,
    worker: &'a mut Child,
}

impl Thaw<'_> {
    fn worker(&self, signal: Signal) {
        // A process that is gone is found out by what it did not do.
        let _gone = kill_process(Pid::from_child(self.worker), signal);
    }

    /// Signals the group of the command.
    fn command(&self, signal: Signal) {
        let _gone = kill_process_group(self.command, signal);
    }

    /// Lets the worker go on, and gives its own summary when it has ended.
    fn end(self) -> Result<Value, String> {
        self.worker(Signal::CONT);
        let ended = || self.worker.try_wait().ok().flatten();
        let status: ExitStatus = until("the worker has not ended", ended)?;
        let mut output = String::new();
        if let Some(mut stdout) = self.worker.stdout.take() {
            stdout.read_to_string(&mut output).map_err(text)?;
        }
        serde_json::from_str(&output).map_err(|_| format!("{status} with the output {output:?}"))
    }
}

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        self.command(Signal::KILL);
        let _gone = self.worker.kill();
        let _status = self.worker.wait();
    }
}

fn expect(status: u16, answer: Result<Answer, String>) -> Result<Answer, String> {
    let answer = answer?;
    if answer.status == status { Ok(answer) } else { Err(format!("no {status}: {answer:?}")) }
}

fn wait_for(path: &Path) -> Result<String, String> {
    until(&format!("{} is not there", path.display()), || fs::read_to_string(path).ok())
}

fn until<T>(otherwise: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let since = Instant::now();
    while since.elapsed() < STEP_MAX {
        if let Some(found) = look() {
            return Ok(found);
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(format!("{otherwise} after {STEP_MAX:?}"))
}

fn parse(pid: &str) -> Result<Pid, String> {
    let number = pid.trim().parse().ok().and_then(Pid::from_raw);
    number.ok_or_else(|| format!("{pid:?} is no process"))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
