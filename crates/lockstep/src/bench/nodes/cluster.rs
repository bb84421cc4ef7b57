//! A real PostgreSQL of one's own, on a free port and in a folder of its own.
//!
//! The test kit compiles this file too.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The longest time that a cluster may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// A running cluster; it ends with its owner, however that one ends.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    /// A shell that ends the server when it is told to, or when we are gone.
    keeper: Option<Child>,
}

impl Cluster {
    /// Makes a cluster below a folder and starts it, with some settings such as `fsync=off`.
    ///
    /// # Errors
    /// If PostgreSQL is not installed or does not start.
    pub fn start_in(folder: &Path, settings: &[&str]) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            fs::canonicalize(folder)?.join(format!("lockstep-pg-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let user = user()?;
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid))?;
        }
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut cluster = Self { folder, port: 0, user, settings, keeper: None };
        let mut make = cluster.command("initdb")?;
        make.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"]);
        make.args(["--locale=C", "--pgdata"]).arg(cluster.data());
        run(make)?;
        cluster.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        cluster.run()?;
        Ok(cluster)
    }

    /// Gives the address of its database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Gives the folder of the database files.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Gives one of PostgreSQL's programs, to be run as the cluster's user.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn command(&self, program: &str) -> io::Result<Command> {
        let mut command = Command::new(find(program)?);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&self.folder);
        Ok(command)
    }

    /// Starts the server again after [`Cluster::stop`], on the same port.
    ///
    /// # Errors
    /// If it does not start.
    pub fn run(&mut self) -> io::Result<()> {
        let mut settings = vec![
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.display()),
            "max_connections=300".to_owned(),
        ];
        settings.extend(self.settings.iter().cloned());
        let settings: Vec<_> = settings.iter().map(|setting| format!("-c {setting}")).collect();
        let text = format!(
            "{} -D {} {} >>{}/log 2>&1 & pid=$!; read -r signal; kill -${{signal:-QUIT}} $pid; \
             wait $pid; test -n \"$signal\" || rm -rf {}",
            find("postgres")?.display(),
            self.data().display(),
            settings.join(" "),
            self.folder.display(),
            self.folder.display(),
        );
        let mut keeper = Command::new("/bin/sh");
        if let Some((uid, gid)) = self.user {
            keeper.uid(uid).gid(gid);
        }
        // Signals to the test's group, such as that of Ctrl-C, are not for the server.
        keeper.process_group(0).current_dir(&self.folder).arg("-c").arg(text);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.keeper = Some(keeper.spawn()?);
        let mut is_ready = self.command("pg_isready")?;
        is_ready.args(["--host=127.0.0.1", "--quiet", &format!("--port={}", self.port)]);
        let start = Instant::now();
        while !is_ready.status()?.success() {
            if start.elapsed() > START_MAX {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL does not start: {log}")));
            }
            // Sleeps because a server tells nobody but those who ask that it is ready.
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops the server: `INT` is a fast stop, `QUIT` an immediate one, which is like a crash.
    ///
    /// # Errors
    /// If the server cannot be told.
    pub fn stop(&mut self, signal: &str) -> io::Result<()> {
        use std::io::Write as _;
        let Some(mut keeper) = self.keeper.take() else { return Ok(()) };
        if let Some(stdin) = &mut keeper.stdin {
            writeln!(stdin, "{signal}")?;
        }
        keeper.wait()?;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What cannot be stopped or removed is no reason to fail; the keeper ends with us.
        let _ = self.stop("QUIT");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Gives the path of one of PostgreSQL's programs: the newest installed.
///
/// # Errors
/// If it is not installed.
pub fn find(program: &str) -> io::Result<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name)?;
        version.to_str()?.parse::<u32>().ok()
    });
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut programs = folders.into_iter().map(|folder| folder.join(program));
    programs.find(|path| path.is_file()).ok_or_else(|| {
        let message = format!("{program} is not installed; install PostgreSQL 15 or newer");
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// Gives the user and group that the server runs as: it refuses to be root.
fn user() -> io::Result<Option<(u32, u32)>> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| {
        use std::os::unix::fs::MetadataExt as _;
        it.uid() == 0
    });
    if !is_root {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody")).map(Some).ok_or_else(|| {
        io::Error::other("PostgreSQL must not run as root, and there is no user postgres or nobody")
    })
}

fn run(mut command: Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}
