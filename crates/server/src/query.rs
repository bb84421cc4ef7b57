//! The query part of a URL.

use model::{Error, Result, SpecName, UnitFilter, UnitName, UnitStatus, limits, unescape};
use percent_encoding::percent_decode;

/// Decoded parameters, in order.
pub(crate) struct Params(Vec<(String, Vec<u8>)>);

impl Params {
    /// Reads a query string, as browsers write forms.
    ///
    /// # Errors
    /// [`Error::BadInput`] if a parameter's name is not UTF-8.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let params = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = String::from_utf8(decode(key))
                .map_err(|_| Error::bad_input("the name of a query parameter is not UTF-8"))?;
            Ok((key, decode(value)))
        });
        params.collect::<Result<_>>().map(Self)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Reads a text, empty or not.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        let value = self.all(name).next().map(std::str::from_utf8).transpose();
        value.map_err(|_| Error::bad_input(format!("query parameter {name:?} is not UTF-8")))
    }

    /// Reads a word; empty is none.
    pub(crate) fn word(&self, name: &str) -> Result<Option<String>> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// Reads a flag in the ancestor's words; anything else is the default.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let word = self.text(name)?.unwrap_or_default().to_ascii_lowercase();
        Ok(match word.as_str() {
            "1" | "t" | "y" | "true" | "on" | "yes" => true,
            "0" | "f" | "n" | "false" | "off" | "no" => false,
            _ => default,
        })
    }

    /// Reads `limit`; 0 is none.
    pub(crate) fn limit(&self) -> Result<u32> {
        let Some(text) = self.text("limit")?.filter(|text| !text.is_empty()) else { return Ok(0) };
        let wrong = |_| Error::bad_input(format!("limit {text:?} is not a whole number"));
        let limit: i64 = text.parse().map_err(wrong)?;
        Ok(u32::try_from(limit.max(0)).unwrap_or(u32::MAX))
    }

    /// Reads `previous` as the bytes of a name; empty is none.
    ///
    /// Both the literal name and its path form are understood, for the ancestor's client sends
    /// the latter.
    pub(crate) fn previous(&self) -> Option<Vec<u8>> {
        let value = self.all("previous").next().filter(|value| !value.is_empty())?;
        let decoded = std::str::from_utf8(value).ok().and_then(|text| unescape(text).ok());
        Some(decoded.unwrap_or_else(|| value.to_vec()))
    }

    /// Reads `previous` as text.
    pub(crate) fn previous_text(&self) -> Result<Option<String>> {
        let text = self.previous().map(String::from_utf8).transpose();
        text.map_err(|_| Error::bad_input("query parameter \"previous\" is not UTF-8"))
    }

    /// Reads `previous` as a number; absent or empty is none.
    pub(crate) fn previous_id(&self) -> Result<Option<u64>> {
        let parse = |text: String| {
            let wrong = |_| Error::bad_input(format!("previous {text:?} is not an attempt id"));
            text.parse().map_err(wrong)
        };
        self.previous_text()?.map(parse).transpose()
    }

    /// Reads the filter of units.
    pub(crate) fn filter(&self) -> Result<UnitFilter> {
        let names = self.all("name").map(UnitName::new).collect::<Result<Vec<_>>>()?;
        if names.len() > limits::BATCH_MAX {
            return Err(Error::too_large("names in a query", names.len(), limits::BATCH_MAX));
        }
        let after = self.previous().map(UnitName::new).transpose()?;
        Ok(UnitFilter {
            names: (!names.is_empty()).then_some(names),
            statuses: self.statuses()?,
            after,
            limit: self.limit()?,
        })
    }

    /// Reads the statuses; `any` is no constraint.
    fn statuses(&self) -> Result<Option<Vec<UnitStatus>>> {
        let mut statuses = Vec::new();
        let mut any = false;
        for word in self.all("status") {
            let word = String::from_utf8_lossy(word);
            if word == "any" {
                any = true;
                continue;
            }
            let status = UnitStatus::parse(&word)?;
            if !statuses.contains(&status) {
                statuses.push(status);
            }
        }
        Ok((!any && !statuses.is_empty()).then_some(statuses))
    }

    /// Reads `previous` as the name of a spec; the empty name is before all.
    pub(crate) fn previous_spec(&self) -> Result<Option<SpecName>> {
        let text = self.previous_text()?.filter(|text| !text.is_empty());
        text.map(SpecName::new).transpose()
    }
}

fn decode(text: &str) -> Vec<u8> {
    let spaced: Vec<u8> = text.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let params = Params::parse(Some(
            "name=a&name=%FF&status=pending&status=failed&status=failed&previous=-LQ&limit=5",
        ));
        let filter = params.unwrap().filter().unwrap();
        let name = |bytes: &[u8]| UnitName::new(bytes).unwrap();
        assert_eq!(filter.names, Some(vec![name(b"a"), name(b"\xff")]));
        assert_eq!(filter.statuses, Some(vec![UnitStatus::Pending, UnitStatus::Failed]));
        assert_eq!(filter.after, Some(name(b"-")));
        assert_eq!(filter.limit, 5);
    }

    #[test]
    fn numbers_are_bounded() {
        let limit = |text: &str| Params::parse(Some(text)).unwrap().limit();
        assert_eq!(limit("limit=-1").unwrap(), 0);
        assert_eq!(limit("limit=9223372036854775807").unwrap(), u32::MAX);
        assert!(limit("limit=9223372036854775808").is_err());
        assert!(limit("limit=ten").is_err());
        assert!(limit("limit=1.5").is_err());
    }

    #[test]
    fn flags_and_previous_follow_the_ancestor() {
        let params = Params::parse(Some("counts=Yes&previous=-%25&status=any")).unwrap();
        assert!(params.flag("counts", false).unwrap());
        assert_eq!(params.previous(), Some(b"-%".to_vec()));
        assert_eq!(params.filter().unwrap().statuses, None);
        assert!(!Params::parse(Some("counts=maybe")).unwrap().flag("counts", false).unwrap());
    }
}
