//! A tree of tasks as SVG: one box a row, joined by lines.

use std::fmt::Write as _;

use super::graph::Branch;

const ROW: usize = 34;
const INDENT: usize = 28;
const BOX: usize = 24;
/// About how wide a letter is.
const LETTER: usize = 8;

/// Draws a tree.
pub(super) fn draw(root: &Branch) -> String {
    let mut drawing = Drawing { rows: 0, width: 0, lines: String::new(), boxes: String::new() };
    drawing.add(root, 0);
    let (width, height) = (drawing.width + 16, drawing.rows * ROW + 16);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"13\">\n\
         <g stroke=\"#888\" fill=\"none\">\n{}</g>\n<g>\n{}</g>\n</svg>\n",
        drawing.lines, drawing.boxes
    )
}

struct Drawing {
    rows: usize,
    width: usize,
    lines: String,
    boxes: String,
}

impl Drawing {
    /// Adds a branch with all below it, and gives the row that it stands in.
    fn add(&mut self, branch: &Branch, depth: usize) -> usize {
        let row = self.rows;
        self.rows += 1;
        let (x, y) = (8 + depth * INDENT, 8 + row * ROW);
        let letters = branch.name.chars().count() + branch.kind.chars().count() + 3;
        let width = letters * LETTER;
        self.width = self.width.max(x + width);
        // Writing to a string cannot fail.
        let _written = writeln!(
            self.boxes,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"4\" \
             fill=\"#f4f6f8\" stroke=\"#456\"/><text x=\"{}\" y=\"{}\">{} \
             <tspan fill=\"#567\">{}</tspan></text>",
            x + LETTER,
            y + 17,
            escape(&branch.name),
            escape(&branch.kind)
        );
        let from = x + INDENT / 2;
        for below in &branch.below {
            let to = 8 + self.add(below, depth + 1) * ROW + BOX / 2;
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
        let leaf = Branch { name: "<script>".to_owned(), kind: "a & b".to_owned(), below: vec![] };
        let svg = draw(&Branch { name: "root".to_owned(), kind: String::new(), below: vec![leaf] });
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(svg.matches("<path").count(), 1);
    }
}
