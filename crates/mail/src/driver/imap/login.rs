//! From a connection to a session: the greeting, encryption, and the proof of who the user is.

use base64::{Engine, engine::general_purpose::STANDARD};
use imap_codec::{GreetingCodec, decode::Decoder};
use imap_types::response::GreetingKind;
use model::{Error, Result};

use super::{
    command::quoted,
    reply::{Code, Reply, Said, Verdict},
    session::{Session, refused, shown},
    settings::{Compressing, ImapSettings, Login, Security},
    wire::Wire,
};

/// Connects, encrypts and logs in.
pub(super) async fn log_in(settings: &ImapSettings) -> Result<Session> {
    let mut wire = Wire::connect(settings).await?;
    let mut is_known = greeted(&mut wire).await?;
    if settings.security == Security::StartTls {
        if is_known {
            return Err(Error::bad_input(format!(
                "mail server {} greets as if somebody had logged in, so that the connection cannot \
                 be encrypted: nothing was sent to it",
                settings.host
            )));
        }
        let mut session = Session::new(wire, settings);
        session.run("STARTTLS", |_| Ok(())).await.map_err(|error| {
            Error::bad_input(format!("{error}; without encryption nothing is sent"))
        })?;
        wire = session.wire.encrypt(settings).await?;
        is_known = false;
    }
    let mut session = Session::new(wire, settings);
    if !is_known {
        if !session.knows_capabilities() {
            session.run("CAPABILITY", |_| Ok(())).await?;
        }
        prove(&mut session).await?;
    }
    if !session.knows_capabilities() {
        session.run("CAPABILITY", |_| Ok(())).await?;
    }
    introduce(&mut session).await?;
    if settings.compress == Compressing::Always {
        compress(&mut session).await?;
    }
    Ok(session)
}

/// Compresses the connection from here on, if the server can.
pub(super) async fn compress(session: &mut Session) -> Result<()> {
    if session.can("COMPRESS=DEFLATE") {
        let sent = session.start("COMPRESS DEFLATE").await?;
        if session.finish(sent, |_| Ok(())).await?.verdict == Verdict::Ok {
            session.wire.compress();
        }
        session.unlearn("COMPRESS=DEFLATE");
    }
    Ok(())
}

/// Reads the greeting, and tells whether the server takes the user as known already.
async fn greeted(wire: &mut Wire) -> Result<bool> {
    let mut line = Vec::new();
    wire.line(&mut line).await?;
    line.iter_mut().filter(|byte| !byte.is_ascii() || **byte == 0).for_each(|byte| *byte = b'?');
    line.extend_from_slice(b"\r\n");
    match GreetingCodec::default().decode(&line) {
        Ok(([], greeting)) => match greeting.kind {
            GreetingKind::Ok => Ok(false),
            GreetingKind::PreAuth => Ok(true),
            GreetingKind::Bye => Err(Error::Unavailable(format!(
                "mail server {} does not want to talk: {}",
                wire.host(),
                shown(greeting.text.as_ref())
            ))),
        },
        _ => Err(Error::bad_input(format!("{} is no IMAP server", wire.host()))),
    }
}

/// Logs in; what the server could do before may be another thing afterwards.
async fn prove(session: &mut Session) -> Result<()> {
    let user = session.settings.user.clone();
    let login = match session.settings.login.clone() {
        Login::Fresh(tokens) => Login::Token(tokens.token().await?),
        known => known,
    };
    let said = match &login {
        Login::Password(password) if session.can("AUTH=PLAIN") => {
            let proof = format!("\0{user}\0{}", password.0);
            authenticate(session, "PLAIN", &proof, "").await?
        }
        Login::Password(password) if !session.can("LOGINDISABLED") => {
            let (Some(user), Some(password)) = (quoted(&user), quoted(&password.0)) else {
                return Err(Error::bad_input(
                    "the server takes only ASCII in names and passwords, and this one has more",
                ));
            };
            session.forget_capabilities();
            let sent = session.start(&format!("LOGIN {user} {password}")).await?;
            session.finish(sent, |_| Ok(())).await?
        }
        Login::Token(token) if session.can("AUTH=OAUTHBEARER") => {
            let (host, port) = (session.settings.host.clone(), session.settings.port);
            let name = user.replace('=', "=3D").replace(',', "=2C");
            let proof = format!(
                "n,a={name},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {}\u{1}\u{1}",
                token.0
            );
            authenticate(session, "OAUTHBEARER", &proof, "\u{1}").await?
        }
        Login::Token(token) if session.can("AUTH=XOAUTH2") => {
            let proof = format!("user={user}\u{1}auth=Bearer {}\u{1}\u{1}", token.0);
            authenticate(session, "XOAUTH2", &proof, "").await?
        }
        Login::Password(_) | Login::Token(_) | Login::Fresh(_) => {
            return Err(Error::Unauthenticated(format!(
                "mail server {} offers no way to log in with {}",
                session.settings.host,
                if matches!(login, Login::Token(_)) { "an access token" } else { "a password" }
            )));
        }
    };
    judge(session, &Said { text: hidden(said.text, &login), ..said })
}

/// The shortest secret that is looked for in what servers say; shorter ones are anywhere.
const LOOKED_FOR_MIN: usize = 4;

/// Puts something else in the place of what proves who the user is, which some servers say again
/// when they refuse it.
fn hidden(text: String, login: &Login) -> String {
    match login {
        Login::Password(secret) | Login::Token(secret) if secret.0.len() >= LOOKED_FOR_MIN => {
            text.replace(&secret.0, "(hidden)")
        }
        Login::Password(_) | Login::Token(_) | Login::Fresh(_) => text,
    }
}

fn judge(session: &Session, said: &Said) -> Result<()> {
    let host = session.wire.host();
    match said.verdict {
        Verdict::Ok => Ok(()),
        Verdict::No if matches!(&said.code, Code::Other(word) if word == "UNAVAILABLE") => {
            Err(refused(host, "LOGIN", said))
        }
        Verdict::No => Err(Error::Unauthenticated(format!(
            "mail server {host} does not accept the login of {:?}: {}",
            session.settings.user,
            shown(&said.text)
        ))),
        Verdict::Bad => Err(refused(host, "LOGIN", said)),
    }
}

/// Sends a proof in the way of SASL, with the command where that is allowed.
///
/// A server that declines a token tells why in a question, to which `decline` is the answer.
async fn authenticate(
    session: &mut Session,
    mechanism: &str,
    proof: &str,
    decline: &str,
) -> Result<Said> {
    let proof = STANDARD.encode(proof);
    let is_at_once = session.can("SASL-IR");
    session.forget_capabilities();
    let command = if is_at_once {
        format!("AUTHENTICATE {mechanism} {proof}")
    } else {
        format!("AUTHENTICATE {mechanism}")
    };
    let sent = session.start(&command).await?;
    let mut answers = if is_at_once { vec![] } else { vec![proof.clone()] };
    let mut reason = None;
    // A server asks once for the proof and at most once more.
    for _ in 0..3 {
        match session.go_on(sent).await? {
            Err(mut said) => {
                said.text = said.text.replace(&proof, "(hidden)");
                if let Some(reason) = reason {
                    said.text = format!("{} ({reason})", said.text);
                }
                return Ok(said);
            }
            Ok(text) => {
                let answer = answers.pop().unwrap_or_else(|| {
                    reason = Some(shown(&String::from_utf8_lossy(&text)));
                    STANDARD.encode(decline)
                });
                session.wire.push(format!("{answer}\r\n").as_bytes());
                session.flush().await?;
            }
        }
    }
    Err(session.confused("asks without end during the log-in"))
}

/// Says who we are and switches on what is switched off until asked for, in one round trip.
async fn introduce(session: &mut Session) -> Result<()> {
    let mut sent = Vec::new();
    if session.can("ID") {
        sent.push(session.push("ID (\"name\" \"lockstep\")"));
    }
    if session.can("ENABLE") && session.can("QRESYNC") {
        sent.push(session.push("ENABLE QRESYNC"));
    }
    session.flush().await?;
    let mut is_enabled = false;
    for command in sent {
        session
            .finish(command, |reply| {
                if let Reply::Enabled(names) = reply {
                    is_enabled |= names.iter().any(|name| name.eq_ignore_ascii_case("QRESYNC"));
                }
                Ok(())
            })
            .await?;
    }
    if !is_enabled {
        session.unlearn("QRESYNC");
    }
    Ok(())
}
