//! The encodings of bodies and headers.

use base64::{Engine as _, alphabet, engine};

/// Takes what is there, also without padding.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes a body.
pub(super) fn body(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    if encoding.eq_ignore_ascii_case("base64") {
        base64(bytes)
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        quoted(bytes, false)
    } else {
        bytes.to_vec()
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let letters: Vec<u8> = bytes.iter().copied().filter(is_letter).collect();
    // What is left over of the last four letters says nothing.
    let whole = letters.len() - usize::from(letters.len() % 4 == 1);
    BASE64.decode(letters.get(..whole).unwrap_or(&[])).unwrap_or_default()
}

fn quoted(bytes: &[u8], in_header: bool) -> Vec<u8> {
    let mut made = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'=', [b'\r', b'\n', ..]) => rest = after.get(2..).unwrap_or(&[]),
            (b'=', [b'\n', ..]) => rest = after.get(1..).unwrap_or(&[]),
            (b'=', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    made.push(high << 4 | low);
                    rest = after.get(2..).unwrap_or(&[]);
                }
                _ => made.push(b'='),
            },
            (b'_', _) if in_header => made.push(b' '),
            (byte, _) => made.push(*byte),
        }
    }
    made
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Makes text of bytes; what is not UTF-8 is taken for Latin 1 where that was said.
pub(super) fn text(charset: &str, bytes: &[u8]) -> String {
    let is_latin = ["iso-8859-1", "iso-8859-15", "latin1", "windows-1252"]
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name));
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) if is_latin => bytes.iter().copied().map(char::from).collect(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Decodes the encoded words of a header.
pub fn words(value: &str) -> String {
    let (mut made, mut rest, mut after_word) = (String::new(), value, false);
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        match word(from) {
            Some((text, after)) => {
                // Spaces between two words only keep them apart.
                if !after_word || !before.trim().is_empty() {
                    made.push_str(before);
                }
                made.push_str(&text);
                (rest, after_word) = (after, true);
            }
            None => {
                made.push_str(before);
                made.push_str("=?");
                (rest, after_word) = (from.get(2..).unwrap_or(""), false);
            }
        }
    }
    made.push_str(rest);
    made
}

fn word(text: &str) -> Option<(String, &str)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "b" | "B" => base64(content.as_bytes()),
        "q" | "Q" => quoted(content.as_bytes(), true),
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default();
    Some((self::text(charset, &bytes), after))
}

/// Decodes the value of a parameter such as `utf-8''a%20b`.
pub(super) fn parameter(value: &str) -> String {
    let mut parts = value.splitn(3, '\'');
    let (Some(charset), Some(_), Some(content)) = (parts.next(), parts.next(), parts.next()) else {
        return value.to_owned();
    };
    // It is written as in a quoted-printable text, with another sign.
    text(charset, &quoted(content.replace('=', "=3D").replace('%', "=").as_bytes(), false))
}
