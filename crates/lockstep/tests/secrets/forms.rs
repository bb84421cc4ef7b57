//! Looking for canaries in every form in which they may stand.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What all canaries begin with.
const BEGIN: &str = "canary-";

/// Gives what a text that has a canary has: the canary as it is, with its sign escaped, in
/// hexadecimal digits, or in base64 at each of the three places where it can begin there.
pub(super) fn forms() -> Vec<(&'static str, String)> {
    let hex: String = BEGIN.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        ("as it is", BEGIN.to_owned()),
        ("escaped", BEGIN.replace('-', "%2D")),
        ("escaped", BEGIN.replace('-', "%2d")),
        ("as hexadecimal digits", hex.clone()),
        ("as hexadecimal digits", hex.to_uppercase()),
        ("as bytes", format!("{:?}", BEGIN.as_bytes()).trim_matches(['[', ']']).to_owned()),
    ];
    for before in 0..3 {
        let coded = STANDARD.encode([&[0; 3][..before], BEGIN.as_bytes()].concat());
        // What lies in the first and the last group may be of something else, too.
        let (from, to) = ((before * 4).div_ceil(3), (before + BEGIN.len()) / 3 * 4);
        forms.push(("in base64", coded[from..to].to_owned()));
    }
    forms
}

/// Finds a canary in a text; gives in which form, and what stands around it.
pub(super) fn found(text: &str) -> Option<String> {
    forms().into_iter().find_map(|(how, form)| {
        let place = text.find(&form)?;
        let start = text[..place].char_indices().rev().nth(200).map_or(0, |(at, _)| at);
        let end = text[place..].char_indices().nth(60).map_or(text.len(), |(at, _)| place + at);
        Some(format!("{how}: …{}", &text[start..end]))
    })
}

#[track_caller]
pub(super) fn has_no_canary(what: &str, text: &str) {
    if let Some(found) = found(text) {
        panic!("{what}: {found}");
    }
}

/// Gives the files below a folder.
pub(super) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[track_caller]
pub(super) fn has_no_canary_in(folder: &Path) {
    let all = files(folder);
    assert!(!all.is_empty(), "{}", folder.display());
    for file in all {
        let bytes = fs::read(&file).unwrap();
        has_no_canary(&file.display().to_string(), &String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn canaries_are_found_in_every_form() {
    let canary = "me:canary-07&7c/1e";
    let coded = |before: &str| STANDARD.encode(format!("{before}{canary}"));
    let percent = canary.replace('-', "%2D");
    let hexed: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = format!("{:?}", canary.as_bytes());
    for text in [canary.to_owned(), coded(""), coded("x"), coded("xy"), percent, hexed, bytes] {
        assert!(found(&format!("some {text} here")).is_some(), "{text}");
    }
    assert_eq!(found("a canary and its canaries"), None);
}
