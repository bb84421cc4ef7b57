//! The keys of an identity provider, and the signatures that are made with them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Error, Result};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::refused;

/// The keys that a provider has at present.
#[derive(Deserialize)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

/// A key as RFC 7517 and 7518 write it; those that are of no use here are passed over.
#[derive(Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// The signatures that are understood; what is signed with a shared secret or not at all is not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// Tells whether a key is of the kind that this needs, whatever the token says of itself.
    fn fits(self, key: &Key) -> bool {
        let curve = key.crv.as_deref();
        let is_kind = match self {
            Self::Rs256 => key.kty == "RSA",
            Self::Es256 => key.kty == "EC" && curve == Some("P-256"),
            Self::EdDsa => key.kty == "OKP" && curve == Some("Ed25519"),
        };
        is_kind
            && key.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && key.alg.as_deref().is_none_or(|alg| Self::parse(alg) == Some(self))
    }
}

fn damaged() -> Error {
    refused("the token is not in the form that it must have")
}

fn decode(text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())
}

impl Keys {
    /// Gives what a token says if one of the keys signed it; none if the key is not among them.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a token that no key can make right.
    pub(super) fn verify(&self, token: &str) -> Result<Option<Vec<u8>>> {
        let (signed, signature) = token.rsplit_once('.').ok_or_else(damaged)?;
        let (header, payload) = signed.split_once('.').ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| damaged())?;
        if header.crit.is_some() {
            return Err(refused("the token has extensions that have to be understood"));
        }
        let algorithm = Algorithm::parse(&header.alg)
            .ok_or_else(|| refused(format!("the token is signed with {:?}", header.alg)))?;
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        let named = |key: &&Key| match &header.kid {
            Some(kid) => key.kid.as_ref() == Some(kid),
            None => true,
        };
        let mut fitting = self.keys.iter().filter(named).filter(|key| algorithm.fits(key));
        let (Some(key), None) = (fitting.next(), fitting.next()) else { return Ok(None) };
        match key.signed(algorithm, signed.as_bytes(), &signature)? {
            true => Ok(Some(payload)),
            false => Err(refused("the signature is wrong")),
        }
    }
}

impl Key {
    fn field(field: &Option<String>) -> Result<Vec<u8>> {
        decode(field.as_deref().ok_or_else(damaged)?)
    }

    fn signed(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Result<bool> {
        let verified = match algorithm {
            Algorithm::Rs256 => {
                let (n, e) = (Self::field(&self.n)?, Self::field(&self.e)?);
                let key = RsaPublicKeyComponents { n: &n, e: &e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            Algorithm::Es256 => {
                let (x, y) = (Self::field(&self.x)?, Self::field(&self.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(damaged());
                }
                // A point that is not compressed begins with 4.
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            Algorithm::EdDsa => {
                UnparsedPublicKey::new(&ED25519, Self::field(&self.x)?).verify(signed, signature)
            }
        };
        Ok(verified.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair},
    };
    use serde_json::json;

    use super::*;

    fn encode(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn only_what_a_fitting_key_signed_is_believed() {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let keys = |more: Value| -> Keys {
            let mut key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(json!({"keys": [key, {"kty": "oct", "k": "eA"}]})).unwrap()
        };
        let token = |header: Value| {
            let signed = format!("{}.{}", encode(&header), encode(&json!({"sub": "ann"})));
            let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
            format!("{signed}.{signature}")
        };
        let own = keys(json!({}));
        let good = token(json!({"alg": "EdDSA", "kid": "a"}));
        assert_eq!(own.verify(&good).unwrap().unwrap(), br#"{"sub":"ann"}"#);
        assert!(own.verify(&token(json!({"alg": "EdDSA"}))).unwrap().is_some());
        // A key of another name, purpose or kind is none of these.
        assert!(own.verify(&token(json!({"alg": "EdDSA", "kid": "b"}))).unwrap().is_none());
        assert!(own.verify(&token(json!({"alg": "RS256", "kid": "a"}))).unwrap().is_none());
        assert!(keys(json!({"use": "enc"})).verify(&good).unwrap().is_none());
        assert!(keys(json!({"alg": "ES256"})).verify(&good).unwrap().is_none());
        // What is signed with nothing, with a secret or in another way is refused.
        for header in [
            json!({"alg": "none", "kid": "a"}),
            json!({"alg": "HS256", "kid": "a"}),
            json!({"alg": "EdDSA", "kid": "a", "crit": ["x"]}),
        ] {
            assert!(own.verify(&token(header.clone())).is_err(), "{header}");
        }
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let forged = format!("{header}.{}.{signature}", encode(&json!({"sub": "eve"})));
        for wrong in ["", "a.b", "a.b.c", &forged, &format!("{good}A"), &format!("{signed}.")] {
            assert!(own.verify(wrong).is_err(), "{wrong}");
        }
    }
}
