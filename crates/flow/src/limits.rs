//! How large a definition may be. Every limit of a document is here, and nowhere else.

/// Bytes of a document's text.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Values in a document, those that aliases repeat included.
pub const VALUES_MAX: usize = 50_000;
/// Levels of lists and maps.
pub const DEPTH_MAX: usize = 64;
/// Uses of YAML anchors.
pub const ALIASES_MAX: usize = 256;
/// Tasks in a document, those of reusable functions included.
pub const TASKS_MAX: usize = 2_000;
/// Bytes of the name of a task, a case, a filter or anything below `use`.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of the source of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 4 << 10;
/// Levels of brackets in an expression.
pub const EXPRESSION_NESTING_MAX: usize = 32;
/// Problems that are told about one document.
pub const PROBLEMS_MAX: usize = 100;
/// Starts that a schedule may make up for after a pause.
pub const CATCH_UP_MAX: u64 = 1_000;

/// Bytes of one value that an expression takes or gives, as JSON.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Steps of a compiled definition, in which each call of a function has its own.
pub const STEPS_MAX: usize = 10_000;
/// Bytes of the path of a step, which is part of the names of its units.
pub const STEP_PATH_BYTES_MAX: usize = 700;
/// Bytes of the state of an instance, as JSON.
pub const STATE_BYTES_MAX: usize = 16 << 20;
/// Places of a state in which the same value can be.
pub(crate) const COPIES_MAX: usize = 4;
/// Bytes of an output that is told in the journal besides being there.
pub const NOTE_BYTES_MAX: usize = 1 << 10;
/// Steps and lists of an instance that are under way at the same time.
pub const FRAMES_MAX: usize = 25_000;
/// Items of a list that are done at the same time.
pub const CONCURRENCY_MAX: u64 = 10_000;
/// Steps that an instance may begin.
pub const STEPS_BEGUN_MAX: u64 = 1_000_000;
/// Steps that one message moves on; more take another message.
pub const STEPS_PER_MESSAGE_MAX: usize = 1_000;
/// Steps that can be undone when an instance fails.
pub const UNDO_MAX: usize = 1_000;
/// Messages that are kept while an instance is suspended.
pub const HELD_MAX: usize = 10_000;
/// Events that one `listen` takes.
pub const EVENTS_TAKEN_MAX: usize = 10_000;

/// Instances of one definition that may be limited to be under way at one time.
pub const TURNS_MAX: u64 = 10_000;
/// Instances that wait for their turn.
pub const TURNS_WAITING_MAX: usize = 10_000;
/// Instances that may follow from each other because each is started by the lifecycle of the last.
pub const FOLLOWING_MAX: u32 = 8;

/// Lists every limit as (name, value, unit).
pub fn all() -> Vec<(&'static str, u64, &'static str)> {
    vec![
        ("document_bytes_max", DOCUMENT_BYTES_MAX as u64, "bytes"),
        ("values_max", VALUES_MAX as u64, "values"),
        ("depth_max", DEPTH_MAX as u64, "levels"),
        ("aliases_max", ALIASES_MAX as u64, "uses"),
        ("tasks_max", TASKS_MAX as u64, "tasks"),
        ("name_bytes_max", NAME_BYTES_MAX as u64, "bytes"),
        ("expression_bytes_max", EXPRESSION_BYTES_MAX as u64, "bytes"),
        ("expression_nesting_max", EXPRESSION_NESTING_MAX as u64, "levels"),
        ("problems_max", PROBLEMS_MAX as u64, "problems"),
        ("catch_up_max", CATCH_UP_MAX, "starts"),
        ("value_bytes_max", VALUE_BYTES_MAX as u64, "bytes"),
        ("steps_max", STEPS_MAX as u64, "steps"),
        ("step_path_bytes_max", STEP_PATH_BYTES_MAX as u64, "bytes"),
        ("state_bytes_max", STATE_BYTES_MAX as u64, "bytes"),
        ("note_bytes_max", NOTE_BYTES_MAX as u64, "bytes"),
        ("frames_max", FRAMES_MAX as u64, "steps and lists"),
        ("concurrency_max", CONCURRENCY_MAX, "items"),
        ("steps_begun_max", STEPS_BEGUN_MAX, "steps"),
        ("steps_per_message_max", STEPS_PER_MESSAGE_MAX as u64, "steps"),
        ("undo_max", UNDO_MAX as u64, "steps"),
        ("held_max", HELD_MAX as u64, "messages"),
        ("events_taken_max", EVENTS_TAKEN_MAX as u64, "events"),
        ("turns_max", TURNS_MAX, "instances"),
        ("turns_waiting_max", TURNS_WAITING_MAX as u64, "instances"),
        ("following_max", u64::from(FOLLOWING_MAX), "instances"),
    ]
}
