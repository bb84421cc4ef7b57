//! A tree of tasks as SVG: one box a row, joined by lines.

use std::fmt::Write as _;

use super::Branch;

const ROW: usize = 36;
const INDENT: usize = 28;
const BOX: usize = 26;
/// About how wide a letter is.
const LETTER: usize = 8;

/// Draws a tree.
///
/// Whoever shows it says of each branch how it stands, in one word or none; that word becomes a
/// class of its box beside `node`, so that a stylesheet can colour it, and stands in the drawing.
pub fn draw(root: &Branch, stands: &dyn Fn(&Branch) -> Option<&'static str>) -> String {
    let mut drawing =
        Drawing { stands, rows: 0, width: 0, lines: String::new(), boxes: String::new() };
    drawing.add(root, 0);
    let (width, height) = (drawing.width + 16, drawing.rows * ROW + 8);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" role=\"img\" \
         aria-label=\"Tasks of {}\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"13\">\n\
         <g class=\"edges\" stroke=\"#888\" fill=\"none\">\n{}</g>\n<g>\n{}</g>\n</svg>\n",
        escape(&root.name),
        drawing.lines,
        drawing.boxes
    )
}

struct Drawing<'a> {
    stands: &'a dyn Fn(&Branch) -> Option<&'static str>,
    rows: usize,
    width: usize,
    lines: String,
    boxes: String,
}

impl Drawing<'_> {
    /// Adds a branch with all below it, and gives the row that it stands in.
    fn add(&mut self, branch: &Branch, depth: usize) -> usize {
        let row = self.rows;
        self.rows += 1;
        let (x, y) = (8 + depth * INDENT, 4 + row * ROW);
        let stands = (self.stands)(branch).unwrap_or_default();
        let texts = [branch.name.as_str(), branch.kind.as_str(), stands];
        let letters: usize = texts.map(|text| text.chars().count()).iter().sum();
        let width = (letters + 5) * LETTER;
        self.width = self.width.max(x + width);
        // Writing to a string cannot fail.
        let _written = writeln!(
            self.boxes,
            "<g class=\"node {stands}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" \
             height=\"{BOX}\" rx=\"5\" fill=\"#f4f6f8\" stroke=\"#456\"/>\
             <text x=\"{}\" y=\"{}\">{} <tspan class=\"kind\" fill=\"#567\">{}</tspan> \
             <tspan class=\"stands\">{stands}</tspan></text></g>",
            x + LETTER,
            y + 18,
            escape(&branch.name),
            escape(&branch.kind)
        );
        let from = x + INDENT / 2;
        for below in &branch.below {
            let to = 4 + self.add(below, depth + 1) * ROW + BOX / 2;
            let (start, end) = (y + BOX, x + INDENT);
            let _written = writeln!(self.lines, "<path d=\"M{from} {start}V{to}H{end}\"/>");
        }
        row
    }
}

fn escape(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    let escaped = printable.map(|c| match c {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&quot;".to_owned(),
        c => c.to_string(),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        let branch = |name: &str, kind: &str, below| Branch {
            name: name.to_owned(),
            kind: kind.to_owned(),
            path: String::new(),
            below,
        };
        let leaf = branch("<script>", "a & b", vec![]);
        let root = branch("root\"", "", vec![leaf]);
        let svg = draw(&root, &|branch| branch.below.is_empty().then_some("failed"));
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"), "{svg}");
        assert!(svg.contains("Tasks of root&quot;"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(svg.matches("class=\"node failed\"").count(), 1);
        assert_eq!(svg.matches("<path").count(), 1);
    }
}
