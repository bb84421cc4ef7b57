//! Every Rust file is part of a crate.

use super::Finding;
use crate::repo::Repo;

/// Checks that some parent declares each file as a module.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let message = "no parent declares this file as a module, so nobody compiles it";
    let lost = repo.ending(".rs").map(|(path, _)| path).filter(|path| is_lost(repo, path));
    lost.map(|path| Finding::new(path, 1, message)).collect()
}

fn is_lost(repo: &Repo, path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return true };
    let root = folder.rsplit('/').next().unwrap_or(folder);
    match (root, file) {
        ("src", "lib.rs" | "main.rs") | (_, "build.rs") => return false,
        (_, "main.rs") if folder.contains("/tests") => return false,
        ("benches" | "examples" | "bin" | "fuzz_targets", _) => {
            return false;
        }
        ("tests", _) if !repo.has(&format!("{folder}/main.rs")) => return false,
        _ => {}
    }
    // The module is named by the file, or by the folder that its mod.rs is in.
    let module = file.trim_end_matches(".rs");
    let (parent, module) = match folder.rsplit_once('/') {
        Some((above, name)) if module == "mod" => (above, name),
        _ => (folder, module),
    };
    let declared = [format!("mod {module};"), format!("{module}.rs\"]")];
    let candidates = [
        format!("{parent}/mod.rs"),
        format!("{parent}/lib.rs"),
        format!("{parent}/main.rs"),
        format!("{parent}.rs"),
    ];
    let test_roots = repo.all().filter(|(path, _)| {
        parent.ends_with("/tests") && path.strip_prefix(parent).is_some_and(is_top_level)
    });
    let named = candidates.iter().filter_map(|path| repo.get(path));
    !named.chain(test_roots.map(|(_, text)| text)).any(|text| {
        text.lines().any(|line| declared.iter().any(|mark| line.trim_end().ends_with(mark)))
    })
}

/// Tells whether the rest of a path, with its first `/`, is a file and no folder.
fn is_top_level(rest: &str) -> bool {
    rest.strip_prefix('/').is_some_and(|name| name.ends_with(".rs") && !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use crate::tidy::expect;

    #[test]
    fn files_that_nobody_compiles_are_found() {
        let files = [
            ("crates/a/src/lib.rs", "mod one;\npub(crate) mod two;\n// mod lost\n"),
            ("crates/a/src/one.rs", "mod deep;\n"),
            ("crates/a/src/one/deep.rs", ""),
            ("crates/a/src/one/gone.rs", ""),
            ("crates/a/src/two/mod.rs", "#[path = \"odd.rs\"]\nmod even;\n"),
            ("crates/a/src/two/odd.rs", ""),
            ("crates/a/src/lost.rs", ""),
            ("crates/a/tests/it.rs", "mod common;\n"),
            ("crates/a/tests/common/mod.rs", "mod help;\n"),
            ("crates/a/tests/common/help.rs", ""),
            ("crates/a/tests/other/mod.rs", ""),
            ("crates/b/tests/main.rs", "mod kept;\n"),
            ("crates/b/tests/kept.rs", ""),
            ("crates/b/tests/forgotten.rs", ""),
            ("crates/c/tests/all/main.rs", "mod some;\n"),
            ("crates/c/tests/all/some.rs", ""),
        ];
        let expected = [
            "crates/a/src/lost.rs:1",
            "crates/a/src/one/gone.rs:1",
            "crates/a/tests/other/mod.rs:1",
            "crates/b/tests/forgotten.rs:1",
        ];
        expect(super::check, &files, &expected);
    }
}
