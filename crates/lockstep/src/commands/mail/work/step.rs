//! Steps of workflows on the mail of an account: `call: mail`.

use anyhow::{Error, Result};
use client::{Lockstep, worker::Outcome};
use flow::run::{Fault, Standard};
use mail::{
    FlagChange, Flags, FolderName, Identity, Key, Side,
    engine::{Acted, Action, Message, New, Session, Tell},
    limits::ACTED_BYTES_MAX,
    mime,
};
use model::{UnitName, data_from_json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// What the names of units begin with that are steps.
const PREFIX: &[u8] = b"flow/";

/// Tells whether a unit is a step, and not a round.
pub(super) fn is_step(unit: &UnitName) -> bool {
    unit.as_bytes().starts_with(PREFIX)
}

/// What a step says, as its unit has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct With {
    action: String,
    #[serde(default)]
    message: Option<Named>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    ignore_own: Option<bool>,
    lockstep: About,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    idempotency_key: String,
}

/// A message, as the data of an event names it; what else the event says does not matter.
#[derive(Deserialize)]
struct Named {
    folder: FolderName,
    side: Side,
    key: Key,
    #[serde(default)]
    epoch: Option<String>,
    #[serde(default)]
    identity: Option<Identity>,
}

/// Does a step. What cannot be done now is an error, and is tried again; all else ends it.
pub(super) async fn serve(
    lockstep: &Lockstep,
    session: &Session<'_>,
    data: Value,
) -> Result<Outcome> {
    let done = match read(data) {
        Ok((action, tell)) => match act(lockstep, session, &action, tell).await {
            Ok(output) => Ok(output),
            Err(
                error @ (model::Error::Unavailable(_)
                | model::Error::StorageFull(_)
                | model::Error::LockConflict(_)),
            ) => return Err(Error::from(error)),
            Err(error) => Err(fault(&error)),
        },
        Err(why) => Err(Fault::standard(Standard::Validation, why)),
    };
    Ok(match done {
        Ok(output) => Outcome::Finish(Some(data_from_json(&json!({ "output": output }))?)),
        Err(fault) => Outcome::Fail(data_from_json(&json!({ "error": fault.to_json() }))?),
    })
}

async fn act(
    lockstep: &Lockstep,
    session: &Session<'_>,
    action: &Action,
    tell: Tell,
) -> model::Result<Value> {
    output(lockstep, session.act(action, tell).await?).await
}

fn fault(error: &model::Error) -> Fault {
    match error {
        model::Error::Gone => {
            Fault::standard(Standard::Runtime, "the message is no longer there".to_owned())
        }
        model::Error::Denied(_) => Fault::standard(Standard::Authorization, error.to_string()),
        _ => Fault::standard(Standard::Runtime, error.to_string()),
    }
}

fn read(data: Value) -> Result<(Action, Tell), String> {
    let with: With = serde_json::from_value(data).map_err(|error| error.to_string())?;
    let tell = if with.ignore_own.unwrap_or(true) { Tell::Nobody } else { Tell::Everyone };
    let message = |named: Option<Named>| {
        let Named { folder, side, key, epoch, identity } =
            named.ok_or("say with \"message\" which message, as the data of its event does")?;
        let epoch = epoch.map(Into::into);
        Ok::<_, String>(Message { folder, side, key, epoch, identity })
    };
    let folder = |name: Option<String>| {
        let name = name.ok_or("say with \"to\" into which folder")?;
        FolderName::new(&name).map_err(|error| error.to_string())
    };
    let flags = |names: &[String]| Flags::from_names(names.iter().map(String::as_str));
    let action = match with.action.as_str() {
        "move" => Action::Move(message(with.message)?, folder(with.to)?),
        "flag" => {
            let change = FlagChange { add: flags(&with.add), remove: flags(&with.remove) };
            if change.is_empty() {
                return Err("say with \"add\" or \"remove\" which flags".to_owned());
            }
            Action::Flag(message(with.message)?, change)
        }
        "fetch" => Action::Fetch(message(with.message)?),
        "append" => {
            let content = with.content.ok_or("say with \"content\" what the message is")?;
            let name = name(&with.lockstep.idempotency_key);
            let (folder, flags) = (folder(with.to)?, flags(&with.add));
            let content = message_of(&content, &name)?;
            Action::Append(New { folder, content, flags, name: name.into() })
        }
        other => return Err(format!("{other:?} cannot be done to mail")),
    };
    Ok((action, tell))
}

/// Makes a name that is the same at each attempt of a step.
fn name(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a whole message of a text: with line ends as mail has them, and with a `Message-ID`, by
/// which a second attempt knows it.
fn message_of(text: &str, name: &str) -> Result<Vec<u8>, String> {
    if text.len() as u64 > ACTED_BYTES_MAX {
        return Err(format!("a message has at most {ACTED_BYTES_MAX} bytes"));
    }
    let text = text.replace("\r\n", "\n");
    let (headers, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let is_header = |line: &str| line.starts_with([' ', '\t']) || line.contains(':');
    if !headers.lines().all(is_header) {
        return Err("\"content\" must begin with headers and an empty line".to_owned());
    }
    let has_id = headers
        .lines()
        .any(|line| line.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("message-id:")));
    let id = if has_id { String::new() } else { format!("Message-ID: <{name}@lockstep>\n") };
    let whole = format!("{id}{headers}\n\n{body}");
    Ok(whole.replace('\n', "\r\n").into_bytes())
}

/// Says what came of a step.
async fn output(lockstep: &Lockstep, acted: Acted) -> model::Result<Value> {
    Ok(match acted {
        Acted::There(folder, keys) => json!({ "folder": folder, "keys": keys }),
        Acted::Read(message) => {
            let read = mime::read(&message);
            let mut headers = Map::new();
            for (name, value) in read.headers {
                // Of headers that are there more than once, the first is what programs show.
                headers.entry(name.to_ascii_lowercase()).or_insert(Value::String(value));
            }
            let mut attachments = Vec::with_capacity(read.attachments.len());
            for attachment in read.attachments {
                let kind = media_type(&attachment.kind);
                let blob = lockstep.put_blob(kind, &attachment.content).await?;
                attachments.push(json!({
                    "name": attachment.name, "type": attachment.kind, "size": blob.bytes,
                    "content": blob.reference(),
                }));
            }
            json!({
                "headers": headers, "text": read.text, "attachments": attachments,
                "size": message.len(),
            })
        }
    })
}

/// Gives what an attachment says it is, if that is a media type.
fn media_type(kind: &str) -> &str {
    let is_good = !kind.is_empty()
        && kind.len() <= model::limits::BLOB_TYPE_BYTES_MAX
        && kind.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_good { kind } else { "application/octet-stream" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: Value) -> Value {
        let mut with = json!({"account": "a", "lockstep": {"idempotencyKey": "k"}});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with
    }

    #[test]
    fn a_step_says_what_is_missing() {
        let message = json!({"folder": "INBOX", "side": "left", "key": 7, "subject": "x"});
        for (bad, expected) in [
            (json!({"action": "burn"}), "cannot be done"),
            (json!({"action": "move", "to": "A"}), "which message"),
            (json!({"action": "move", "message": message}), "which folder"),
            (json!({"action": "flag", "message": message}), "which flags"),
            (json!({"action": "append", "to": "A"}), "what the message is"),
            (json!({"action": "append", "to": "A", "content": "no header"}), "headers"),
        ] {
            let why = read(with(bad)).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        let good = with(json!({"action": "move", "to": "A", "message": message}));
        let (Action::Move(message, to), Tell::Nobody) = read(good).unwrap() else { panic!() };
        assert_eq!((message.key, to.as_str()), (Key::Uid(7), "A"));
    }

    #[test]
    fn a_message_gets_an_id_that_is_the_same_each_time() {
        let plain = message_of("Subject: x\n\nhello\n", "n").unwrap();
        assert_eq!(plain, b"Message-ID: <n@lockstep>\r\nSubject: x\r\n\r\nhello\r\n");
        let own = message_of("message-ID: <a@b>\r\n\r\nhello", "n").unwrap();
        assert_eq!(own, b"message-ID: <a@b>\r\n\r\nhello");
    }
}
