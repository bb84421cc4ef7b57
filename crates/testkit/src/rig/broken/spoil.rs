//! Spoiling a request: its method, target, headers, body or length.

use super::request::{Framing, Request};
use crate::rig::{mutate, random::Random};

/// Parts of a target that somebody may not have thought of; not all of them are URLs.
const PARTS: [&[u8]; 26] = [
    b"",
    b".",
    b"..",
    b"%2e%2e",
    b"..%2f..",
    b"%2F",
    b"%00",
    b"%",
    b"%z",
    b"%zz",
    b"%ff",
    b"%ff%fe",
    b"-",
    b"-!",
    b"-AA",
    b"-%41",
    b"--",
    b"~",
    b"a b",
    b"a\tb",
    b"\xff\xfe",
    "\u{fc}".as_bytes(),
    b"0",
    b"18446744073709551616",
    b"-1",
    b"a#b",
];
/// Parameters that somebody may not have thought of.
const PARAMETERS: [&str; 22] = [
    "limit=-1",
    "limit=0",
    "limit=18446744073709551616",
    "limit=4294967296",
    "limit=NaN",
    "limit=",
    "limit",
    "status=",
    "status=asleep",
    "status=available&status=pending&status=",
    "name=",
    "name=-!",
    "name=%ff",
    "name=%",
    "previous=%00",
    "previous=-!",
    "previous=99999999999999999999",
    "counts=maybe",
    "counts=1",
    "&&&=&=",
    "a=b",
    "%=%&",
];
/// Headers that somebody may not have thought of.
const HEADERS: [&[u8]; 36] = [
    b"Content-Type: text/plain",
    b"Content-Type:",
    b"Content-Type: application/json; charset=utf-16",
    b"Content-Type: application/vnd.diffeo.coordinate.v1+json",
    b"Content-Type: application/x-www-form-urlencoded",
    b"Content-Type: \xff",
    b"Content-Encoding: gzip",
    b"Accept: text/html",
    b"Accept: */*;q=0",
    b"Accept: ;;;,,,",
    b"Accept: application/json;q=2",
    b"Accept: application/problem+json",
    b"Accept: \xff\xfe",
    b"Idempotency-Key:",
    b"Idempotency-Key: same",
    b"Idempotency-Key: same",
    b"Idempotency-Key: \xff",
    b"Lockstep-At-Least: 18446744073709551615",
    b"Lockstep-At-Least: -1",
    b"Lockstep-At-Least: \xff",
    b"If-None-Match: *",
    b"If-None-Match: \"1\", W/\"2\", \"",
    b"If-None-Match: \xff",
    b"Authorization: Bearer",
    b"Authorization: Bearer lk_none_none",
    b"Authorization: \xff\xff\xff\xff\xff\xff\xff\xff",
    b"Origin: http://elsewhere.example",
    b"Origin: null",
    b"Expect: 100-continue",
    b"Expect: 200-ok",
    b"Connection: upgrade",
    b"Upgrade: h2c",
    b"Range: bytes=0-",
    b"X-HTTP-Method-Override: DELETE",
    b"Bad Header: 1",
    b"X: a\x01b",
];
const METHODS: [&str; 12] = [
    "GET",
    "HEAD",
    "PUT",
    "POST",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "G\"T",
    "AVERYLONGMETHODTHATNOBODYKNOWS",
];
const HOSTS: [&str; 6] = ["", "elsewhere.example", "127.0.0.1", "[::1]:", "a b", "localhost:99999"];
/// JSON that is hardly any.
const SCRAPS: [&[u8]; 18] = [
    b"",
    b"null",
    b"[]",
    b"0",
    b"\"\"",
    b"{",
    b"}",
    b"{}",
    b"{\"a\":1,\"a\":2}",
    b"{\"name\":1e999}",
    b"{\"name\":\"\\ud800\"}",
    b"{\"name\":\"\xff\"}",
    b"{\"name\":\"a\0b\"}",
    b"\xef\xbb\xbf{}",
    b"{} {}",
    b"{'a':1}",
    b"{\"data\":NaN}",
    b"{\"work_units\":[",
];

/// Spoils a request in one way.
pub(super) fn spoil(request: &mut Request, random: &mut Random) {
    match random.below(100) {
        0..25 => spoil_target(request, random),
        25..40 => request.headers.push(random.pick(&HEADERS).to_vec()),
        40..46 => request.headers.clear(),
        46..50 => spoil_headers(request, random),
        50..55 => request.method = random.word(&METHODS).to_owned(),
        55..58 => request.host = Some(random.word(&HOSTS).to_owned()),
        58..66 => spoil_framing(request, random),
        _ => spoil_body(request, random),
    }
}

fn spoil_target(request: &mut Request, random: &mut Random) {
    let target = &mut request.target;
    match random.below(10) {
        0..6 => {
            let mut parts: Vec<Vec<u8>> =
                target.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
            let at = random.below(parts.len());
            if let Some(part) = parts.get_mut(at) {
                *part = random.pick(&PARTS).to_vec();
            }
            *target = parts.join(&b'/');
        }
        6 | 7 => {
            target.push(if target.contains(&b'?') { b'&' } else { b'?' });
            target.extend_from_slice(random.pick(&PARAMETERS).as_bytes());
        }
        8 => target.extend_from_slice(&b"x".repeat(1 + random.below(3_000))),
        _ => mutate::bytes(target, &[b"/namespace".to_vec()], random),
    }
}

fn spoil_headers(request: &mut Request, random: &mut Random) {
    match random.below(3) {
        0 => request.headers.extend(std::iter::repeat_n(b"X-Many: 1".to_vec(), 120)),
        1 => request.headers.push([b"X-Long: ".to_vec(), b"x".repeat(70 << 10)].concat()),
        _ => {
            let key = [b"Idempotency-Key: ".to_vec(), b"k".repeat(random.below(400))].concat();
            request.headers.push(key);
        }
    }
}

fn spoil_framing(request: &mut Request, random: &mut Random) {
    let length = request.body.len() as u64;
    request.framing = match random.below(6) {
        0 => Framing::WrongLength(length + 1 + random.below(100) as u64),
        1 => Framing::WrongLength(random.below(request.body.len() + 1) as u64),
        2 => Framing::WrongLength(*random.pick(&[1 << 40, u64::MAX])),
        3 => Framing::TwoLengths,
        4 => Framing::BrokenChunks,
        _ => Framing::Chunked,
    };
}

fn spoil_body(request: &mut Request, random: &mut Random) {
    let body = &mut request.body;
    match random.below(20) {
        0..8 => {
            let others = SCRAPS.map(<[u8]>::to_vec);
            (0..=random.below(3)).for_each(|_| mutate::bytes(body, &others, random));
        }
        8..16 => *body = random.pick(&SCRAPS).to_vec(),
        16 => *body = [b"{\"data\":".to_vec(), b"[".repeat(random.below(100_000))].concat(),
        17 => *body = [b"{\"a\":".to_vec(), b"{\"a\":".repeat(random.below(200))].concat(),
        18 if random.percent(20) => {
            *body = [b"{\"name\":\"".to_vec(), b"x".repeat(2 << 20), b"\"}".to_vec()].concat();
        }
        _ => body.truncate(random.below(body.len() + 1)),
    }
    if request.framing == Framing::Nothing {
        request.framing = Framing::Length;
    }
}
