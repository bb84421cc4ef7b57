//! Spoiling inputs: bytes of any kind, and JSON that stays JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value, json};

use super::random::Random;

/// Bytes that mean something to one decoder or another.
const TELLING: [u8; 24] = [
    0, 0x09, 0x0a, 0x0d, 0x1b, b' ', b'"', b'%', b'-', b'.', b'/', b'0', b'[', b'\\', b'{', 0x7f,
    0x80, 0x9f, 0xbf, 0xc0, 0xd8, 0xf9, 0xfb, 0xff,
];
/// Lengths at limits.
const LENGTHS: [u64; 8] = [0, 23, 255, 65_536, u32::MAX as u64, 1 << 62, i64::MAX as u64, u64::MAX];

/// Changes bytes in one place.
pub fn bytes(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(8)).min(bytes.len());
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.insert(at, *random.pick(&TELLING)),
        3 => drop(bytes.splice(at..end, random.pick(&LENGTHS).to_be_bytes())),
        4 => {
            let copy = bytes.get(at..end).unwrap_or_default().to_vec();
            let copies = copy.repeat(1 + random.below(80));
            bytes.splice(at..at, copies);
        }
        5 => {
            let other = random.pick(others);
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        6 => bytes.insert(at, random.below(256) as u8),
        _ => {
            let telling = *random.pick(&TELLING);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = if random.percent(50) { *byte ^ (1 << random.below(8)) } else { telling };
            }
        }
    }
}

/// Changes a JSON value in one place: takes something away, adds something, or puts something in
/// the place of something else.
pub fn value(value: &mut Value, random: &mut Random) {
    let size = match value {
        Value::Array(items) => items.len(),
        Value::Object(object) => object.len(),
        _ => 0,
    };
    if size > 0 && random.percent(75) {
        let at = random.below(size);
        let inner = match value {
            Value::Array(items) => items.get_mut(at),
            Value::Object(object) => object.values_mut().nth(at),
            _ => None,
        };
        return inner.into_iter().for_each(|inner| self::value(inner, random));
    }
    match value {
        Value::Array(items) if random.percent(60) => {
            match items.get(random.below(items.len())).cloned() {
                Some(item) if random.percent(50) => {
                    items.extend(std::iter::repeat_n(item, 1 + random.below(3)));
                }
                _ => items.push(hostile(random)),
            }
        }
        Value::Object(object) if random.percent(60) => change_keys(object, random),
        Value::String(text) if random.percent(40) => spoil(text, random),
        other => *other = hostile(random),
    }
}

fn change_keys(object: &mut Map<String, Value>, random: &mut Random) {
    let key = object.keys().nth(random.below(object.len())).cloned();
    match key {
        Some(key) if random.percent(60) => drop(object.remove(&key)),
        _ => drop(object.insert(text(random), hostile(random))),
    }
}

/// Changes a text, or the CBOR in it where it is base64.
fn spoil(text: &mut String, random: &mut Random) {
    let (mut raw, is_base64) = match STANDARD.decode(text.as_bytes()) {
        Ok(raw) if !raw.is_empty() => (raw, true),
        _ => (text.clone().into_bytes(), false),
    };
    bytes(&mut raw, &[self::text(random).into_bytes()], random);
    *text =
        if is_base64 { STANDARD.encode(raw) } else { String::from_utf8_lossy(&raw).into_owned() };
}

/// Makes a value that somebody may not have thought of.
pub fn hostile(random: &mut Random) -> Value {
    match random.below(10) {
        0 => Value::Null,
        1 => Value::Bool(random.percent(50)),
        2..=4 => number(random),
        5 | 6 => Value::String(text(random)),
        7 => json!([]),
        8 => json!({}),
        _ => nested(1 + random.below(140), random),
    }
}

fn nested(depth: usize, random: &mut Random) -> Value {
    let lists = random.percent(50);
    let wrap = |inner, _| if lists { json!([inner]) } else { json!({"a": inner}) };
    (0..depth).fold(json!(1), wrap)
}

fn number(random: &mut Random) -> Value {
    const WHOLE: [i64; 12] = [
        0,
        1,
        -1,
        1_000,
        1_001,
        i32::MAX as i64,
        i32::MAX as i64 + 1,
        u32::MAX as i64 + 1,
        1 << 53,
        i64::MAX - 1,
        i64::MAX,
        i64::MIN,
    ];
    const FLOAT: [f64; 8] = [0.5, -0.0, -1.5, 1e18, 1e300, -1e300, f64::MAX, f64::MIN_POSITIVE];
    match random.below(3) {
        0 => json!(random.pick(&[u64::MAX, u64::MAX - 1, 1 << 63])),
        1 => Number::from_f64(*random.pick(&FLOAT)).map_or(Value::Null, Value::Number),
        _ => json!(random.pick(&WHOLE)),
    }
}

/// Makes a text that somebody may not have thought of.
pub fn text(random: &mut Random) -> String {
    const TEXTS: [&str; 24] = [
        "",
        "-",
        "-%",
        "-AA",
        "-__4",
        ".",
        "..",
        "../../etc/passwd",
        "a/b",
        "a\0b",
        "\u{1}\u{1b}[2J",
        "\u{feff}",
        "\u{202e}x",
        "\u{10ffff}",
        "ünï",
        "%00",
        "%ff",
        "%",
        "' OR 1=1 --",
        "NaN",
        "9223372036854775808",
        "2026-13-45T99:99:99Z",
        "9999-12-31T23:59:60Z",
        "=====",
    ];
    match random.below(20) {
        0 => "x".repeat(1_025),
        1 => "é".repeat(600),
        2 if random.percent(5) => "y".repeat((1 << 20) + 1),
        _ => random.word(&TEXTS).to_owned(),
    }
}
