//! Bytes as they go over the wire.

use testkit::rpc::{Caller, Jobs, Strings, V, b, i, l, m, s, t, tu};

cases![
    a_request_is_three_keys_in_a_frame,
    tuples_have_a_tag,
    a_tuple_may_hold_an_empty_map,
    uuids_have_a_tag,
    a_whole_request_byte_by_byte,
    an_answer_byte_by_byte,
    frames_may_be_of_indefinite_length,
    what_is_malformed_gets_an_error,
    what_is_no_frame_ends_the_connection,
    requests_may_come_together,
    limits_hold,
];

/// Sends a message and gives the id and the result of its answer.
fn exchange(jobs: &Jobs, payload: &[u8]) -> (V, Result<V, String>) {
    let mut caller = Caller::open(jobs.address, jobs.strings);
    caller.send(&Caller::wrap(payload)).unwrap();
    caller.receive().unwrap()
}

/// 96. Tag 24 around a byte string, and in it a map of three keys in any order.
fn a_request_is_three_keys_in_a_frame(jobs: &Jobs) {
    let orders: [&[u8]; 3] = [
        b"\xa3\x42id\x18\x2a\x46method\x45clear\x46params\x80",
        b"\xa3\x46params\x80\x46method\x45clear\x42id\x18\x2a",
        b"\xa3\x66method\x65clear\x46params\x80\x62id\x18\x2a",
    ];
    for payload in orders {
        assert_eq!(exchange(jobs, payload), (i(42), Ok(i(0))));
    }
}

/// 97. An empty tuple is D8 80 80, and a list of tuples a list of tags.
fn tuples_have_a_tag(jobs: &Jobs) {
    assert_eq!(tu([]).bytes(Strings::Text), [0xd8, 0x80, 0x80]);
    jobs.set_spec("spec", [("t", tu([])), ("l", l([tu([i(1)]), tu([])]))]);
    let spec = jobs.call("get_work_spec", [s("spec")]);
    assert_eq!((spec.at("t"), spec.at("l")), (&tu([]), &l([tu([i(1)]), tu([])])));
}

/// 98. Parameters may hold a tuple with an empty map.
fn a_tuple_may_hold_an_empty_map(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let params = b"\x82\x44spec\x81\xd8\x80\x82\x41k\xa0";
    let payload = [b"\xa3\x42id\x01\x46method\x4eadd_work_units\x46params", &params[..]].concat();
    assert_eq!(exchange(jobs, &payload), (i(1), Ok(l([V::Bool(true), V::Null]))));
    assert_eq!(jobs.data("spec", b"k"), m([]));
}

/// 99. A UUID is D8 25 50 and 16 bytes, whatever its bits are.
fn uuids_have_a_tag(jobs: &Jobs) {
    let uuids = [[0; 16], [255; 16], *b"0123456789abcdef"];
    for uuid in uuids {
        let value = V::Uuid(uuid);
        assert_eq!(value.bytes(Strings::Text)[..3], [0xd8, 0x25, 0x50]);
        jobs.set_spec("spec", [("uuid", value.clone())]);
        assert_eq!(*jobs.call("get_work_spec", [s("spec")]).at("uuid"), value);
    }
    let short = b"\xa3\x42id\x01\x46method\x45clear\x46params\x81\xd8\x25\x41x";
    assert!(exchange(jobs, short).1.is_err());
}

/// 100. Lists, tuples, maps with byte-string keys, a UUID, and bytes apart from text.
fn a_whole_request_byte_by_byte(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let payload =
        b"\xa3\x42id\x07\x46method\x4eadd_work_units\x46params\x82\x44spec\x81\xd8\x80\x82\
        \x43key\xa3\x41m\xa1\x41n\x81\xd8\x80\x82\x41b\x61t\x41u\xd8\x25\x500123456789abcdef\
        \x61l\x83\x80\xd8\x80\x80\xa0";
    assert_eq!(exchange(jobs, payload), (i(7), Ok(l([V::Bool(true), V::Null]))));
    let expected = m([
        ("m", m([("n", l([tu([b("b"), t("t")])]))])),
        ("u", V::Uuid(*b"0123456789abcdef")),
        ("l", l([l([]), tu([]), m([])])),
    ]);
    assert_eq!(jobs.data("spec", b"key"), expected.sent(Strings::Text));
}

/// 101. The keys of an answer are bytes.
fn an_answer_byte_by_byte(jobs: &Jobs) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(jobs.address).unwrap();
    stream.write_all(b"\xd8\x18\x58\x1a\xa3\x42id\x05\x46method\x45clear\x46params\x80").unwrap();
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\xd8\x18\x4d\xa2\x42id\x05\x46result\x00");
    let bad = b"\xa3\x42id\x06\x46method\x43bad\x46params\x80";
    stream.write_all(&Caller::wrap(bad)).unwrap();
    let expected = b"\xa2\x42id\x06\x45error\xa1\x67message\x72no such method Bad";
    let mut answer = vec![0; expected.len() + 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [b"\xd8\x18\x58\x27", &expected[..]].concat());
}

fn frames_may_be_of_indefinite_length(jobs: &Jobs) {
    let mut caller = Caller::open(jobs.address, jobs.strings);
    let frames: [&[u8]; 3] = [
        // The byte string in chunks.
        b"\xd8\x18\x5f\x4a\xa3\x42id\x01\x46meth\x58\x0cod\x45clear\x46par\x44ams\x80\xff",
        // Map, list and strings of indefinite length.
        b"\xd8\x18\x58\x22\xbf\x42id\x02\x5f\x43met\x43hod\xff\
            \x7f\x62cl\x63ear\xff\x46params\x9f\xff\xff",
        // A longer form of the tag and of the length than needed.
        b"\xd9\x00\x18\x5b\x00\x00\x00\x00\x00\x00\x00\x1a\
            \xa3\x42id\x03\x46method\x45clear\x46params\x80",
    ];
    for (frame, id) in frames.iter().zip(1..) {
        caller.send(frame).unwrap();
        assert_eq!(caller.receive().unwrap(), (i(id), Ok(i(0))));
    }
}

fn what_is_malformed_gets_an_error(jobs: &Jobs) {
    let told = |payload: &[u8]| {
        let (id, result) = exchange(jobs, payload);
        (id, result.unwrap_err())
    };
    let says = |payload: &[u8], id: V, message: &str| {
        let (found, told) = told(payload);
        assert_eq!(found, id, "{told}");
        assert!(told.contains(message), "{told}");
    };
    says(b"\xa2\x42id\x01\x46params\x80", i(1), "\"method\" must be a string");
    says(b"\xa3\x42id\x01\x46method\x05\x46params\x80", i(1), "\"method\" must be a string");
    says(b"\xa2\x42id\x01\x46method\x43now", i(1), "\"params\" must be a list");
    says(b"\xa3\x42id\x01\x46method\x43now\x46params\xa0", i(1), "\"params\" must be a list");
    says(b"\xa2\x46method\x43now\x46params\x80", V::Null, "\"id\" must be a number");
    says(b"\xa3\x42id\x20\x46method\x43now\x46params\x80", V::Null, "\"id\" must be a number");
    says(b"\x80", V::Null, "a message must be a map");
    says(b"", V::Null, "malformed CBOR");
    says(b"\xa3\x42id\x01\x46method\x43now\x46params\x81\xc1\x00", i(1), "tag 1 is not accepted");
    says(b"\xa3\x42id\x01\x46method\x43now\x46params\x80\x00", i(1), "bytes after its end");
    says(b"\xa3\x42id\x01\x46method\x43now\x46params\x81", i(1), "malformed CBOR");
    says(b"\xa3\x42id\x01\x46method\x43now\x46params\x81\x01", i(1), "wrong number of parameters");
    says(b"\xa3\x42id\x01\x46method\x44a_bc\x46params\x80", i(1), "no such method ABc");
    // The connection of such a caller goes on.
    let mut caller = Caller::open(jobs.address, jobs.strings);
    caller.send(&Caller::wrap(b"\x80")).unwrap();
    assert!(caller.receive().unwrap().1.is_err());
    assert_eq!(caller.call("clear", []), Ok(i(0)));
}

fn what_is_no_frame_ends_the_connection(jobs: &Jobs) {
    let frames: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xa3\x42id\x01\x46method\x43now\x46params\x80",
        b"\xd8\x19\x41\x80",
        b"\xd8\x18\x61a",
        b"\xd8\x18\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    ];
    for frame in frames {
        let mut caller = Caller::open(jobs.address, jobs.strings);
        caller.send(frame).unwrap();
        assert!(caller.receive().is_err());
    }
    let mut half = Caller::open(jobs.address, jobs.strings);
    half.send(b"\xd8\x18\x58\x20\xa3").unwrap();
    half.end_sending().unwrap();
    assert!(half.receive().is_err());
    assert_eq!(jobs.call("clear", []), i(0));
}

fn requests_may_come_together(jobs: &Jobs) {
    let mut caller = Caller::open(jobs.address, jobs.strings);
    let frame = |id| Caller::frame(id, "clear", &l([]), jobs.strings);
    let all: Vec<u8> = (1..=20).flat_map(frame).collect();
    caller.send(&all).unwrap();
    for id in 1..=20 {
        assert_eq!(caller.receive().unwrap(), (i(id), Ok(i(0))));
    }
}

fn limits_hold(jobs: &Jobs) {
    jobs.set_spec("spec", []);
    let nested = |depth: usize| (0..depth).fold(i(1), |inner, _| l([inner]));
    let add = |data: V| jobs.try_call("add_work_units", [s("spec"), l([tu([s("k"), data])])]);
    assert!(add(m([("a", nested(63))])).is_ok());
    assert!(add(m([("a", nested(64))])).unwrap_err().contains("CBOR nesting"));
    assert!(add(m([("a", nested(5_000))])).unwrap_err().contains("CBOR nesting"));
    let keys = |count: usize| V::Map((0..count).map(|n| (s(&n.to_string()), i(0))).collect());
    assert!(add(keys(10_000)).is_ok());
    assert!(add(keys(10_001)).unwrap_err().contains("CBOR keys"));
    assert!(add(m([("a", t(&"x".repeat((1 << 20) + 1)))])).unwrap_err().contains("string"));
    let many = l((0..500_001).map(|_| V::Null));
    assert!(add(m([("a", many)])).unwrap_err().contains("CBOR values"));
    // Several dictionaries may together have more keys than one of them.
    let units = (0..30).map(|n| tu([s(&n.to_string()), keys(1_000)]));
    jobs.done("add_work_units", [s("spec"), l(units)]);
    assert_eq!(jobs.pair("count_work_units", [s("spec")]), V::Map(vec![(i(1), i(31))]));
    // And one call may bring more units than one command.
    let units = (0..2_500).map(|n| s(&format!("many {n}")));
    jobs.done("add_work_units", [s("spec"), l(units)]);
    assert_eq!(jobs.pair("count_work_units", [s("spec")]), V::Map(vec![(i(1), i(2_531))]));
}
