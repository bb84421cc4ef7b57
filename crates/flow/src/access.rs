//! Where to call, and how to prove who calls.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::{
    expression::Text,
    node::{Node, Value},
    shape::{Reader, SchemaName, Shape, choice, object},
    value::Name,
};

/// Where to call: an address, or one with a way to prove who calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// The address alone, perhaps with variables in braces.
    Address(Text),
    /// The address, and how to prove who calls.
    Guarded(Box<GuardedEndpoint>),
}

impl Shape for Endpoint {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return Shape::read(node, reader).map(Self::Guarded);
        }
        Text::read(node, reader).map(Self::Address)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> SchemaName {
        "Endpoint".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let address = generator.subschema_for::<Text>();
        let guarded = generator.subschema_for::<GuardedEndpoint>();
        json_schema!({"anyOf": [address, guarded]})
    }
}

object! {
    /// An address, and how to prove who calls.
    GuardedEndpoint {
        /// The address, perhaps with variables in braces.
        uri: Text = "uri",
        /// How to prove who calls.
        authentication: Option<AuthenticationUse> = "authentication",
    }
}

object! {
    /// A document elsewhere.
    Resource {
        /// What to call it.
        name: Option<String> = "name",
        /// Where it is.
        endpoint: Endpoint = "endpoint",
    }
}

/// The ways to prove who calls that are known.
const WAYS: &[&str] = &["basic", "bearer", "oauth2"];

object! {
    /// A way to prove who calls.
    Authentication {
        /// With a name and password.
        basic: Option<Basic> = "basic",
        /// With a token.
        bearer: Option<Bearer> = "bearer",
        /// With a token that an OAuth 2 server gives.
        oauth2: Option<OAuth2> = "oauth2",
    }
    unsupported ["certificate", "digest", "oidc"]
    check |_, node, reader| ways(node, reader, WAYS)
}

object! {
    /// A way to prove who calls, or the name of one.
    AuthenticationUse {
        /// The name of an authentication below `use`.
        reference: Option<Name> = "use",
        /// With a name and password.
        basic: Option<Basic> = "basic",
        /// With a token.
        bearer: Option<Bearer> = "bearer",
        /// With a token that an OAuth 2 server gives.
        oauth2: Option<OAuth2> = "oauth2",
    }
    unsupported ["certificate", "digest", "oidc"]
    check |_, node, reader| ways(node, reader, &["use", "basic", "bearer", "oauth2"])
}

/// A way that is not supported has been told already, and is not missing as well.
fn ways(node: &Node, reader: &mut Reader, known: &[&str]) {
    if !["certificate", "digest", "oidc"].iter().any(|key| node.get(key).is_some()) {
        reader.exactly_one(node, known);
    }
}

object! {
    /// A name and password.
    Basic {
        /// The secret that holds both.
        secret: Option<Name> = "use",
        /// The name.
        username: Option<Text> = "username",
        /// The password.
        password: Option<Text> = "password",
    }
    check |_, node, reader| secret_or(node, reader, &["username", "password"])
}

object! {
    /// A token.
    Bearer {
        /// The secret that holds it.
        secret: Option<Name> = "use",
        /// The token.
        token: Option<Text> = "token",
    }
    check |_, node, reader| secret_or(node, reader, &["token"])
}

object! {
    /// How an OAuth 2 server gives a token for the client itself.
    OAuth2 {
        /// The secret that holds all of it.
        secret: Option<Name> = "use",
        /// The server.
        authority: Option<Text> = "authority",
        /// The kind of grant.
        grant: Option<Grant> = "grant",
        /// Who the client is.
        client: Option<Client> = "client",
        /// Paths at the server.
        endpoints: Option<OAuth2Endpoints> = "endpoints",
        /// What the token shall allow.
        scopes: Option<Vec<Text>> = "scopes",
        /// For whom the token shall be.
        audiences: Option<Vec<Text>> = "audiences",
        /// Who may have issued the token.
        issuers: Option<Vec<Text>> = "issuers",
    }
    unsupported ["actor", "password", "request", "subject", "username"]
    check |_, node, reader| secret_or(node, reader, &["authority", "grant", "client"])
}

choice! {
    /// A kind of OAuth 2 grant.
    Grant {
        /// The client acts for itself.
        ClientCredentials = "client_credentials",
    }
    unsupported [
        "authorization_code", "password", "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange"
    ]
}

object! {
    /// Who an OAuth 2 client is.
    Client {
        /// Its id.
        id: Text = "id",
        /// Its secret.
        secret: Option<Text> = "secret",
        /// How it sends both.
        authentication: Option<ClientAuthentication> = "authentication"
            or Some(ClientAuthentication::Post),
    }
}

choice! {
    /// How an OAuth 2 client sends its id and secret.
    ClientAuthentication {
        /// In a header.
        Basic = "client_secret_basic",
        /// In the body.
        Post = "client_secret_post",
        /// It has no secret.
        None = "none",
    }
    unsupported ["client_secret_jwt", "private_key_jwt"]
}

object! {
    /// Paths at an OAuth 2 server.
    OAuth2Endpoints {
        /// Where tokens are given.
        token: Option<Text> = "token",
    }
    unsupported ["introspection", "revocation"]
}

/// Checks that a mapping has either the name of a secret or all of some keys.
fn secret_or(node: &Node, reader: &mut Reader, keys: &'static [&'static str]) {
    use crate::problem::Code;
    let missing = keys.iter().find(|key| node.get(key).is_none());
    let given = keys.iter().find(|key| node.get(key).is_some());
    match (node.get("use"), given, missing) {
        (Some(_), Some(given), _) => {
            let message = format!("\"use\" names a secret that holds {given:?} already");
            reader.note(node.at, Code::KeyConflict, message, "keep one of them");
        }
        (None, _, Some(missing)) => {
            let message = format!("the key {missing:?} is missing");
            let hint = format!("add {missing:?} here, or name a secret with \"use\"");
            reader.note(node.at, Code::MissingKey, message, hint);
        }
        (Some(_), None, _) | (None, _, None) => {}
    }
}
