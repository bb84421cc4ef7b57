//! Signing in at an identity provider, which signs with real keys over real HTTP.

use std::{sync::Arc, time::Duration};

use engine::{Engine, SystemClock};
use model::{
    Answer, Backend, Query, UserAnswer, UserChange, UserCommand, UserInfo, UserName, UserQuery,
};
use serde_json::json;
use server::{Oidc, OidcOptions, Options, Rate, bind};
use testkit::identity::{CLIENT_ID, CLIENT_SECRET, Lie, Provider, Signs};

use crate::{
    support::{Client, Reply, Request, Server},
    ui::page,
    users::add,
};

const CALLBACK: &str = "/ui/sign-in/callback";

struct Stage {
    provider: Provider,
    server: Server,
}

impl Stage {
    async fn new(signs: Signs, grants: &str) -> Self {
        Self::with(signs, grants, |_| {}).await
    }

    async fn with(signs: Signs, grants: &str, change: impl FnOnce(&mut OidcOptions)) -> Self {
        let provider = Provider::start(signs).await;
        let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            open: false,
            rate: Rate::Unlimited,
            grace: Duration::ZERO,
        };
        let backend: Arc<dyn Backend> = engine;
        let bound = bind(options, Arc::clone(&backend)).unwrap();
        let mut options = OidcOptions {
            issuer: provider.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(CLIENT_SECRET.to_owned()),
            address: format!("http://{}/", bound.address()),
            label: "Test & Co".to_owned(),
            name_claim: "preferred_username".to_owned(),
            groups_claim: "groups".to_owned(),
            grants: OidcOptions::parse_grants(grants).unwrap(),
        };
        change(&mut options);
        let bound = bound.sign_in_at(Oidc::new(options).unwrap());
        Self { provider, server: Server::bound(bound, backend) }
    }

    /// Goes to the provider, and gives the cookie and where the browser is sent back to.
    async fn go(&self) -> (String, String) {
        let led = self.server.send(page("/ui/sign-in/identity?to=%2Fui%2Fme")).await;
        assert_eq!(led.status, 303, "{}", led.text());
        let cookie = led.cookie("lockstep_identity").unwrap();
        let line = led.header("set-cookie").unwrap();
        assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
        let there = led.header("location").unwrap().to_owned();
        let path = there.strip_prefix(&self.provider.issuer).unwrap_or_else(|| panic!("{there}"));
        let address = self.provider.issuer.strip_prefix("http://").unwrap().parse().unwrap();
        let back = Client::new(address).await.send(Request::new("GET", path)).await;
        assert_eq!(back.status, 303, "{}", back.text());
        let back = back.header("location").unwrap().to_owned();
        let own = format!("http://{}", self.server.address);
        (cookie, back.strip_prefix(&own).unwrap_or_else(|| panic!("{back}")).to_owned())
    }

    async fn come_back(&self, cookie: &str, path: &str) -> Reply {
        let request = page(path).header("Cookie", cookie).header("Sec-Fetch-Site", "cross-site");
        self.server.send(request).await
    }

    async fn sign_in(&self) -> Reply {
        let (cookie, back) = self.go().await;
        self.come_back(&cookie, &back).await
    }

    async fn user(&self, name: &str) -> Option<UserInfo> {
        let query = Query::Users(UserQuery::One(UserName::new(name).unwrap()));
        match self.server.backend.read(query, 0).await.ok()?.answer {
            Answer::Users(UserAnswer::User(user, _)) => Some(user),
            _ => None,
        }
    }

    async fn change(&self, change: UserChange) {
        let name = UserName::new("ann").unwrap();
        let command = UserCommand::Change { name, change };
        let write = model::Write::one(&model::Namespace::empty(), command);
        self.server.backend.write(write).await.unwrap();
    }
}

#[track_caller]
fn check_refused(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 403, "{what}: {}", reply.text());
    assert_eq!(reply.cookie("lockstep_session"), None, "{what}");
    assert!(reply.text().contains("has not let you in"), "{what}: {}", reply.text());
    assert_eq!(reply.cookie("lockstep_identity").as_deref(), Some("lockstep_identity="), "{what}");
}

#[tokio::test]
async fn whom_the_provider_knows_is_a_user_with_the_roles_of_the_groups() {
    for signs in [Signs::Rsa, Signs::Ecdsa, Signs::Ed25519] {
        let stage = Stage::new(signs, "ops=operate@shop,root=admin@*").await;
        stage.provider.claim(json!({"groups": ["ops", "others"]}));
        let shown = stage.server.send(page("/ui/sign-in?to=%2Fui%2Fme")).await;
        assert!(shown.text().contains("Sign in with Test &#38; Co"), "{}", shown.text());
        let arrived = stage.sign_in().await;
        assert_eq!(arrived.status, 200, "{signs:?}: {}", arrived.text());
        // Browsers send no strict cookie along a redirect from another site, but from this page.
        let leads = "<meta http-equiv=\"refresh\" content=\"0; url=/ui/me\">";
        assert!(arrived.text().contains(leads), "{}", arrived.text());
        let cookie = arrived.cookie("lockstep_session").unwrap();
        let me = Request::new("GET", "/ui/me").header("Cookie", &cookie);
        let me = stage.server.send(me).await.json();
        assert_eq!(me["user"]["grants"], json!([{"role": "operate", "namespace": "shop"}]));
        assert_eq!(me["user"]["identity"]["subject"], "subject-of-ann");
        assert_eq!(me["user"]["has_password"], false);

        // The groups count anew each time.
        stage.provider.claim(json!({"groups": "root"}));
        assert_eq!(stage.sign_in().await.status, 200);
        let user = stage.user("ann").await.unwrap();
        assert_eq!(user.grants[0].to_string(), "admin in all namespaces");
        stage.provider.claim(json!({"groups": []}));
        check_refused(&stage.sign_in().await, "no group");
        assert_eq!(stage.user("ann").await.unwrap().grants, []);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_an_answer_lets_nobody_in() {
    let stage = Stage::new(Signs::Ecdsa, "").await;
    for lie in [
        Lie::Nonce,
        Lie::Audience,
        Lie::Issuer,
        Lie::Expired,
        Lie::UnknownKey,
        Lie::Signature,
        Lie::Unsigned,
        Lie::Refuses,
    ] {
        stage.provider.lie(lie);
        check_refused(&stage.sign_in().await, &format!("{lie:?}"));
        assert_eq!(stage.user("ann").await, None, "{lie:?}");
    }
    stage.provider.lie(Lie::None);
    let (cookie, back) = stage.go().await;
    check_refused(&stage.come_back("a=b", &back).await, "another browser");
    let (other, _) = stage.go().await;
    check_refused(&stage.come_back(&other, &back).await, "the state of another sign-in");
    let forged = back.replace("state=", "state=x");
    check_refused(&stage.come_back(&cookie, &forged).await, "a state of one's own");
    check_refused(&stage.come_back(&cookie, CALLBACK).await, "nothing at all");
    let issuer = format!("{}&iss=https%3A%2F%2Fother.example", back.split("&iss=").next().unwrap());
    check_refused(&stage.come_back(&cookie, &issuer).await, "an answer of another provider");
}

#[tokio::test]
async fn an_answer_is_taken_once() {
    let stage = Stage::new(Signs::Ed25519, "").await;
    let (cookie, back) = stage.go().await;
    assert_eq!(stage.come_back(&cookie, &back).await.status, 200);
    check_refused(&stage.come_back(&cookie, &back).await, "the same again");
    // A code that was traded, with a state that was not used.
    let (cookie, fresh) = stage.go().await;
    let code = |path: &str| path.split(['?', '&']).nth(1).unwrap().to_owned();
    let stolen = fresh.replace(&code(&fresh), &code(&back));
    check_refused(&stage.come_back(&cookie, &stolen).await, "a code that was used");
}

#[tokio::test]
async fn a_new_key_is_looked_up_and_an_old_one_forgotten() {
    let stage = Stage::new(Signs::Ecdsa, "").await;
    for _ in 0..2 {
        assert_eq!(stage.sign_in().await.status, 200);
    }
    assert_eq!(stage.provider.keys_asked(), 1, "keys are kept");
    stage.provider.rotate("second", Signs::Ed25519);
    assert_eq!(stage.sign_in().await.status, 200);
    assert_eq!(stage.provider.keys_asked(), 2);
}

#[tokio::test]
async fn nobody_becomes_a_user_that_was_there_before() {
    let stage = Stage::new(Signs::Ecdsa, "").await;
    add(&stage.server.backend, "ann", vec![]).await;
    check_refused(&stage.sign_in().await, "a user with a password");
    stage.provider.claim(json!({"preferred_username": "eve", "sub": "one"}));
    assert_eq!(stage.sign_in().await.status, 200);
    stage.provider.claim(json!({"sub": "another"}));
    check_refused(&stage.sign_in().await, "another subject of the same name");
    stage.provider.claim(json!({"preferred_username": " eve", "sub": "one"}));
    check_refused(&stage.sign_in().await, "a name that is none");
}

#[tokio::test]
async fn without_groups_an_administrator_gives_roles_and_can_keep_out() {
    let stage = Stage::new(Signs::Ed25519, "").await;
    assert_eq!(stage.sign_in().await.status, 200);
    let admin = model::Grant { role: model::Role::Admin, namespace: None };
    stage.change(UserChange::Grant(admin.clone())).await;
    let arrived = stage.sign_in().await;
    assert_eq!(stage.user("ann").await.unwrap().grants, [admin]);
    let cookie = arrived.cookie("lockstep_session").unwrap();
    let users = page("/ui/users").header("Cookie", &cookie);
    assert_eq!(stage.server.send(users.clone()).await.status, 200);
    stage.change(UserChange::Disable).await;
    assert_eq!(stage.server.send(users).await.status, 303);
    check_refused(&stage.sign_in().await, "a user that is disabled");
}

#[tokio::test]
async fn a_provider_that_is_another_or_away_is_said_to_be() {
    let stage = Stage::with(Signs::Ecdsa, "", |options| options.issuer += "/").await;
    let said = stage.server.send(page("/ui/sign-in/identity")).await;
    assert!(said.status == 200 && said.text().contains("cannot be reached"), "{}", said.text());
    let server = Server::with(false);
    let none = server.send(page("/ui/sign-in/identity")).await;
    assert!(none.status == 400 && none.text().contains("no identity provider"), "{}", none.text());
}
