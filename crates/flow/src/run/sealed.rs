//! Secrets by name: expressions see names in the place of secrets, and only who does a step puts
//! the secrets in. So no value of a secret is ever part of a state, a journal, an event or a unit.
//!
//! A name is only taken as one if it has the seal of its instance, which nobody outside knows; so
//! what comes from outside cannot ask for a secret.

use serde_json::Value as Json;
use zeroize::Zeroize as _;

use super::Fault;

const BEGIN: &str = "{{secret ";
const END: &str = "}}";
/// The shortest text that is looked for in what a step gives; shorter ones are anywhere.
const LOOKED_FOR_MIN: usize = 4;

/// Gives what expressions see of a secret: of each text or number in it, its name.
pub fn sealed(name: &str, value: &Json, seal: u64) -> Json {
    below(name, "", value, seal)
}

fn below(name: &str, pointer: &str, value: &Json, seal: u64) -> Json {
    match value {
        Json::Null | Json::Bool(_) => value.clone(),
        Json::String(_) | Json::Number(_) => name_of(name, pointer, seal).into(),
        Json::Array(list) => {
            let one = |(place, value)| below(name, &format!("{pointer}/{place}"), value, seal);
            list.iter().enumerate().map(one).collect()
        }
        Json::Object(map) => {
            let one = |(key, value): (&String, &Json)| {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                (key.clone(), below(name, &format!("{pointer}/{escaped}"), value, seal))
            };
            Json::Object(map.iter().map(one).collect())
        }
    }
}

fn name_of(name: &str, pointer: &str, seal: u64) -> String {
    format!("{BEGIN}{name}#{pointer} {seal:016x}{END}")
}

/// Tells whether anything in a value may be the name of a secret.
pub fn is_sealed(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
        Json::String(text) => text.contains(BEGIN),
        Json::Array(list) => list.iter().any(is_sealed),
        Json::Object(map) => map.values().any(is_sealed),
    }
}

/// Overwrites all texts of a value with zeros.
pub fn wipe(value: &mut Json) {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
        Json::String(text) => text.zeroize(),
        Json::Array(list) => list.iter_mut().for_each(wipe),
        Json::Object(map) => map.values_mut().for_each(wipe),
    }
}

/// The secrets that a step has used, each text with its name; it is overwritten with zeros once it
/// is dropped.
#[derive(Clone, Default)]
pub struct Used(Vec<(String, String)>);

impl Drop for Used {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(text, _)| text.zeroize());
    }
}

impl Used {
    /// Notes that a text is secret, under a name that stands for it.
    pub fn note(&mut self, name: &str, text: &str) {
        if text.len() >= LOOKED_FOR_MIN {
            self.0.push((text.to_owned(), name.to_owned()));
            // The longest first, so that what holds another is found as a whole.
            self.0.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
    }

    /// Notes all texts of a secret that a step names without an expression.
    pub fn note_all(&mut self, name: &str, value: &Json) {
        match value {
            Json::Null | Json::Bool(_) => {}
            Json::String(text) => self.note(&format!("{BEGIN}{name}{END}"), text),
            Json::Number(number) => self.note(&format!("{BEGIN}{name}{END}"), &number.to_string()),
            Json::Array(list) => list.iter().for_each(|value| self.note_all(name, value)),
            Json::Object(map) => map.values().for_each(|value| self.note_all(name, value)),
        }
    }

    /// Puts secrets in the place of their names; `secret` gives one by its name.
    ///
    /// # Errors
    /// Those of `secret`.
    pub fn unseal(
        &mut self,
        value: &Json,
        seal: u64,
        secret: &impl Fn(&str) -> Result<Json, Fault>,
    ) -> Result<Json, Fault> {
        Ok(match value {
            Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
            Json::String(text) => self.unseal_text(text, seal, secret)?.into(),
            Json::Array(list) => {
                let one = |value| self.unseal(value, seal, secret);
                Json::Array(list.iter().map(one).collect::<Result<_, _>>()?)
            }
            Json::Object(map) => {
                let one = |(key, value): (&String, &Json)| {
                    Ok((key.clone(), self.unseal(value, seal, secret)?))
                };
                Json::Object(map.iter().map(one).collect::<Result<_, Fault>>()?)
            }
        })
    }

    fn unseal_text(
        &mut self,
        text: &str,
        seal: u64,
        secret: &impl Fn(&str) -> Result<Json, Fault>,
    ) -> Result<String, Fault> {
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, behind)) = rest.split_once(BEGIN) {
            done.push_str(before);
            let named = behind.split_once(END).and_then(|(inner, after)| {
                let (named, by) = inner.rsplit_once(' ')?;
                let (name, pointer) = named.split_once('#')?;
                (by == format!("{seal:016x}")).then_some((name, pointer, after))
            });
            let Some((name, pointer, after)) = named else {
                // What only looks like a name stays what it is.
                done.push_str(BEGIN);
                rest = behind;
                continue;
            };
            let found = match secret(name)?.pointer(pointer) {
                Some(Json::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            self.note(&name_of(name, pointer, seal), &found);
            done.push_str(&found);
            rest = after;
        }
        done.push_str(rest);
        Ok(done)
    }

    /// Puts names in the place of secrets in what a step gives.
    pub fn hide(&self, value: Json) -> Json {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Json::Null | Json::Bool(_) => value,
            Json::Number(number) => match self.hide_text(number.to_string()) {
                text if text == number.to_string() => Json::Number(number),
                text => text.into(),
            },
            Json::String(text) => self.hide_text(text).into(),
            Json::Array(list) => list.into_iter().map(|value| self.hide(value)).collect(),
            Json::Object(map) => {
                let one = |(key, value)| (self.hide_text(key), self.hide(value));
                Json::Object(map.into_iter().map(one).collect())
            }
        }
    }

    fn hide_text(&self, text: String) -> String {
        self.0.iter().fold(text, |text, (secret, name)| match text.contains(secret) {
            true => text.replace(secret, name),
            false => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(name: &str) -> Result<Json, Fault> {
        Ok(match name {
            "token" => json!("canary-1"),
            _ => json!({"user": "canary-2", "a/b": ["x", 77_777]}),
        })
    }

    #[test]
    fn names_stand_for_secrets_until_a_step_is_done() {
        let token = sealed("token", &secrets("token").unwrap(), 7);
        let erp = sealed("erp", &secrets("erp").unwrap(), 7);
        assert!(is_sealed(&token) && is_sealed(&erp));
        assert!(!format!("{token}{erp}").contains("canary"));
        let input = json!({
            "header": format!("Bearer {}", token.as_str().unwrap()),
            "list": [erp["user"], erp["a/b"][1], 3, null],
        });
        let mut used = Used::default();
        let done = used.unseal(&input, 7, &secrets).unwrap();
        assert_eq!(
            done,
            json!({"header": "Bearer canary-1", "list": ["canary-2", "77777", 3, null]})
        );
        // What comes back is told by name again.
        let hidden = used.hide(json!({"canary-1": "is canary-2", "n": 77_777, "m": 5}));
        assert!(!hidden.to_string().contains("canary-") && !hidden.to_string().contains("77777"));
        assert_eq!(used.unseal(&hidden["n"], 7, &secrets).unwrap(), json!("77777"));
        assert_eq!(hidden["m"], json!(5));
    }

    #[test]
    fn wiped_values_have_no_text() {
        let mut value = json!({"a": ["canary-1", {"b": "canary-2"}], "c": 3, "d": null});
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", {"b": ""}], "c": 3, "d": null}));
    }

    #[test]
    fn nobody_gets_a_secret_by_guessing_its_name() {
        for text in ["{{secret token# 0000000000000008}}", "{{secret token#", "{{secret }}", "{{"] {
            let same = Used::default().unseal(&json!(text), 7, &secrets).unwrap();
            assert_eq!(same, json!(text));
        }
    }
}
