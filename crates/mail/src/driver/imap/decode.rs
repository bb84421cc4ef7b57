//! From the grammar, which is that of imap-codec, to what matters here.

use imap_codec::{ResponseCodec, decode::Decoder};
use imap_types::{
    core::NString,
    extensions::uidplus::{UidElement, UidSet},
    fetch::MessageDataItem,
    flag::{FlagFetch, FlagNameAttribute, FlagPerm},
    mailbox::Mailbox,
    response::{Code as WireCode, CommandContinuationRequest, Data, Response, Status, StatusKind},
    sequence::{SeqOrUid, Sequence, SequenceSet},
    status::StatusDataItem,
};

use super::{
    reply::{Code, CountsRow, FolderRow, MessageRow, Reply, Said, Verdict},
    uids::Uids,
};

/// Decodes a whole response, whose literals are in it.
///
/// Gives nothing for what is no response.
pub fn decode(line: &[u8], depth_max: usize) -> Option<Reply> {
    if is_deeper(line, depth_max) {
        return None;
    }
    let mut whole = Vec::with_capacity(line.len() + 2);
    whole.extend_from_slice(line);
    if is_talk(line) {
        // Texts for people are to be ASCII, and often are not.
        whole.iter_mut().filter(|byte| !byte.is_ascii() || **byte == 0).for_each(|b| *b = b'?');
        // Some servers leave them out.
        if !whole.starts_with(b"+") && memchr::memchr_iter(b' ', &whole).count() == 1 {
            whole.extend_from_slice(b" .");
        }
    }
    whole.extend_from_slice(b"\r\n");
    if let Some(found) = extended_search(line) {
        return Some(Reply::Found(found));
    }
    match ResponseCodec::default().decode(&whole) {
        Ok(([], response)) => reply(response),
        _ => unknown(line),
    }
}

/// Tells whether lists stand in lists deeper than is allowed, whatever quotes say.
fn is_deeper(line: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
    for byte in line {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}

/// Tells whether a line is a verdict or a request to go on, which end in a text for people.
fn is_talk(line: &[u8]) -> bool {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let verdicts: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
    first == b"+" || verdicts.iter().any(|verdict| second.eq_ignore_ascii_case(verdict))
}

/// Decides on an untagged line that the grammar does not have: to be ignored unless it is one of
/// those on which the rest depends.
fn unknown(line: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(line).to_ascii_uppercase();
    let mut words = text.split(' ');
    if words.next() != Some("*") {
        return None;
    }
    let word = words.next()?;
    let kind = if word.bytes().all(|byte| byte.is_ascii_digit()) { words.next()? } else { word };
    let matters = ["FETCH", "LIST", "STATUS", "SEARCH", "VANISHED", "EXISTS", "EXPUNGE", "BYE"];
    (!kind.is_empty() && !matters.contains(&kind)).then_some(Reply::Other)
}

/// Reads the answer to a search that gives ranges.
fn extended_search(line: &[u8]) -> Option<Uids> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = strip_word(text, "* ESEARCH")?;
    let mut words = rest.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ALL") {
            return Uids::parse(words.next()?);
        }
    }
    Some(Uids::default())
}

fn strip_word<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    (head.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with(' ')))
        .then_some(rest)
}

fn reply(response: Response<'_>) -> Option<Reply> {
    Some(match response {
        Response::CommandContinuationRequest(CommandContinuationRequest::Basic(basic)) => {
            Reply::Continue(basic.text().to_string().into_bytes())
        }
        Response::CommandContinuationRequest(CommandContinuationRequest::Base64(data)) => {
            Reply::Continue(data.into_owned())
        }
        Response::Status(status) => judged(&status),
        Response::Data(data) => told(data)?,
    })
}

fn judged(status: &Status<'_>) -> Reply {
    let code = status.code().map_or(Code::None, code);
    let text = status.text().to_string();
    match status {
        Status::Untagged(body) => Reply::Said(Said { verdict: verdict(body.kind), code, text }),
        Status::Tagged(tagged) => {
            let said = Said { verdict: verdict(tagged.body.kind), code, text };
            Reply::Done(tagged.tag.as_ref().to_owned(), said)
        }
        Status::Bye(_) => Reply::Bye(Said { verdict: Verdict::No, code, text }),
    }
}

fn verdict(kind: StatusKind) -> Verdict {
    match kind {
        StatusKind::Ok => Verdict::Ok,
        StatusKind::No => Verdict::No,
        StatusKind::Bad => Verdict::Bad,
    }
}

fn told(data: Data<'_>) -> Option<Reply> {
    Some(match data {
        Data::Capability(list) => {
            Reply::Capabilities(list.as_ref().iter().map(ToString::to_string).collect())
        }
        Data::List { items, delimiter, mailbox } => Reply::Folder(FolderRow {
            separator: delimiter.map(|quoted| quoted.inner()),
            name: name(&mailbox),
            attributes: items.iter().map(attribute).collect(),
        }),
        Data::Status { mailbox, items } => Reply::Counts(counts(name(&mailbox), &items)),
        Data::Search(numbers, _) => Reply::Found(Uids::of(numbers.iter().map(|n| n.get()))),
        Data::Exists(count) => Reply::Exists(u64::from(count)),
        Data::Expunge(place) => Reply::Expunged(place.get()),
        Data::Vanished { known_uids, .. } => Reply::Vanished(sequence(&known_uids)?),
        Data::Fetch { seq, items } => Reply::Message(message(seq.get(), items.as_ref())),
        Data::Enabled { capabilities } => {
            Reply::Enabled(capabilities.iter().map(ToString::to_string).collect())
        }
        _ => Reply::Other,
    })
}

fn code(code: &WireCode<'_>) -> Code {
    match code {
        WireCode::Capability(list) => {
            Code::Capabilities(list.as_ref().iter().map(ToString::to_string).collect())
        }
        WireCode::AppendUid { uid_validity, uid } => {
            Code::Appended(uid_validity.get(), Uids::of([uid.get()]))
        }
        WireCode::CopyUid { uid_validity, source, destination } => {
            Code::Copied(uid_validity.get(), in_order(source), in_order(destination))
        }
        WireCode::HighestModSeq(modseq) => Code::ModSeq(modseq.get()),
        WireCode::NoModSeq => Code::NoModSeq,
        WireCode::UidNext(uid) => Code::UidNext(uid.get()),
        WireCode::UidValidity(validity) => Code::UidValidity(validity.get()),
        WireCode::UidNotSticky => Code::UidNotSticky,
        WireCode::PermanentFlags(flags) => permanent(flags),
        WireCode::ReadOnly => Code::ReadOnly,
        WireCode::TryCreate => Code::TryCreate,
        WireCode::Modified(set) => sequence(set).map_or(Code::None, Code::Modified),
        WireCode::OverQuota => Code::OverQuota,
        WireCode::TooBig => Code::TooBig,
        WireCode::Other(other) => other_code(&String::from_utf8_lossy(other.inner())),
        _ => Code::None,
    }
}

/// Reads the codes that the grammar does not have; several appended messages are one of them.
fn other_code(text: &str) -> Code {
    let mut words = text.split_ascii_whitespace();
    let word = words.next().unwrap_or_default().to_ascii_uppercase();
    if word == "APPENDUID" {
        let validity = words.next().and_then(|text| text.parse().ok());
        let uids = words.next().and_then(Uids::parse);
        if let (Some(validity), Some(uids)) = (validity, uids) {
            return Code::Appended(validity, uids);
        }
    }
    Code::Other(word)
}

fn permanent(flags: &[FlagPerm<'_>]) -> Code {
    let named = flags.iter().filter_map(|flag| match flag {
        FlagPerm::Flag(flag) => Some(flag.to_string()),
        FlagPerm::Asterisk => None,
    });
    Code::Permanent(named.collect(), flags.contains(&FlagPerm::Asterisk))
}

fn attribute(attribute: &FlagNameAttribute<'_>) -> String {
    attribute.to_string().trim_start_matches('\\').to_ascii_lowercase()
}

fn name(mailbox: &Mailbox<'_>) -> Vec<u8> {
    match mailbox {
        Mailbox::Inbox => b"INBOX".to_vec(),
        Mailbox::Other(other) => other.inner().as_ref().to_vec(),
    }
}

fn counts(name: Vec<u8>, items: &[StatusDataItem]) -> CountsRow {
    let mut row = CountsRow { name, ..CountsRow::default() };
    for item in items {
        match item {
            StatusDataItem::Messages(count) => row.messages = Some(u64::from(*count)),
            StatusDataItem::UidNext(uid) => row.uid_next = Some(uid.get()),
            StatusDataItem::UidValidity(validity) => row.uid_validity = Some(validity.get()),
            StatusDataItem::HighestModSeq(modseq) => row.modseq = Some(*modseq),
            StatusDataItem::Size(bytes) => row.bytes = Some(*bytes),
            StatusDataItem::Recent(_)
            | StatusDataItem::Unseen(_)
            | StatusDataItem::Deleted(_)
            | StatusDataItem::DeletedStorage(_) => {}
        }
    }
    row
}

fn message(place: u32, items: &[MessageDataItem<'_>]) -> MessageRow {
    let mut row = MessageRow { place, ..MessageRow::default() };
    for item in items {
        match item {
            MessageDataItem::Uid(uid) => row.uid = Some(uid.get()),
            MessageDataItem::Flags(flags) => {
                let named = flags.iter().filter_map(|flag| match flag {
                    FlagFetch::Flag(flag) => Some(flag.to_string()),
                    FlagFetch::Recent => None,
                });
                row.flags = Some(named.collect());
            }
            MessageDataItem::Rfc822Size(bytes) => row.bytes = Some(u64::from(*bytes)),
            MessageDataItem::InternalDate(date) => row.date = Some(date.as_ref().timestamp()),
            MessageDataItem::ModSeq(modseq) => row.modseq = Some(modseq.get()),
            MessageDataItem::BodyExt { data: NString(Some(data)), .. } => {
                row.part = Some(data.as_ref().to_vec());
            }
            _ => {}
        }
    }
    row
}

/// Makes a set of one in which the last message may have been meant, which a server may not do.
fn sequence(set: &SequenceSet) -> Option<Uids> {
    let number = |end: &SeqOrUid| match end {
        SeqOrUid::Value(number) => Some(number.get()),
        SeqOrUid::Asterisk => None,
    };
    let ranges = set.0.as_ref().iter().map(|part| match part {
        Sequence::Single(one) => Some((number(one)?, number(one)?)),
        Sequence::Range(first, last) => Some((number(first)?, number(last)?)),
    });
    ranges.collect::<Option<Vec<_>>>().map(Uids::of_ranges)
}

/// Keeps the order, by which numbers before and after a copy belong together.
fn in_order(set: &UidSet) -> Vec<(u32, u32)> {
    let parts = set.0.as_ref().iter().map(|part| match part {
        UidElement::Single(uid) => (uid.get(), uid.get()),
        UidElement::Range(first, last) => {
            (first.get().min(last.get()), first.get().max(last.get()))
        }
    });
    parts.collect()
}
