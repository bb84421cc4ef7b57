//! The JSON Schema of documents, for editors.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value as Json;

use crate::{
    call::{HttpCall, MailCall, OpenApiCall, WorkCall},
    catch::Arguments,
    document::Document,
    shape::{Object, Properties, SchemaName, Shape},
    task::{
        Common, Do, EmitTask, For, ForkTask, ListenTask, RaiseTask, RunTask, Set, Switch, Task,
        Try, Wait,
    },
};

/// Gives the JSON Schema of documents.
///
/// It says what a document looks like; what must hold between its parts, only
/// [`Definition::parse`](crate::Definition::parse) knows.
pub fn schema() -> Json {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    let mut json = schema.to_value();
    if let Some(map) = json.as_object_mut() {
        map.insert("title".to_owned(), "Lockstep workflow".into());
    }
    json
}

impl JsonSchema for Task {
    fn schema_name() -> SchemaName {
        "Task".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds = [
            task_schema::<Do>(generator),
            task_schema::<EmitTask>(generator),
            task_schema::<For>(generator),
            task_schema::<ForkTask>(generator),
            task_schema::<ListenTask>(generator),
            task_schema::<RaiseTask>(generator),
            task_schema::<RunTask>(generator),
            task_schema::<Set>(generator),
            task_schema::<Switch>(generator),
            task_schema::<Try>(generator),
            task_schema::<Wait>(generator),
            call_schema::<HttpCall>("http", generator),
            call_schema::<OpenApiCall>("openapi", generator),
            call_schema::<WorkCall>("work", generator),
            call_schema::<MailCall>("mail", generator),
            function_schema(generator),
        ];
        json_schema!({"description": "One step of a workflow.", "oneOf": kinds})
    }
}

fn task_schema<T: Object>(generator: &mut SchemaGenerator) -> Schema {
    let mut properties = Properties::default();
    Common::properties(&mut properties, generator);
    T::properties(&mut properties, generator);
    properties.finish("")
}

fn call_schema<T: Shape + JsonSchema>(word: &str, generator: &mut SchemaGenerator) -> Schema {
    let mut properties = Properties::default();
    Common::properties(&mut properties, generator);
    properties.constant("call", word);
    properties.add::<T>(generator, "with", "What it is called with.", None);
    properties.finish("")
}

fn function_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut properties = Properties::default();
    Common::properties(&mut properties, generator);
    properties.other_than("call", &["http", "openapi", "work", "mail"]);
    let doc = "What the function is given.";
    properties.add::<Option<Arguments>>(generator, "with", doc, None);
    properties.finish("")
}
