//! Running the program, and a server in the background.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What one run of the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Reads standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Insists on an exit code.
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// Names the program, in an environment that holds nothing of the one who runs the tests.
pub fn lockstep(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        // One port is as good as none where servers of many tests run at once.
        .env("LOCKSTEP_RPC", "off")
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(command: &mut Command, args: &[&str]) -> Said {
    run_with(command, args, "")
}

/// Runs the program to its end with a text on standard input.
pub fn run_with(command: &mut Command, args: &[&str], input: &str) -> Said {
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes the pipe.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server in the background, killed when dropped.
pub struct Server {
    pub url: String,
    pub home: TempDir,
    child: Child,
    /// What it said before it listened.
    early: Vec<String>,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// Starts one on a free port with a store in memory, which has a key for secrets.
    pub fn start() -> Self {
        let flags = ["--store", "memory", "--secrets-key", "env:TEST_KEY"];
        let keys = [("TEST_KEY", "07".repeat(32))];
        let keys = keys.each_ref().map(|(name, key)| (*name, key.as_str()));
        Self::start_in(tempfile::tempdir().unwrap(), &flags, &keys)
    }

    /// Starts one with more flags.
    pub fn start_with(home: TempDir, args: &[&str]) -> Self {
        Self::start_in(home, args, &[])
    }

    /// Starts one with more flags and variables.
    pub fn start_in(home: TempDir, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = lockstep(home.path())
            .arg("serve")
            .args(args)
            .envs(variables.iter().copied())
            .env("LOCKSTEP_LISTEN", "127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut early = Vec::new();
        let url = loop {
            let line = lines.recv_timeout(PATIENCE).unwrap();
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
            assert!(!line.starts_with("error:"), "{line}");
            early.push(line);
        };
        Self { url, home, child, early, lines }
    }

    /// Gives the address for CBOR-RPC, which is told right after the other one.
    pub fn rpc_address(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        line.strip_prefix("CBOR-RPC on ").unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// Waits for a line on standard error.
    pub fn line_with(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Names the program with this server's address.
    pub fn command(&self) -> Command {
        let mut command = lockstep(self.home.path());
        command.env("LOCKSTEP_URL", &self.url);
        command
    }

    /// Runs the program against this server.
    pub fn run(&self, args: &[&str]) -> Said {
        run(&mut self.command(), args)
    }

    /// Runs the program against this server, which must succeed, and reads its JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        self.run(&all).with_code(0).json()
    }

    /// Kills it, and keeps its files.
    pub fn kill_and_keep(mut self) -> TempDir {
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    /// Kills it.
    pub fn kill(self) {
        drop(self);
    }

    /// Sends SIGTERM and waits for the end; gives what it logged.
    pub fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        terminate(&self.child);
        let status = wait(&mut self.child);
        let early = std::mem::take(&mut self.early);
        (status, early.into_iter().chain(self.lines.iter()).collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Sends SIGTERM.
pub fn terminate(child: &Child) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
}

/// Waits for the end of a process, but not for ever.
pub fn wait(child: &mut Child) -> ExitStatus {
    until("the process ends", || child.try_wait().unwrap())
}

/// Waits until there is something to give.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// Sends one HTTP request by hand, and gives the status code.
pub fn get(url: &str, path: &str) -> u16 {
    ask(url, "GET", path, "")
}

/// Sends JSON by hand, and gives the status code.
pub fn post(url: &str, path: &str, body: &str) -> u16 {
    ask(url, "POST", path, body)
}

/// Sends one HTTP request by hand, and gives the body of the answer, which must be 200.
pub fn fetch(url: &str, path: &str) -> String {
    let answer = exchange(url, "GET", path, "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn ask(url: &str, method: &str, path: &str, body: &str) -> u16 {
    exchange(url, method, path, body).split(' ').nth(1).unwrap().parse().unwrap()
}

fn exchange(url: &str, method: &str, path: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
