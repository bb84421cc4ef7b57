//! Flow files: many work specs in one YAML file, as Coordinate's users write them.
//!
//! Below `flows`, a mapping with `min_gb`, or with any value that is not a mapping, is a work spec;
//! any other mapping is a group, whose name and a dot come before the names in it. The `config` of
//! a spec is laid over a common one: mappings are merged, null removes a key, anything else
//! replaces. A `then` must name a spec of the same file in full. Specs are set all or none.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::{config::closest, failure::Failure};

/// Reads the specs of a flow file, with their names, in name order.
pub(crate) fn specs(
    mut file: Map<String, Value>,
    config: Option<&Map<String, Value>>,
) -> Result<Vec<Map<String, Value>>> {
    let flows = file.remove("flows");
    // The ancestor loads these Python modules; there is nothing to load here.
    file.remove("yakonfig_modules");
    if let Some(key) = file.keys().next() {
        let hint = "a flow file has the key \"flows\" and perhaps \"yakonfig_modules\"";
        return Err(Failure::usage(format!("unknown key {key:?} in the flow file"), hint).into());
    }
    let Some(Value::Object(flows)) = flows else {
        let hint = "write the work specs below a key \"flows\"";
        return Err(Failure::usage("the flow file has no mapping \"flows\"", hint).into());
    };
    let mut specs = Vec::new();
    for (name, value) in flows {
        collect(name, value, config, &mut specs)?;
    }
    specs.sort_by(|(a, _), (b, _)| a.cmp(b));
    check_chains(&specs)?;
    Ok(specs.into_iter().map(|(_, spec)| spec).collect())
}

type Named = (String, Map<String, Value>);

fn collect(
    name: String,
    value: Value,
    config: Option<&Map<String, Value>>,
    specs: &mut Vec<Named>,
) -> Result<()> {
    let Value::Object(mut map) = value else {
        let hint = "give each work spec a mapping of its keys";
        return Err(
            Failure::usage(format!("{name:?} in the flow file is not a mapping"), hint).into()
        );
    };
    if map.is_empty() {
        let hint = "a work spec needs at least one key, such as `min_gb: 0`";
        return Err(Failure::usage(format!("{name:?} in the flow file is empty"), hint).into());
    }
    let is_spec = map.contains_key("min_gb") || !map.values().all(Value::is_object);
    if !is_spec {
        for (inner, value) in map {
            collect(format!("{name}.{inner}"), value, config, specs)?;
        }
        return Ok(());
    }
    map.insert("name".to_owned(), Value::String(name.clone()));
    match (config, map.remove("config")) {
        (None, None) => {}
        (common, own) => {
            let common = common.cloned().unwrap_or_default();
            let own = own.unwrap_or_else(|| Value::Object(Map::new()));
            map.insert("config".to_owned(), overlay(Value::Object(common), own));
        }
    }
    if specs.iter().any(|(known, _)| *known == name) {
        let hint = "a dot in a name can make two names alike; rename one";
        return Err(Failure::usage(format!("the flow file has {name:?} twice"), hint).into());
    }
    specs.push((name, map));
    Ok(())
}

/// Lays one value over another.
fn overlay(below: Value, above: Value) -> Value {
    let Value::Object(above) = above else { return above };
    let mut merged = if let Value::Object(below) = below { below } else { Map::new() };
    for (key, value) in above {
        let below = merged.remove(&key).unwrap_or_default();
        if !value.is_null() {
            merged.insert(key, overlay(below, value));
        }
    }
    Value::Object(merged)
}

fn check_chains(specs: &[Named]) -> Result<()> {
    let names: Vec<&str> = specs.iter().map(|(name, _)| name.as_str()).collect();
    for (name, spec) in specs {
        let Some(Value::String(then)) = spec.get("then") else { continue };
        if names.contains(&then.as_str()) {
            continue;
        }
        let (group, _) = name.rsplit_once('.').unwrap_or(("", name));
        let sibling = format!("{group}.{then}");
        let near = names.iter().find(|known| **known == sibling).copied();
        let hint = near.or_else(|| closest(then, &names)).map_or_else(
            || "`then` must name a work spec of the same file".to_owned(),
            |near| format!("did you mean {near:?}? names in groups are written in full"),
        );
        let message = format!("work spec {name:?} chains to {then:?}, which is not in the file");
        return Err(Failure::usage(message, hint).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(file: Value, config: Value) -> Result<Vec<Value>> {
        let (Value::Object(file), config) = (file, config) else { panic!("not a mapping") };
        let specs = specs(file, config.as_object())?;
        Ok(specs.into_iter().map(Value::Object).collect())
    }

    #[test]
    fn groups_give_their_names() {
        let file = json!({"flows": {
            "top": {"min_gb": 1},
            "group": {"first": {"min_gb": 1, "then": "group.second"}, "second": {"desc": "2"}},
        }});
        let expected = json!([
            {"name": "group.first", "min_gb": 1, "then": "group.second"},
            {"name": "group.second", "desc": "2"},
            {"name": "top", "min_gb": 1},
        ]);
        assert_eq!(Value::Array(read(file, Value::Null).unwrap()), expected);
    }

    #[test]
    fn config_is_laid_over_the_common_one() {
        let own = json!({
            "added": {"a": 1, "none": null}, "removed": null, "replaced": {"from": "flow"},
            "merged": {"add": 1, "remove": null, "replace": 5},
        });
        let common = json!({
            "removed": {"a": 1}, "replaced": 3, "kept": 4,
            "merged": {"remove": 2, "replace": 3, "keep": 4},
        });
        let expected = json!({
            "added": {"a": 1}, "replaced": {"from": "flow"}, "kept": 4,
            "merged": {"add": 1, "keep": 4, "replace": 5},
        });
        let file = json!({"flows": {"a": {"min_gb": 1, "config": own}, "b": {"min_gb": 1}}});
        let specs = read(file, common.clone()).unwrap();
        assert_eq!(specs[0]["config"], expected);
        assert_eq!(specs[1]["config"], common);
    }

    #[test]
    fn what_is_wrong_is_refused_as_a_whole() {
        for (file, part) in [
            (json!({"flow": {}}), "unknown key"),
            (json!({"flows": [1]}), "no mapping"),
            (json!({"flows": {"a": 1}}), "not a mapping"),
            (json!({"flows": {"a": {}}}), "is empty"),
            (
                json!({"flows": {"g": {"a": {"min_gb": 1, "then": "b"}, "b": {"min_gb": 1}}}}),
                "chains",
            ),
            (json!({"flows": {"g.a": {"min_gb": 1}, "g": {"a": {"min_gb": 1}}}}), "twice"),
        ] {
            let message = read(file, Value::Null).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
