//! Stretches of an order of rows of which everything is known.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Disjoint stretches, by their start.
#[derive(Debug, Default)]
pub(crate) struct Spans(BTreeMap<Vec<u8>, End>);

/// Where a stretch ends: before these bytes, or nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End(pub(crate) Option<Vec<u8>>);

impl End {
    /// Ends just behind an entry.
    pub(crate) fn behind(entry: &[u8]) -> Self {
        // The first bytes that are greater than an entry and not greater than any other.
        Self(Some([entry, &[0]].concat()))
    }

    /// Tells whether it lies at or behind another.
    pub(crate) fn reaches(&self, other: Option<&[u8]>) -> bool {
        match (&self.0, other) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(end), Some(other)) => end.as_slice() >= other,
        }
    }
}

impl Spans {
    /// Gives the end of the stretch that a place lies in, if it lies in one.
    pub(crate) fn end_of(&self, place: &[u8]) -> Option<&End> {
        let (_, end) = self.0.range::<[u8], _>(upto(place)).next_back()?;
        end.0.as_deref().is_none_or(|end| place < end).then_some(end)
    }

    /// Adds a stretch, joined with those that it meets.
    pub(crate) fn add(&mut self, start: &[u8], end: End) {
        let (mut start, mut end) = (start.to_vec(), end);
        if let Some((before, reached)) = self.0.range::<[u8], _>(upto(&start)).next_back()
            && reached.reaches(Some(&start))
        {
            start.clone_from(before);
            if reached.reaches(end.0.as_deref()) {
                return;
            }
        }
        while let Some((next, reached)) =
            self.0.range::<[u8], _>((Bound::Included(start.as_slice()), Bound::Unbounded)).next()
            && end.reaches(Some(next))
        {
            if !end.reaches(reached.0.as_deref()) {
                end = reached.clone();
            }
            let next = next.clone();
            self.0.remove(&next);
        }
        self.0.insert(start, end);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn upto(place: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(bytes: &str) -> End {
        End(Some(bytes.into()))
    }

    fn listed(spans: &Spans) -> Vec<(&str, Option<&str>)> {
        let text = |bytes| str::from_utf8(bytes).unwrap();
        spans.0.iter().map(|(start, end)| (text(start), end.0.as_deref().map(text))).collect()
    }

    #[test]
    fn stretches_that_meet_are_one() {
        let mut spans = Spans::default();
        spans.add(b"d", end("f"));
        spans.add(b"a", end("b"));
        assert_eq!(listed(&spans), [("a", Some("b")), ("d", Some("f"))]);
        assert_eq!(spans.end_of(b"e"), Some(&end("f")));
        assert_eq!(spans.end_of(b"f"), None);
        assert_eq!(spans.end_of(b"c"), None);
        spans.add(b"b", end("d"));
        assert_eq!(listed(&spans), [("a", Some("f"))]);
        spans.add(b"b", end("c"));
        assert_eq!(listed(&spans), [("a", Some("f"))], "what is known already changes nothing");
        spans.add(b"h", End(None));
        spans.add(b"e", end("i"));
        assert_eq!(listed(&spans), [("a", None)]);
    }

    #[test]
    fn just_behind_an_entry_lies_no_other() {
        let mut spans = Spans::default();
        spans.add(b"", End::behind(b"ab"));
        assert!(spans.end_of(b"ab").is_some());
        assert!(spans.end_of(b"ab\0").is_none());
        assert!(spans.end_of(b"ab\0\0").is_none());
    }
}
