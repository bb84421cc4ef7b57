//! Servers that mean harm, or are broken: clear errors, bounded memory, and nothing said too early.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use mail::{
    Driver, FolderName, Key, Part,
    driver::{
        Rest,
        imap::{
            Compressing, ImapDriver, ImapSettings, ImapStore, Limits, Login, Secret, Security,
            Timeouts, Uids, decode, folder_name,
            reply::{FolderRow, Reply},
        },
        maildir::name::FileName,
    },
    pipe,
};
use model::{Error, Result};

use crate::support::{anywhere, append, at, fetch, folder, list, mail, run, settings};

/// A connection from the server's end, with a script's words.
struct Line {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    heard: mpsc::Sender<String>,
}

impl Line {
    fn say(&mut self, text: &str) {
        self.send(format!("{text}\r\n").as_bytes());
    }

    /// Sends bytes; a client that hung up is what many of these servers are after.
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Reads a line of the client's.
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_owned();
        // The test may have all that it wanted to know, and be over. A panic here would be nobody's
        // failure, and writing its backtrace takes more memory than the bombs may.
        let _over = self.heard.send(line.clone());
        (count > 0).then_some(line)
    }

    /// Reads a command, says what the script says and then that it is done.
    fn answer(&mut self, verb: &str, lines: &[&str]) {
        loop {
            let Some(line) = self.hear() else { return };
            let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
            let tag = tag.to_owned();
            if !command.contains(verb) {
                self.say(&format!("{tag} OK"));
                continue;
            }
            for line in lines {
                self.say(line);
            }
            self.say(&format!("{tag} OK"));
            return;
        }
    }

    fn log_in(&mut self, capabilities: &str) {
        self.say("* OK ready");
        let capabilities = format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR {capabilities}");
        self.answer("CAPABILITY", &[&capabilities]);
        self.answer("AUTHENTICATE", &[&capabilities]);
    }

    fn open(&mut self, messages: usize) {
        let exists = format!("* {messages} EXISTS");
        self.answer("SELECT", &[&exists, "* OK [UIDVALIDITY 7] x", "* OK [UIDNEXT 100] x"]);
    }
}

/// What a script had heard, once its connection is over.
struct Script {
    port: u16,
    heard: mpsc::Receiver<String>,
}

impl Script {
    /// Runs a script for the first connection.
    fn run(script: impl FnOnce(&mut Line) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, receiver) = mpsc::channel();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = Line { stream, reader, heard };
            script(&mut line);
            // Whatever the client still says is heard.
            while line.hear().is_some() {}
            drop(line.stream.shutdown(Shutdown::Both));
        });
        Self { port, heard: receiver }
    }

    fn settings(&self) -> ImapSettings {
        let short = Duration::from_millis(600);
        ImapSettings {
            timeouts: Timeouts { connect: short, silence: short, line: short, idle: short },
            limits: Limits { line_bytes_max: 1 << 20, ..Limits::default() },
            ..settings(self.port, "someone")
        }
    }

    fn driver(&self) -> ImapDriver {
        ImapStore::new(self.settings()).driver()
    }

    /// Gives everything that the client said.
    fn heard(self) -> String {
        self.heard.iter().collect::<Vec<_>>().join("\n")
    }
}

/// Lists the folders of a script's account.
fn folders(script: &Script) -> Result<mail::driver::Folders> {
    run(script.driver().folders())
}

/// The most memory that this process has ever had, in kilobytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug>, words: &str) {
    let error = result.expect_err("this must be refused");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains(['\n', '\r', '\0']), "{error}");
}

#[test]
fn greetings_are_checked() {
    for (greeting, words) in [
        ("HTTP/1.1 400 Bad Request", "no IMAP server"),
        ("* BYE too\u{7} busy", "does not want to talk"),
        ("* OK", "no IMAP server"),
        ("", "no IMAP server"),
        ("L1 OK hello", "no IMAP server"),
    ] {
        let script = Script::run(move |line| line.say(greeting));
        refused(folders(&script), words);
        assert_eq!(script.heard(), "", "{greeting}");
    }
}

#[test]
fn nothing_is_said_before_a_connection_is_encrypted() {
    let start_tls = |script: &Script| {
        let settings = ImapSettings { security: Security::StartTls, ..script.settings() };
        run(async move { ImapStore::new(settings).driver().folders().await })
    };
    // Someone on the way pretends that there is nothing to protect.
    let script = Script::run(|line| line.say("* PREAUTH welcome"));
    refused(start_tls(&script), "cannot be encrypted");
    assert_eq!(script.heard(), "");
    for no in ["NO not here", "BAD what"] {
        let script = Script::run(move |line| {
            line.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready");
            line.hear();
            line.say(&format!("L1 {no}"));
        });
        refused(start_tls(&script), "without encryption nothing is sent");
        let heard = script.heard();
        assert_eq!(heard.trim(), "L1 STARTTLS");
    }
    // Words put behind the answer would count as the server's own once it is encrypted.
    let script = Script::run(|line| {
        line.say("* OK ready");
        line.hear();
        line.send(b"L1 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nL2 OK\r\n");
    });
    refused(start_tls(&script), "before the encryption began");
    let heard = script.heard();
    assert_eq!(heard.trim(), "L1 STARTTLS");
    // A server that encrypts badly, and one that does not answer.
    let script = Script::run(|line| {
        line.say("* OK ready");
        line.hear();
        line.say("L1 OK begin");
        line.send(b"this is no TLS at all\r\n");
    });
    refused(start_tls(&script), "cannot encrypt");
}

#[test]
fn bombs_do_not_fill_the_memory() {
    let before = peak();
    // A literal that is announced, and never needs to come.
    let script = Script::run(|line| {
        line.log_in("");
        line.hear();
        line.say("* LIST () \"/\" {4294967295}");
    });
    refused(folders(&script), "more than");
    let script = Script::run(|line| {
        line.log_in("");
        line.hear();
        line.say("* LIST () \"/\" {99999999999999999999}");
    });
    assert!(folders(&script).is_err());
    // Many small ones.
    let script = Script::run(|line| {
        line.log_in("");
        line.hear();
        while line.send(b"* LIST () {1}\r\nx{1}\r\nx") {}
    });
    assert!(folders(&script).is_err());
    // A line without end.
    let script = Script::run(|line| {
        line.log_in("");
        line.hear();
        line.send(b"* OK ");
        while line.send(&[b'a'; 65_536]) {}
    });
    refused(folders(&script), "a line from");
    // Lists in lists.
    for start in ["* 1 FETCH (BODYSTRUCTURE ", "* THREAD ", "* LIST ", "* OK [X"] {
        let script = Script::run(move |line| {
            line.log_in("");
            line.hear();
            line.say(&format!("{start}{}", "(".repeat(500_000)));
        });
        refused(folders(&script), "no IMAP");
    }
    // Responses without end.
    let script = Script::run(|line| {
        line.log_in("");
        line.hear();
        while line.send("* 5 EXISTS\r\n".repeat(5_000).as_bytes()) {}
    });
    let limits = Limits { replies_max: 100_000, ..Limits::default() };
    let settings = ImapSettings { limits, ..script.settings() };
    refused(run(async { ImapStore::new(settings).driver().folders().await }), "without end");
    let grown = peak() - before;
    assert!(grown < 64 << 10, "{grown} kB more");
}

#[test]
fn what_is_compressed_is_held_to_the_same_limits() {
    let compressed = |script: &Script| {
        let settings = ImapSettings { compress: Compressing::Always, ..script.settings() };
        run(async move { ImapStore::new(settings).driver().folders().await })
    };
    // A line that is a thousand times as long as what comes over the wire.
    let mut bomb = DeflateEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(b"* OK ").unwrap();
    for _ in 0..1_000 {
        bomb.write_all(&[b'a'; 65_536]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let before = peak();
    let script = Script::run(move |line| {
        line.log_in("COMPRESS=DEFLATE");
        line.answer("COMPRESS", &[]);
        line.send(&bomb);
    });
    refused(compressed(&script), "a line from");
    assert!(peak() - before < 32 << 10, "{} kB more", peak() - before);
    // What is no compression at all, and one that ends.
    for bytes in [&b"* OK hello, I am not compressed\r\n"[..], &[3, 0]] {
        let script = Script::run(move |line| {
            line.log_in("COMPRESS=DEFLATE");
            line.answer("COMPRESS", &[]);
            line.send(bytes);
        });
        refused(compressed(&script), "was lost");
    }
}

#[test]
fn sets_of_all_numbers_cost_nothing() {
    let script = Script::run(|line| {
        line.log_in("QRESYNC CONDSTORE ENABLE UIDPLUS MOVE");
        line.answer("ENABLE", &["* ENABLED QRESYNC"]);
        let opening = [
            "* 3 EXISTS",
            "* OK [UIDVALIDITY 7] x",
            "* OK [UIDNEXT 10] x",
            "* OK [HIGHESTMODSEQ 9] x",
        ];
        line.answer("SELECT", &opening);
        line.answer(
            "FETCH",
            &[
                "* 1 FETCH (UID 1 FLAGS ())",
                "* 2 FETCH (UID 2 FLAGS ())",
                "* 3 FETCH (UID 3 FLAGS ())",
            ],
        );
        let bomb = [&opening[..], &["* VANISHED (EARLIER) 1:4294967295"]].concat();
        line.answer("SELECT", &bomb);
        line.answer("UID SEARCH", &["* SEARCH 1 2 3"]);
        line.answer("UID MOVE", &["* OK [COPYUID 7 1:4294967295 1:4294967295] x"]);
    });
    run(async {
        let mut driver = script.driver();
        let inbox = folder("INBOX");
        let (first, _) = list(&mut driver, &inbox, None).await.unwrap();
        let (second, seen) = list(&mut driver, &inbox, Some(&first.checkpoint)).await.unwrap();
        assert_eq!(second.rest, Rest::SameWithin(Vec::new()));
        assert!(seen.is_empty());
        let keys = [Key::Uid(1), Key::Uid(2)];
        let moved = driver.relocate(&at(&inbox, &second), &keys, &folder("x")).await.unwrap();
        assert!(moved.iter().all(|one| one.key.is_none()));
    });
}

#[test]
fn folders_cannot_be_called_anything() {
    let rows = |name: &'static [u8], separator| FolderRow {
        separator,
        name: name.to_vec(),
        attributes: Vec::new(),
    };
    let bad: [&[u8]; 11] = [
        b"..",
        b"../../etc",
        b"a/../b",
        b"/etc",
        b"a//b",
        b"",
        b"a\nb",
        b"a\0b",
        b"\xff",
        b"a/",
        b".",
    ];
    for name in bad {
        assert!(folder_name(&rows(name, Some('/'))).is_err(), "{name:?}");
    }
    assert!(folder_name(&rows(b"a/b", Some('.'))).is_err());
    assert!(folder_name(&rows(b"a/b", None)).is_err());
    assert_eq!(folder_name(&rows(b"a.b", Some('.'))).unwrap(), folder("a/b"));
    // A server that names them so is served without them.
    let script = Script::run(|line| {
        line.log_in("");
        line.answer(
            "LIST",
            &[
                "* LIST () \"/\" INBOX",
                "* LIST () \"/\" \"../../evil\"",
                "* LIST () \"/\" {4}\r\na\r\nb",
                "* LIST () \"/\" inbox",
                "* LIST (\\Noselect) \"/\" \"..\"",
                "* LIST () \"/\" good",
            ],
        );
        line.answer("good", &["* STATUS good (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)"]);
    });
    let found = folders(&script).unwrap();
    let names: Vec<&str> = found.folders.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["INBOX", "good"]);
    assert_eq!(found.skipped.len(), 2, "{:?}", found.skipped);
    // A name that is not IMAP at all is no folder that is gone: it ends the listing.
    let script = Script::run(|line| {
        line.log_in("");
        line.answer("LIST", &["* LIST () \"/\" INBOX", "* LIST () \"/\" {3}\r\na\0b"]);
    });
    refused(folders(&script), "no IMAP");
    let script = Script::run(|line| {
        line.log_in("");
        line.answer("LIST", &[]);
    });
    refused(folders(&script), "lists no folder");
}

#[test]
fn what_is_kept_back_is_not_taken_for_gone() {
    let all: &[&str] = &["* 1 FETCH (UID 1 FLAGS ())"];
    for (capabilities, fetched, found) in
        [("", all, &[][..]), ("CONDSTORE", &[][..], &["* SEARCH 1"][..])]
    {
        let script = Script::run(move |line| {
            line.log_in(capabilities);
            for _ in 0..2 {
                let opening = [
                    "* 500 EXISTS",
                    "* OK [UIDVALIDITY 7] x",
                    "* OK [UIDNEXT 501] x",
                    "* OK [HIGHESTMODSEQ 9] x",
                ];
                line.answer("SELECT", &opening);
                line.answer("FETCH", fetched);
                line.answer("SEARCH", found);
            }
        });
        let since = mail::Checkpoint { epoch: "7".into(), token: Some("501.9.500".into()) };
        refused(
            run(async { script.driver().list(&folder("INBOX"), Some(&since)).await }),
            "holds 500 messages",
        );
    }
}

#[test]
fn what_nobody_asked_for_is_not_believed() {
    let inbox = folder("INBOX");
    let one = |lines: &'static [&'static str]| {
        let script = Script::run(move |line| {
            line.log_in("");
            line.open(3);
            line.answer("FETCH", lines);
        });
        let inbox = inbox.clone();
        run(async move {
            let keys = [Key::Uid(1), Key::Uid(2)];
            fetch(&mut script.driver(), &anywhere(&inbox), &keys).await
        })
    };
    refused(one(&["* 9 FETCH (UID 9 BODY[] {3}\r\nabc)"]), "twice");
    refused(
        one(&["* 1 FETCH (UID 1 BODY[] {3}\r\nabc)", "* 1 FETCH (UID 1 BODY[] {3}\r\nabc)"]),
        "twice",
    );
    refused(one(&["* 1 FETCH (UID 1 BODY[] {9999999999}"]), "more than");
    refused(one(&["L99 OK done"]), "not sent");
    refused(one(&["* BYE for now"]), "ends the connection");
    refused(one(&["* 1 FETCH (UID x)"]), "no IMAP");
    let odd = one(&[
        "* 1 FETCH (BODY[] \"abc\" UID 1)",
        "* 2 FETCH (FLAGS (\\Seen))",
        "* FLAGS (x)",
        "* XYZZY nothing happens",
        "* 2 FETCH (UID 2 BODY[] NIL)",
    ]);
    let odd = odd.unwrap();
    assert_eq!(odd[&Key::Uid(1)].as_ref().unwrap().0, b"abc");
    assert_eq!(odd[&Key::Uid(2)], None);
}

#[test]
fn a_number_that_comes_after_its_body_costs_one_more_question() {
    let script = Script::run(|line| {
        line.log_in("");
        line.open(2);
        let both = ["* 1 FETCH (BODY[] {3}\r\none UID 1)", "* 2 FETCH (BODY[] {3}\r\ntwo UID 2)"];
        line.answer("UID FETCH 1:2", &both);
        line.answer("UID FETCH 1 ", &both[..1]);
        line.answer("UID FETCH 2 ", &both[1..]);
    });
    let found = run(async {
        let keys = [Key::Uid(1), Key::Uid(2)];
        fetch(&mut script.driver(), &anywhere(&folder("INBOX")), &keys).await.unwrap()
    });
    assert_eq!(found[&Key::Uid(1)].as_ref().unwrap().0, b"one");
    assert_eq!(found[&Key::Uid(2)].as_ref().unwrap().0, b"two");
}

#[test]
fn silence_ends() {
    let scripts: [fn(&mut Line); 4] = [
        |_| {},
        |line| line.say("* OK ready"),
        |line| line.log_in(""),
        |line| {
            line.log_in("");
            line.hear();
            // One byte at a time is hardly more than silence.
            for _ in 0..100 {
                // Sleeps because this server is slow on purpose.
                thread::sleep(Duration::from_millis(50));
                if !line.send(b"*") {
                    break;
                }
            }
        },
    ];
    for script in scripts {
        let start = Instant::now();
        let script = Script::run(script);
        assert!(matches!(folders(&script), Err(Error::Unavailable(_))));
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}

#[test]
fn folders_without_lasting_numbers_are_refused() {
    for lines in [&["* 3 EXISTS"][..], &["* OK [UIDVALIDITY 7] x", "* NO [UIDNOTSTICKY] x"][..]] {
        let script = Script::run(move |line| {
            line.log_in("");
            line.answer("SELECT", lines);
        });
        let listed = run(async { script.driver().list(&folder("INBOX"), None).await });
        refused(listed, "no lasting numbers");
    }
}

#[test]
fn refused_uploads_do_not_spoil_the_others() {
    let script = Script::run(|line| {
        line.log_in("");
        for verdict in ["OK [APPENDUID 7 1]", "NO [TOOBIG] no", "OK [APPENDUID 8 3]", "OK"] {
            let Some(command) = line.hear() else { return };
            let tag = command.split(' ').next().unwrap().to_owned();
            let bytes = command.rsplit('{').next().unwrap().trim_end_matches('}');
            line.say("+ go on");
            let mut body = vec![0; bytes.parse::<usize>().unwrap() + 2];
            line.reader.read_exact(&mut body).unwrap();
            line.say(&format!("{tag} {verdict}"));
        }
    });
    run(async {
        let mails: Vec<_> = (0..4).map(mail).collect();
        let here = anywhere(&folder("INBOX"));
        let appended = append(&mut script.driver(), &here, &mails).await.unwrap();
        let sources: Vec<Key> = appended.iter().map(|one| one.source.clone()).collect();
        assert_eq!(sources, [Key::Uid(1), Key::Uid(3), Key::Uid(4)]);
        assert_eq!(appended[0].key, Some(Key::Uid(1)));
        assert_eq!(appended[2].key, None);
    });
}

#[test]
fn tokens_are_sent_as_either_mechanism_wants_them() {
    // "status 401" as a server says it, in the coding of the log-in.
    let reason = "+ eyJzdGF0dXMiOiI0MDEifQ==";
    for (mechanism, proof, decline) in [
        ("XOAUTH2", "user=someone\u{1}auth=Bearer tok\u{1}\u{1}", ""),
        ("OAUTHBEARER", "auth=Bearer tok\u{1}\u{1}", "AQ=="),
    ] {
        let script = Script::run(move |line| {
            line.say("* OK ready");
            line.answer("CAPABILITY", &[&format!("* CAPABILITY IMAP4rev1 AUTH={mechanism}")]);
            line.hear();
            line.say("+ ");
            line.hear();
            line.say(reason);
            line.hear();
            line.say("L2 NO [AUTHENTICATIONFAILED] no");
        });
        let settings =
            ImapSettings { login: Login::Token(Secret("tok".to_owned())), ..script.settings() };
        let listed = run(async { ImapStore::new(settings).driver().folders().await });
        assert!(matches!(listed, Err(Error::Unauthenticated(_))), "{listed:?}");
        refused(listed, "401");
        let heard = script.heard();
        let lines: Vec<&str> = heard.lines().collect();
        assert_eq!(lines[1], format!("L2 AUTHENTICATE {mechanism}"));
        let sent = String::from_utf8(STANDARD.decode(lines[2]).unwrap()).unwrap();
        assert!(sent.ends_with(proof), "{sent:?}");
        assert_eq!(lines.get(3).copied().unwrap_or_default(), decline);
    }
}

/// Two gigabytes go through in pieces.
#[test]
fn a_message_of_two_gigabytes_does_not_raise_memory() {
    const SIZE: u64 = 2 << 30;
    let script = Script::run(|line| {
        line.log_in("");
        line.open(1);
        let command = line.hear().unwrap();
        let tag = command.split(' ').next().unwrap();
        line.send(format!("* 1 FETCH (UID 1 BODY[] {{{SIZE}}}\r\n").as_bytes());
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..SIZE >> 20 {
            line.send(&piece);
        }
        line.say(")");
        line.say(&format!("{tag} OK"));
    });
    let before = peak();
    let bytes = run(async {
        let (pouring, mut parts) = pipe();
        let count = async {
            let mut bytes = 0_u64;
            while let Some(part) = parts.recv().await {
                if let Part::Bytes(piece) = part {
                    bytes += piece.len() as u64;
                }
            }
            bytes
        };
        let mut driver = script.driver();
        let (inbox, keys) = (anywhere(&folder("INBOX")), [Key::Uid(1)]);
        let (fetched, bytes) = tokio::join!(driver.fetch(&inbox, &keys, pouring), count);
        fetched.unwrap();
        bytes
    });
    assert_eq!(bytes, SIZE);
    let grown = peak() - before;
    assert!(grown < 16 << 10, "{grown} kB more");
}

/// Responses of all kinds, from which the mutations start.
const RESPONSES: [&str; 22] = [
    "* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] ready",
    "* CAPABILITY IMAP4rev2 IDLE COMPRESS=DEFLATE",
    "* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Mail\"",
    "* LIST (\\Noselect) NIL {3}\r\na/b",
    "* STATUS INBOX (MESSAGES 231 UIDNEXT 44292 UIDVALIDITY 7 HIGHESTMODSEQ 7011231777)",
    "* SEARCH 2 84 882 (MODSEQ 917162500)",
    "* SEARCH",
    "* ESEARCH (TAG \"L1\") UID ALL 1:17,21",
    "* 23 EXISTS",
    "* 44 EXPUNGE",
    "* VANISHED (EARLIER) 41,43:116,118",
    "* 12 FETCH (UID 5 FLAGS (\\Seen $Forwarded \\Recent) MODSEQ (65402) RFC822.SIZE 44827)",
    "* 12 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" UID 5 BODY[] {0}\r\n)",
    "* 12 FETCH (BODY[HEADER.FIELDS (DATE FROM)] \"Date: x\" UID 5)",
    "* 12 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"ASCII\") NIL NIL \"7BIT\" 3 1))",
    "* ENABLED QRESYNC CONDSTORE",
    "* ID (\"name\" \"server\" \"version\" NIL)",
    "* BYE [UNAVAILABLE] later",
    "L7 OK [APPENDUID 38505 3955:3957] done",
    "L8 NO [COPYUID 38505 304,319:320 3956:3958] done",
    "L9 OK [MODIFIED 7,9] x",
    "+ idling",
];

#[test]
fn parsing_never_panics() {
    for response in RESPONSES {
        assert!(decode(response.as_bytes(), 32).is_some(), "{response}");
    }
    let names = ["1.2.host,S=5:2,FS", ":2,", "a:2,abc", "x:1,y", "\u{fc}:2,S"];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let special = *b"(){}[]\"\\*:,.0123456789 \r\n\0\xff+~/%&=";
    for _ in 0..200_000 {
        let mut bytes = RESPONSES[next(RESPONSES.len())].as_bytes().to_vec();
        for _ in 0..1 + next(4) {
            let at = next(bytes.len().max(1)).min(bytes.len());
            match next(4) {
                0 => drop(bytes.drain(at..(at + next(8)).min(bytes.len()))),
                1 => bytes.insert(at, special[next(special.len())]),
                2 => bytes
                    .get_mut(at)
                    .into_iter()
                    .for_each(|byte| *byte = special[next(special.len())]),
                _ => {
                    let other = RESPONSES[next(RESPONSES.len())].as_bytes();
                    let from = next(other.len());
                    bytes.splice(at..at, other[from..].iter().copied().take(1 + next(12)));
                }
            }
        }
        if let Some(Reply::Folder(row)) = decode(&bytes, 32)
            && let Ok(name) = folder_name(&row)
        {
            assert!(FolderName::new(name.as_str()).is_ok());
        }
        let text = String::from_utf8_lossy(&bytes);
        drop(Uids::parse(&text));
        let name = names[next(names.len())].replace('S', &text.chars().take(3).collect::<String>());
        let parsed = FileName::parse(&name);
        assert!(!parsed.base.is_empty() || name.is_empty());
        assert!(parsed.with(&parsed.flags(&[]), &[]).is_some());
    }
}
