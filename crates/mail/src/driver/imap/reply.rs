//! What a server says, as far as it matters here.

use super::uids::Uids;

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The end of a command, by its tag.
    Done(String, Said),
    /// The server wants the rest of a command.
    Continue(Vec<u8>),
    /// Something said beside the commands.
    Said(Said),
    /// The connection ends.
    Bye(Said),
    /// What the server can do.
    Capabilities(Vec<String>),
    /// A folder.
    Folder(FolderRow),
    /// The counts of a folder.
    Counts(CountsRow),
    /// The numbers that a search found.
    Found(Uids),
    /// How many messages the open folder has.
    Exists(u64),
    /// A message of the open folder is gone, by its place.
    Expunged(u32),
    /// Messages of the open folder are gone.
    Vanished(Uids),
    /// What was asked of a message, or what changed in it.
    Message(MessageRow),
    /// What has been switched on.
    Enabled(Vec<String>),
    /// Something that does not matter here.
    Other,
}

/// How a server judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is content, cannot, or does not understand.
    pub verdict: Verdict,
    /// What programs are told.
    pub code: Code,
    /// What people are told.
    pub text: String,
}

/// A server's judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Ok,
    /// It cannot be done.
    No,
    /// It is not understood.
    Bad,
}

/// What programs are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing.
    None,
    /// What the server can do.
    Capabilities(Vec<String>),
    /// Where appended messages are: UIDVALIDITY and numbers.
    Appended(u32, Uids),
    /// Where copied messages are: UIDVALIDITY, from and to.
    Copied(u32, Vec<(u32, u32)>, Vec<(u32, u32)>),
    /// The highest modification of the folder.
    ModSeq(u64),
    /// The folder counts no modifications.
    NoModSeq,
    /// The number that the next message gets.
    UidNext(u32),
    /// The epoch of the numbers.
    UidValidity(u32),
    /// The numbers of the folder are for this session only.
    UidNotSticky,
    /// Flags that can be kept, and whether new ones can be made.
    Permanent(Vec<String>, bool),
    /// The folder cannot be changed.
    ReadOnly,
    /// The folder must be made first.
    TryCreate,
    /// Messages that someone else changed meanwhile.
    Modified(Uids),
    /// There is no room, by whose word.
    OverQuota,
    /// The message is too large.
    TooBig,
    /// Something else, by its first word in capitals.
    Other(String),
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRow {
    /// What stands between the parts of the name.
    pub separator: Option<char>,
    /// Its name, as it came.
    pub name: Vec<u8>,
    /// Its attributes, in lower case, without the backslash.
    pub attributes: Vec<String>,
}

/// The counts of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountsRow {
    /// The folder's name, as it came.
    pub name: Vec<u8>,
    /// How many messages there are.
    pub messages: Option<u64>,
    /// The number that the next message gets.
    pub uid_next: Option<u32>,
    /// The epoch of the numbers.
    pub uid_validity: Option<u32>,
    /// The highest modification.
    pub modseq: Option<u64>,
    /// The size of all messages.
    pub bytes: Option<u64>,
}

/// What is told of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageRow {
    /// Its place in the folder.
    pub place: u32,
    /// Its number.
    pub uid: Option<u32>,
    /// Its flags, as they came.
    pub flags: Option<Vec<String>>,
    /// Its size.
    pub bytes: Option<u64>,
    /// When it was received, in seconds since 1970.
    pub date: Option<i64>,
    /// Its modification.
    pub modseq: Option<u64>,
    /// The part of it that was asked for, if that came as a quoted string.
    pub part: Option<Vec<u8>>,
}
