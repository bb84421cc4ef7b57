//! A whole definition, and what is declared once and used by name.

use std::collections::BTreeMap;

use crate::{
    access::Authentication,
    catch::{Fault, Retry},
    concurrency::Concurrency,
    data::{Input, Output, Timeout},
    expression::Verbatim,
    schedule::Schedule,
    shape::object,
    task::{Task, Tasks},
    value::{Dsl, Label, Name, Ref, Version},
};

object! {
    /// A workflow definition.
    Document {
        /// What the definition is called.
        document: Head = "document",
        /// What the workflow takes.
        input: Option<Input> = "input",
        /// What tasks refer to by name.
        components: Option<Components> = "use",
        /// What the workflow does, in order.
        tasks: Tasks = "do",
        /// How long the workflow may take.
        timeout: Option<Ref<Timeout>> = "timeout",
        /// What the workflow gives.
        output: Option<Output> = "output",
        /// When the workflow starts by itself.
        schedule: Option<Schedule> = "schedule",
        /// How many instances there may be at one time.
        concurrency: Option<Concurrency> = "concurrency",
    }
}

object! {
    /// What a definition is called.
    Head {
        /// The version of the format, 1.0.x.
        dsl: Dsl = "dsl",
        /// The group of definitions that this one belongs to.
        namespace: Label = "namespace",
        /// The name of the definition in its namespace.
        name: Label = "name",
        /// The author's version; once published, it never changes.
        version: Version = "version",
        /// A short title for people.
        title: Option<String> = "title",
        /// What the workflow is for, in Markdown.
        summary: Option<String> = "summary",
        /// Keys and values to find the definition by.
        tags: Option<BTreeMap<String, Verbatim>> = "tags",
        /// Whatever else the author wants to keep with the definition.
        metadata: Option<BTreeMap<String, Verbatim>> = "metadata",
    }
}

object! {
    /// What is declared once and used by name.
    Components {
        /// Ways to prove who calls.
        authentications: Option<BTreeMap<String, Authentication>> = "authentications",
        /// Errors that tasks raise.
        errors: Option<BTreeMap<String, Fault>> = "errors",
        /// Calls that tasks make by name.
        functions: Option<BTreeMap<String, Task>> = "functions",
        /// Retry policies.
        retries: Option<BTreeMap<String, Retry>> = "retries",
        /// Names of the secrets that expressions and authentications may use.
        secrets: Option<Vec<Name>> = "secrets",
        /// Timeouts.
        timeouts: Option<BTreeMap<String, Timeout>> = "timeouts",
    }
    unsupported ["catalogs", "extensions"]
}
