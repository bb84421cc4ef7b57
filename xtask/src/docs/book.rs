//! The book as HTML: one page for each Markdown file that its table of contents lists, with no
//! script and nothing from elsewhere.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::links::{anchor, resolve};
use crate::repo::Repo;

const BOOK: &str = "docs/book/src/";
const STYLE: &str = include_str!("book.css");
const INCLUDE: &str = "{{#include ";

/// What the table of contents says.
#[derive(Debug, PartialEq)]
enum Entry {
    Part(String),
    Page { depth: usize, title: String, path: String },
}

/// Writes all pages into a folder, and gives how many there are.
pub(crate) fn build(repo: &Repo, folder: &Path) -> Result<usize> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let entries = contents(repo.get("docs/book/src/SUMMARY.md").unwrap_or_default());
    let pages: Vec<(&str, &str)> = entries.iter().filter_map(page_of).collect();
    for (at, (title, path)) in pages.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| pages.get(at));
        let around = [("Before", before), ("Next", pages.get(at + 1))];
        let text = whole(repo, path);
        let page = page(title, path, &entries, &around, &body(&text, path));
        let names = if at == 0 {
            vec![html_of(path), "index.html".to_owned()]
        } else {
            vec![html_of(path)]
        };
        for name in names {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap_or(folder))?;
            fs::write(&file, &page).with_context(|| file.display().to_string())?;
        }
    }
    fs::write(folder.join("book.css"), STYLE)?;
    Ok(pages.len())
}

fn page_of(entry: &Entry) -> Option<(&str, &str)> {
    match entry {
        Entry::Page { title, path, .. } => Some((title, path)),
        Entry::Part(_) => None,
    }
}

fn contents(summary: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        if let Some(part) = line.strip_prefix("# ") {
            return (part != "Summary").then(|| Entry::Part(part.to_owned()));
        }
        let (start, rest) = line.split_once('[')?;
        let (title, rest) = rest.split_once("](")?;
        let path = rest.split_once(')')?.0.to_owned();
        let depth = start.find('-').map_or(0, |at| at / 2);
        Some(Entry::Page { depth, title: title.to_owned(), path })
    };
    summary.lines().filter_map(entry).collect()
}

/// Gives the text of a page, with what it includes.
fn whole(repo: &Repo, path: &str) -> String {
    let from = format!("{BOOK}{path}");
    let lines = repo.get(&from).unwrap_or_default().lines().map(|line| {
        let included = line.strip_prefix(INCLUDE).and_then(|rest| rest.strip_suffix("}}"));
        included.map_or(line, |other| repo.get(&resolve(&from, other)).unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Renders a text; its headings get the anchors that links name, and its links lead to pages.
fn body(markdown: &str, path: &str) -> String {
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let titles = (0..events.len()).map(|at| heading(events.get(at..).unwrap_or_default()));
    let titles: Vec<String> = titles.collect();
    for (event, title) in events.iter_mut().zip(titles) {
        match event {
            Event::Start(Tag::Heading { id, .. }) => *id = Some(anchor(&title).into()),
            Event::Start(Tag::Link { dest_url, .. }) => *dest_url = target(dest_url, path),
            // What is not ours to run is shown.
            Event::Html(text) | Event::InlineHtml(text) if !text.starts_with("<!--") => {
                let text = text.clone();
                *event = Event::Text(text);
            }
            _ => {}
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out.replace("<table>", "<div class=\"wide\"><table>").replace("</table>", "</table></div>")
}

/// Gives the text of a heading that events begin with.
fn heading(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let text = inside.filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
        _ => None,
    });
    if matches!(events.first(), Some(Event::Start(Tag::Heading { .. }))) {
        text.collect()
    } else {
        String::new()
    }
}

/// Gives where a link leads in HTML; what is in the repository and not in the book stays as it is.
fn target<'a>(link: &CowStr<'a>, path: &str) -> CowStr<'a> {
    let (file, anchor) = link.split_once('#').map_or((&**link, None), |(f, a)| (f, Some(a)));
    let in_book = resolve(&format!("{BOOK}{path}"), file).starts_with(BOOK);
    if link.contains("://") || !file.ends_with(".md") || !in_book {
        return link.clone();
    }
    let anchor = anchor.map_or(String::new(), |anchor| format!("#{anchor}"));
    format!("{}{anchor}", html_of(file)).into()
}

fn html_of(path: &str) -> String {
    format!("{}.html", path.trim_end_matches(".md"))
}

fn page(
    title: &str,
    path: &str,
    entries: &[Entry],
    around: &[(&str, Option<&(&str, &str)>)],
    body: &str,
) -> String {
    let up = "../".repeat(path.matches('/').count());
    let (mut nav, mut foot) = (String::new(), String::new());
    for entry in entries {
        match entry {
            Entry::Part(part) => nav.push_str(&format!("<h2>{part}</h2>\n")),
            Entry::Page { depth, title, path: to } => {
                let here = if to == path { " aria-current=\"page\"" } else { "" };
                let to = html_of(to);
                nav.push_str(&format!(
                    "<a class=\"depth{depth}\" href=\"{up}{to}\"{here}>{}</a>\n",
                    plain(title)
                ));
            }
        }
    }
    for (word, other) in around {
        if let Some((title, to)) = other {
            let (to, title) = (html_of(to), plain(title));
            foot.push_str(&format!("<a href=\"{up}{to}\">{word}: {title}</a>\n"));
        }
    }
    let title = plain(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Lockstep</title>\n<link rel=\"stylesheet\" href=\"{up}book.css\">\n\
         </head>\n<body>\n<details class=\"nav\" open>\n<summary>Contents</summary>\n<nav>\n{nav}\
         </nav>\n</details>\n<main>\n{body}<footer>\n{foot}</footer>\n</main>\n</body>\n</html>\n"
    )
}

/// Writes a title, in which only backticks mean something.
fn plain(title: &str) -> String {
    title.replace('&', "&amp;").replace('<', "&lt;").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_anchors_links_and_contents() {
        let folder = std::env::temp_dir().join(format!("lockstep-book-{}", std::process::id()));
        let files = [
            (
                "docs/book/src/SUMMARY.md",
                "# Summary\n\n[One](one.md)\n\n# Part\n\n- [Two](a/two.md)\n",
            ),
            ("docs/book/src/one.md", "# One `x`\n\n[two](a/two.md#the-end) <script>no</script>\n"),
            (
                "docs/book/src/a/two.md",
                "{{#include ../../../words.md}}\n\n## The end\n[up](../one.md)\n",
            ),
            ("docs/words.md", "# Words\n\n| a |\n|---|\n| b |\n"),
        ];
        assert_eq!(build(&Repo::of(&files), &folder).unwrap(), 2);
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let (first, second) = (read("index.html"), read("a/two.html"));
        assert_eq!(first, read("one.html"));
        assert!(first.contains("<h1 id=\"one-x\">"), "{first}");
        assert!(first.contains("href=\"a/two.html#the-end\""), "{first}");
        assert!(first.contains("&lt;script&gt;"), "{first}");
        assert!(second.contains("<td>b</td>") && second.contains("id=\"the-end\""), "{second}");
        assert!(second.contains("href=\"../one.html\"") && second.contains("<h2>Part</h2>"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
