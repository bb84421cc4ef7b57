//! What a task calls: an HTTP service, a work spec, or a function of the document.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    access::{AuthenticationUse, Endpoint, Resource},
    catch::Arguments,
    duration::Duration,
    expression::{Projection, Template, Text},
    node::{Node, Value},
    problem::Code,
    shape::{Reader, SchemaName, Shape, choice, object},
    value::Name,
};

/// What is called, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "call", content = "with", rename_all = "lowercase")]
pub enum Call {
    /// An HTTP service.
    Http(Box<HttpCall>),
    /// An operation of an OpenAPI document.
    OpenApi(Box<OpenApiCall>),
    /// A work spec: a unit is added, and its result is waited for.
    Work(Box<WorkCall>),
    /// The mail of an account.
    Mail(Box<MailCall>),
    /// A function that the document declares.
    #[serde(untagged)]
    Function(FunctionCall),
}

/// A function that the document declares, and what it is given.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FunctionCall {
    /// Its name below `use.functions`.
    pub call: Name,
    /// What it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Arguments>,
}

/// Says whether a call is known to the format or its design, and refused.
pub(crate) fn is_unsupported(word: &str) -> bool {
    UNSUPPORTED.contains(&word) || word.contains('@')
}

/// Calls that the format or its design has and Lockstep does not.
const UNSUPPORTED: [&str; 4] = ["a2a", "asyncapi", "grpc", "mcp"];

impl Shape for Call {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let call = reader.field::<Name>(node, "call", None)?;
        let word = call.as_str();
        if is_unsupported(word) {
            let at = node.get("call").map_or(node.at, |call| call.at);
            let message = format!("the task kind `call: {word}` is not supported");
            let hint = "call http, openapi, work, mail, or a function declared below \"use\"";
            reader.at_key("call", |r| r.note(at, Code::Unsupported, message, hint));
            return None;
        }
        match word {
            "http" => reader.field(node, "with", None).map(Self::Http),
            "openapi" => reader.field(node, "with", None).map(Self::OpenApi),
            "work" => reader.field(node, "with", None).map(Self::Work),
            "mail" => reader.field(node, "with", None).map(Self::Mail),
            _ => {
                let with = reader.field(node, "with", None)?;
                Some(Self::Function(FunctionCall { call, with }))
            }
        }
    }
}

object! {
    /// An HTTP request.
    HttpCall {
        /// The method, such as get or post.
        method: Method = "method",
        /// Where to send the request.
        endpoint: Endpoint = "endpoint",
        /// Headers of the request.
        headers: Option<Projection> = "headers",
        /// The body of the request.
        body: Option<Template> = "body",
        /// The query of the request.
        query: Option<Projection> = "query",
        /// What of the answer becomes the task's output.
        output: Option<Answer> = "output" or Some(Answer::Content),
        /// Whether an answer that redirects is good; otherwise it is an error.
        redirect: Option<bool> = "redirect" or Some(false),
    }
}

/// An HTTP method, in capitals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Method(String);

impl Method {
    /// Borrows the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Shape for Method {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        const KNOWN: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
        let text = String::read(node, reader)?;
        let upper = text.to_ascii_uppercase();
        if KNOWN.contains(&upper.as_str()) {
            return Some(Self(upper));
        }
        let message = format!("{text:?} is not an HTTP method");
        reader.note(node.at, Code::BadValue, message, crate::shape::suggest(&upper, &KNOWN));
        None
    }
}

impl JsonSchema for Method {
    fn schema_name() -> SchemaName {
        "Method".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An HTTP method, in any case.",
            "pattern": "^[A-Za-z]+$",
        })
    }
}

choice! {
    /// What of an answer becomes the output of its task.
    Answer {
        /// The body, read by its media type.
        Content = "content",
        /// The body as base64.
        Raw = "raw",
        /// Status, headers and body.
        Response = "response",
    }
}

object! {
    /// An operation of an OpenAPI document.
    OpenApiCall {
        /// The document.
        document: Resource = "document",
        /// The operation in it.
        operation_id: Text = "operationId",
        /// What the operation is given, by name.
        parameters: Option<Arguments> = "parameters",
        /// How to prove who calls.
        authentication: Option<AuthenticationUse> = "authentication",
        /// What of the answer becomes the task's output.
        output: Option<Answer> = "output" or Some(Answer::Content),
        /// Whether an answer that redirects is good; otherwise it is an error.
        redirect: Option<bool> = "redirect" or Some(false),
    }
}

object! {
    /// A unit to add to a work spec, whose result is waited for.
    WorkCall {
        /// The work spec.
        spec: Text = "spec",
        /// The name of the unit; without it, one is made of the instance and the task.
        name: Option<Text> = "name",
        /// The data of the unit.
        data: Option<Projection> = "data",
        /// The priority of the unit.
        priority: Option<Priority> = "priority",
        /// The time before which it is not handed out, or an expression of it.
        not_before: Option<Text> = "notBefore",
        /// The time that one lease of it lasts.
        lifetime: Option<Duration> = "lifetime",
    }
}

object! {
    /// What is done to the mail of an account.
    MailCall {
        /// The account.
        account: Text = "account",
        /// What is done.
        action: MailAction = "action",
        /// The message: the data of the event that told of it.
        message: Option<Template> = "message",
        /// The folder that it is moved or appended to.
        to: Option<Text> = "to",
        /// The flags that it gets.
        add: Option<Template> = "add",
        /// The flags that are taken away.
        remove: Option<Template> = "remove",
        /// The whole text of a message that is appended, with its headers.
        content: Option<Text> = "content",
        /// Whether no event tells of it, so that what is done to mail does not start itself again.
        ignore_own: Option<bool> = "ignoreOwn" or Some(true),
    }
}

choice! {
    /// What can be done to mail.
    MailAction {
        /// A message is put into another folder.
        Move = "move",
        /// A message gets other flags.
        Flag = "flag",
        /// A message is read.
        Fetch = "fetch",
        /// A message is made.
        Append = "append",
    }
}

/// A priority: a number, or an expression of one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Priority {
    /// A number.
    Fixed(serde_json::Number),
    /// What computes it.
    Computed(crate::expression::Expression),
}

impl Shape for Priority {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Number(number) => Some(Self::Fixed(number.clone())),
            Value::Text(text) if crate::expression::is_computed(text) => {
                Shape::read(node, reader).map(Self::Computed)
            }
            _ => reader.wrong_type(node, "a number"),
        }
    }
}
