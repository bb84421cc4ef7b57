//! How much mail may be: every limit of this crate is here, and nowhere else.

/// Bytes of a folder's name.
pub const FOLDER_BYTES_MAX: usize = 1_000;
/// Bytes of one part of a folder's name, which must fit into a directory entry.
pub const FOLDER_PART_BYTES_MAX: usize = 240;
/// Parts of a folder's name.
pub const FOLDER_PARTS_MAX: usize = 32;
/// Folders of a store.
pub const FOLDERS_MAX: usize = 20_000;
/// Bytes of a keyword.
pub const KEYWORD_BYTES_MAX: usize = 200;
/// Keywords of one message.
pub const KEYWORDS_MAX: usize = 100;
/// Bytes of a message's key that is a name.
pub const KEY_BYTES_MAX: usize = 255;
/// Bytes of headers that are looked at to tell messages apart.
pub const HEADER_BYTES_MAX: usize = 256 << 10;
/// Bytes of one piece of a body.
pub const PIECE_BYTES_MAX: usize = 64 << 10;
/// Pieces that a pipe between two drivers holds.
pub const PIPE_PIECES_MAX: usize = 4;
/// Messages of a folder.
pub const MESSAGES_MAX: usize = 20_000_000;
/// Requests that wait for the state worker.
pub const STATE_QUEUE_MAX: usize = 512;
/// Requests that wait for a worker.
pub const WORKER_QUEUE_MAX: usize = 4;
/// Characters of a header that is shown to people.
pub const HEADING_CHARS_MAX: usize = 500;
/// Times that a round looks at folders again.
pub const PASSES_MAX: usize = 6;
/// Messages that are looked at, flagged or removed with one call.
pub const CALL_MESSAGES_MAX: usize = 500;
/// Hours in which a second copy of an upload is recognised.
pub const GHOST_HOURS: u64 = 24;
/// Attachments of a message of which anything is told.
pub const ATTACHMENTS_MAX: usize = 100;
/// Characters of the name of an attachment.
pub const NAME_CHARS_MAX: usize = 255;
/// Bytes of the text of a message that is given to a workflow.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Bytes of a message that a workflow reads or makes.
pub const ACTED_BYTES_MAX: u64 = 32 << 20;
/// Parts within parts of a message.
pub const MIME_DEPTH_MAX: usize = 20;
/// Bytes of a file in which another program keeps what it remembers.
pub const FOREIGN_BYTES_MAX: u64 = 512 << 20;
