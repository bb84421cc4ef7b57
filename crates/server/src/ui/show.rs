//! How things are written on pages.

use std::{borrow::Borrow, fmt, time::Duration};

use model::{Counts, Data, Namespace, Time, UnitStatus, data_to_json};
use serde_json::Value;

use crate::auth::now;

/// Markup that is put into pages as it is.
pub(crate) struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// Shows a status as a word with a sign, coloured by what it means for whoever looks.
pub(crate) fn badge(word: &str) -> Html {
    let (tone, sign) = match word {
        "finished" | "published" | "ok" | "settled" | "effective" | "active" | "match"
        | "completed" | "confirmed" | "approved" => ("good", "✓"),
        "failed" | "faulted" | "degraded" | "aborted" | "overdue" | "behind" | "late"
        | "declined" => ("bad", "✕"),
        "held" => ("bad", "!"),
        "pending" | "running" | "committed" | "preparing" | "started" => ("busy", "▸"),
        "available" | "ready" => ("ready", "●"),
        "waiting" | "delayed" | "retryable" | "scheduled" => ("wait", "◷"),
        "paused" => ("wait", "‖"),
        _ => ("quiet", "○"),
    };
    Html(format!(
        "<span class=\"badge {tone}\"><i aria-hidden=\"true\">{sign}</i>{}</span>",
        escape(word)
    ))
}

/// Shows a time as how long ago or ahead it is, with the time itself behind it.
pub(crate) fn ago(time: &Time) -> Html {
    let (now, seconds) = (now(), time.unix_seconds());
    let words = if *time > now {
        format!("in {}", span(time.since(now)))
    } else {
        match now.since(*time) {
            passed if passed < Duration::from_secs(1) => "just now".to_owned(),
            passed => format!("{} ago", span(passed)),
        }
    };
    let full = clock(time);
    Html(format!("<time datetime=\"{time}\" data-at=\"{seconds}\" title=\"{full}\">{words}</time>"))
}

/// Shows a time that may be absent.
pub(crate) fn ago_or_dash(time: &Option<Time>) -> Html {
    time.as_ref().map_or_else(|| Html("<span class=\"soft\">–</span>".to_owned()), ago)
}

/// Writes a time to the second.
pub(crate) fn clock(time: &Time) -> String {
    let text = time.to_string();
    let seconds = text.get(..19).unwrap_or(&text).replace('T', " ");
    format!("{seconds} UTC")
}

/// Writes a span with one unit.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.is_zero() => "0 s".to_owned(),
        0 if span.as_micros() < 1_000 => format!("{} µs", span.as_micros()),
        0 => format!("{} ms", span.as_millis()),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Writes a span of microseconds.
pub(crate) fn micros(micros: &u64) -> String {
    match *micros {
        0..=999 => format!("{micros} µs"),
        1_000..=999_999 => format!("{:.1} ms", *micros as f64 / 1e3),
        _ => format!("{:.2} s", *micros as f64 / 1e6),
    }
}

/// Writes a number with its digits in groups of three.
pub(crate) fn count(number: impl Borrow<u64>) -> String {
    let digits = number.borrow().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Writes a name that may be empty.
pub(crate) fn name(name: &str) -> String {
    match name {
        "" => "(default)".to_owned(),
        name => name.to_owned(),
    }
}

/// Writes JSON for people.
pub(crate) fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

/// Writes a data dictionary for people.
pub(crate) fn data(data: &Data) -> String {
    json(&data_to_json(data))
}

/// Writes a command of the program, quoted for a shell.
pub(crate) fn command(words: &[&str]) -> String {
    let mut line = "lockstep".to_owned();
    for word in words {
        line.push(' ');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            line.push_str(word);
        } else {
            line.push('\'');
            line.push_str(&word.replace('\'', "'\\''"));
            line.push('\'');
        }
    }
    line
}

/// Writes a command of the program that is about a namespace.
pub(crate) fn command_in(namespace: &Namespace, words: &[&str]) -> String {
    match namespace.as_str() {
        "" => command(words),
        name => command(&[words, &["--namespace", name]].concat()),
    }
}

/// Writes text as markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Draws the units of a spec as one bar, as wide as there are units in each status.
pub(crate) fn bar(counts: &Counts) -> Html {
    let total = counts.total().max(1) as f64;
    let (mut at, mut rects, mut words) = (0.0, String::new(), Vec::new());
    for status in UnitStatus::ALL {
        let number = counts.of(status);
        if number == 0 {
            continue;
        }
        // What is there at all can be seen.
        let width = (number as f64 * 100.0 / total).max(1.5);
        let word = status.as_str();
        rects += &format!(
            "<rect class=\"{word}\" x=\"{at:.2}%\" width=\"{width:.2}%\" height=\"100%\"/>"
        );
        words.push(format!("{number} {word}"));
        at += width;
    }
    let label = if words.is_empty() { "no units".to_owned() } else { words.join(", ") };
    Html(format!("<svg class=\"bar\" role=\"img\" aria-label=\"{label}\">{rects}</svg>"))
}

/// Puts a drawing, whose maker has escaped what is in it, into a page.
pub(crate) fn drawing(svg: String) -> Html {
    Html(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        assert_eq!(command(&["unit", "show", "a b"]), "lockstep unit show 'a b'");
        assert_eq!(command(&["x", "it's", ""]), "lockstep x 'it'\\''s' ''");
        assert_eq!(command(&["$(rm -rf /)"]), "lockstep '$(rm -rf /)'");
    }

    #[test]
    fn numbers_and_spans_are_short() {
        assert_eq!(count(1_234_567).replace('\u{202f}', " "), "1 234 567");
        assert_eq!(count(12), "12");
        assert_eq!(span(Duration::from_secs(7_300)), "2 h");
        assert_eq!(micros(&1_500), "1.5 ms");
        assert!(badge("<b>").to_string().contains("&lt;b&gt;"));
    }
}
