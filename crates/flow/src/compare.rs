//! How two texts differ, line by line.

/// Lines of each text that are compared at most; what is longer is shown as a whole.
const LINES_MAX: usize = 4_000;

/// Marks lines with a space where both have them, `-` where only the old, `+` where only the new.
pub fn compare<'t>(old: &'t str, new: &'t str) -> Vec<(char, &'t str)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        let gone = old.into_iter().map(|line| ('-', line));
        return gone.chain(new.into_iter().map(|line| ('+', line))).collect();
    }
    let longest = longest_common(&old, &new);
    let at = |i: usize, j: usize| longest.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    let (mut i, mut j, mut lines) = (0, 0, Vec::with_capacity(old.len() + new.len()));
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                lines.push((' ', *one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(i + 1, j) >= at(i, j + 1) => {
                lines.push(('-', *one));
                i += 1;
            }
            (_, Some(other)) => {
                lines.push(('+', *other));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// Gives, for each pair of places, how many lines the rests have in common in order.
fn longest_common(old: &[&str], new: &[&str]) -> Vec<Vec<u16>> {
    let mut rows = vec![vec![0_u16; new.len() + 1]];
    for line in old.iter().rev() {
        let below = rows.last().cloned().unwrap_or_default();
        let mut row = vec![0_u16; new.len() + 1];
        let mut right = 0;
        for (j, other) in new.iter().enumerate().rev() {
            let value = |at: usize| below.get(at).copied().unwrap_or(0);
            right = if line == other { value(j + 1) + 1 } else { value(j).max(right) };
            if let Some(place) = row.get_mut(j) {
                *place = right;
            }
        }
        rows.push(row);
    }
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(old: &str, new: &str) -> String {
        compare(old, new).iter().map(|(mark, line)| format!("{mark}{line}")).collect()
    }

    #[test]
    fn lines_that_both_have_stay() {
        assert_eq!(marked("a\nb\nc", "a\nc\nd"), " a-b c+d");
        assert_eq!(marked("", "a"), "+a");
        assert_eq!(marked("a", ""), "-a");
        assert_eq!(marked("a\nb", "a\nb"), " a b");
        assert_eq!(marked("x\na\nb", "a\nb\ny"), "-x a b+y");
    }
}
