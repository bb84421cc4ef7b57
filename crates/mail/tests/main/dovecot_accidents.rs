//! The accidents that destroy or double mail in other programs, between directories and a real
//! server.

use std::{fs, path::Path};

use mail::{Driver, Key, engine::Mode};

use crate::support::{
    Mail, anywhere, append, at, flags, folder, list, mail,
    pair::{Pair, count},
    run, server,
};

/// So many messages are in each of the two folders.
const MESSAGES: usize = 200;

/// Makes an account with messages on the server, and brings the sides together.
async fn filled<'a>(server: &'a crate::support::dovecot::Dovecot, user: &str) -> Pair<'a> {
    let pair = Pair::new(server, user);
    let mut right = pair.right();
    let archive = folder("Archive");
    right.create_folder(&archive).await.unwrap();
    let mails: Vec<Mail> = (0..MESSAGES).map(mail).collect();
    append(&mut right, &anywhere(&folder("INBOX")), &mails).await.unwrap();
    let mails: Vec<Mail> = (MESSAGES..2 * MESSAGES).map(mail).collect();
    append(&mut right, &anywhere(&archive), &mails).await.unwrap();
    let summary = pair.round().await;
    assert_eq!(summary.done.left.copied, 2 * MESSAGES);
    assert!(pair.round().await.is_quiet());
    assert_eq!(count(&pair.same().await), 2 * MESSAGES);
    pair
}

/// Gives the files in `cur` and `new` of a folder.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for name in ["cur", "new"] {
        let entries = fs::read_dir(directory.join(name)).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found.sort();
    found
}

async fn on_server(pair: &Pair<'_>) -> usize {
    count(&crate::support::pair::everything(&mut pair.right()).await)
}

#[test]
fn an_emptied_folder_does_not_empty_the_server() {
    let server = server(&[]);
    run(async {
        let pair = filled(&server, "emptied").await;
        let inbox = pair.root().join("INBOX");
        files(&inbox).iter().for_each(|file| fs::remove_file(file).unwrap());
        let summary = pair.round().await;
        assert_eq!(summary.held.len(), 1, "{summary:?}");
        assert_eq!(on_server(&pair).await, 2 * MESSAGES);
        // And it stays so, until someone says that it was meant.
        assert_eq!(pair.round().await.held.len(), 1);
        assert_eq!(on_server(&pair).await, 2 * MESSAGES);
        let mut database = mail::state::Database::open(&pair.database()).unwrap();
        assert!(database.approve(&summary.held[0].token).unwrap());
        drop(database);
        assert_eq!(pair.round().await.done.right.removed, MESSAGES);
        assert_eq!(count(&pair.same().await), MESSAGES);
    });
}

#[test]
fn a_store_that_is_not_mounted_is_not_empty() {
    let server = server(&[]);
    run(async {
        let pair = filled(&server, "unmounted").await;
        let inbox = pair.root().join("INBOX");
        // The directories of the folder made anew, as by a program that found none.
        fs::rename(&inbox, pair.home.path().join("away")).unwrap();
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(inbox.join(name)).unwrap();
        }
        let summary = pair.try_round(&Mode::Apply).await.unwrap();
        assert_eq!(summary.problems.len(), 1, "{summary:?}");
        assert_eq!(on_server(&pair).await, 2 * MESSAGES);
        assert_eq!(files(&inbox), Vec::<std::path::PathBuf>::new());
        fs::remove_dir_all(&inbox).unwrap();
        // The directory of the folder is gone.
        assert!(pair.try_round(&Mode::Apply).await.is_err());
        assert_eq!(on_server(&pair).await, 2 * MESSAGES);
        assert!(!inbox.exists());
        fs::rename(pair.home.path().join("away"), &inbox).unwrap();
        // Everything is gone: an empty mount point, or none.
        let root = pair.root();
        fs::rename(&root, pair.home.path().join("disk")).unwrap();
        assert!(pair.try_round(&Mode::Apply).await.is_err());
        assert!(!root.exists() || fs::read_dir(&root).unwrap().count() == 0);
        fs::create_dir_all(&root).unwrap();
        assert!(pair.try_round(&Mode::Apply).await.is_err());
        assert_eq!(on_server(&pair).await, 2 * MESSAGES);
        fs::remove_dir_all(&root).unwrap();
        fs::rename(pair.home.path().join("disk"), &root).unwrap();
        pair.settle().await;
        assert_eq!(count(&pair.same().await), 2 * MESSAGES);
    });
}

#[test]
fn a_lost_state_doubles_nothing() {
    let server = server(&[]);
    run(async {
        let pair = filled(&server, "lost").await;
        for end in ["", "-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{end}", pair.database().display())));
        }
        // Other programs give other names, and one message is new on each side.
        for (number, file) in files(&pair.root().join("INBOX")).iter().enumerate() {
            fs::rename(file, file.with_file_name(format!("other.{number}:2,"))).unwrap();
        }
        fs::write(pair.root().join("INBOX/new/local"), mail(9_001).body).unwrap();
        let mut right = pair.right();
        append(&mut right, &anywhere(&folder("INBOX")), &[mail(9_002)]).await.unwrap();
        let summary = pair.round().await;
        assert_eq!((summary.done.left.copied, summary.done.right.copied), (1, 1), "{summary:?}");
        assert_eq!(summary.done.left.removed + summary.done.right.removed, 0);
        pair.settle().await;
        let all = pair.same().await;
        assert_eq!(count(&all), 2 * MESSAGES + 2);
        assert!(all.values().all(|count| *count == 1));
    });
}

#[test]
fn moves_and_renames_are_moves_and_renames() {
    let server = server(&[]);
    run(async {
        let mut pair = filled(&server, "moved").await;
        pair.settings.guard.count = MESSAGES;
        let (inbox, archive) = (pair.root().join("INBOX"), pair.root().join("Archive"));
        let all = files(&inbox);
        // By a mail program, between folders, with their names kept.
        for file in &all[..50] {
            fs::rename(file, archive.join("cur").join(file.file_name().unwrap())).unwrap();
        }
        // And under other names.
        for (number, file) in all[50..100].iter().enumerate() {
            fs::rename(file, inbox.join(format!("cur/renamed.{number}:2,S"))).unwrap();
        }
        let summary = pair.round().await;
        assert_eq!(summary.done.right.moved, 50, "{summary:?}");
        assert_eq!((summary.done.left.copied, summary.done.right.copied), (0, 0), "{summary:?}");
        pair.settle().await;
        let everything = pair.same().await;
        assert_eq!(count(&everything), 2 * MESSAGES);
        assert_eq!(
            everything.keys().filter(|(_, _, found)| *found == flags(&["\\Seen"])).count(),
            50
        );
        // By another program on the server.
        let mut right = pair.right();
        let (listing, seen) = list(&mut right, &folder("Archive"), None).await.unwrap();
        let keys: Vec<Key> = seen.into_keys().take(50).collect();
        let moved = right
            .relocate(&at(&folder("Archive"), &listing), &keys, &folder("INBOX"))
            .await
            .unwrap();
        assert_eq!(moved.len(), 50);
        let summary = pair.round().await;
        assert_eq!(summary.done.left.moved, 50, "{summary:?}");
        assert_eq!((summary.done.left.copied, summary.done.right.copied), (0, 0), "{summary:?}");
        pair.settle().await;
        assert_eq!(count(&pair.same().await), 2 * MESSAGES);
    });
}

#[test]
fn a_folder_with_new_numbers_is_the_same_folder() {
    let server = server(&[]);
    run(async {
        let pair = filled(&server, "renumbered").await;
        let inbox = server.mail("renumbered").join("INBOX");
        for entry in fs::read_dir(&inbox).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("dovecot") {
                fs::remove_file(path).unwrap();
            }
        }
        let before = fs::read_to_string(inbox.join("dovecot-uidlist"));
        assert!(before.is_err());
        let summary = pair.round().await;
        assert_eq!((summary.done.left.copied, summary.done.right.copied), (0, 0), "{summary:?}");
        assert_eq!(summary.paired, MESSAGES, "{summary:?}");
        pair.settle().await;
        assert_eq!(count(&pair.same().await), 2 * MESSAGES);
    });
}
