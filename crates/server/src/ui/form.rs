//! What a form has sent.

use http::header;
use model::{Error, Result};
use percent_encoding::percent_decode;

use crate::{
    call::Call,
    ui::{place, session::Visit},
};

/// The fields of a form that one of our own pages has sent.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a call.
    ///
    /// # Errors
    /// [`Error::BadInput`] if it was not sent by a page that this server gave to this visitor.
    pub(crate) fn of(call: &Call) -> Result<Self> {
        // Whoever shows a token with each request is no browser that a foreign page could use.
        if matches!(call.visit, Visit::Token) {
            return Self::parse(&call.body);
        }
        Self::with_token(call, &call.app.sessions.form_token(&call.visit))
    }

    /// Reads the body of a call, which has to carry this.
    ///
    /// # Errors
    /// [`Error::BadInput`] if it was not sent by a page that has it.
    pub(crate) fn with_token(call: &Call, expected: &str) -> Result<Self> {
        let form = Self::parse(&call.body)?;
        form.check_origin(call, expected)?;
        Ok(form)
    }

    /// Reads a body, whoever sent it: enough for what harms nobody.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let decode = |text: &[u8]| {
            let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
            let decoded = percent_decode(&spaced).decode_utf8();
            let decoded = decoded.map_err(|_| Error::bad_input("the form is not UTF-8"))?;
            // Browsers end the lines of texts as mail does.
            Ok(decoded.replace("\r\n", "\n"))
        };
        let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let key = decode(parts.next().unwrap_or_default())?;
            Ok((key, decode(parts.next().unwrap_or_default())?))
        });
        fields.collect::<Result<_>>().map(Self)
    }

    fn check_origin(&self, call: &Call, expected: &str) -> Result<()> {
        let site = call.head.headers.get("sec-fetch-site").map(header::HeaderValue::as_bytes);
        let is_own = site.is_none_or(|site| site == b"same-origin");
        if is_own && !expected.is_empty() && self.text("form") == expected {
            return Ok(());
        }
        Err(Error::bad_input(
            "the form was not sent by a page of this dashboard, or the page is too old: load it \
             again",
        ))
    }

    /// Gives all fields of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Gives a field; empty if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// Gives a field unless it is absent or blank.
    pub(crate) fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// Gives a whole number unless the field is absent or blank.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::bad_input(format!("{name} {text:?} is no number")))
        };
        self.some(name).map(parse).transpose()
    }

    /// Gives JSON unless the field is absent or blank.
    pub(crate) fn json(&self, name: &str) -> Result<Option<serde_json::Value>> {
        let parse = |text: &str| {
            serde_json::from_str(text)
                .map_err(|error| Error::bad_input(format!("{name} is not JSON: {error}")))
        };
        self.some(name).map(parse).transpose()
    }

    /// Gives the page of this server that the form wants to lead back to.
    pub(crate) fn back(&self) -> String {
        place::own(self.text("to").trim())
    }
}

/// Says that a form asks for something that its page cannot do.
pub(crate) fn unknown(action: &str) -> Error {
    Error::bad_input(format!("this page has no action {action:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_send_them() {
        let form = Form::parse(b"do=retry&input=%7B%22a%22%3A+1%7D&text=a%0D%0Ab&n=7&=").unwrap();
        assert_eq!(form.text("do"), "retry");
        assert_eq!(form.json("input").unwrap(), Some(serde_json::json!({"a": 1})));
        assert_eq!(form.text("text"), "a\nb");
        assert_eq!(form.number::<u64>("n").unwrap(), Some(7));
        assert_eq!(form.some("absent"), None);
        assert!(form.number::<u64>("do").is_err() && form.json("do").is_err());
        assert!(Form::parse(b"a=%ff").is_err());
    }

    #[test]
    fn forms_lead_back_to_this_server_only() {
        let back = |to: &str| Form(vec![("to".to_owned(), to.to_owned())]).back();
        assert_eq!(back("/ui/nodes?x=1"), "/ui/nodes?x=1");
        for foreign in ["", "//evil.example", "https://evil.example/ui", "/ui\\x", "/ui\r\nx"] {
            assert_eq!(back(foreign), "/ui", "{foreign}");
        }
    }
}
