//! A real Dovecot of one's own, on free ports of this machine and in a folder of its own.
//!
//! Everybody may log in with the password [`PASSWORD`], and has an account of his own.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The password of everybody.
pub const PASSWORD: &str = "sesame";

/// The longest time that a server may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// A running server; it ends with its owner, however that one ends.
#[derive(Debug)]
pub struct Dovecot {
    folder: PathBuf,
    port: u16,
    port_tls: u16,
    /// A shell that ends the server when it is told to, or when we are gone.
    keeper: Option<Child>,
}

/// Where the programs of a system are, also those that only its administrators run.
pub const PATH: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin";

impl Dovecot {
    /// Starts a server below a folder, with more settings such as `imap_capability = IMAP4rev1`.
    ///
    /// # Errors
    /// If Dovecot is not installed or does not start.
    pub fn start_in(folder: &Path, settings: &[&str]) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = fs::canonicalize(folder)?
            .join(format!("lockstep-dovecot-{}-{count}", std::process::id()));
        for name in ["base", "state", "mail"] {
            fs::create_dir_all(folder.join(name))?;
        }
        certificate(&folder)?;
        let account = Account::of_server()?;
        for path in [".", "base", "state", "mail", "key.pem", "cert.pem"] {
            chown(folder.join(path), Some(account.uid), Some(account.gid))?;
        }
        let mut server = Self { port: free_port()?, port_tls: free_port()?, folder, keeper: None };
        fs::write(server.folder.join("dovecot.conf"), server.config(&account, settings))?;
        server.run(&account)?;
        Ok(server)
    }

    /// Gives the ports: for plain connections and STARTTLS, and for those that are encrypted from
    /// the start.
    pub fn ports(&self) -> (u16, u16) {
        (self.port, self.port_tls)
    }

    /// Gives a file of the server's, such as `cert.pem`, which is for `localhost`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Gives the directory in which the account of a user is.
    pub fn mail(&self, user: &str) -> PathBuf {
        self.file("mail").join(user)
    }

    /// Gives what the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn run(&mut self, account: &Account) -> io::Result<()> {
        let text = format!(
            "dovecot -F -c {0}/dovecot.conf >>{0}/log 2>&1 & pid=$!; read -r _; kill $pid; \
             wait $pid; rm -rf {0}",
            self.folder.display(),
        );
        let mut keeper = Command::new("/bin/sh");
        if account.is_other {
            keeper.uid(account.uid).gid(account.gid);
        }
        // Signals to the test's group, such as that of Ctrl-C, are not for the server.
        keeper.process_group(0).current_dir(&self.folder).arg("-c").arg(text);
        keeper.env("PATH", PATH);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.keeper = Some(keeper.spawn()?);
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if start.elapsed() > START_MAX {
                return Err(io::Error::other(format!("Dovecot does not start: {}", self.log())));
            }
            // Sleeps because a server tells nobody but those who ask that it is ready.
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn config(&self, account: &Account, settings: &[&str]) -> String {
        let Account { user, group, .. } = account;
        let folder = self.folder.display();
        let services: String =
            ["anvil", "stats"].map(|name| format!("service {name} {{\n chroot =\n}}\n")).concat();
        format!(
            "base_dir = {folder}/base\nstate_dir = {folder}/state\nlog_path = {folder}/log\n\
             protocols = imap\nlisten = 127.0.0.1\nssl = yes\nssl_cert = <{folder}/cert.pem\n\
             ssl_key = <{folder}/key.pem\ndisable_plaintext_auth = no\n\
             auth_mechanisms = plain login\nauth_failure_delay = 0\n\
             default_internal_user = {user}\ndefault_internal_group = {group}\n\
             default_login_user = {user}\nfirst_valid_uid = 1\nmail_uid = {user}\n\
             mail_gid = {group}\nmail_max_userip_connections = 200\n\
             mail_location = maildir:{folder}/mail/%u:INBOX={folder}/mail/%u/INBOX:LAYOUT=fs\n\
             namespace inbox {{\n inbox = yes\n separator = /\n \
             mailbox Sent {{\n  special_use = \\Sent\n }}\n}}\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n \
             args = uid={user} gid={group} home={folder}/mail/%u\n}}\n\
             {services}service imap-login {{\n chroot =\n service_count = 0\n \
             inet_listener imap {{\n  port = {}\n }}\n \
             inet_listener imaps {{\n  port = {}\n }}\n}}\n{}\n",
            self.port,
            self.port_tls,
            settings.join("\n"),
        )
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            // What cannot be stopped is no reason to fail; the keeper ends with us.
            let _ = keeper.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The user that the server runs as.
struct Account {
    user: String,
    group: String,
    uid: u32,
    gid: u32,
    /// Whether that is somebody else than us: Dovecot does not like to be root.
    is_other: bool,
}

impl Account {
    fn of_server() -> io::Result<Self> {
        let own = fs::metadata("/proc/self")?;
        let is_other = own.uid() == 0;
        let missing = || io::Error::other("there is no user that Dovecot can run as");
        let users = fs::read_to_string("/etc/passwd")?;
        let own_uid = own.uid().to_string();
        let user = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| match is_other {
                true => fields.first() == Some(&"nobody"),
                false => fields.get(2) == Some(&own_uid.as_str()),
            })
            .ok_or_else(missing)?;
        let groups = fs::read_to_string("/etc/group")?;
        let gid = user.get(3).copied().ok_or_else(missing)?;
        let group = groups
            .lines()
            .find(|line| line.split(':').nth(2) == Some(gid))
            .and_then(|line| line.split(':').next())
            .ok_or_else(missing)?;
        let number = |text: Option<&&str>| text.and_then(|text| text.parse().ok());
        Ok(Self {
            user: user.first().copied().unwrap_or_default().to_owned(),
            group: group.to_owned(),
            uid: number(user.get(2)).ok_or_else(missing)?,
            gid: number(user.get(3)).ok_or_else(missing)?,
            is_other,
        })
    }
}

/// Makes a certificate for `localhost`, with the program that comes with Dovecot's libraries.
fn certificate(folder: &Path) -> io::Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-nodes", "-days", "30", "-subj", "/CN=localhost"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    let output = openssl.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("openssl: {}", String::from_utf8_lossy(&output.stderr))))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
