//! The tutorial about workflows, done as it says: each file and each command of the page.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::{Server, until};

const PAGE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/book/src/tutorial-workflows.md");

/// What stands between fences, with the language that is named there.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let mut parts = page.split("```");
    let mut blocks = Vec::new();
    // Every second part is between two fences.
    while let (Some(_prose), Some(block)) = (parts.next(), parts.next()) {
        blocks.extend(block.split_once('\n'));
    }
    blocks
}

/// The commands of a block: what stands after `$`, with its further lines.
fn commands(block: &str) -> Vec<String> {
    let whole = block.replace("\\\n", " ");
    whole.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// A shell in the reader's folder, in which `lockstep` is the program.
fn shell(server: &Server, folder: &Path, command: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_lockstep")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", folder)
        .env("LOCKSTEP_URL", &server.url)
        .env("LOCKSTEP_NAMESPACE", "shop")
        .stdin(Stdio::null());
    shell
}

struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let (mut workers, mut ran) = (Vec::new(), 0);
    let instance = || {
        let list = server.json(&["--namespace", "shop", "instance", "list"]);
        list["instances"][0].clone()
    };
    for (language, block) in blocks(&page) {
        match language {
            "yaml" => fs::write(folder.join("order.yaml"), block).unwrap(),
            "python" => fs::write(folder.join("pack.py"), block).unwrap(),
            _ => {}
        }
        for command in commands(block) {
            ran += 1;
            if command == "lockstep serve" {
                continue;
            }
            if command.starts_with("export ") {
                assert_eq!(command, "export LOCKSTEP_NAMESPACE=shop");
                continue;
            }
            if command.starts_with("lockstep worker ") {
                let worker = shell(&server, folder, &format!("exec {command}")).spawn();
                workers.push(Background(worker.unwrap()));
                continue;
            }
            if command.contains(" diff ") {
                // The reader has changed the last step by now.
                let file = folder.join("order.yaml");
                let text = fs::read_to_string(&file).unwrap();
                let text = text.replace("'1.0.0'", "'1.1.0'").replace("true", "yes");
                fs::write(&file, text).unwrap();
            }
            if command.contains("order.approved") {
                until("the box is packed", || (instance()["status"] == "waiting").then_some(()));
            }
            let whole = match command.strip_suffix(" ID") {
                Some(start) => format!("{start} {}", instance()["id"]),
                None => command.clone(),
            };
            let output = shell(&server, folder, &whole).output().unwrap();
            let (out, err) = (output.stdout, output.stderr);
            let said = [String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()];
            assert!(output.status.success(), "{whole}: {said:?}");
        }
    }
    assert!(ran > 15, "{ran}");
    until("the order is shipped", || (instance()["status"] == "finished").then_some(()));
    let shown = server.json(&["--namespace", "shop", "workflow", "show", "order"]);
    assert_eq!(shown["definition"]["published"], "1.1.0", "{shown}");
}
