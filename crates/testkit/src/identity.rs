//! A small OpenID Connect provider that signs with real keys over real HTTP, and can lie.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A key of 2048 bits for nothing but tests, in PKCS #8: making one takes too long.
const RSA: &str = "\
    MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDE0GicHRG17ZNQ/DmmrNkbrpCJsLA7L4GRr44cNSTe\
    vQRqy9L0Te7ackMoYYrb7IiB4cnUJGJ9c8J98rtQfFzJQZsGHnDOYOfpBLRGf83kWGJj0n1B755cDxUCfnYIcWDJ/XT+\
    pxXDJ8J+45ToopYZjqGMDUlrrCAdVo/Tu93lWSx0ZO1JYNb/Np5mwup6O57ifJxXPwxWQud6yd1LQGTNv6yQDe6bj5sb\
    7cyyilNnkkwD9rQmWj/8qz7NYXTt22I3/eK3v+tV9Txvg8ke4XYXyR9U0BnR/3z5ul+nCUqaJfmCkiqRFIyC2Fik/SgO\
    CMRMRdYNbytRYE/77hKDlQXjAgMBAAECggEAM9DCmcc1cHY5wKqG6xC6oAUXXIi9/PcG37oeaeK78EBHN26t/U+/QJew\
    gqMbkcb2MWumXUmu/GRLoikTk58KNpolHDlLbaoppDlu1Ni09hcm4Cz8eS2Cva3i1CNDI/nlh4hJEvoeSqDfHdUA0TZs\
    2hGpClw9JjHMyqyNdSsSwlx/lwgzNWs/aMWCGtbPdQl15yhBKJCVOtUSPIQ4AnzM2kOlIKMiVK0y6DDCojn2YxsN9B3K\
    c3p+l1xbVIvn7Jb+E1A1w6cJtvDab1bMOIWsQAwzfDGFLI1YzZdnfd0Qh0LRZBZ6+dpdFw8XBxnuVyWiHfYjXjVGRSFf\
    8Ii4AsWXIQKBgQDkyVeMDlzNo+cEoLvBa4Lm5WRtsw4s7/z9M/Y3AMUhEmozI+pp15v0Tas2Rd4RJRDd/ugdq4L82BQE\
    h1yIOYsNDrHC80fxf7ZehsWDmmEv8k3iezz88DMCznRGQKeD0m8i66ssxGK7MQCFctTITLXWgf98UZDobAgguOm0InR5\
    uwKBgQDcOX3uRyzqWMZnSt27DqYKJcaLJ1NMQOEJUnPLOZW20o+743wclPRmTYm7+j1yKvtvR0Obedj7e1CIgtzjFSCb\
    RvAO+U6ALDQatXo8Jo3LRPWIRqwMcP/DkbxslnnG9A6qGCK9V5R8SCMMSVGwXTulPhb4fHHapOWvdL3LjwJt+QKBgQCJ\
    NVcT3+k4SvvZgqwXq+qtnxVD1QbDXIpVMDyRcBzJYMngMcH8CBq3wXzU58HudlRPTvjWEm5URSJ8NNIBwMDr68wgJtcW\
    tokg16LM8mEm6CJdmZtR9pwhKsABAfV00VdlkgDusDimGxU880k5dwf2xa/7Vs+ZFHErbrp6Fc/U0QKBgFCgk+R7Foyt\
    9+W1WTy0/kFU1z33Jd4TGtDI6TAMYy3OJWWKwdPNDTWvSbASzBBSgD+bfbscfz6DRVbVYn2ZLJjs/dLdn8n5ZRIqQxhm\
    nR9AngxIo5DihiFZ5/xxkyAuFnhb4cwklm5yErLa3ReO6tlyxAIxvZVpLdZxDVPLhf4xAoGAOo+o2UQNl6puY9iWkr0h\
    8z4fXb6iUIrBXganE4QUqLJQez0IVx6tdX1q8nWA0ftyNx1Cy6o4NqqkEwB5eX/JFQtP1PxOGji+pt9K9uAQF/ajtt1S\
    EtTBrIMNRuDqRAkvpP75FuUfnThpJ/Mo8sWJ0MVBnM+iNn6EgG/zNySNjBE=";

/// What this provider calls the program that is tested.
pub const CLIENT_ID: &str = "lockstep";
/// The secret of that program; its signs show whether they are escaped.
pub const CLIENT_SECRET: &str = "s3cret+of/lockstep:&";

/// How a provider signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// RS256.
    Rsa,
    /// ES256.
    Ecdsa,
    /// EdDSA.
    Ed25519,
}

/// What is wrong with what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    #[default]
    None,
    /// The nonce is of another sign-in.
    Nonce,
    /// The token is for another program.
    Audience,
    /// The token is of another provider.
    Issuer,
    /// The token is over.
    Expired,
    /// The token is signed with a key that it does not show.
    UnknownKey,
    /// The signature is of something else.
    Signature,
    /// There is no signature.
    Unsigned,
    /// It answers with an error.
    Refuses,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

struct Key {
    kid: String,
    pair: Pair,
}

/// A code that was given out, and what it is for.
struct Code {
    nonce: String,
    challenge: String,
    redirect: String,
}

struct State {
    key: Key,
    hidden: Key,
    lie: Lie,
    claims: Map<String, Value>,
    codes: HashMap<String, Code>,
    given: u64,
    keys_asked: u64,
}

/// A provider that runs until the test ends.
pub struct Provider {
    /// Its address, as it says it in what it signs.
    pub issuer: String,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// Starts one on a free port, for a user `ann` without groups.
    pub async fn start(signs: Signs) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            key: Key::new("first", signs),
            hidden: Key::new("hidden", signs),
            lie: Lie::None,
            claims: object(json!({"sub": "subject-of-ann", "preferred_username": "ann"})),
            codes: HashMap::new(),
            given: 0,
            keys_asked: 0,
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, address, Arc::clone(&shared)));
            }
        });
        Self { issuer: format!("http://{address}"), state }
    }

    /// Says what it claims from now on, besides what belongs to a sign-in.
    pub fn claim(&self, claims: Value) {
        self.lock().claims.extend(object(claims));
    }

    /// Says what is wrong with it from now on.
    pub fn lie(&self, lie: Lie) {
        self.lock().lie = lie;
    }

    /// Takes a new key in the place of the old one.
    pub fn rotate(&self, kid: &str, signs: Signs) {
        self.lock().key = Key::new(kid, signs);
    }

    /// Tells how often it was asked for its keys.
    pub fn keys_asked(&self) -> u64 {
        self.lock().keys_asked
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

impl Key {
    fn new(kid: &str, signs: Signs) -> Self {
        let random = SystemRandom::new();
        let pair = match signs {
            Signs::Rsa => {
                let der = STANDARD.decode(RSA).expect("base64");
                Pair::Rsa(RsaKeyPair::from_pkcs8(&der).expect("a key"))
            }
            Signs::Ecdsa => {
                let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random);
                Pair::Ecdsa(pair.expect("a key"))
            }
            Signs::Ed25519 => {
                let der = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("a key"))
            }
        };
        Self { kid: kid.to_owned(), pair }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ecdsa(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    fn shown(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let parts: PublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({"kty": "RSA", "n": text(&parts.n), "e": text(&parts.e)})
            }
            Pair::Ecdsa(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).expect("a point").split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        };
        let more = json!({"kid": self.kid, "use": "sig", "alg": self.algorithm()});
        key.as_object_mut().expect("an object").extend(object(more));
        key
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).expect("a signature");
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&random, text).expect("a signature").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(text).as_ref().to_vec(),
        }
    }
}

/// Answers one request.
async fn answer(mut stream: TcpStream, own: SocketAddr, state: Arc<Mutex<State>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let issuer = format!("http://{own}");
        match path {
            "/.well-known/openid-configuration" => json_reply(200, &configuration(&issuer)),
            "/keys" => {
                state.keys_asked += 1;
                json_reply(200, &json!({"keys": [state.key.shown()]}))
            }
            "/authorize" => state.authorize(&issuer, &pairs(query)),
            "/token" => state.token(&issuer, &head, &pairs(&body)),
            _ => json_reply(404, &json!({})),
        }
    };
    // A client that has gone needs no answer.
    let _gone = stream.write_all(reply.as_bytes()).await;
    let _closed = stream.shutdown().await;
}

fn configuration(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=test"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    })
}

impl State {
    /// Sends the browser back, as if the user had said who they are.
    fn authorize(&mut self, issuer: &str, asked: &HashMap<String, String>) -> String {
        let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let redirect = word("redirect_uri");
        let is_right = word("response_type") == "code"
            && word("client_id") == CLIENT_ID
            && word("tenant") == "test"
            && word("code_challenge_method") == "S256"
            && word("scope").split(' ').any(|scope| scope == "openid");
        if !is_right {
            return json_reply(400, &json!({"error": "invalid_request"}));
        }
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let state = escape(&word("state"));
        let back = match self.lie {
            Lie::Refuses => format!("{redirect}?error=access_denied&state={state}"),
            _ => {
                self.given += 1;
                let code = format!("code-{}", self.given);
                let (nonce, challenge) = (word("nonce"), word("code_challenge"));
                let back = format!("{redirect}?code={code}&state={state}&iss={}", escape(issuer));
                self.codes.insert(code, Code { nonce, challenge, redirect });
                back
            }
        };
        format!("HTTP/1.1 303 See Other\r\nLocation: {back}\r\nContent-Length: 0\r\n\r\n")
    }

    /// Trades a code for a token, once, to whoever began.
    fn token(&mut self, issuer: &str, head: &str, sent: &HashMap<String, String>) -> String {
        let word = |name: &str| sent.get(name).cloned().unwrap_or_default();
        let refused = json_reply(400, &json!({"error": "invalid_grant"}));
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let own = STANDARD.encode(format!("{}:{}", escape(CLIENT_ID), escape(CLIENT_SECRET)));
        if !head.contains(&format!("Basic {own}")) {
            return json_reply(401, &json!({"error": "invalid_client"}));
        }
        let Some(code) = self.codes.remove(&word("code")) else { return refused };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(word("code_verifier")));
        if challenge != code.challenge || word("redirect_uri") != code.redirect {
            return refused;
        }
        let token = self.signed(issuer, &code.nonce);
        json_reply(200, &json!({"token_type": "Bearer", "access_token": "a", "id_token": token}))
    }

    fn signed(&self, issuer: &str, nonce: &str) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        let now = since.as_secs();
        let mut claims = self.claims.clone();
        claims.extend(object(json!({
            "iss": if self.lie == Lie::Issuer { "http://127.0.0.1:1" } else { issuer },
            "aud": if self.lie == Lie::Audience { "other" } else { CLIENT_ID },
            "nonce": if self.lie == Lie::Nonce { "other" } else { nonce },
            "exp": if self.lie == Lie::Expired { now - 61 } else { now + 300 },
            "iat": now,
        })));
        let key = if self.lie == Lie::UnknownKey { &self.hidden } else { &self.key };
        let algorithm = if self.lie == Lie::Unsigned { "none" } else { key.algorithm() };
        let header = json!({"alg": algorithm, "kid": key.kid, "typ": "JWT"});
        let text = |value: &str| URL_SAFE_NO_PAD.encode(value);
        let claims = Value::Object(claims).to_string();
        let signed = format!("{}.{}", text(&header.to_string()), text(&claims));
        let signature = match self.lie {
            Lie::Signature => key.sign(b"something else"),
            Lie::Unsigned => Vec::new(),
            _ => key.sign(signed.as_bytes()),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn json_reply(status: u16, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Reads a request: its head and its body.
async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(part.get(..count)?);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

/// Reads the pairs of a query or a form.
fn pairs(text: &str) -> HashMap<String, String> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}
