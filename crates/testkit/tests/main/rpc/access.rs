//! Tokens and scopes, the metrics, the configuration, and a server that stops.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use model::{AdminCommand, Command, Datum, Namespace, Scope, TokenInfo};
use testkit::{
    Fixture, World, dict_data,
    rpc::{Caller, Strings, V, i, l, listen, m, s},
};

/// `lk_test_secret`, by its SHA-256.
const HASH: &str = "7073157c5a52e9645f50bc5b5419b454fec5b5551b95418cfe16d88c074e8e32";

fn token(world: &World, namespace: Option<&str>, scopes: &[&str]) {
    let byte = |at: usize| u8::from_str_radix(&HASH[2 * at..2 * at + 2], 16).unwrap();
    let info = TokenInfo {
        id: "lk_test".to_owned(),
        namespace: namespace.map(|name| Namespace::new(name).unwrap()),
        scopes: scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect(),
        created: world.now(),
        expires: None,
    };
    let command = AdminCommand::CreateToken { info, hash: std::array::from_fn(byte) };
    world.write([Command::Admin(command)]).unwrap();
}

/// A server that asks everyone for a token, and one of its connections.
fn closed(namespace: Option<&str>, scopes: &[&str]) -> (World, Caller) {
    let fixture = Fixture::memory();
    let (_, address) = listen(&fixture, false, None);
    let world = World::new(Arc::new(fixture), "");
    token(&world, namespace, scopes);
    (world, Caller::open(address, Strings::Text))
}

#[test]
fn a_connection_authenticates_first() {
    let (world, mut caller) = closed(None, &["*"]);
    let needed = Err("a token is needed".to_owned());
    assert_eq!(caller.call("clear", []), needed);
    assert_eq!(caller.call("now", []), needed);
    let invalid = Err("the token is not valid".to_owned());
    assert_eq!(caller.call("authenticate", [s("lk_other_secret")]), invalid);
    assert_eq!(caller.call("clear", []), needed);
    assert_eq!(caller.call("authenticate", [s("lk_test_secret")]), Ok(l([V::Bool(true), V::Null])));
    assert_eq!(caller.call("clear", []), Ok(i(0)));
    let revoke = AdminCommand::RevokeToken { id: "lk_test".to_owned() };
    world.write([Command::Admin(revoke)]).unwrap();
    // A token that was found valid is looked up again after a second.
    let ended = (0..1_000).any(|_| {
        // Sleeps because only the passing of real time makes the server look again.
        std::thread::sleep(std::time::Duration::from_millis(10));
        caller.call("clear", []) == invalid
    });
    assert!(ended, "a revoked token goes on working");
}

#[test]
fn scopes_are_those_of_http() {
    let (_world, mut caller) = closed(Some(""), &["read:*", "write:attempt"]);
    caller.call("authenticate", [s("lk_test_secret")]).unwrap();
    let denied = |scope: &str| Err(format!("this needs scope {scope} in namespace \"\""));
    assert_eq!(caller.call("set_work_spec", [m([("name", s("x"))])]), denied("write:spec"));
    assert_eq!(caller.call("lock", [s("o"), i(1), l([])]), denied("write:lock"));
    assert_eq!(caller.call("add_work_units", [s("x"), l([])]), denied("write:unit"));
    assert_eq!(caller.call("get_work_spec", [s("x")]), Ok(V::Null));
    assert!(caller.call("get_work", [s("w"), m([])]).is_ok());
    assert!(caller.call("now", []).is_ok());
}

#[test]
fn a_token_of_another_namespace_opens_nothing() {
    let (_world, mut caller) = closed(Some("other"), &["*"]);
    caller.call("authenticate", [s("lk_test_secret")]).unwrap();
    let denied = Err("this needs scope read:spec in namespace \"\"".to_owned());
    assert_eq!(caller.call("get_work_spec", [s("x")]), denied);
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Peer defect 20: a gauge whose units are gone has no line.
#[test]
fn metrics_stand_under_the_old_names_without_a_leak() {
    let fixture = Fixture::memory();
    let (http, rpc) = listen(&fixture, true, None);
    let mut caller = Caller::open(rpc, Strings::Bytes);
    caller.call("set_work_spec", [m([("name", s("spec"))])]).unwrap();
    caller.call("add_work_units", [s("spec"), l([s("u"), s("v")])]).unwrap();
    caller.call("nothing", []).unwrap_err();
    let text = get(http, "/metrics");
    let gauge = "coordinate_work_units{namespace=\"\",work_spec=\"spec\",status=\"available\"} 2";
    assert!(text.contains(gauge), "{text}");
    assert!(text.contains("# HELP coordinate_work_units Number of coordinate work specs\n"));
    assert!(text.contains("coordinate_summary_seconds_bucket{le=\"0.03125\"}"), "{text}");
    assert!(text.contains("coordinate_summary_seconds_bucket{le=\"64\"}"), "{text}");
    let series = "lockstep_rpc_request_seconds_count{method=\"add_work_units\",outcome=\"ok\"} 1";
    assert!(text.contains(series), "{text}");
    assert!(text.contains("{method=\"unknown\",outcome=\"error\"} 1"), "{text}");
    caller.call("clear", []).unwrap();
    assert!(!get(http, "/metrics").contains("coordinate_work_units{"));
}

#[test]
fn a_configuration_is_handed_out() {
    let fixture = Fixture::memory();
    let config = dict_data([("a", Datum::List(vec![Datum::Int(1)]))]);
    let (_, address) = listen(&fixture, true, Some(config));
    let mut caller = Caller::open(address, Strings::Text);
    let expected = m([("a", l([i(1)]))]).sent(Strings::Text);
    assert_eq!(caller.call("get_config", []), Ok(l([expected, V::Null])));
}

#[test]
fn what_is_written_here_is_seen_over_http() {
    let fixture = Fixture::memory();
    let (http, rpc) = listen(&fixture, true, None);
    let mut caller = Caller::open(rpc, Strings::Bytes);
    let spec = m([("name", s("spec")), ("module", s("m"))]);
    caller.call("set_work_spec", [spec]).unwrap();
    caller.call("get_work_spec", [s("spec")]).unwrap();
    let answer = get(http, "/namespace/-/work_spec/spec");
    assert!(answer.contains("\"data\":{\"module\":\"m\",\"name\":\"spec\"}"), "{answer}");
    assert_eq!(caller.call("get_work_spec", [s("other")]), Ok(V::Null));
}
