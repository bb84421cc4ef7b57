//! How many tests passed and failed, read from what the test programs print.

use std::{fmt, ops::Add};

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those that passed.
    pub(crate) passed: u64,
    /// Those that failed, timed out or could not start.
    pub(crate) failed: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Counts {
    /// Reads the summary lines of nextest, such as
    /// `Summary [ 1.5s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
    pub(crate) fn of_nextest(output: &str) -> Self {
        let summaries = output.lines().filter_map(|line| {
            let (_, tail) = line.trim_start().strip_prefix("Summary [")?.split_once("run:")?;
            Some(tail)
        });
        summaries.fold(Self::default(), |sum, tail| sum + Self::of_parts(tail.split(',')))
    }

    /// Reads the lines of the standard harness, such as
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out`.
    pub(crate) fn of_harness(output: &str) -> Self {
        let results = output.lines().filter_map(|line| {
            let (_, tail) = line.trim_start().strip_prefix("test result:")?.split_once(". ")?;
            Some(tail)
        });
        results.fold(Self::default(), |sum, tail| sum + Self::of_parts(tail.split(';')))
    }

    /// Reads what Python's unittest says at its end, such as `Ran 9 tests in 1.5s` and, two lines
    /// below, `FAILED (failures=1, errors=1)`.
    pub(crate) fn of_unittest(output: &str) -> Self {
        let number = |text: &str| text.trim().parse::<u64>().unwrap_or(0);
        let ran = output.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next());
        let verdict =
            output.lines().find_map(|line| line.strip_prefix("FAILED (")?.strip_suffix(')'));
        let (mut failed, mut left_out) = (0, 0);
        for part in verdict.unwrap_or_default().split(',') {
            match part.trim().split_once('=') {
                Some(("failures" | "errors" | "unexpected successes", count)) => {
                    failed += number(count);
                }
                Some((_, count)) => left_out += number(count),
                None => {}
            }
        }
        let ran = ran.map_or(0, number);
        Self { passed: ran.saturating_sub(failed + left_out), failed }
    }

    /// Reads the closing lines of Node's tests, such as `# pass 9` and `# fail 1`.
    pub(crate) fn of_tap(output: &str) -> Self {
        let of = |word: &str| {
            let lines = output.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(' '));
            let own = lines.filter(|(name, _)| *name == word);
            own.filter_map(|(_, count)| count.parse::<u64>().ok()).sum::<u64>()
        };
        Self { passed: of("pass"), failed: of("fail") + of("cancelled") }
    }

    fn of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        for part in parts {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => counts.passed += number,
                Some("failed" | "timed" | "exec") => counts.failed += number,
                _ => {}
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summaries_are_counted() {
        let good = "     Summary [   1.234s] 45 tests run: 45 passed, 2 skipped\n";
        assert_eq!(Counts::of_nextest(good), Counts { passed: 45, failed: 0 });
        let bad = "Summary [  2s] 9/10 tests run: 5 passed (1 slow), 2 failed, 1 exec failed, \
                   1 timed out, 3 skipped";
        assert_eq!(Counts::of_nextest(bad), Counts { passed: 5, failed: 4 });
        assert_eq!(Counts::of_nextest("no summary: 9 passed"), Counts::default());
    }

    #[test]
    fn harness_results_are_summed() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(Counts::of_harness(text), Counts { passed: 4, failed: 2 });
    }

    #[test]
    fn results_of_python_and_node_are_read() {
        let good = "....\nRan 4 tests in 0.1s\n\nOK\n";
        assert_eq!(Counts::of_unittest(good), Counts { passed: 4, failed: 0 });
        let bad = "Ran 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n";
        assert_eq!(Counts::of_unittest(bad), Counts { passed: 5, failed: 3 });
        let node = "ok 1 - a\n# tests 6\n# pass 3\n# fail 2\n# cancelled 1\n# skipped 0\n";
        assert_eq!(Counts::of_tap(node), Counts { passed: 3, failed: 3 });
        assert_eq!(Counts::of_tap(good), Counts::default());
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(Counts { passed: 123, failed: 0 }.to_string(), "123 passed, 0 failed");
    }
}
