//! Expressions that are so simple that no child is asked: paths, literals, comparisons of two of
//! these, and texts with these in them.
//!
//! Whatever is not understood here, or would fail, is left to jq, so the two can differ only where
//! both give a value; a property test holds them against each other.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value as Json;

use super::normal;

/// Gives the value of an expression, if it is that simple.
pub fn quick(source: &str, input: &Json, variables: &BTreeMap<String, Json>) -> Option<Json> {
    let mut text = Cursor { rest: source.trim() };
    let scope = Scope { input, variables };
    let left = scope.term(&mut text)?;
    text.space();
    if text.rest.is_empty() {
        return Some(normal(left.into_owned()));
    }
    let compare = Compare::read(&mut text)?;
    text.space();
    let right = scope.term(&mut text)?;
    text.space();
    let result = compare.apply(&left, &right)?;
    text.rest.is_empty().then_some(Json::Bool(result))
}

struct Scope<'a> {
    input: &'a Json,
    variables: &'a BTreeMap<String, Json>,
}

impl<'a> Scope<'a> {
    fn term(&self, text: &mut Cursor<'_>) -> Option<Cow<'a, Json>> {
        match text.peek()? {
            '.' => self.path(text, self.input).map(Cow::Borrowed),
            '$' => {
                text.take('$')?;
                let value = self.variables.get(text.word()?)?;
                self.path(text, value).map(Cow::Borrowed)
            }
            '"' => self.text(text).map(Cow::Owned),
            '-' | '0'..='9' => number(text).map(Cow::Owned),
            _ => {
                let value = match text.word()? {
                    "null" => Json::Null,
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    _ => return None,
                };
                Some(Cow::Owned(value))
            }
        }
    }

    /// Follows `.a."b".["c"][0]`; a dot alone is where it starts.
    fn path(&self, text: &mut Cursor<'_>, start: &'a Json) -> Option<&'a Json> {
        const NULL: &Json = &Json::Null;
        let mut value = start;
        let mut first = true;
        loop {
            let after_dot = text.take('.').is_some();
            let step = match text.rest.chars().next() {
                Some('[') => Some(self.bracket(text)?),
                Some('"') if after_dot => Some(Place::Key(plain_text(text)?)),
                Some(c) if after_dot && (c.is_ascii_alphabetic() || c == '_') => {
                    Some(Place::Key(text.word()?))
                }
                // Alone, a dot is everything; after something, it is wrong.
                _ if after_dot && !first => return None,
                _ => None,
            };
            first = false;
            value = match (step, value) {
                (None, value) => return Some(value),
                (Some(_), Json::Null) => NULL,
                (Some(Place::Key(key)), Json::Object(map)) => map.get(key).unwrap_or(NULL),
                (Some(Place::Index(index)), Json::Array(items)) => items.get(index).unwrap_or(NULL),
                (Some(_), _) => return None,
            };
        }
    }

    fn bracket<'t>(&self, text: &mut Cursor<'t>) -> Option<Place<'t>> {
        text.take('[')?;
        let place = if text.peek()? == '"' {
            Place::Key(plain_text(text)?)
        } else {
            let digits = text.while_some(|c| c.is_ascii_digit());
            Place::Index(digits.parse().ok()?)
        };
        text.take(']')?;
        Some(place)
    }

    /// Reads a text with terms in it.
    fn text(&self, text: &mut Cursor<'_>) -> Option<Json> {
        text.take('"')?;
        let mut made = String::new();
        loop {
            match text.next()? {
                '"' => return Some(Json::String(made)),
                '\\' => match text.next()? {
                    '"' => made.push('"'),
                    '\\' => made.push('\\'),
                    '/' => made.push('/'),
                    'n' => made.push('\n'),
                    't' => made.push('\t'),
                    'r' => made.push('\r'),
                    '(' => {
                        text.space();
                        let value = self.term(text)?;
                        text.space();
                        text.take(')')?;
                        made.push_str(&shown(&value)?);
                    }
                    _ => return None,
                },
                c => made.push(c),
            }
        }
    }
}

enum Place<'t> {
    Key(&'t str),
    Index(usize),
}

fn plain_text<'t>(text: &mut Cursor<'t>) -> Option<&'t str> {
    text.take('"')?;
    let inner = text.while_some(|c| c != '"' && c != '\\');
    text.take('"')?;
    Some(inner)
}

fn number(text: &mut Cursor<'_>) -> Option<Json> {
    let minus = text.take('-').is_some();
    let digits = text.while_some(|c| c.is_ascii_digit());
    // Fifteen digits are the same number to everybody.
    if digits.is_empty() || digits.len() > 15 || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let whole: i64 = digits.parse().ok()?;
    if matches!(text.rest.chars().next(), Some('.' | 'e' | 'E')) {
        return None;
    }
    Some(Json::from(if minus { -whole } else { whole }))
}

/// Writes a value as it stands in a text.
fn shown(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Null => Some("null".to_owned()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) => number.as_i64().map(|whole| whole.to_string()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

#[derive(Clone, Copy)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    fn read(text: &mut Cursor<'_>) -> Option<Self> {
        let known = [
            ("==", Self::Equal),
            ("!=", Self::Unequal),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        known.into_iter().find_map(|(sign, compare)| {
            let rest = text.rest.strip_prefix(sign)?;
            text.rest = rest;
            Some(compare)
        })
    }

    fn apply(self, left: &Json, right: &Json) -> Option<bool> {
        use std::cmp::Ordering;
        let order = || match (left, right) {
            (Json::Number(left), Json::Number(right)) => {
                number_of(left)?.partial_cmp(&number_of(right)?)
            }
            (Json::String(left), Json::String(right)) => {
                Some(left.as_bytes().cmp(right.as_bytes()))
            }
            _ => None,
        };
        match self {
            Self::Equal => equal(left, right),
            Self::Unequal => equal(left, right).map(|equal| !equal),
            Self::Less => order().map(Ordering::is_lt),
            Self::LessOrEqual => order().map(Ordering::is_le),
            Self::Greater => order().map(Ordering::is_gt),
            Self::GreaterOrEqual => order().map(Ordering::is_ge),
        }
    }
}

/// Gives a number that is the same to everybody.
fn number_of(number: &serde_json::Number) -> Option<f64> {
    number.as_f64().filter(|number| number.abs() < 9e15)
}

fn equal(left: &Json, right: &Json) -> Option<bool> {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            Some(number_of(left)?.partial_cmp(&number_of(right)?)?.is_eq())
        }
        (Json::Array(_) | Json::Object(_), Json::Array(_) | Json::Object(_)) => None,
        _ => Some(left == right),
    }
}

/// What is left to read.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn take(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n']);
    }

    fn word(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        if !(first.is_ascii_alphabetic() || first == '_') {
            return None;
        }
        let word = self.while_some(|c| c.is_ascii_alphanumeric() || c == '_');
        // A function of a module is not a word.
        if self.rest.starts_with("::") { None } else { Some(word) }
    }

    fn while_some(&mut self, good: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !good(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}
