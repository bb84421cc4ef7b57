//! How often callers may ask.

use std::num::NonZeroU32;

use model::{AdminCommand, Scope};
use serde_json::json;
use server::Rate;

use crate::{
    access::{admin, create, info},
    support::{Client, Reply, Request, Server},
};

fn rate(number: u32) -> Rate {
    Rate::Max(NonZeroU32::new(number).unwrap())
}

fn get(token: &str) -> Request {
    Request::new("GET", "/").token(token)
}

/// Asks until it is refused for asking too often, and gives the refusal and how often it was not.
async fn until_refused(client: &mut Client, request: &Request, max: usize) -> (Reply, usize) {
    for count in 0..max {
        let reply = client.send(request.clone()).await;
        if reply.status == 429 {
            return (reply, count);
        }
    }
    panic!("{max} requests were not too many");
}

#[tokio::test]
async fn each_token_has_its_own_limit() {
    let server = Server::limited(false, rate(5));
    let one = create(&server, info("one", None, Scope::ALL)).await;
    let two = create(&server, info("two", None, Scope::ALL)).await;
    let mut client = server.connect().await;
    let problem = get(&one).header("Accept", "application/json, application/problem+json");
    let (refused, taken) = until_refused(&mut client, &problem, 1_000).await;
    assert!(taken >= 10, "{taken} were let through");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["code"], "too_many_requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(client.send(get(&two)).await.status, 200);
    // Who shows no token is counted by address.
    until_refused(&mut client, &Request::new("GET", "/livez"), 1_000).await;
    assert_eq!(client.send(get(&two)).await.status, 200);
    let metrics = client.send(Request::new("GET", "/metrics").token(&two)).await;
    assert!(metrics.text().contains("lockstep_rate_limited_total{what=\"requests\"}"));
}

#[tokio::test]
async fn the_limits_of_a_server_are_shown() {
    let shown = async |rate| {
        let limits = Server::limited(true, rate).get("/v1/limits").await.json();
        let limit = |name: &str| {
            let all = limits["limits"].as_array().unwrap();
            all.iter().find(|limit| limit["name"] == name).unwrap()["value"].clone()
        };
        (limit("requests_per_second_max"), limit("requests_at_once_max"))
    };
    assert_eq!(shown(rate(7)).await, (json!(7), json!(14)));
    assert_eq!(shown(Rate::Usual).await, (json!(1_000), json!(2_000)));
    assert_eq!(shown(Rate::Unlimited).await, (json!(0), json!(0)));
}

#[tokio::test]
async fn programs_of_this_machine_are_limited_only_where_asked_for() {
    let server = Server::limited(true, Rate::Usual);
    let mut client = server.connect().await;
    for _ in 0..3_000 {
        assert_eq!(client.send(Request::new("GET", "/livez")).await.status, 200);
    }
    let server = Server::limited(true, rate(5));
    let mut client = server.connect().await;
    until_refused(&mut client, &Request::new("GET", "/namespace"), 1_000).await;
}

#[tokio::test]
async fn who_guesses_tokens_is_slowed_down_and_nobody_else() {
    let server = Server::limited(false, Rate::Usual);
    let known = create(&server, info("known", None, Scope::ALL)).await;
    let revoked = create(&server, info("revoked", None, Scope::ALL)).await;
    let mut client = server.connect().await;
    assert_eq!(client.send(get(&known)).await.status, 200);
    assert_eq!(client.send(get(&revoked)).await.status, 200);
    admin(&server, AdminCommand::RevokeToken { id: "revoked".into() }).await;
    let (refused, taken) = until_refused(&mut client, &get("lk_a_b"), 1_000).await;
    assert!(taken >= 50, "{taken} were let through");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // A token that worked before works on, and one that was revoked ends as a wrong one.
    assert_eq!(client.send(get(&known)).await.status, 200);
    let asked = std::time::Instant::now();
    while client.send(get(&revoked)).await.status != 429 {
        assert!(asked.elapsed() < std::time::Duration::from_secs(5));
    }
}
