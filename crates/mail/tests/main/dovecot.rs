//! The IMAP driver against a real server: every operation at every level of extensions.

use std::{collections::BTreeSet, time::Duration};

use mail::{
    Driver, Key,
    driver::{
        Rest,
        imap::{Compressing, ImapSettings, ImapStore, Login, Secret, Security},
    },
};
use model::Error;

use crate::support::{
    Mail, anywhere, append, at, change, cutter::Cutter, fetch, flags, folder, imap, list, mail,
    raw, run, seconds, server, settings,
};

/// What is left out at each level, from everything that saves time to nothing at all.
const LEVELS: [(&str, &[&str]); 6] = [
    ("all", &[]),
    ("no QRESYNC", &["QRESYNC"]),
    ("no CONDSTORE", &["QRESYNC", "CONDSTORE"]),
    ("no UIDPLUS", &["UIDPLUS", "MOVE", "MULTIAPPEND", "LIST-STATUS", "ESEARCH"]),
    ("no LITERAL+", &["LITERAL+", "SASL-IR", "ENABLE", "UNSELECT", "ID"]),
    (
        "nothing",
        &[
            "QRESYNC",
            "CONDSTORE",
            "UIDPLUS",
            "MOVE",
            "MULTIAPPEND",
            "LIST-STATUS",
            "ESEARCH",
            "LITERAL+",
            "SASL-IR",
            "ENABLE",
            "UNSELECT",
            "ID",
            "LIST-EXTENDED",
            "SPECIAL-USE",
            "IDLE",
            "NAMESPACE",
            "STATUS=SIZE",
            "BINARY",
            "AUTH=PLAIN",
        ],
    ),
];

#[test]
fn every_operation_works_at_every_level() {
    let server = server(&[]);
    for (at, (level, without)) in LEVELS.into_iter().enumerate() {
        let user = format!("level{at}");
        run(async {
            let mut driver = imap(&server, &user, without);
            let mut other = imap(&server, &user, &[]);
            exercise(&mut driver, &mut other, level).await;
        });
    }
}

/// The same over a compressed connection, from the log-in on.
#[test]
fn every_operation_works_compressed() {
    let server = server(&["protocol imap {\n mail_plugins = imap_zlib\n}"]);
    run(async {
        let compress = Compressing::Always;
        let settings = ImapSettings { compress, ..settings(server.ports().0, "small") };
        let mut driver = ImapStore::new(settings).driver();
        let mut other = imap(&server, "small", &[]);
        exercise(&mut driver, &mut other, "compressed").await;
        // Both had the same to say, and one said it in less.
        let before = (driver.traffic().received, other.traffic().received);
        for driver in [&mut driver, &mut other] {
            let bodies: Vec<Mail> = (500..520).map(mail).collect();
            append(driver, &anywhere(&folder("INBOX")), &bodies).await.unwrap();
            let (listing, seen) = list(driver, &folder("INBOX"), None).await.unwrap();
            let keys: Vec<Key> = seen.into_keys().collect();
            fetch(driver, &at(&folder("INBOX"), &listing), &keys).await.unwrap();
        }
        let after = (driver.traffic().received, other.traffic().received);
        let (small, large) = (after.0 - before.0, after.1 - before.1);
        assert!(small * 2 < large, "{small} bytes compressed, {large} bytes otherwise");
    });
}

/// Compression costs servers time, so only a slow line is compressed, once it has shown to be one.
#[test]
fn a_line_is_compressed_once_it_has_shown_to_be_slow() {
    let server = server(&["protocol imap {\n mail_plugins = imap_zlib\n}"]);
    let line = Cutter::before(server.ports().0, Duration::from_millis(4));
    run(async {
        let inbox = folder("INBOX");
        let text = "The same line again and again.\r\n".repeat(20_000);
        let body = raw(format!("Subject: long\r\n\r\n{text}").as_bytes());
        let size = body.body.len() as u64;
        let mut other = imap(&server, "slow", &[]);
        append(&mut other, &anywhere(&inbox), &vec![body; 3]).await.unwrap();
        let compress = Compressing::Slow;
        let settings = ImapSettings { compress, ..settings(line.port, "slow") };
        let mut driver = ImapStore::new(settings).driver();
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        let (here, keys) = (at(&inbox, &listing), seen.into_keys().collect::<Vec<_>>());
        let mut received = Vec::new();
        for keys in [&keys[..2], &keys[2..]] {
            let before = driver.traffic().received;
            let fetched = fetch(&mut driver, &here, keys).await.unwrap();
            assert!(fetched.values().all(Option::is_some));
            received.push(driver.traffic().received - before);
        }
        assert!(received[0] > 2 * size, "compressed before it was known to be slow");
        assert!(received[1] * 2 < size, "{received:?} bytes for messages of {size}");
    });
}

/// A server that does not have the extensions, rather than one whose extensions are left alone.
#[test]
fn a_server_of_the_old_kind_is_served_as_well() {
    let server = server(&["imap_capability = IMAP4rev1"]);
    run(async {
        let mut driver = imap(&server, "old", &[]);
        let mut other = imap(&server, "old", &[]);
        exercise(&mut driver, &mut other, "IMAP4rev1").await;
    });
}

#[expect(clippy::too_many_lines, reason = "a story is read from top to bottom")]
async fn exercise(driver: &mut dyn Driver, other: &mut dyn Driver, level: &str) {
    let (inbox, sent) = (folder("INBOX"), folder("Sent"));
    // Folders, first without and then with messages.
    driver.create_folder(&sent).await.unwrap();
    driver.create_folder(&sent).await.unwrap();
    let names = |folders: &mail::driver::Folders| {
        folders.folders.iter().map(|one| one.name.to_string()).collect::<BTreeSet<_>>()
    };
    let folders = driver.folders().await.unwrap();
    assert_eq!(names(&folders), BTreeSet::from(["INBOX".into(), "Sent".into()]), "{level}");
    assert!(folders.skipped.is_empty());

    // Uploads, and what is told of them.
    let mut mails: Vec<Mail> = (0..40).map(mail).collect();
    mails[1].flags = flags(&["\\Seen", "\\Flagged", "NonJunk"]);
    let (empty, seen) = list(driver, &inbox, None).await.unwrap();
    assert!(seen.is_empty());
    let here = at(&inbox, &empty);
    let appended = append(driver, &here, &mails).await.unwrap();
    assert_eq!(appended.len(), 40, "{level}");
    let (full, seen) = list(driver, &inbox, None).await.unwrap();
    assert_eq!(full.rest, Rest::Gone);
    assert_eq!(seen.len(), 40, "{level}");
    assert_eq!(seen[&Key::Uid(2)], mails[1].flags, "{level}");
    assert!(full.messages.iter().all(|one| one.date == Some(seconds(1_700_000_000))), "{level}");
    for (number, one) in appended.iter().enumerate() {
        let uid = Key::Uid(u32::try_from(number).unwrap() + 1);
        assert!(one.key.is_none() || one.key == Some(uid), "{level}");
    }
    let keys: Vec<Key> = seen.keys().cloned().collect();
    let fetched = fetch(driver, &here, &keys).await.unwrap();
    for (mail, (bytes, date)) in mails.iter().zip(fetched.values().map(|one| one.clone().unwrap()))
    {
        assert_eq!((bytes, date), (mail.body.clone(), mail.date), "{level}");
    }
    let missing = fetch(driver, &here, &[Key::Uid(99), Key::Uid(1)]).await.unwrap();
    assert!(missing[&Key::Uid(99)].is_none() && missing[&Key::Uid(1)].is_some(), "{level}");
    let identified = driver.identify(&here, &keys).await.unwrap();
    assert_eq!(identified.len(), 40);
    let identities: BTreeSet<_> = identified.iter().map(|one| one.identity).collect();
    assert_eq!(identities.len(), 40, "{level}");
    for one in &identified {
        let Key::Uid(uid) = one.key else { panic!("not a number") };
        assert_eq!(one.size, mails[uid as usize - 1].body.len() as u64, "{level}");
    }

    // Changes of somebody else, as a difference.
    let since = full.checkpoint;
    let (nothing, seen) = list(driver, &inbox, Some(&since)).await.unwrap();
    let is_delta = nothing.rest != Rest::Gone;
    assert!(!is_delta || seen.is_empty(), "{level}: {seen:?}");
    other.flag(&here, &[change(&keys[2..4], &["\\Answered", "Work"], &[])]).await.unwrap();
    other.flag(&here, &[change(&keys[1..2], &[], &["\\Flagged", "NonJunk"])]).await.unwrap();
    let gone = other.remove(&here, &keys[10..20]).await.unwrap();
    assert_eq!(gone, keys[10..20], "{level}");
    append(other, &here, &[mail(100)]).await.unwrap();
    let (delta, seen) = list(driver, &inbox, Some(&since)).await.unwrap();
    assert_eq!(is_delta, delta.rest != Rest::Gone);
    assert_eq!(seen[&keys[2]], flags(&["\\Answered", "Work"]), "{level}");
    assert_eq!(seen[&keys[1]], flags(&["\\Seen"]), "{level}");
    assert_eq!(seen.len(), if is_delta { 4 } else { 31 }, "{level}");
    assert!(seen.contains_key(&Key::Uid(41)), "{level}");
    let stays = |uid: u32| match &delta.rest {
        Rest::Gone => seen.contains_key(&Key::Uid(uid)),
        Rest::SameExcept(gone) => !gone.contains(&Key::Uid(uid)),
        Rest::SameWithin(ranges) => {
            ranges.iter().any(|(first, last)| (*first..=*last).contains(&uid))
        }
    };
    for uid in 1..=40 {
        assert_eq!(stays(uid), !(11..=20).contains(&uid), "{level} {uid}");
    }
    let folders = driver.folders().await.unwrap();
    let now = folders.folders.iter().find(|one| one.name == inbox).unwrap();
    let told = now.checkpoint.clone().unwrap();
    assert!(told.token.is_none() || told == delta.checkpoint, "{level}");

    // Changes of our own.
    let groups =
        [change(&keys[4..6], &["\\Seen"], &[]), change(&keys[1..2], &["\\Draft"], &["\\Seen"])];
    let done: BTreeSet<Key> = driver.flag(&here, &groups).await.unwrap().into_iter().collect();
    assert_eq!(
        done,
        BTreeSet::from([keys[1].clone(), keys[4].clone(), keys[5].clone()]),
        "{level}"
    );
    let lost = driver.flag(&here, &[change(&keys[10..11], &["\\Seen"], &[])]).await.unwrap();
    assert!(lost.is_empty(), "{level}: {lost:?}");
    let moved = driver.relocate(&here, &keys[6..9], &sent).await.unwrap();
    assert_eq!(moved.len(), 3, "{level}");
    let gone = driver.remove(&here, &keys[20..40]).await.unwrap();
    assert_eq!(gone, keys[20..40], "{level}");
    let (after, seen) = list(driver, &inbox, None).await.unwrap();
    assert_eq!(after.checkpoint.epoch, here.epoch);
    assert_eq!(seen.len(), 8, "{level}");
    assert_eq!(seen[&keys[1]], flags(&["\\Draft"]), "{level}");
    let (there, seen) = list(driver, &sent, None).await.unwrap();
    assert_eq!(seen.len(), 3, "{level}");
    let keys_there: Vec<Key> = seen.keys().cloned().collect();
    let fetched = fetch(driver, &at(&sent, &there), &keys_there).await.unwrap();
    let bodies: BTreeSet<_> = fetched.values().map(|one| one.clone().unwrap().0).collect();
    assert_eq!(bodies, mails[6..9].iter().map(|one| one.body.clone()).collect(), "{level}");
    for one in &moved {
        if let Some(key) = &one.key {
            let Key::Uid(old) = one.source else { panic!("not a number") };
            assert_eq!(fetched[key].clone().unwrap().0, mails[old as usize - 1].body, "{level}");
        }
    }

    // Folders again.
    let (old, new) = (folder("a/b"), folder("c/d"));
    driver.create_folder(&old).await.unwrap();
    append(driver, &anywhere(&old), &[mail(7)]).await.unwrap();
    let refused = driver.delete_folder(&old).await.unwrap_err();
    assert!(matches!(refused, Error::LockConflict(_)), "{level}: {refused}");
    driver.rename_folder(&old, &new).await.unwrap();
    let (there, seen) = list(driver, &new, None).await.unwrap();
    assert_eq!(seen.len(), 1, "{level}");
    let keys: Vec<Key> = seen.into_keys().collect();
    driver.remove(&at(&new, &there), &keys).await.unwrap();
    driver.delete_folder(&new).await.unwrap();
    driver.delete_folder(&new).await.unwrap();
    assert!(!names(&driver.folders().await.unwrap()).contains("c/d"), "{level}");
    driver.close().await.unwrap();
}

#[test]
fn bytes_are_preserved_both_ways() {
    let server = server(&[]);
    let inbox = folder("INBOX");
    let mut huge = b"Subject: huge\r\n\r\n".to_vec();
    (0..300_000_u32).for_each(|line| huge.extend(format!("{line:>70}\r\n").into_bytes()));
    let bodies: Vec<Vec<u8>> = vec![
        b"Subject: eight\r\n\r\n\xff\xfe\x80\xe4\r\n".to_vec(),
        b"Subject: bare CR\r\n\r\na\rb\r c\r\n".to_vec(),
        b"Subject: no end".to_vec(),
        b"\r\n".to_vec(),
        b"no header at all\r\n".to_vec(),
        b"Subject: {5}\r\n\r\n{5}\r\n) L1 OK\r\n".to_vec(),
        huge,
    ];
    for (user, without) in [("a", &[][..]), ("b", &["LITERAL+", "MULTIAPPEND"][..])] {
        run(async {
            let mut driver = imap(&server, user, without);
            let mails: Vec<Mail> = bodies.iter().map(|body| raw(body)).collect();
            let here = anywhere(&inbox);
            let appended = append(&mut driver, &here, &mails).await.unwrap();
            assert_eq!(appended.len(), bodies.len());
            let (_, seen) = list(&mut driver, &inbox, None).await.unwrap();
            let keys: Vec<Key> = seen.into_keys().collect();
            let fetched = fetch(&mut driver, &here, &keys).await.unwrap();
            for (body, found) in bodies.iter().zip(fetched.values()) {
                assert_eq!(&found.as_ref().unwrap().0, body);
            }
            // No server takes a message without bytes; the others must not suffer.
            let mixed = [raw(b""), mail(1)];
            let appended = append(&mut driver, &here, &mixed).await.unwrap();
            assert_eq!(appended.len(), 1);
            assert_eq!(appended[0].source, Key::Uid(2));
        });
    }
}

#[test]
fn connections_are_encrypted_or_refused() {
    let server = server(&[]);
    let with = |security, port, ca: bool| ImapSettings {
        host: "localhost".to_owned(),
        security,
        ca_file: ca.then(|| server.file("cert.pem")),
        ..settings(port, "tls")
    };
    run(async {
        for (security, port) in
            [(Security::Tls, server.ports().1), (Security::StartTls, server.ports().0)]
        {
            let mut driver = ImapStore::new(with(security, port, true)).driver();
            assert_eq!(driver.folders().await.unwrap().folders.len(), 1);
            driver.close().await.unwrap();
            // Nobody vouches for this certificate but the file.
            let mut driver = ImapStore::new(with(security, port, false)).driver();
            let error = driver.folders().await.unwrap_err();
            assert!(error.to_string().contains("cannot encrypt"), "{error}");
        }
        let wrong = ImapSettings {
            login: Login::Password(Secret("wrong".to_owned())),
            ..settings(server.ports().0, "tls")
        };
        let error = ImapStore::new(wrong).driver().folders().await.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated(_)), "{error}");
        assert!(!format!("{error:?}").contains("wrong"));
    });
}

#[test]
fn a_side_that_is_read_only_changes_nothing() {
    let server = server(&[]);
    run(async {
        let inbox = folder("INBOX");
        let mut writer = imap(&server, "ro", &[]);
        append(&mut writer, &anywhere(&inbox), &[mail(1)]).await.unwrap();
        let mut driver =
            ImapStore::new(ImapSettings { read_only: true, ..settings(server.ports().0, "ro") })
                .driver();
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        let here = at(&inbox, &listing);
        let keys: Vec<Key> = seen.into_keys().collect();
        assert!(fetch(&mut driver, &here, &keys).await.unwrap()[&keys[0]].is_some());
        let refused = |error| matches!(error, Error::Denied(_));
        assert!(append(&mut driver, &here, &[mail(2)]).await.is_err_and(refused));
        assert!(driver.flag(&here, &[change(&keys, &["\\Seen"], &[])]).await.is_err_and(refused));
        assert!(driver.remove(&here, &keys).await.is_err_and(refused));
        assert!(driver.relocate(&here, &keys, &folder("Sent")).await.is_err_and(refused));
        assert!(driver.create_folder(&folder("x")).await.is_err_and(refused));
        assert!(driver.delete_folder(&folder("x")).await.is_err_and(refused));
        assert!(driver.rename_folder(&folder("x"), &folder("y")).await.is_err_and(refused));
        let (_, seen) = list(&mut writer, &inbox, None).await.unwrap();
        assert_eq!(seen[&keys[0]], flags(&[]));
    });
}

#[test]
fn a_change_ends_the_waiting_and_waiting_can_be_given_up() {
    let server = server(&["mailbox_idle_check_interval = 1 sec"]);
    run(async {
        let inbox = folder("INBOX");
        let mut driver = imap(&server, "idle", &[]);
        let mut other = imap(&server, "idle", &[]);
        list(&mut driver, &inbox, None).await.unwrap();
        let folders = [inbox.clone()];
        let waiting = driver.watch(&folders);
        let arrival = append(&mut other, &anywhere(&inbox), &[mail(1)]).await;
        arrival.unwrap();
        assert_eq!(waiting.await.unwrap(), folders);
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(seen.len(), 1);
        // In a folder that is not open, where the server can tell.
        let sent = folder("Sent");
        driver.create_folder(&sent).await.unwrap();
        let both = [inbox.clone(), sent.clone()];
        // Nobody is told from when on it waits, so mails come until it sees one.
        let arrivals = async {
            loop {
                append(&mut other, &anywhere(&sent), &[mail(2)]).await.unwrap();
            }
        };
        let changed = tokio::select! {
            changed = driver.watch(&both) => changed,
            () = arrivals => panic!("it never sees one"),
        };
        assert_eq!(changed.unwrap(), [sent]);
        // Given up while it waits, and used again at once.
        let given_up =
            tokio::time::timeout(std::time::Duration::from_millis(300), driver.watch(&folders));
        assert!(given_up.await.is_err());
        let (again, _) = list(&mut driver, &inbox, Some(&listing.checkpoint)).await.unwrap();
        assert_eq!(again.checkpoint, listing.checkpoint);
    });
}

#[test]
fn a_folder_made_anew_is_not_touched() {
    let server = server(&[]);
    run(async {
        let name = folder("again");
        let mut driver = imap(&server, "epoch", &[]);
        driver.create_folder(&name).await.unwrap();
        append(&mut driver, &anywhere(&name), &[mail(1)]).await.unwrap();
        let (before, seen) = list(&mut driver, &name, None).await.unwrap();
        let here = at(&name, &before);
        let keys: Vec<Key> = seen.into_keys().collect();
        let mut other = imap(&server, "epoch", &[]);
        other.remove(&here, &keys).await.unwrap();
        driver.folders().await.unwrap();
        other.delete_folder(&name).await.unwrap();
        let mut epoch = before.checkpoint.epoch.clone();
        while epoch == before.checkpoint.epoch {
            // A server whose epochs are seconds needs some time for another one.
            other.create_folder(&name).await.unwrap();
            let (now, _) = list(&mut other, &name, None).await.unwrap();
            epoch = now.checkpoint.epoch;
            if epoch == before.checkpoint.epoch {
                other.delete_folder(&name).await.unwrap();
            }
        }
        append(&mut other, &anywhere(&name), &[mail(2)]).await.unwrap();
        let mut fresh = imap(&server, "epoch", &[]);
        assert_eq!(fresh.remove(&here, &keys).await, Err(Error::Gone));
        let (listing, seen) = list(&mut fresh, &name, Some(&before.checkpoint)).await.unwrap();
        assert_eq!((listing.rest, seen.len()), (Rest::Gone, 1));
    });
}

#[test]
fn marks_of_others_are_not_expunged() {
    let server = server(&[]);
    run(async {
        let inbox = folder("INBOX");
        let without = ["UIDPLUS", "MOVE"];
        let mut driver = imap(&server, "foreign", &without);
        append(&mut driver, &anywhere(&inbox), &[mail(1), mail(2)]).await.unwrap();
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        let here = at(&inbox, &listing);
        let keys: Vec<Key> = seen.into_keys().collect();
        driver.flag(&here, &[change(&keys[..1], &["\\Deleted"], &[])]).await.unwrap();
        let refused = driver.remove(&here, &keys[1..]).await.unwrap_err();
        assert!(matches!(refused, Error::LockConflict(_)), "{refused}");
        driver.create_folder(&folder("Sent")).await.unwrap();
        assert!(driver.relocate(&here, &keys[1..], &folder("Sent")).await.is_err());
        let (_, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(seen.len(), 2);
        let mut able = imap(&server, "foreign", &[]);
        assert_eq!(able.remove(&here, &keys[1..]).await.unwrap(), keys[1..]);
        let (_, seen) = list(&mut able, &inbox, None).await.unwrap();
        assert_eq!(seen.into_keys().collect::<Vec<_>>(), keys[..1]);
    });
}
