//! A real server in a process of its own, which can be killed and started again.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{http::Caller, random::Random};

/// How long a server may take to answer its first request.
pub const START_MAX: Duration = Duration::from_secs(5);
/// How often a server that starts is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// `lockstep serve` with its log in a folder, over a SQLite store there or over a database.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    folder: PathBuf,
    /// The database, if other nodes share it.
    url: Option<String>,
    /// Whether it and the other nodes pass writes on to each other.
    has_peers: bool,
    address: SocketAddr,
    process: Option<Child>,
}

impl Server {
    /// Chooses a port for a server that keeps its store and log in a folder.
    #[track_caller]
    pub fn new(program: &Path, folder: &Path, random: &mut Random) -> Self {
        let (program, folder) = (program.to_owned(), folder.to_owned());
        let address = free_address(random);
        Self { program, folder, url: None, has_peers: false, address, process: None }
    }

    /// Chooses a port for a node over a database, which keeps its log in a folder of its own.
    #[track_caller]
    pub fn node(program: &Path, folder: &Path, url: &str, random: &mut Random) -> Self {
        fs::create_dir_all(folder).expect("a folder for a node");
        let mut node = Self::new(program, folder, random);
        node.url = Some(url.to_owned());
        node
    }

    /// Lets it and the other nodes pass writes on to each other, if it should.
    #[must_use]
    pub fn with_peers(mut self, has_peers: bool) -> Self {
        self.has_peers = has_peers;
        self
    }

    /// Gives the address that the server listens on whenever it runs.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the file of the store.
    pub fn store(&self) -> PathBuf {
        self.folder.join("lockstep.db")
    }

    /// Starts the process.
    #[track_caller]
    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_file());
        let mut command = clean(&self.program);
        command
            .args(["serve", "--log", "warn", "--rpc", "off", "--listen"])
            .arg(self.address.to_string())
            .arg("--store")
            .arg(self.url.clone().unwrap_or_else(|| format!("sqlite:{}", self.store().display())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log file"));
        if self.has_peers {
            command.arg("--peer-url").arg(format!("http://{}", self.address));
        }
        self.process = Some(command.spawn().expect("the server starts"));
    }

    /// Waits until the server is ready, and says how long that took.
    ///
    /// # Errors
    /// What its log says, if the process ends or takes longer than [`START_MAX`].
    pub fn wait_until_ready(&mut self) -> Result<Duration, String> {
        let since = Instant::now();
        loop {
            let mut caller = Caller::new(self.address, START_MAX);
            if caller.get("/readyz").is_ok_and(|answer| answer.status == 200) {
                return Ok(since.elapsed());
            }
            let ended = self.process.as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = ended {
                return Err(format!("the server refuses to start: {status}\n{}", self.log()));
            }
            if since.elapsed() > START_MAX {
                return Err(format!("the server is not up after {START_MAX:?}\n{}", self.log()));
            }
            thread::sleep(ASK_EVERY);
        }
    }

    /// Tells whether it was started and not killed since.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // A process that has ended by itself is found out by what the rig audits.
            let _ended = process.kill();
            let _status = process.wait();
        }
    }

    /// Sends SIGSTOP: the process stands still and keeps its connections.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT: the process goes on as if no time had passed.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            // A process that has ended by itself is found out by what the rig audits.
            let _ended = kill_process(Pid::from_child(process), signal);
        }
    }

    /// Gives the end of what the server logged.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().rev().take(20).rev().copied().collect::<Vec<_>>().join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes a command that no setting of the surroundings changes.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOCKSTEP_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

/// Finds a port that is free and stays so while the server is down.
///
/// The system gives no port below 32768 to those who ask for any, such as a client that connects;
/// it could otherwise take the port of a server that is being restarted, or even reach itself.
#[track_caller]
fn free_address(random: &mut Random) -> SocketAddr {
    let free = |_| {
        let port = u16::try_from(15_000 + random.below(17_000)).unwrap_or(15_000);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        listener.and_then(|listener: TcpListener| listener.local_addr())
    };
    let tries: io::Result<SocketAddr> = (0..100)
        .map(free)
        .find_map(Result::ok)
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "none of a hundred ports is free"));
    tries.expect("a free port")
}
