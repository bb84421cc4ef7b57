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
    ]
}
