//! Errors, how they are caught, and how often what failed is tried again.

use crate::{
    duration::Duration,
    expression::{Expression, Template, Text, Verbatim},
    node::Node,
    problem::Code,
    shape::{Reader, object},
    task::Tasks,
    value::{Ref, Variable},
};

object! {
    /// An error, in the form of RFC 9457.
    Fault {
        /// The URI that says what kind of error it is.
        kind: Text = "type",
        /// The HTTP status that fits best.
        status: u64 = "status",
        /// The kind in a few words.
        title: Option<Text> = "title",
        /// What happened this time.
        detail: Option<Text> = "detail",
        /// The task in which it happened, as a JSON pointer.
        instance: Option<Text> = "instance",
    }
    check check_status
}

fn check_status(fault: &Fault, node: &Node, reader: &mut Reader) {
    if !(100..=599).contains(&fault.status) {
        let at = node.get("status").map_or(node.at, |status| status.at);
        let message = format!("{} is not an HTTP status", fault.status);
        reader.at_key("status", |reader| {
            reader.note(at, Code::BadValue, message, "write a number from 100 to 599");
        });
    }
}

object! {
    /// Which errors of a `try` are caught, and what is done then.
    Catch {
        /// What the errors have in common; without it, all are caught.
        errors: Option<FaultFilter> = "errors",
        /// The variable that holds the error.
        variable: Option<Variable> = "as" or Some(Variable::known("error")),
        /// Only errors for which this is true are caught.
        when: Option<Expression> = "when",
        /// Errors for which this is true are not caught.
        except_when: Option<Expression> = "exceptWhen",
        /// How what failed is tried again.
        retry: Option<Ref<Retry>> = "retry",
        /// What is done when it is not tried again.
        tasks: Option<Tasks> = "do",
    }
}

object! {
    /// What errors have in common.
    FaultFilter {
        /// Keys of the error, with the values that they must have.
        with: FaultMatch = "with",
    }
}

object! {
    /// Keys of an error, with the values that they must have.
    FaultMatch {
        /// The URI that says what kind of error it is.
        kind: Option<Text> = "type",
        /// The HTTP status.
        status: Option<u64> = "status",
        /// The kind in a few words.
        title: Option<Text> = "title",
        /// What happened.
        detail: Option<Text> = "detail",
        /// The task in which it happened, as a JSON pointer.
        instance: Option<Text> = "instance",
    }
    check |_, node, reader| {
        if node.map().is_some_and(<[_]>::is_empty) {
            let message = "nothing is said about the errors to catch";
            reader.note(node.at, Code::Empty, message, "add \"type\" or \"status\"");
        }
    }
}

object! {
    /// How often, and after which time, something that failed is tried again.
    Retry {
        /// Only errors for which this is true are tried again.
        when: Option<Expression> = "when",
        /// Errors for which this is true are not tried again.
        except_when: Option<Expression> = "exceptWhen",
        /// The time before the first try that follows.
        delay: Option<Duration> = "delay",
        /// How the delay grows.
        backoff: Option<Backoff> = "backoff",
        /// When to give up.
        limit: Option<RetryLimit> = "limit",
        /// The time by which delays vary.
        jitter: Option<Jitter> = "jitter",
    }
    check |retry, node, reader| {
        if retry.backoff.is_some() && retry.delay.is_none() {
            let at = node.get("backoff").map_or(node.at, |backoff| backoff.at);
            let message = "without \"delay\" there is nothing that could grow";
            reader.note(at, Code::NoEffect, message, "add \"delay\", or remove \"backoff\"");
        }
    }
}

object! {
    /// How the delay grows from one try to the next.
    Backoff {
        /// It stays as it is.
        constant: Option<Verbatim> = "constant",
        /// It doubles.
        exponential: Option<Verbatim> = "exponential",
        /// It grows by itself once more.
        linear: Option<Verbatim> = "linear",
    }
    check |_, node, reader| {
        reader.exactly_one(node, &["constant", "exponential", "linear"]);
        for key in ["constant", "exponential", "linear"] {
            let Some(value) = node.get(key) else { continue };
            if value.map().is_some_and(|entries| !entries.is_empty()) {
                let message = format!("{key:?} takes no settings here");
                let hint = format!("write {key}: {{}}");
                reader.at_key(key, |r| r.note(value.at, Code::Unsupported, message, hint));
            } else if value.map().is_none() {
                reader.at_key(key, |r| _ = r.wrong_type::<()>(value, "an empty mapping: {}"));
            }
        }
    }
}

object! {
    /// When to give up trying.
    RetryLimit {
        /// Limits of tries.
        attempt: Option<AttemptLimit> = "attempt",
        /// The time for all tries together.
        duration: Option<Duration> = "duration",
    }
}

object! {
    /// Limits of tries.
    AttemptLimit {
        /// How many there may be after the first.
        count: Option<u64> = "count",
        /// How long each may take.
        duration: Option<Duration> = "duration",
    }
}

object! {
    /// The time by which delays vary.
    Jitter {
        /// The least.
        from: Duration = "from",
        /// The most.
        to: Duration = "to",
    }
    check check_jitter
}

fn check_jitter(jitter: &Jitter, node: &Node, reader: &mut Reader) {
    let (Duration::Fixed(from), Duration::Fixed(to)) = (&jitter.from, &jitter.to) else { return };
    if from.approximate() > to.approximate() {
        let message = "\"from\" is longer than \"to\"";
        reader.note(node.at, Code::BadDuration, message, "write the shorter time as \"from\"");
    }
}

object! {
    /// An error to raise.
    Raise {
        /// The error, or the name of one below `use`.
        error: Ref<Fault> = "error",
    }
}

object! {
    /// What `emit` sends.
    Emit {
        /// The event.
        event: EmittedEvent = "event",
    }
}

object! {
    /// An event to send.
    EmittedEvent {
        /// Its attributes and data.
        with: crate::event::Attributes = "with",
    }
    check |event, node, reader| {
        for key in ["source", "type"] {
            if event.with.get(key).is_none() {
                let message = format!("the key {key:?} is missing: each event has one");
                let at = node.get("with").map_or(node.at, |with| with.at);
                reader.at_key("with", |reader| {
                    reader.note(at, Code::MissingKey, message, format!("add {key:?} here"));
                });
            }
        }
    }
}

/// The data of something that a document passes on.
pub type Arguments = std::collections::BTreeMap<String, Template>;
