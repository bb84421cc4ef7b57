//! Access tokens that are asked for with a refresh token (RFC 6749, 6), each time one has run out.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mail::driver::imap::{Secret, Tokens};
use model::{BoxFuture, Error};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    place::{self, Source},
    settings::OauthFile,
    vault::Given,
};
use crate::failure::Failure;

/// The longest time that an answer may take.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes that an answer may have.
const ANSWER_MAX: usize = 64 << 10;
/// A token that runs out within this time is not used any more.
const MARGIN: Duration = Duration::from_mins(1);
/// How long a token is taken for good if nobody says.
const LIFETIME: Duration = Duration::from_mins(5);

/// Who gives access tokens, and what proves that they are for us.
pub(super) struct Refresh {
    url: Url,
    client: Client,
    form: Vec<(&'static str, String)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A refresh token that took the place of the one that was configured.
    newer: Option<String>,
    /// The last access token, and when it runs out.
    token: Option<(Secret, Instant)>,
}

/// What is answered.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Refresh {
    /// Reads what an account's file says.
    pub(super) fn new(file: &OauthFile, given: &Given) -> Result<Self> {
        let wrong = |why: &str| {
            let message = format!("{:?} cannot be asked for tokens: {why}", file.token_url);
            Failure::usage(message, "correct oauth.token_url in the account's file")
        };
        let url: Url = file.token_url.parse().map_err(|_| wrong("it is no address"))?;
        let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(wrong("it must be https").into());
        }
        let refresh = Source {
            command: file.refresh_token_command.as_deref(),
            file: file.refresh_token_file.as_deref(),
            env: file.refresh_token_env.as_deref(),
            secret: file.refresh_token_secret.as_deref(),
        };
        let refresh = place::secret(&refresh, given)?.ok_or_else(|| {
            let hint = "give one of refresh_token_command, refresh_token_file, refresh_token_env \
                        and refresh_token_secret";
            Failure::usage("it is not said where the refresh token is", hint)
        })?;
        let mut form = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", file.client_id.clone()),
            ("refresh_token", refresh),
        ];
        let secret = Source {
            command: file.client_secret_command.as_deref(),
            file: file.client_secret_file.as_deref(),
            env: file.client_secret_env.as_deref(),
            secret: file.client_secret_secret.as_deref(),
        };
        let secret = place::secret(&secret, given)?;
        form.extend(secret.map(|secret| ("client_secret", secret)));
        form.extend(file.scope.clone().map(|scope| ("scope", scope)));
        // Who has set one before is as good.
        let _set = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(TIME_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no HTTP client")?;
        Ok(Self { url, client, form, state: Mutex::default() })
    }

    async fn current(&self) -> model::Result<Secret> {
        let mut state = self.state.lock().await;
        if let Some((token, until)) = &state.token
            && Instant::now() + MARGIN < *until
        {
            return Ok(token.clone());
        }
        let answer = self.ask(state.newer.as_deref()).await?;
        let Some(token) = answer.access_token.filter(|token| !token.is_empty()) else {
            let why = answer.error_description.or(answer.error).unwrap_or_default();
            let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(Error::Unauthenticated(format!(
                "{} gives no access token: {why}; ask for a new refresh token there",
                self.url.host_str().unwrap_or_default()
            )));
        };
        if answer.refresh_token.is_some() {
            // It cannot be kept, since the place of the first one is not ours to write.
            state.newer = answer.refresh_token;
        }
        let lifetime = answer.expires_in.map_or(LIFETIME, Duration::from_secs);
        let until = Instant::now() + lifetime.min(Duration::from_hours(24));
        let token = Secret(token);
        state.token = Some((token.clone(), until));
        Ok(token)
    }

    async fn ask(&self, newer: Option<&str>) -> model::Result<Answer> {
        let host = self.url.host_str().unwrap_or_default();
        let failed =
            |why: String| Error::Unavailable(format!("no access token from {host}: {why}"));
        let mut body = String::new();
        for (name, value) in &self.form {
            let value = newer.filter(|_| *name == "refresh_token").unwrap_or(value);
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            body.push_str(&format!("{name}={value}&"));
        }
        let request = self.client.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        // Errors of requests name addresses, and none of what was sent.
        let mut response = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| failed(error.to_string()))? {
            answer.extend_from_slice(&part);
            if answer.len() > ANSWER_MAX {
                return Err(failed(format!("its answer has more than {ANSWER_MAX} bytes")));
            }
        }
        if status.is_server_error() {
            return Err(failed(format!("it answered {status}")));
        }
        serde_json::from_slice(&answer).map_err(|_| failed(format!("it answered {status}")))
    }
}

impl Tokens for Refresh {
    fn token(&self) -> BoxFuture<'_, model::Result<Secret>> {
        Box::pin(self.current())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        sync::mpsc,
        thread,
    };

    use super::*;

    /// Answers each request with the next text, and tells what was asked.
    fn server(answers: Vec<(u16, &'static str)>) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let (heard, asked) = mpsc::channel();
        thread::spawn(move || {
            for (status, answer) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = String::new();
                let mut piece = [0; 4_096];
                while !request.ends_with('&') {
                    let count = stream.read(&mut piece).unwrap();
                    request.push_str(std::str::from_utf8(&piece[..count]).unwrap());
                }
                heard.send(request).unwrap();
                let length = answer.len();
                let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n");
                write!(stream, "{head}Connection: close\r\n\r\n{answer}").unwrap();
            }
        });
        (url, asked)
    }

    fn file(token_url: String, home: &tempfile::TempDir) -> OauthFile {
        let place = home.path().join("refresh");
        std::fs::write(&place, "secret&1\n").unwrap();
        OauthFile {
            token_url,
            client_id: "me".to_owned(),
            refresh_token_file: Some(place),
            ..OauthFile::default()
        }
    }

    #[tokio::test]
    async fn tokens_are_kept_until_they_run_out_and_then_asked_for_again() {
        let home = tempfile::tempdir().unwrap();
        let (url, asked) = server(vec![
            (200, r#"{"access_token": "one", "expires_in": 3600}"#),
            (200, r#"{"access_token": "two", "expires_in": 1, "refresh_token": "newer"}"#),
            (400, r#"{"error": "invalid_grant", "error_description": "revoked"}"#),
            (503, "busy"),
        ]);
        let refresh = Refresh::new(&file(url, &home), &Given::default()).unwrap();
        for _ in 0..2 {
            assert_eq!(refresh.token().await.unwrap(), Secret("one".to_owned()));
        }
        let first = asked.recv().unwrap();
        assert!(first.contains("grant_type=refresh%5Ftoken&client_id=me&"), "{first}");
        assert!(first.contains("refresh_token=secret%261&"), "{first}");
        refresh.state.lock().await.token = None;
        assert_eq!(refresh.token().await.unwrap(), Secret("two".to_owned()));
        // It runs out too soon to be used again.
        let refused = refresh.token().await.unwrap_err();
        assert!(matches!(refused, Error::Unauthenticated(_)), "{refused}");
        assert!(refused.to_string().contains("revoked"), "{refused}");
        let third = asked.iter().nth(1).unwrap();
        assert!(third.contains("refresh_token=newer&"), "{third}");
        assert!(matches!(refresh.token().await, Err(Error::Unavailable(_))));
        assert!(!format!("{refresh:?}").contains("secret"));
    }

    #[test]
    fn secrets_go_to_nobody_on_the_way() {
        let home = tempfile::tempdir().unwrap();
        for url in ["http://example.org/token", "ftp://127.0.0.1/", "token"] {
            assert!(
                Refresh::new(&file(url.to_owned(), &home), &Given::default()).is_err(),
                "{url}"
            );
        }
    }
}
