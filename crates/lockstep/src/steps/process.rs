//! Scripts and shell commands on this machine, which are off unless the operator allows them.

use std::{process::Stdio, time::Duration};

use flow::run::{Fault, Standard};
use serde_json::{Value as Json, json};
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, process::Command};

/// Bytes that are kept of what a process writes.
const OUTPUT_MAX: u64 = 1 << 20;
/// How long a process may run.
const TIME_MAX: Duration = Duration::from_secs(600);

/// Runs a script or a command.
pub(super) async fn run(is_allowed: bool, input: &Json) -> Result<Json, Fault> {
    if !is_allowed {
        return Err(Fault::standard(
            Standard::Authorization,
            "this server runs no processes; start it with --processes, or have a worker do the \
             step with `call: work`",
        ));
    }
    let (about, mut command) = match (input.get("shell"), input.get("script")) {
        (Some(shell), _) => (shell, shell_command(shell)?),
        (None, Some(script)) => (script, script_command(script)?),
        (None, None) => return Err(configuration("it is neither a script nor a command")),
    };
    for (name, value) in about.get("environment").and_then(Json::as_object).into_iter().flatten() {
        command.env(name, text(value));
    }
    let stdin = about.get("stdin").map(text).unwrap_or_default();
    let ended = tokio::time::timeout(TIME_MAX, execute(command, stdin)).await;
    let ended =
        ended.map_err(|_| Fault::standard(Standard::Timeout, "the process ran too long"))?;
    let (code, stdout, stderr) = ended.map_err(|error| runtime(&error.to_string()))?;
    let returns = input.get("return").and_then(Json::as_str).unwrap_or("stdout");
    match returns {
        "code" => Ok(code.into()),
        "all" => Ok(json!({ "code": code, "stdout": stdout, "stderr": stderr })),
        _ if code != 0 => {
            Err(runtime(&format!("the process ended with {code}: {}", stderr.trim_end())))
        }
        "stderr" => Ok(Json::String(stderr)),
        "none" => Ok(Json::Null),
        _ => Ok(Json::String(stdout)),
    }
}

fn configuration(why: &str) -> Fault {
    Fault::standard(Standard::Configuration, why)
}

fn runtime(why: &str) -> Fault {
    Fault::standard(Standard::Runtime, why)
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Gives what a process is given: words in their order, or `--name value` for words by name.
fn arguments(about: &Json) -> Vec<String> {
    match about.get("arguments") {
        Some(Json::Array(items)) => items.iter().map(text).collect(),
        Some(Json::Object(map)) => {
            map.iter().flat_map(|(name, value)| [format!("--{name}"), text(value)]).collect()
        }
        _ => Vec::new(),
    }
}

fn shell_command(shell: &Json) -> Result<Command, Fault> {
    let line = shell.get("command").and_then(Json::as_str);
    let line = line.ok_or_else(|| configuration("the command is no text"))?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{line} \"$@\"")).arg("sh").args(arguments(shell));
    Ok(command)
}

fn script_command(script: &Json) -> Result<Command, Fault> {
    let code = script.get("code").and_then(Json::as_str);
    let code =
        code.ok_or_else(|| configuration("only scripts whose code is given are run here"))?;
    let (program, flag) = match script.get("language").and_then(Json::as_str) {
        Some("python") => ("python3", "-c"),
        Some("js" | "javascript") => ("node", "-e"),
        Some("sh" | "shell" | "bash") => ("sh", "-c"),
        other => {
            let other = other.unwrap_or_default();
            return Err(configuration(&format!("scripts in {other:?} are not run here")));
        }
    };
    let mut command = Command::new(program);
    command.arg(flag).arg(code);
    if program == "sh" {
        command.arg("sh");
    }
    command.args(arguments(script));
    Ok(command)
}

async fn execute(mut command: Command, stdin: String) -> std::io::Result<(i32, String, String)> {
    command
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LANG"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut input) = input {
            // A process that does not read its input closes the pipe, which is its right.
            let _closed = input.write_all(stdin.as_bytes()).await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(feed, keep(output), keep(errors));
    let status = child.wait().await?;
    Ok((status.code().unwrap_or(-1), stdout?, stderr?))
}

async fn keep(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(OUTPUT_MAX).read_to_end(&mut bytes).await?;
        // What is too much is read and dropped, so that the process does not stand still.
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
