//! What an identity provider says of somebody, and what has to be true of that.

use model::{Grant, Identity, Result, Time, UserName, grants};
use serde_json::{Map, Value};

use super::{Known, OidcOptions, refused};

/// How much the clocks of two machines may differ.
const SKEW_SECONDS: i64 = 60;
/// Bytes of what a provider calls somebody.
const SUBJECT_BYTES_MAX: usize = 255;

/// The claims of an id token.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn read(payload: &[u8]) -> Result<Self> {
        serde_json::from_slice(payload)
            .map(Self)
            .map_err(|error| refused(format!("the claims are not what they must be: {error}")))
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Gives a time in seconds since 1970; none for one that is absent or no number.
    fn seconds(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// Gives for whom the token is: OpenID Connect allows one name or several.
    fn audience(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Refuses a token that is of another provider, for another program or sign-in, or not of now.
    pub(super) fn check(&self, options: &OidcOptions, nonce: &str, now: Time) -> Result<()> {
        let own = options.client_id.as_str();
        if self.word("iss") != Some(options.issuer.as_str()) {
            return Err(refused("the token is of another issuer"));
        }
        let names = self.audience();
        if !names.contains(&own) {
            return Err(refused("the token is for another audience"));
        }
        let party = self.0.get("azp").map(Value::as_str);
        if party.is_some_and(|party| party != Some(own)) || (names.len() > 1 && party.is_none()) {
            return Err(refused("the token was given to another party"));
        }
        let (now, skew) = (now.unix_seconds() as f64, SKEW_SECONDS as f64);
        if self.seconds("exp").is_none_or(|exp| exp <= now - skew) {
            return Err(refused("the token is expired"));
        }
        let begins = match self.0.get("nbf") {
            Some(nbf) => nbf.as_f64(),
            None => self.seconds("iat"),
        };
        let is_ahead = |time: Option<f64>| time.is_none_or(|time| time >= now + skew);
        if is_ahead(self.seconds("iat")) || is_ahead(begins) {
            return Err(refused("the token is of the future"));
        }
        if self.word("nonce") != Some(nonce) {
            return Err(refused("the nonce is not that of this sign-in"));
        }
        let subject = self.word("sub").unwrap_or_default();
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(refused("the subject is empty or too long"));
        }
        Ok(())
    }

    /// Says who it is, and which roles the groups give.
    pub(super) fn known(self, options: &OidcOptions) -> Result<Known> {
        let name = self.text(&options.name_claim)?;
        let is_unproved = self.0.get("email_verified") == Some(&Value::Bool(false));
        if options.name_claim == "email" && is_unproved {
            return Err(refused("the address of mail is not verified"));
        }
        let name = UserName::new(name).map_err(|error| refused(error.to_string()))?;
        let given = (!options.grants.is_empty()).then(|| self.granted(options)).transpose()?;
        let subject = self.word("sub").unwrap_or_default().to_owned();
        let identity = Identity { issuer: options.issuer.clone(), subject };
        Ok(Known { identity, name, grants: given })
    }

    fn text(&self, claim: &str) -> Result<String> {
        match self.find(claim) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(refused(format!("the token has no text in the claim {claim:?}"))),
        }
    }

    /// Finds a claim by its name, or else by the path that dots lead.
    fn find(&self, claim: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(claim) {
            return Some(value);
        }
        let mut parts = claim.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    fn granted(&self, options: &OidcOptions) -> Result<Vec<Grant>> {
        let own: Vec<&str> = match self.find(&options.groups_claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut given: Vec<Grant> = Vec::new();
        for (_, grant) in options.grants.iter().filter(|(group, _)| own.contains(&group.as_str())) {
            match given.iter_mut().find(|other| other.namespace == grant.namespace) {
                // Of two roles in one namespace the higher one holds the other.
                Some(other) => other.role = other.role.max(grant.role),
                None => given.push(grant.clone()),
            }
        }
        grants(given)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options() -> OidcOptions {
        OidcOptions {
            issuer: "https://id.example".into(),
            client_id: "lockstep".into(),
            client_secret: None,
            address: "https://lockstep.example".into(),
            label: "Example".into(),
            name_claim: "preferred_username".into(),
            groups_claim: "realm_access.roles".into(),
            grants: OidcOptions::parse_grants("ops=operate@shop,lead=author@shop,root=admin@*")
                .unwrap(),
        }
    }

    fn claims(change: Value) -> Result<Claims> {
        let mut all = json!({
            "iss": "https://id.example", "sub": "1", "aud": "lockstep", "exp": 2_000, "iat": 1_000,
            "nonce": "n", "preferred_username": "ann",
            "realm_access": {"roles": ["ops", "lead", "other"]},
        });
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Claims::read(all.to_string().as_bytes())
    }

    fn check(change: Value) -> Result<()> {
        claims(change)?.check(&options(), "n", Time(1_500 * 1_000_000_000))
    }

    #[test]
    fn what_is_of_another_place_time_or_sign_in_is_refused() {
        let good = [
            json!({}),
            json!({"aud": ["lockstep"]}),
            json!({"aud": ["lockstep", "other"], "azp": "lockstep"}),
            json!({"exp": 1_441}),
            json!({"iat": 1_559, "nbf": 1_559}),
        ];
        for change in good {
            assert_eq!(check(change.clone()), Ok(()), "{change}");
        }
        let bad = [
            json!({"iss": "https://id.example/"}),
            json!({"aud": "other"}),
            json!({"aud": []}),
            json!({"aud": ["lockstep", "other"]}),
            json!({"azp": "other"}),
            json!({"exp": 1_440}),
            json!({"exp": "9999"}),
            json!({"exp": null}),
            json!({"iat": 1_560}),
            json!({"nbf": 1_560}),
            json!({"nonce": "m"}),
            json!({"nonce": null}),
            json!({"sub": ""}),
            json!({"sub": "s".repeat(256)}),
        ];
        for change in bad {
            assert!(check(change.clone()).is_err(), "{change}");
        }
    }

    #[test]
    fn groups_become_roles_and_the_higher_one_counts() {
        let known = claims(json!({})).unwrap().known(&options()).unwrap();
        let grants = known.grants.unwrap();
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].to_string(), "author in namespace \"shop\"");
        let known = claims(json!({"realm_access": {}})).unwrap().known(&options()).unwrap();
        assert_eq!(known.grants, Some(vec![]));
        let without = OidcOptions { grants: vec![], ..options() };
        assert_eq!(claims(json!({})).unwrap().known(&without).unwrap().grants, None);
    }

    #[test]
    fn a_name_is_a_claim_that_is_there_and_proved() {
        let by = |claim: &str| OidcOptions { name_claim: claim.to_owned(), ..options() };
        let name = |change: Value, claim: &str| {
            claims(change).unwrap().known(&by(claim)).map(|known| known.name.to_string())
        };
        assert_eq!(name(json!({}), "preferred_username").unwrap(), "ann");
        assert_eq!(name(json!({}), "sub").unwrap(), "1");
        assert!(name(json!({}), "email").is_err());
        let mail = json!({"email": "ann@example.org", "email_verified": true});
        assert_eq!(name(mail, "email").unwrap(), "ann@example.org");
        let unproved = json!({"email": "ann@example.org", "email_verified": false});
        assert!(name(unproved, "email").is_err());
        assert!(name(json!({"preferred_username": 7}), "preferred_username").is_err());
    }
}
