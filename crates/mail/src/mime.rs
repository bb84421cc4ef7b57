//! What people want to know of a message: its headers, its text, and what is attached to it.
//!
//! Whatever a message says is only looked at, and never believed: nothing here fails, and all that
//! is given has a limit.

mod encoded;
mod part;

use crate::limits::{ATTACHMENTS_MAX, TEXT_BYTES_MAX};
pub use encoded::words;
pub use part::names;

/// A message that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Names and values of the headers, in order, decoded.
    pub headers: Vec<(String, String)>,
    /// The first part that is plain text.
    pub text: String,
    /// What is attached.
    pub attachments: Vec<Attachment>,
}

/// Something that is attached to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The name of its file; empty if it has none.
    pub name: String,
    /// Its media type.
    pub kind: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Reads a message.
pub fn read(message: &[u8]) -> Read {
    let mut read = Read::default();
    let (headers, body) = part::split(message);
    read.headers = part::headers(headers);
    part::walk(headers, body, 0, &mut |part| {
        if part.is_attachment() {
            if read.attachments.len() < ATTACHMENTS_MAX {
                read.attachments.push(Attachment {
                    name: part.name(),
                    kind: part.kind(),
                    content: part.content(),
                });
            }
        } else if read.text.is_empty() && part.is_plain_text() {
            read.text = cut(&part.text(), TEXT_BYTES_MAX).to_owned();
        }
    });
    read
}

/// Cuts a text where it has so many bytes, or a little before.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = b"From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\n\
        Subject: =?UTF-8?B?UmVjaG51bmc=?=\r\n =?UTF-8?B?IDEy?=\r\n\
        Content-Type: multipart/mixed;\r\n boundary=\"a b\"\r\n\r\nno part\r\n\
        --a b\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n\
        --inner\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n\xc3\x9fe\r\n\
        --inner\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--inner--\r\n\
        --a b\r\nContent-Type: application/pdf; name=\"old.pdf\"\r\n\
        Content-Disposition: attachment; filename*=utf-8''Rechnung%20%C3%BC.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nUERG\r\nIQ==\r\n--a b--\r\nafter\r\n";

    #[test]
    fn headers_text_and_attachments_are_found() {
        let read = read(MIXED);
        let expected = ("From".to_owned(), "Jürgen <j@example.org>".to_owned());
        assert_eq!(read.headers.first(), Some(&expected));
        assert_eq!(read.headers.get(1).unwrap().1, "Rechnung 12");
        assert_eq!(read.text, "Grüße");
        let [attachment] = read.attachments.as_slice() else { panic!("{read:?}") };
        assert_eq!(attachment.name, "Rechnung ü.pdf");
        assert_eq!(attachment.kind, "application/pdf");
        assert_eq!(attachment.content, b"PDF!");
    }

    #[test]
    fn names_are_found_in_a_message_that_passes_in_pieces() {
        for piece in [1, 7, 1_000] {
            let mut names = names();
            MIXED.chunks(piece).for_each(|bytes| names.update(bytes));
            assert_eq!(names.finish(), ["Rechnung ü.pdf"], "{piece}");
        }
        let mut names = names();
        names.update(b"Subject: x\r\n\r\nContent-Disposition: attachment; filename=no\r\n");
        assert!(names.finish().is_empty());
    }

    #[test]
    fn nothing_that_a_message_says_can_break_anything() {
        let deep: Vec<u8> = (0..10_000)
            .flat_map(|_| b"Content-Type: multipart/mixed; boundary=x\n\n--x\n".to_vec())
            .collect();
        for bytes in [&b""[..], b"\r\n", b"\n\n", b":\n\n", b"--\n", &deep, b"a: =?utf-8?q?=?=\n"] {
            let _read = read(bytes);
        }
        for end in 0..MIXED.len() {
            let _read = read(MIXED.get(..end).unwrap());
            let _read = read(MIXED.get(end..).unwrap());
        }
        let attached = b"\n--x\nContent-Disposition: attachment; filename=a\n\n1\n".repeat(5_000);
        let many = [&b"Content-Type: multipart/mixed; boundary=x\n\n"[..], &attached].concat();
        assert_eq!(read(&many).attachments.len(), ATTACHMENTS_MAX);
        let mut names = names();
        names.update(&many);
        assert_eq!(names.finish().len(), ATTACHMENTS_MAX);
    }
}
