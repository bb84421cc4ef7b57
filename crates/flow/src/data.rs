//! How data flows into and out of workflows and tasks, and how long they may take.

use crate::{
    access::Resource,
    duration::Duration,
    expression::{Projection, Verbatim},
    shape::{choice, object},
};

object! {
    /// What a workflow or task takes.
    Input {
        /// What the raw input must look like.
        schema: Option<Contract> = "schema",
        /// What is made of the raw input.
        from: Option<Projection> = "from",
    }
}

object! {
    /// What a workflow or task gives.
    Output {
        /// What the output must look like.
        schema: Option<Contract> = "schema",
        /// What is made of the raw output.
        projection: Option<Projection> = "as",
    }
}

object! {
    /// What a task puts into the context of its workflow.
    Export {
        /// What the context must look like.
        schema: Option<Contract> = "schema",
        /// The new context.
        projection: Option<Projection> = "as",
    }
}

object! {
    /// A schema that data must match.
    Contract {
        /// The language of the schema.
        format: Option<ContractFormat> = "format" or Some(ContractFormat::Json),
        /// The schema itself.
        document: Option<Verbatim> = "document",
        /// Where the schema is.
        resource: Option<Resource> = "resource",
    }
    check |_, node, reader| reader.exactly_one(node, &["document", "resource"])
}

choice! {
    /// The language of a schema.
    ContractFormat {
        /// JSON Schema.
        Json = "json",
    }
    unsupported ["avro", "xml"]
}

object! {
    /// How long something may take.
    Timeout {
        /// The time after which it fails.
        after: Duration = "after",
    }
}
