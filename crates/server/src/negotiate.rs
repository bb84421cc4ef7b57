//! Which media type an answer has.

use http::{HeaderMap, header::ACCEPT};
use model::{Error, Result};

/// The ancestor's media types, best first; the request body may have any of them too.
pub(crate) const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.diffeo.coordinate.v1+json",
    "application/vnd.diffeo.coordinate+json",
    "application/json",
    "text/json",
];

/// The media type of errors in the form of RFC 9457.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The best of [`MEDIA_TYPES`]; none is acceptable where it is absent.
    pub(crate) media: Option<&'static str>,
    /// Whether errors may be problem+json.
    pub(crate) problem: bool,
}

impl Accepted {
    /// What holds where the client says nothing.
    pub(crate) const DEFAULT: Self = Self { media: Some(MEDIA_TYPES[0]), problem: false };
}

/// Reads the `Accept` headers: quality first, then how specific a range is, then its place.
///
/// # Errors
/// [`Error::BadInput`] for a header that is malformed.
pub(crate) fn accepted(headers: &HeaderMap) -> Result<Accepted> {
    let mut best: Option<(u16, u8, &'static str)> = None;
    let (mut problem, mut any) = (false, false);
    let mut refused: Vec<&'static str> = Vec::new();
    for header in headers.get_all(ACCEPT) {
        let text = header.to_str().map_err(|_| malformed("it has bytes that are not ASCII"))?;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            any = true;
            let range = Range::parse(part)?;
            problem |= range.media.eq_ignore_ascii_case(PROBLEM) && range.quality > 0;
            let Some((specific, media)) = range.matches() else { continue };
            if range.quality == 0 {
                if specific == EXACT {
                    refused.push(media);
                }
            } else if best.is_none_or(|(q, s, _)| (range.quality, specific) > (q, s)) {
                best = Some((range.quality, specific, media));
            }
        }
    }
    if !any {
        return Ok(Accepted::DEFAULT);
    }
    let media = best.and_then(|(_, specific, media)| {
        if specific == EXACT || !refused.contains(&media) {
            return Some(media);
        }
        MEDIA_TYPES.into_iter().find(|media| !refused.contains(media))
    });
    Ok(Accepted { media, problem })
}

/// Tells whether a client wants a page: browsers name `text/html`, and no JSON as programs do.
pub(crate) fn prefers_page(headers: &HeaderMap) -> bool {
    let (mut page, mut json) = (false, false);
    for header in headers.get_all(ACCEPT) {
        let ranges = header.to_str().unwrap_or_default().split(',');
        for range in ranges.filter_map(|part| Range::parse(part.trim()).ok()) {
            page |= range.media.eq_ignore_ascii_case("text/html") && range.quality > 0;
            json |= MEDIA_TYPES.iter().any(|own| range.media.eq_ignore_ascii_case(own));
        }
    }
    page && !json
}

const EXACT: u8 = 2;

/// One entry of an `Accept` header.
struct Range<'a> {
    media: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let token = |s: &str| !s.is_empty() && s.bytes().all(is_token);
        match media.split_once('/') {
            Some(("*", "*")) => {}
            Some((kind, subtype)) if token(kind) && token(subtype) && kind != "*" => {}
            _ => return Err(malformed(&format!("{media:?} is not a media range"))),
        }
        let mut quality = 1000;
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| malformed(&format!("{part:?} is not a parameter")))?;
            if key.trim().eq_ignore_ascii_case("q") {
                quality = parse_quality(value.trim())?;
            }
        }
        Ok(Self { media, quality })
    }

    /// Gives how specific the range is, and the type that it asks for.
    fn matches(&self) -> Option<(u8, &'static str)> {
        let media = self.media;
        match media {
            "*/*" => Some((0, MEDIA_TYPES[0])),
            _ if media.eq_ignore_ascii_case("application/*") => Some((1, MEDIA_TYPES[0])),
            _ if media.eq_ignore_ascii_case("text/*") => Some((1, MEDIA_TYPES[3])),
            _ => MEDIA_TYPES
                .into_iter()
                .find(|own| media.eq_ignore_ascii_case(own))
                .map(|own| (EXACT, own)),
        }
    }
}

/// Reads a quality from 0 to 1 as thousandths.
fn parse_quality(text: &str) -> Result<u16> {
    let wrong = || malformed(&format!("q={text:?} is not a number from 0 to 1"));
    let value: f32 = text.parse().map_err(|_| wrong())?;
    if !(0.0..=1.0).contains(&value) {
        return Err(wrong());
    }
    Ok((value * 1000.0).round() as u16)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn malformed(why: &str) -> Error {
    Error::bad_input(format!("malformed Accept header: {why}"))
}

/// Tells whether a request body of this content type can be read.
pub(crate) fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    MEDIA_TYPES.iter().any(|own| media.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn choose(text: &'static str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(text));
        accepted(&headers).unwrap().media
    }

    #[test]
    fn the_best_type_is_chosen() {
        let [v1, any, json, text] = MEDIA_TYPES;
        let table = [
            ("", Some(v1)),
            ("*/*", Some(v1)),
            ("application/*", Some(v1)),
            ("text/*", Some(text)),
            ("application/json", Some(json)),
            ("APPLICATION/JSON", Some(json)),
            ("application/json, text/json", Some(json)),
            ("text/json, application/json", Some(text)),
            ("text/json;q=0.5, application/json;q=0.8", Some(json)),
            ("*/*, application/json", Some(json)),
            ("*/*;q=0.9, application/json;q=0.1", Some(v1)),
            ("text/*, */*", Some(text)),
            ("application/vnd.diffeo.coordinate+json", Some(any)),
            ("text/html, */*;q=0.1", Some(v1)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/problem+json", None),
            ("*/*, application/vnd.diffeo.coordinate.v1+json;q=0", Some(any)),
        ];
        for (header, expected) in table {
            assert_eq!(choose(header), expected, "{header}");
        }
    }

    #[test]
    fn browsers_get_pages() {
        let table = [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("*/*", false),
            ("application/json, text/html;q=0.9", false),
            ("text/html, application/vnd.diffeo.coordinate+json;q=0.1", false),
            ("text/html;q=0", false),
            ("text/*", false),
            ("nonsense", false),
        ];
        for (header, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(header));
            assert_eq!(prefers_page(&headers), expected, "{header}");
        }
        assert!(!prefers_page(&HeaderMap::new()));
    }

    #[test]
    fn malformed_headers_are_refused() {
        for text in ["json", "*/json", "a/b;q=2", "a/b;q=x", "a/b;q", "a/b/c", "/", "a b/c"] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(text).unwrap());
            assert!(accepted(&headers).is_err(), "{text}");
        }
    }

    #[test]
    fn problems_are_asked_for_by_name() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("application/json"));
        headers.append(ACCEPT, HeaderValue::from_static("application/problem+json"));
        let accepted = accepted(&headers).unwrap();
        assert_eq!(accepted, Accepted { media: Some("application/json"), problem: true });
    }
}
