//! Signing in at an identity provider: OpenID Connect's authorization code flow with PKCE.
//!
//! Sources: OpenID Connect Core 1.0 and Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (`iss` in the
//! answer), RFC 7517 and 7515 (keys and signatures).
//! What belongs to one sign-in (state, nonce, verifier) follows from one secret in a cookie of the
//! browser, so any node can take the answer and no node keeps anything but which answers it took.

mod claims;
mod keys;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Error, Grant, Identity, Result, Role, Time, UserName, limits};
use reqwest::{Client, Url, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::ui::place_value;
use claims::Claims;
use keys::Keys;

/// How long one answer of the provider may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long what the provider says of itself is believed.
const CONFIGURATION_KEPT: Duration = Duration::from_secs(3600);
/// Answers that are remembered as taken.
const TAKEN_MAX: usize = 4_096;

/// An identity provider, and what is made of those that it knows.
#[derive(Clone)]
pub struct OidcOptions {
    /// Its address, exactly as it says it in what it signs.
    pub issuer: String,
    /// What it calls this program.
    pub client_id: String,
    /// The secret that it gave this program; none for a public client.
    pub client_secret: Option<String>,
    /// Where browsers reach this server, such as `https://lockstep.example`.
    pub address: String,
    /// What the button to sign in with says.
    pub label: String,
    /// The claim that becomes the name of the user.
    pub name_claim: String,
    /// The claim with the groups of the user; dots lead into it.
    pub groups_claim: String,
    /// Which roles a group gives; if there are none, an administrator gives roles to users.
    pub grants: Vec<(String, Grant)>,
}

impl OidcOptions {
    /// Reads which roles a group gives: `GROUP=ROLE@NAMESPACE` with commas between them, and `*`
    /// for all namespaces.
    ///
    /// # Errors
    /// [`Error::BadInput`].
    pub fn parse_grants(text: &str) -> Result<Vec<(String, Grant)>> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let grants = parts.map(|part| {
            let wrong = || Error::bad_input(format!("{part:?} is not GROUP=ROLE@NAMESPACE"));
            let (group, rest) = part.split_once('=').ok_or_else(wrong)?;
            let (role, namespace) = rest.split_once('@').ok_or_else(wrong)?;
            let namespace = match namespace {
                "*" => None,
                name => Some(model::Namespace::new(name)?),
            };
            Ok((group.to_owned(), Grant { role: Role::parse(role)?, namespace }))
        });
        grants.collect()
    }
}

/// Who the provider says somebody is.
pub(crate) struct Known {
    pub(crate) identity: Identity,
    pub(crate) name: UserName,
    /// The roles that the groups give; none if that is not for the provider to say.
    pub(crate) grants: Option<Vec<Grant>>,
}

/// A client of an identity provider.
pub struct Oidc {
    options: OidcOptions,
    client: Client,
    callback: String,
    known: tokio::sync::Mutex<Option<(Instant, Arc<Configuration>)>>,
    keys: tokio::sync::Mutex<Option<Keys>>,
    taken: Mutex<HashMap<[u8; 32], Instant>>,
}

/// What a provider says of itself.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// What one sign-in has of its own, all of it from one secret.
struct Flow<'s>(&'s str);

impl Flow<'_> {
    fn part(&self, what: &str) -> String {
        let hash = Sha256::new().chain_update(what).chain_update(" of ").chain_update(self.0);
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }

    fn state(&self) -> String {
        self.part("state")
    }

    fn nonce(&self) -> String {
        self.part("nonce")
    }

    fn verifier(&self) -> String {
        self.part("verifier")
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }
}

/// What the provider sent a browser back with.
pub(crate) struct Returned {
    pub(crate) state: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) error: Option<String>,
}

fn refused(why: impl Into<String>) -> Error {
    Error::Unauthenticated(why.into())
}

impl Oidc {
    /// Tells whether groups of the provider give roles here, so that people need nothing else.
    pub fn gives_roles(&self) -> bool {
        !self.options.grants.is_empty()
    }

    /// Makes the client; the provider is asked when somebody signs in.
    ///
    /// # Errors
    /// [`Error::BadInput`] for addresses that are none, or that are not encrypted and not of this
    /// machine.
    pub fn new(options: OidcOptions) -> Result<Self> {
        checked(&options.issuer)?;
        checked(&options.address)?;
        // Who has set one before is as good.
        let _set = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(ANSWER_MAX)
            .redirect(Policy::none())
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Internal(format!("no HTTP client: {error}")))?;
        let callback = format!("{}/ui/sign-in/callback", options.address.trim_end_matches('/'));
        let (known, keys, taken) = (Default::default(), Default::default(), Mutex::default());
        Ok(Self { options, client, callback, known, keys, taken })
    }

    /// Gives what the button to sign in with says.
    pub(crate) fn label(&self) -> &str {
        &self.options.label
    }

    /// Gives where a browser has to go to sign in.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the provider cannot be asked.
    pub(crate) async fn begin(&self, secret: &str) -> Result<String> {
        let (flow, configuration) = (Flow(secret), self.configuration().await?);
        let mut url = checked(&configuration.authorization_endpoint)?;
        let (state, nonce, challenge) = (flow.state(), flow.nonce(), flow.challenge());
        let pairs = [
            ("response_type", "code"),
            ("client_id", self.options.client_id.as_str()),
            ("redirect_uri", self.callback.as_str()),
            ("scope", "openid profile email"),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let own = pairs.map(|(name, value)| format!("{name}={}", place_value(value))).join("&");
        let query = url.query().map_or_else(|| own.clone(), |query| format!("{query}&{own}"));
        url.set_query(Some(&query));
        Ok(url.into())
    }

    /// Finds out who came back.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] with what was wrong, for the log and not for the visitor;
    /// [`Error::Unavailable`] if the provider cannot be asked.
    pub(crate) async fn finish(
        &self,
        secret: &str,
        returned: Returned,
        now: Time,
    ) -> Result<Known> {
        let flow = Flow(secret);
        if returned.state.as_deref() != Some(flow.state().as_str()) {
            return Err(refused("the state is not that of this browser"));
        }
        if !self.is_first(secret) {
            return Err(refused("the state was used before"));
        }
        if let Some(error) = returned.error {
            return Err(refused(format!("the provider answers {error:?}")));
        }
        if returned.issuer.is_some_and(|issuer| issuer != self.options.issuer) {
            return Err(refused("the answer is of another provider"));
        }
        let code = returned.code.ok_or_else(|| refused("the answer has no code"))?;
        let configuration = self.configuration().await?;
        let tokens = self.exchange(&configuration, &code, &flow.verifier()).await?;
        let payload = self.verified(&configuration, &tokens.id_token).await?;
        let claims = Claims::read(&payload)?;
        claims.check(&self.options, &flow.nonce(), now)?;
        claims.known(&self.options)
    }

    /// Tells whether this is the first answer for a secret.
    fn is_first(&self, secret: &str) -> bool {
        let (hash, now) = (Sha256::digest(secret).into(), Instant::now());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= TAKEN_MAX {
            taken.retain(|_, at| now.duration_since(*at) < limits::IDENTITY_WAIT_MAX);
        }
        taken.len() < TAKEN_MAX && taken.insert(hash, now).is_none()
    }

    /// Trades a code for what the provider signs.
    async fn exchange(&self, of: &Configuration, code: &str, verifier: &str) -> Result<Tokens> {
        let own = &self.options;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.callback.as_str()),
            ("client_id", own.client_id.as_str()),
            ("code_verifier", verifier),
        ];
        let takes =
            |method: &str| of.token_endpoint_auth_methods_supported.iter().any(|own| own == method);
        let in_body = takes("client_secret_post") && !takes("client_secret_basic");
        let mut request = self.client.post(checked(&of.token_endpoint)?);
        match &own.client_secret {
            Some(secret) if in_body => form.push(("client_secret", secret.as_str())),
            Some(secret) => {
                let (id, secret) = (place_value(&own.client_id), place_value(secret));
                request = request.basic_auth(id, Some(secret));
            }
            None => {}
        }
        let pairs = form.iter().map(|(name, value)| format!("{name}={}", place_value(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let media = "application/x-www-form-urlencoded";
        self.answer(request.header(http::header::CONTENT_TYPE, media).body(body)).await
    }

    /// Gives what was signed, if the signature is right. Keys are asked for again if the one that
    /// it names is not known.
    async fn verified(&self, of: &Configuration, token: &str) -> Result<Vec<u8>> {
        let mut known = self.keys.lock().await;
        if let Some(keys) = known.as_ref()
            && let Some(payload) = keys.verify(token)?
        {
            return Ok(payload);
        }
        let fresh: Keys = self.answer(self.client.get(checked(&of.jwks_uri)?)).await?;
        let payload = fresh.verify(token)?;
        *known = Some(fresh);
        payload.ok_or_else(|| refused("it is signed with a key that the provider does not have"))
    }

    async fn configuration(&self) -> Result<Arc<Configuration>> {
        let mut known = self.known.lock().await;
        if let Some((since, configuration)) = &*known
            && since.elapsed() < CONFIGURATION_KEPT
        {
            return Ok(Arc::clone(configuration));
        }
        let issuer = self.options.issuer.trim_end_matches('/');
        let url = checked(&format!("{issuer}/.well-known/openid-configuration"))?;
        let found: Configuration = self.answer(self.client.get(url)).await?;
        if found.issuer != self.options.issuer {
            let (own, other) = (&self.options.issuer, &found.issuer);
            return Err(Error::Unavailable(format!(
                "the identity provider calls itself {other:?}, and the setting says {own:?}"
            )));
        }
        let found = Arc::new(found);
        *known = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    /// Sends a request, and reads a bounded answer.
    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            Error::Unavailable(format!("the identity provider cannot be asked: {error}"))
        };
        let mut response = request.send().await.map_err(failed)?;
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(part) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&part);
            if body.len() > limits::IDENTITY_BYTES_MAX {
                return Err(Error::Unavailable(format!(
                    "an answer of the identity provider has more than {} bytes",
                    limits::IDENTITY_BYTES_MAX
                )));
            }
        }
        match status {
            status if status.is_success() => serde_json::from_slice(&body).map_err(|error| {
                Error::Unavailable(format!("the identity provider's answer is wrong: {error}"))
            }),
            status if status.is_client_error() => Err(refused(format!("it answers {status}"))),
            status => Err(Error::Unavailable(format!("the identity provider answers {status}"))),
        }
    }
}

/// Reads an address that has to be encrypted, unless it is of this machine.
fn checked(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|_| Error::bad_input(format!("{text:?} is no address")))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local => Ok(url),
        _ => Err(Error::bad_input(format!(
            "{text:?} has to begin with https://: what is said there lets people in"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_give_roles() {
        let grants = OidcOptions::parse_grants("ops=operate@shop, root=admin@*,").unwrap();
        let shown: Vec<_> =
            grants.iter().map(|(group, grant)| format!("{group}: {grant}")).collect();
        let expected = ["ops: operate in namespace \"shop\"", "root: admin in all namespaces"];
        assert_eq!(shown, expected);
        for wrong in ["ops", "ops=operate", "ops=king@*"] {
            assert!(OidcOptions::parse_grants(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_that_lets_people_in_goes_unencrypted() {
        for good in
            ["https://id.example/a", "http://127.0.0.1:1/", "http://[::1]:1", "http://localhost"]
        {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example",
            "ftp://id.example",
            "id.example",
            "",
            "http://localhost.evil.example",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_part_of_a_sign_in_is_its_own() {
        let flow = Flow("secret");
        let parts = [flow.state(), flow.nonce(), flow.verifier(), flow.challenge()];
        for (at, part) in parts.iter().enumerate() {
            assert_eq!(part.len(), 43);
            assert!(parts.iter().skip(at + 1).all(|other| other != part));
        }
        assert_ne!(flow.state(), Flow("other").state());
    }
}
