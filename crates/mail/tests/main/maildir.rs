//! The driver of directories: what it writes, what it finds, and what it never does.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use mail::{
    Body, Driver, Key, Part,
    driver::{
        Append, At, Rest,
        maildir::{Layout, MaildirDriver, MaildirSettings, MaildirStore, name::FileName},
    },
    pipe,
};
use model::Error;
use tempfile::TempDir;

use crate::support::{
    Mail, anywhere, append, at, change, fetch, flags, folder, list, mail, raw, run, seconds,
};

fn store(root: &Path, layout: Layout) -> MaildirDriver {
    let settings = MaildirSettings { root: root.to_path_buf(), layout, read_only: false };
    MaildirStore::new(settings).driver()
}

fn read_only(root: &Path) -> MaildirDriver {
    let settings =
        MaildirSettings { root: root.to_path_buf(), layout: Layout::Nested, read_only: true };
    MaildirStore::new(settings).driver()
}

/// Gives all files of a folder's `cur` and `new`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in ["cur", "new"] {
        let entries = fs::read_dir(directory.join(name)).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found.sort();
    found
}

/// Makes directories as an old as those that nothing happened to for a while.
fn age(directory: &Path) {
    for name in ["cur", "new"] {
        let path = directory.join(name);
        let past = std::time::SystemTime::now() - Duration::from_secs(10);
        fs::File::open(&path).unwrap().set_modified(past).unwrap();
    }
}

#[test]
fn every_operation_works_in_both_layouts() {
    for layout in [Layout::Nested, Layout::Dotted] {
        let root = TempDir::new().unwrap();
        run(async {
            let mut driver = store(root.path(), layout);
            exercise(&mut driver, layout).await;
        });
    }
}

async fn exercise(driver: &mut MaildirDriver, layout: Layout) {
    let (inbox, other) = (folder("INBOX"), folder("Lists/rust"));
    assert!(driver.identity(false).await.unwrap().is_none());
    let identity = driver.identity(true).await.unwrap();
    assert_eq!(driver.identity(true).await.unwrap(), identity);
    for name in [&inbox, &other, &inbox] {
        driver.create_folder(name).await.unwrap();
    }
    let folders = driver.folders().await.unwrap();
    let names: Vec<String> = folders.folders.iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["INBOX", "Lists/rust"], "{layout:?}");

    let mut mails: Vec<Mail> = (0..20).map(mail).collect();
    mails[1].flags = flags(&["\\Seen", "\\Flagged", "NonJunk", "$Forwarded"]);
    let (empty, _) = list(driver, &inbox, None).await.unwrap();
    let here = at(&inbox, &empty);
    let appended = append(driver, &here, &mails).await.unwrap();
    assert_eq!(appended.len(), 20);
    let keys: Vec<Key> = appended.iter().map(|one| one.key.clone().unwrap()).collect();
    let (full, seen) = list(driver, &inbox, None).await.unwrap();
    assert_eq!((full.rest, seen.len()), (Rest::Gone, 20));
    assert_eq!(seen[&keys[1]], mails[1].flags);
    let stamps = driver.stamps(&here, keys.clone()).await.unwrap();
    for one in &appended {
        assert_eq!(Some(stamps[one.key.as_ref().unwrap()]), one.stamp);
    }
    let fetched = fetch(driver, &here, &keys).await.unwrap();
    for (mail, key) in mails.iter().zip(&keys) {
        assert_eq!(fetched[key], Some((mail.body.clone(), mail.date)));
    }
    let identified = driver.identify(&here, &keys).await.unwrap();
    assert!(
        identified.iter().all(|one| one.size == fetched[&one.key].as_ref().unwrap().0.len() as u64)
    );

    // The same again is the same message: an attempt that was cut off after its rename.
    let again = append(driver, &here, &mails).await.unwrap();
    let again: Vec<Key> = again.into_iter().map(|one| one.key.unwrap()).collect();
    assert_eq!(again, keys);
    let fresh = append(&mut store_like(driver, layout), &here, &mails).await.unwrap();
    assert_eq!(fresh.len(), 20);
    assert_eq!(list(driver, &inbox, None).await.unwrap().1.len(), 20);

    let groups =
        [change(&keys[2..4], &["\\Answered", "Work"], &[]), change(&keys[1..2], &[], &["\\Seen"])];
    assert_eq!(driver.flag(&here, &groups).await.unwrap().len(), 3);
    let missing = Key::name("nobody").unwrap();
    let nothing = [change(std::slice::from_ref(&missing), &["\\Seen"], &[])];
    assert!(driver.flag(&here, &nothing).await.unwrap().is_empty());
    let moved = driver.relocate(&here, &keys[4..6], &other).await.unwrap();
    assert_eq!(moved.len(), 2);
    let gone = driver.remove(&here, &[keys[6].clone(), missing.clone()]).await.unwrap();
    assert_eq!(gone, [keys[6].clone(), missing]);
    let (_, seen) = list(driver, &inbox, None).await.unwrap();
    assert_eq!(seen.len(), 17);
    assert_eq!(seen[&keys[2]], flags(&["\\Answered", "Work"]));
    assert_eq!(seen[&keys[1]], flags(&["\\Flagged", "NonJunk", "$Forwarded"]));
    let (there, seen) = list(driver, &other, None).await.unwrap();
    let moved_keys: Vec<Key> = moved.iter().map(|one| one.key.clone().unwrap()).collect();
    assert!(moved_keys.iter().all(|key| seen.contains_key(key)));
    let fetched = fetch(driver, &at(&other, &there), &moved_keys).await.unwrap();
    assert_eq!(fetched[&moved_keys[0]].as_ref().unwrap().0, mails[4].body);

    let refused = driver.delete_folder(&other).await.unwrap_err();
    assert!(matches!(refused, Error::LockConflict(_)), "{refused}");
    let new = folder("Lists2/rust");
    driver.rename_folder(&other, &new).await.unwrap();
    let (there, _) = list(driver, &new, None).await.unwrap();
    driver.remove(&at(&new, &there), &moved_keys).await.unwrap();
    driver.delete_folder(&new).await.unwrap();
    driver.delete_folder(&new).await.unwrap();
    let folders = driver.folders().await.unwrap();
    let names: Vec<String> = folders.folders.iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["INBOX"], "{layout:?}");
}

fn store_like(driver: &MaildirDriver, layout: Layout) -> MaildirDriver {
    store(&driver.root(), layout)
}

#[test]
fn bytes_are_preserved_whatever_they_are() {
    let root = TempDir::new().unwrap();
    let mut huge = b"Subject: huge\r\n\r\n".to_vec();
    (0..200_000_u32).for_each(|line| huge.extend(format!("{line:>70}\r\n").into_bytes()));
    let bodies: Vec<&[u8]> = vec![
        b"",
        b"\r\n",
        b"Subject: eight\r\n\r\n\xff\xfe\x80\0\0\r\n",
        b"Subject: bare CR\r\n\r\na\rb\r\r\nc\r\n",
        b"Subject: no end",
        &huge,
    ];
    run(async {
        let mut driver = store(root.path(), Layout::Nested);
        let inbox = folder("INBOX");
        driver.create_folder(&inbox).await.unwrap();
        let mails: Vec<Mail> = bodies.iter().map(|body| raw(body)).collect();
        let here = anywhere(&inbox);
        let appended = append(&mut driver, &here, &mails).await.unwrap();
        let keys: Vec<Key> = appended.into_iter().map(|one| one.key.unwrap()).collect();
        let fetched = fetch(&mut driver, &here, &keys).await.unwrap();
        for (body, key) in bodies.iter().zip(&keys) {
            assert_eq!(fetched[key].as_ref().unwrap().0, *body);
        }
        // What a mail program wrote with line feeds alone comes as everywhere else.
        let path = root.path().join("INBOX/new/local.1");
        let unix: Vec<u8> = huge.iter().copied().filter(|byte| *byte != b'\r').collect();
        fs::write(path, unix).unwrap();
        let (_, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(seen.len(), bodies.len() + 1);
        let key = Key::name("local.1").unwrap();
        let fetched = fetch(&mut driver, &here, std::slice::from_ref(&key)).await.unwrap();
        assert_eq!(fetched[&key].as_ref().unwrap().0, huge);
        let identified = driver.identify(&here, &[key]).await.unwrap();
        assert_eq!(identified[0].size, huge.len() as u64);
    });
}

#[test]
fn quiet_folders_are_not_read_and_changed_ones_are() {
    let root = TempDir::new().unwrap();
    run(async {
        let mut driver = store(root.path(), Layout::Nested);
        let inbox = folder("INBOX");
        driver.create_folder(&inbox).await.unwrap();
        append(&mut driver, &anywhere(&inbox), &[mail(1), mail(2)]).await.unwrap();
        let (listing, _) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(listing.checkpoint.token, None, "a change of the same moment could follow");
        let directory = root.path().join("INBOX");
        age(&directory);
        let (quiet, _) = list(&mut driver, &inbox, Some(&listing.checkpoint)).await.unwrap();
        assert!(quiet.checkpoint.token.is_some());
        let told = driver.folders().await.unwrap().folders[0].checkpoint.clone();
        assert_eq!(told.as_ref(), Some(&quiet.checkpoint));
        let (same, seen) = list(&mut driver, &inbox, Some(&quiet.checkpoint)).await.unwrap();
        assert_eq!((same.rest, seen.len()), (Rest::SameExcept(Vec::new()), 0));
        let file = &files(&directory)[0];
        fs::rename(file, directory.join("cur/renamed:2,S")).unwrap();
        let (changed, seen) = list(&mut driver, &inbox, Some(&quiet.checkpoint)).await.unwrap();
        assert_eq!((changed.rest, seen.len()), (Rest::Gone, 2));
    });
}

#[test]
fn what_a_reader_renames_is_the_same_file_and_is_found() {
    let root = TempDir::new().unwrap();
    run(async {
        let mut driver = store(root.path(), Layout::Nested);
        let inbox = folder("INBOX");
        driver.create_folder(&inbox).await.unwrap();
        let here = anywhere(&inbox);
        let appended = append(&mut driver, &here, &[mail(1), mail(2)]).await.unwrap();
        let keys: Vec<Key> = appended.iter().map(|one| one.key.clone().unwrap()).collect();
        let directory = root.path().join("INBOX");
        // Behind the back of the driver, which looked a moment ago.
        list(&mut driver, &inbox, None).await.unwrap();
        let old = directory.join(format!("new/{}", keys[0]));
        fs::rename(&old, directory.join(format!("cur/{}:2,S", keys[0]))).unwrap();
        let fetched = fetch(&mut driver, &here, &keys).await.unwrap();
        assert!(fetched.values().all(Option::is_some));
        let old = directory.join(format!("cur/{}:2,S", keys[0]));
        fs::rename(&old, directory.join(format!("cur/{}:2,FS", keys[0]))).unwrap();
        let done = driver.flag(&here, &[change(&keys[..1], &["\\Answered"], &[])]).await.unwrap();
        assert_eq!(done, keys[..1]);
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(seen[&keys[0]], flags(&["\\Answered", "\\Flagged", "\\Seen"]));
        let there = at(&inbox, &listing);
        let stamps = driver.stamps(&there, keys.clone()).await.unwrap();
        assert_eq!(Some(stamps[&keys[0]]), appended[0].stamp);
        // Another name, as mail programs like to give: the inode stays.
        let old = directory.join(format!("cur/{}:2,FRS", keys[0]));
        fs::rename(&old, directory.join("cur/other:2,FRS")).unwrap();
        let gone = driver.confirm_gone(&here, keys.clone()).await.unwrap();
        assert_eq!(gone, keys[..1]);
        let other = Key::name("other").unwrap();
        let (_, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert!(seen.contains_key(&other));
        // It is renamed once more before its stamp is asked for.
        fs::rename(directory.join("cur/other:2,FRS"), directory.join("cur/other:2,RS")).unwrap();
        let stamps = driver.stamps(&there, vec![other.clone()]).await.unwrap();
        assert_eq!(stamps.get(&other).copied(), appended[0].stamp);
    });
}

#[test]
fn a_directory_that_is_not_the_same_is_absent_rather_than_empty() {
    let root = TempDir::new().unwrap();
    run(async {
        let inbox = folder("INBOX");
        let mut driver = store(root.path(), Layout::Nested);
        driver.create_folder(&inbox).await.unwrap();
        append(&mut driver, &anywhere(&inbox), &[mail(1)]).await.unwrap();
        let (listing, _) = list(&mut driver, &inbox, None).await.unwrap();
        let since = Some(&listing.checkpoint);
        let unavailable = |error| matches!(error, Error::Unavailable(_));
        // The directory is there, and empty, as one on which nothing is mounted.
        let directory = root.path().join("INBOX");
        let away = root.path().join("away");
        fs::rename(&directory, &away).unwrap();
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        assert!(driver.list(&inbox, since).await.is_err_and(unavailable));
        let here = at(&inbox, &listing);
        assert_eq!(append(&mut driver, &here, &[mail(2)]).await, Err(Error::Gone));
        assert!(files(&directory).is_empty());
        // Made anew and marked anew.
        assert!(driver.list(&inbox, None).await.is_ok());
        assert!(driver.list(&inbox, since).await.is_err_and(unavailable));
        // Not there at all.
        fs::remove_dir_all(&directory).unwrap();
        assert!(driver.list(&inbox, since).await.is_err_and(unavailable));
        fs::rename(&away, &directory).unwrap();
        assert!(driver.list(&inbox, since).await.is_ok());
        let mut nowhere = store(&root.path().join("unmounted"), Layout::Nested);
        assert!(nowhere.folders().await.is_err_and(unavailable));
        assert!(nowhere.identity(false).await.is_err_and(unavailable));
        assert!(nowhere.list(&inbox, None).await.is_err_and(unavailable));
    });
}

#[test]
fn what_is_kept_on_the_same_disk_is_not_copied() {
    let (root, kept) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run(async {
        let inbox = folder("INBOX");
        let mut driver = store(root.path(), Layout::Nested);
        let mut keeper = store(kept.path(), Layout::Nested);
        for driver in [&mut driver, &mut keeper] {
            driver.create_folder(&inbox).await.unwrap();
        }
        let mut seen = mail(1);
        seen.flags = flags(&["\\Seen"]);
        append(&mut driver, &anywhere(&inbox), &[seen, mail(2)]).await.unwrap();
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        let link = |key: &Key| Append {
            source: key.clone(),
            name: format!("kept{key}").into(),
            flags: seen[key].clone(),
        };
        let gone = Key::name("gone").unwrap();
        let mut messages: Vec<Append> = seen.keys().map(link).collect();
        messages.push(Append { source: gone, name: "gone".into(), flags: flags(&[]) });
        let into = kept.path().join("INBOX");
        // Once more is as good as once.
        for _ in 0..2 {
            let linked = driver.link(&at(&inbox, &listing), &messages, &into).await.unwrap();
            assert_eq!(linked.unwrap().len(), 2);
        }
        let inodes = |directory: &Path| -> Vec<u64> {
            let inode = |path: &PathBuf| fs::metadata(path).unwrap().ino();
            let mut found: Vec<u64> = files(directory).iter().map(inode).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(inodes(&into), inodes(&root.path().join("INBOX")));
        let (_, there) = list(&mut keeper, &inbox, None).await.unwrap();
        let there: Vec<_> = there.values().cloned().collect();
        assert!(there.contains(&flags(&["\\Seen"])) && there.len() == 2, "{there:?}");
    });
}

#[test]
fn a_message_that_is_cut_off_leaves_no_trace() {
    let root = TempDir::new().unwrap();
    run(async {
        let inbox = folder("INBOX");
        let mut driver = store(root.path(), Layout::Nested);
        driver.create_folder(&inbox).await.unwrap();
        let source = |uid| Append {
            source: Key::Uid(uid),
            name: format!("m{uid}").into(),
            flags: flags(&[]),
        };
        let (pouring, parts) = pipe();
        let pour = async {
            let body = |uid, size| Part::Begin(Body { key: Key::Uid(uid), size, date: None });
            for part in [
                body(1, 3),
                Part::Bytes("abc".into()),
                Part::End,
                Part::Lost(Key::Uid(2)),
                body(3, 10),
                Part::Bytes("abc".into()),
            ] {
                pouring.send(part).await.unwrap();
            }
            drop(pouring);
        };
        let sources = [source(1), source(2), source(3)];
        let here = anywhere(&inbox);
        let (appended, ()) = tokio::join!(driver.append(&here, &sources, parts), pour);
        let appended = appended.unwrap();
        assert_eq!(
            appended.iter().map(|one| one.source.clone()).collect::<Vec<_>>(),
            [Key::Uid(1)]
        );
        let directory = root.path().join("INBOX");
        assert_eq!(files(&directory), [directory.join("new/m1")]);
        assert_eq!(fs::read_dir(directory.join("tmp")).unwrap().count(), 0);
    });
}

#[test]
fn nothing_is_written_outside_the_root() {
    let outer = TempDir::new().unwrap();
    let root = outer.path().join("root");
    fs::create_dir(&root).unwrap();
    run(async {
        let mut driver = store(&root, Layout::Nested);
        // A name that leads elsewhere cannot even be made; these are as near as one comes.
        for name in ["cur", "a/tmp/b", ".hidden", "a/.b"] {
            assert!(driver.create_folder(&folder(name)).await.is_err(), "{name}");
        }
        driver.create_folder(&folder("~")).await.unwrap();
        let inbox = folder("INBOX");
        driver.create_folder(&inbox).await.unwrap();
        for bad in ["../x", "a/b", "", "a:2,S", "a\0"] {
            let append = Append { source: Key::Uid(1), name: bad.into(), flags: flags(&[]) };
            let (pouring, parts) = pipe();
            let body = Body { key: Key::Uid(1), size: 0, date: None };
            pouring.send(Part::Begin(body)).await.unwrap();
            pouring.send(Part::End).await.unwrap();
            drop(pouring);
            let sources = [append];
            assert!(driver.append(&anywhere(&inbox), &sources, parts).await.is_err(), "{bad:?}");
        }
        // A link in the root leads elsewhere, and is not followed.
        let elsewhere = outer.path().join("elsewhere");
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(elsewhere.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, root.join("link")).unwrap();
        let folders = driver.folders().await.unwrap();
        assert!(folders.folders.iter().all(|one| one.name.as_str() != "link"));
        assert!(folders.skipped.iter().any(|line| line.contains("link")), "{:?}", folders.skipped);
    });
    let mut entries: Vec<_> =
        fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    entries.sort();
    assert_eq!(entries, ["elsewhere", "root"]);
}

#[test]
fn a_side_that_is_read_only_is_not_even_marked() {
    let root = TempDir::new().unwrap();
    for name in ["cur", "new", "tmp"] {
        fs::create_dir_all(root.path().join("INBOX").join(name)).unwrap();
    }
    fs::write(root.path().join("INBOX/cur/a:2,S"), "Subject: a\n\nb\n").unwrap();
    run(async {
        let inbox = folder("INBOX");
        let mut driver = read_only(root.path());
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(seen.len(), 1);
        let here = At { folder: inbox.clone(), epoch: listing.checkpoint.epoch.clone() };
        let keys: Vec<Key> = seen.into_keys().collect();
        assert!(list(&mut driver, &inbox, Some(&listing.checkpoint)).await.is_ok());
        let refused = |error| matches!(error, Error::Denied(_));
        assert!(append(&mut driver, &here, &[mail(2)]).await.is_err_and(refused));
        assert!(driver.flag(&here, &[change(&keys, &[], &["\\Seen"])]).await.is_err_and(refused));
        assert!(driver.remove(&here, &keys).await.is_err_and(refused));
        assert!(driver.relocate(&here, &keys, &inbox).await.is_err_and(refused));
        assert!(driver.create_folder(&folder("x")).await.is_err_and(refused));
        assert!(driver.delete_folder(&folder("x")).await.is_err_and(refused));
        assert!(driver.rename_folder(&folder("x"), &folder("y")).await.is_err_and(refused));
        assert!(driver.identity(true).await.unwrap().is_none());
    });
    assert!(!root.path().join("INBOX/.sync-id").exists());
    assert!(!root.path().join(".sync-id").exists());
}

#[test]
fn strange_files_are_messages_or_left_alone() {
    use std::os::unix::ffi::OsStrExt;
    let root = TempDir::new().unwrap();
    let directory = root.path().join("INBOX");
    for name in ["cur", "new", "tmp", "cur/directory"] {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    let names: [&[u8]; 6] =
        [b"plain", b"twin:2,S", b"twin:2,F", b"\xff\xfe:2,S", b".dot", b"long name with spaces:2,"];
    for name in names {
        fs::write(directory.join("cur").join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    run(async {
        let inbox = folder("INBOX");
        let mut driver = store(root.path(), Layout::Nested);
        let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
        assert_eq!(seen.len(), 5);
        let here = at(&inbox, &listing);
        let keys: Vec<Key> = seen.keys().cloned().collect();
        let fetched = fetch(&mut driver, &here, &keys).await.unwrap();
        let mut bodies: Vec<Vec<u8>> =
            fetched.into_values().map(|found| found.unwrap().0).collect();
        bodies.sort();
        assert_eq!(bodies.len(), 5);
        assert!(bodies.iter().all(|body| names.contains(&body.as_slice())));
        let gone = driver.remove(&here, &keys).await.unwrap();
        assert_eq!(gone.len(), 5);
        assert!(directory.join("cur/.dot").exists());
    });
}

#[test]
fn messages_that_arrive_or_change_are_told() {
    let root = TempDir::new().unwrap();
    run(async {
        let (one, other) = (folder("INBOX"), folder("Other"));
        let mut driver = store(root.path(), Layout::Nested);
        driver.create_folder(&one).await.unwrap();
        driver.create_folder(&other).await.unwrap();
        let folders = [one.clone(), other.clone()];
        assert!(driver.watch(&folders).await.unwrap().is_empty(), "anything may have changed");
        fs::write(root.path().join("Other/new/hello"), "x").unwrap();
        assert_eq!(driver.watch(&folders).await.unwrap(), [other]);
        let quiet = tokio::time::timeout(Duration::from_millis(200), driver.watch(&folders)).await;
        assert!(quiet.is_err() || quiet.is_ok_and(|changed| changed.is_ok()));
        // Between two waits, too.
        fs::write(root.path().join("INBOX/new/hello"), "x").unwrap();
        assert!(driver.watch(&folders).await.unwrap().contains(&one));
    });
}

#[test]
fn received_times_stay() {
    let root = TempDir::new().unwrap();
    run(async {
        let inbox = folder("INBOX");
        let mut driver = store(root.path(), Layout::Nested);
        driver.create_folder(&inbox).await.unwrap();
        let mut one = mail(1);
        one.date = Some(seconds(1_234_567_890));
        append(&mut driver, &anywhere(&inbox), &[one]).await.unwrap();
        let file = files(&root.path().join("INBOX")).remove(0);
        assert_eq!(fs::metadata(&file).unwrap().mtime(), 1_234_567_890);
        assert!(FileName::parse(file.file_name().unwrap().to_str().unwrap()).letters.is_empty());
    });
}

#[test]
fn a_new_file_is_not_taken_for_an_old_one_renamed() {
    let root = TempDir::new().unwrap();
    run(async {
        let inbox = folder("INBOX");
        let mut driver = store(root.path(), Layout::Nested);
        driver.create_folder(&inbox).await.unwrap();
        let mut stamps = std::collections::BTreeSet::new();
        let mut inodes = std::collections::BTreeSet::new();
        for number in 0..50 {
            // File systems give the number of a file again as soon as it is gone.
            let file = root.path().join(format!("INBOX/cur/{number}:2,"));
            fs::write(&file, "Subject: the same\n\n").unwrap();
            inodes.insert(fs::metadata(&file).unwrap().ino());
            let (listing, seen) = list(&mut driver, &inbox, None).await.unwrap();
            let (here, keys) = (at(&inbox, &listing), seen.into_keys().collect());
            let stamp = driver.stamps(&here, keys).await.unwrap().into_values().next();
            assert!(stamps.insert(stamp.unwrap()), "{number}");
            fs::remove_file(file).unwrap();
        }
        assert!(inodes.len() < 50, "this file system gives no number again");
    });
}
