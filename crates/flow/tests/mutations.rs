//! Thousands of damaged documents: reading ends, soon, and with a place for each problem.

use std::time::{Duration, Instant};

use flow::{Definition, Severity};

use crate::examples;

const DOCUMENTS: u64 = 20_000;

/// A small generator, so that a seed gives the same documents for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

const SHARDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "\n",
    "  ",
    "\t",
    "${",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "null",
    "'",
    "\"",
    "!!x ",
    "#",
    "---\n",
    "\u{feff}",
    "é",
    "99999999999999999999",
];

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.roll(4) {
        let from = dice.roll(chars.len().max(1));
        let to = (from + dice.roll(12)).min(chars.len());
        match dice.roll(5) {
            0 => _ = chars.drain(from..to),
            1 => _ = chars.splice(from..from, SHARDS[dice.roll(SHARDS.len())].chars()),
            2 => {
                let piece: Vec<char> = chars[from..to].to_vec();
                let at = dice.roll(chars.len().max(1));
                chars.splice(at..at, piece);
            }
            3 => {
                let other = dice.roll(chars.len().max(1));
                if other < chars.len() && from < chars.len() {
                    chars.swap(from, other);
                }
            }
            _ => {
                // Whole lines move, which keeps much of the shape.
                let mut lines: Vec<String> =
                    chars.iter().collect::<String>().lines().map(str::to_owned).collect();
                let count = lines.len().max(1);
                let (a, b) = (dice.roll(count), dice.roll(count));
                if a < lines.len() && b < lines.len() {
                    lines.swap(a, b);
                }
                chars = lines.join("\n").chars().collect();
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn damaged_documents_never_panic_nor_take_long() {
    let examples = examples::all();
    let mut dice = Dice(0x5eed_1e55);
    let (mut valid, mut broken, mut longest) = (0_u32, 0_u32, Duration::ZERO);
    for _ in 0..DOCUMENTS {
        let (_, text) = &examples[dice.roll(examples.len())];
        let text = mutate(text, &mut dice);
        let start = Instant::now();
        match Definition::parse(&text) {
            Ok(definition) => {
                valid += 1;
                let again = Definition::parse(&definition.canonical());
                assert_eq!(
                    again.unwrap_or_else(|p| panic!("{p:#?}\n{text}")),
                    definition,
                    "{text}"
                );
            }
            Err(problems) => {
                broken += 1;
                assert!(problems.iter().any(|p| p.severity == Severity::Error), "{text}");
                assert!(problems.iter().all(|p| p.at.line > 0 && p.at.column > 0), "{text}");
                assert!(problems.iter().all(|p| !p.hint.is_empty()), "{text}");
            }
        }
        longest = longest.max(start.elapsed());
    }
    assert!(valid > 1_000 && broken > 1_000, "{valid} valid, {broken} broken");
    // A debug build on a busy machine; one document takes well below a millisecond otherwise.
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[test]
fn bombs_are_refused() {
    let head = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n";
    let mut aliases = String::from("x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n");
    for level in 1..12 {
        let items = vec![format!("*x{}", level - 1); 10].join(", ");
        aliases.push_str(&format!("x{level}: &x{level} [{items}]\n"));
    }
    let bombs = [
        format!("{head}do: {}", "[".repeat(100_000)),
        format!("{head}do: {}", "{a: ".repeat(100_000)),
        format!("{head}{aliases}"),
        format!("{head}do: [{}]", "{a: {wait: PT1S}},".repeat(60_000)),
        format!("{head}do: [{{a: {{set: {{a: '{}'}}}}}}]", "a".repeat(2 << 20)),
        format!(
            "{head}do:\n{}",
            (0..3_000).map(|n| format!("- t{n}: {{wait: PT1S}}\n")).collect::<String>()
        ),
        format!("{head}do: [{{a: {{set: {{a: '${{ {} }}'}}}}}}]", "(".repeat(4_000)),
        format!(
            "{head}{}",
            (0..300).map(|n| format!("{}k{n}:\n", " ".repeat(n))).collect::<String>()
        ),
    ];
    for bomb in bombs {
        let start = Instant::now();
        let problems = Definition::parse(&bomb).unwrap_err();
        let code = problems[0].code;
        assert!(
            ["too_large", "syntax", "bad_expression"].contains(&code.as_str())
                || problems.len() <= 100,
            "{code:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
