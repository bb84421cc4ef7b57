//! The programs that are compared, run and measured alike.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::dovecot::PASSWORD;

/// A program that syncs mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// This one.
    Lockstep,
    /// The one that it is compared with.
    Mbsync,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// From its start to its end.
    pub(super) time: Duration,
    /// What processors spent on it, without the server.
    pub(super) processor: Duration,
    /// The most memory that it had.
    pub(super) memory_bytes: u64,
    /// What the server got and sent.
    pub(super) wire_bytes: u64,
}

/// The variable in which this program finds the password.
const PASSWORD_VARIABLE: &str = "LOCKSTEP_BENCH_PASSWORD";

impl Program {
    pub(super) const BOTH: [Self; 2] = [Self::Lockstep, Self::Mbsync];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lockstep => "lockstep",
            Self::Mbsync => "mbsync",
        }
    }

    /// Makes sure that it is there.
    pub(super) fn check(self) -> Result<()> {
        let mut command = Command::new(self.name());
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        ensure!(command.status()?.success(), "{} does not run", self.name());
        Ok(())
    }

    /// Writes what it must know of an account.
    pub(super) fn set_up(self, home: &Path, mail: &Path, port: u16, user: &str) -> Result<()> {
        fs::create_dir_all(mail)?;
        match self {
            Self::Lockstep => {
                let folder = home.join("config/lockstep/mail");
                fs::create_dir_all(&folder)?;
                let text = format!(
                    "[left]\nurl = \"maildir:{}\"\n[right]\nurl = \
                     \"imap+plain://{user}@127.0.0.1:{port}\"\npassword_env = \
                     \"{PASSWORD_VARIABLE}\"\n",
                    mail.display(),
                );
                fs::write(folder.join("bench.toml"), text)?;
            }
            Self::Mbsync => {
                let text = format!(
                    "IMAPAccount bench\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass \
                     {PASSWORD}\nSSLType None\nAuthMechs PLAIN\n\nIMAPStore far\nAccount bench\n\n\
                     MaildirStore near\nPath {0}/\nInbox {0}/INBOX\nSubFolders Verbatim\n\n\
                     Channel bench\nFar :far:\nNear :near:\nPatterns *\nCreate Near\n\
                     Expunge Both\nSyncState *\nSync All\n",
                    mail.display(),
                );
                fs::write(home.join("mbsyncrc"), text)?;
            }
        }
        Ok(())
    }

    /// Runs it once, and measures all but the wire.
    pub(super) fn run(self, home: &Path) -> Result<Sample> {
        let mut command = match self {
            Self::Lockstep => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["mail", "sync", "bench"]).env(PASSWORD_VARIABLE, PASSWORD);
                command
            }
            Self::Mbsync => {
                let mut command = Command::new("mbsync");
                command.arg("-q").arg("-c").arg(home.join("mbsyncrc")).arg("bench");
                command
            }
        };
        command.env("XDG_CONFIG_HOME", home.join("config")).env("XDG_DATA_HOME", home.join("data"));
        let errors = fs::File::create(home.join("errors"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        rustix::fs::sync();
        let processor = children_time()?;
        let start = Instant::now();
        let mut child = command.spawn()?;
        let mut memory_bytes = 0;
        let status = loop {
            memory_bytes = memory_bytes.max(peak_memory(child.id()).unwrap_or(0));
            if let Some(status) = child.try_wait()? {
                break status;
            }
            // Sleeps because nobody tells the peak of a program that has ended.
            thread::sleep(Duration::from_millis(1));
        };
        let time = start.elapsed();
        let processor = children_time()?.saturating_sub(processor);
        let errors = fs::read_to_string(home.join("errors"))?;
        ensure!(status.success(), "{} ended with {status}: {errors}", self.name());
        Ok(Sample { time, processor, memory_bytes, wire_bytes: 0 })
    }
}

fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

/// Gives what processors spent on children that have ended, in the hundredths of seconds in which
/// the system counts for this file.
fn children_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("no processor times")?;
    let times: Vec<u64> =
        fields.split(' ').skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(times.iter().sum::<u64>() * 10))
}
