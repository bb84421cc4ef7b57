//! Rounds between stores in memory, one thing at a time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mail::{
    Side, Sides,
    driver::memory::MemoryOptions,
    engine::Mode,
    plan::Guard,
    state::{Database, State},
};

use crate::world::{World, flags, folder};

#[tokio::test]
async fn new_messages_go_to_the_other_side_with_their_flags() {
    let mut world = World::plain();
    let (one, two) = (world.message(), world.message());
    let inbox = folder("INBOX");
    world.stores.left.deliver(&inbox, &one, flags(&["\\Seen", "work"]));
    world.stores.right.deliver(&folder("Lists/rust"), &two, flags(&[]));
    let summary = world.sync().await;
    assert_eq!((summary.done.left.copied, summary.done.right.copied), (1, 1));
    assert_eq!(world.assert_equal().len(), 2);
    let second = world.sync().await;
    assert!(second.is_quiet(), "{second:?}");
    let third = world.sync().await;
    assert_eq!(third.examined, 0, "a quiet folder is not looked into");
}

#[tokio::test]
async fn two_full_sides_are_paired_by_content() {
    let mut world = World::plain();
    let inbox = folder("INBOX");
    for number in 0..20 {
        let body = world.message();
        let seen = if number % 2 == 0 { flags(&["\\Seen"]) } else { flags(&[]) };
        world.stores.left.deliver(&inbox, &body, seen);
        world.stores.right.deliver(&inbox, &body, flags(&["\\Flagged"]));
    }
    // Twins: the same bytes twice on one side, three times on the other.
    for _ in 0..2 {
        world.stores.left.deliver(&inbox, b"Subject: twin\r\n\r\n.", flags(&[]));
    }
    for _ in 0..3 {
        world.stores.right.deliver(&inbox, b"Subject: twin\r\n\r\n.", flags(&[]));
    }
    // The same head and size, but not the same message.
    world.stores.left.deliver(&inbox, b"Subject: like\r\n\r\na", flags(&[]));
    world.stores.right.deliver(&inbox, b"Subject: like\r\n\r\nb", flags(&[]));
    let summary = world.sync().await;
    assert_eq!(summary.paired, 22);
    assert_eq!((summary.done.left.copied, summary.done.right.copied), (2, 1));
    let all = world.assert_equal();
    assert_eq!(all.values().sum::<usize>(), 25);
    assert!(world.sync().await.is_quiet());
}

/// A message that was just moved was taken for removed, as its new folder had been looked at
/// before, and the connection was lost between the mark and the removal.
#[tokio::test]
async fn the_mark_of_a_removal_that_was_cut_off_does_not_come_along_with_a_move() {
    let mut world = World::plain();
    let (inbox, archive) = (folder("INBOX"), folder("Archive"));
    let (moved, removed) = (world.message(), world.message());
    for body in [&moved, &removed] {
        world.stores.left.deliver(&inbox, body, flags(&["\\Seen"]));
    }
    world.stores.left.add_folder(&archive);
    world.settle().await;
    for body in [&moved, &removed] {
        let key = world.find(Side::Right, body).unwrap().1;
        world.stores.right.set_flags(&inbox, &key, flags(&["\\Seen", "\\Deleted"]));
    }
    world.stores.left.shift(&inbox, &world.find(Side::Left, &moved).unwrap().1, &archive);
    world.stores.left.take(&inbox, &world.find(Side::Left, &removed).unwrap().1);
    world.settle().await;
    let all = world.assert_equal();
    let body = String::from_utf8(moved).unwrap();
    let expected = ("Archive".to_owned(), body, flags(&["\\Seen"]).to_string());
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [(expected, 1)]);
}

/// A server that does not tell what it calls what it got, and a person who is quick.
#[tokio::test]
async fn what_is_removed_before_its_key_is_told_stays_removed() {
    let mut acted = 0;
    for (incremental, calls) in
        [false, true].into_iter().flat_map(|it| (0..60).map(move |n| (it, n)))
    {
        let right = MemoryOptions { incremental, tells_keys: false, ..MemoryOptions::default() };
        let mut world = World::new(Sides { left: MemoryOptions::default(), right });
        let (inbox, archive) = (folder("INBOX"), folder("Archive"));
        world.stores.left.add_folder(&archive);
        world.settle().await;
        let (removed, moved, twin) = (world.message(), world.message(), world.message());
        for body in [&removed, &moved, &twin, &twin] {
            world.stores.left.deliver(&inbox, body, flags(&["\\Seen"]));
        }
        let (stores, bodies) = (world.stores.clone(), (removed.clone(), moved.clone()));
        let done = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&done);
        world.fuse.surprise(calls, move || {
            for (folder, key, body, _) in stores.right.contents() {
                if body == bodies.0 {
                    stores.right.take(&folder, &key);
                    noted.store(true, Ordering::SeqCst);
                } else if body == bodies.1 {
                    stores.right.shift(&folder, &key, &archive);
                }
            }
        });
        // It may come late, in a round that finds nothing else to do.
        for _ in 0..8 {
            world.settle().await;
        }
        let all = world.assert_equal();
        let count = |body: &[u8]| -> usize {
            let body = String::from_utf8_lossy(body);
            all.iter().filter(|(key, _)| key.1 == body).map(|(_, count)| count).sum()
        };
        let was_removed = done.load(Ordering::SeqCst);
        acted += usize::from(was_removed);
        let expected = (usize::from(!was_removed), 1, 2);
        assert_eq!((count(&removed), count(&moved), count(&twin)), expected, "{calls}: {all:?}");
    }
    assert!(acted > 20, "the person was quick enough {acted} times only");
}

#[tokio::test]
async fn flags_removals_and_moves_are_followed() {
    let mut world = World::plain();
    let (inbox, archive) = (folder("INBOX"), folder("Archive"));
    let bodies: Vec<_> = (0..6).map(|_| world.message()).collect();
    for body in &bodies {
        world.stores.left.deliver(&inbox, body, flags(&["\\Flagged"]));
    }
    world.stores.right.add_folder(&archive);
    world.settle().await;
    let key = |side, at: usize| world.find(side, &bodies[at]).unwrap().1;
    world.stores.left.set_flags(&inbox, &key(Side::Left, 0), flags(&["\\Flagged", "\\Seen"]));
    world.stores.right.set_flags(&inbox, &key(Side::Right, 0), flags(&["x"]));
    world.stores.left.take(&inbox, &key(Side::Left, 1));
    world.stores.right.take(&inbox, &key(Side::Right, 2));
    world.stores.left.shift(&inbox, &key(Side::Left, 3), &archive);
    world.stores.right.shift(&inbox, &key(Side::Right, 4), &archive);
    let summary = world.sync().await;
    let all = world.assert_equal();
    assert_eq!(all.len(), 4);
    let found = |at: usize| {
        let body = String::from_utf8(bodies[at].clone()).unwrap();
        all.keys().find(|key| key.1 == body).cloned()
    };
    assert_eq!(found(0).unwrap().2, "\\Seen x");
    assert_eq!((found(1), found(2)), (None, None));
    assert_eq!(found(3).unwrap().0, "Archive");
    assert_eq!((summary.done.left.moved, summary.done.right.moved), (1, 1));
    assert_eq!((summary.done.left.copied, summary.done.right.copied), (0, 0));
    assert_eq!((summary.done.left.removed, summary.done.right.removed), (1, 1));
    assert!(world.sync().await.is_quiet());
}

#[tokio::test]
async fn an_emptied_side_removes_nothing_until_it_is_approved() {
    let mut world = World::plain();
    world.settings.guard = Guard::default();
    let inbox = folder("INBOX");
    for _ in 0..30 {
        let body = world.message();
        world.stores.left.deliver(&inbox, &body, flags(&[]));
    }
    world.settle().await;
    for (folder, key, ..) in world.stores.left.contents() {
        world.stores.left.take(&folder, &key);
    }
    let new = world.message();
    world.stores.right.deliver(&inbox, &new, flags(&[]));
    let held = world.sync().await;
    assert_eq!(held.held.len(), 1);
    assert_eq!(held.done.right.removed, 0);
    assert_eq!(held.done.left.copied, 1, "the rest goes on");
    // The same set has the same token, and another set does not.
    let token = held.held[0].token.clone();
    assert_eq!(world.sync().await.held[0].token, token);
    world.state.record(vec![mail::state::Change::Approve(token)]).await.unwrap();
    let approved = world.sync().await;
    assert_eq!((approved.held.len(), approved.done.right.removed), (0, 30));
    assert_eq!(world.assert_equal().len(), 1);
    assert_eq!(world.kept.contents().len(), 30, "what was removed is kept");
}

#[tokio::test]
async fn a_side_without_folders_or_with_another_identity_is_not_believed() {
    let mut world = World::plain();
    let body = world.message();
    world.stores.left.deliver(&folder("INBOX"), &body, flags(&[]));
    world.settle().await;
    world.stores.left.take_folder(&folder("INBOX"));
    assert!(world.run(Mode::Apply).await.is_err());
    world.stores.left.set_identity("another disk");
    assert!(world.run(Mode::Apply).await.is_err());
    assert_eq!(world.stores.right.contents().len(), 1);
}

#[tokio::test]
async fn a_lost_state_doubles_nothing() {
    let mut world = World::plain();
    let inbox = folder("INBOX");
    for _ in 0..20 {
        let body = world.message();
        world.stores.left.deliver(&inbox, &body, flags(&["\\Seen"]));
    }
    world.settle().await;
    let before = world.assert_equal();
    let other = World::plain();
    let forgetful = World { stores: world.stores.clone(), ..other };
    let summary = forgetful.sync().await;
    assert_eq!((summary.paired, summary.is_quiet()), (20, true));
    assert_eq!(forgetful.assert_equal(), before);
}

#[tokio::test]
async fn a_new_epoch_removes_and_doubles_nothing() {
    for incremental in [false, true] {
        let options = MemoryOptions { incremental, ..MemoryOptions::default() };
        let mut world = World::new(Sides { left: options.clone(), right: options });
        let inbox = folder("INBOX");
        for _ in 0..30 {
            let body = world.message();
            world.stores.left.deliver(&inbox, &body, flags(&["\\Seen"]));
        }
        world.settle().await;
        let before = world.assert_equal();
        world.stores.right.end_epoch(&inbox);
        let summary = world.sync().await;
        assert_eq!((summary.paired, summary.is_quiet()), (30, true));
        assert_eq!(world.assert_equal(), before);
        assert!(world.sync().await.is_quiet());
    }
}

#[tokio::test]
async fn folders_are_renamed_and_removed_on_the_other_side() {
    let mut world = World::plain();
    for name in ["a", "a/b", "c", "d"] {
        let body = world.message();
        world.stores.left.deliver(&folder(name), &body, flags(&[]));
    }
    world.settle().await;
    world.stores.left.move_folder(&folder("a"), &folder("z"));
    world.stores.right.take_folder(&folder("c"));
    world.stores.left.take_folder(&folder("d"));
    let new = world.message();
    world.stores.right.deliver(&folder("d"), &new, flags(&[]));
    let summary = world.sync().await;
    // A folder in which there is something new comes back with all that is in it.
    assert_eq!((summary.done.left.copied, summary.done.right.copied), (2, 0));
    let all = world.assert_equal();
    let names: Vec<_> = all.keys().map(|key| key.0.as_str()).collect();
    assert_eq!(names, ["d", "d", "z", "z/b"]);
    assert_eq!(summary.conflicts.len(), 1);
    assert!(world.sync().await.is_quiet());
}

#[tokio::test]
async fn a_plan_changes_nothing_and_can_be_applied_later() {
    let mut world = World::plain();
    let inbox = folder("INBOX");
    let (one, two) = (world.message(), world.message());
    let key = world.stores.left.deliver(&inbox, &one, flags(&[]));
    world.stores.left.deliver(&folder("New"), &two, flags(&[]));
    world.stores.left.set_options(|options| options.read_only = false);
    let planned = world.run(Mode::Plan).await.unwrap();
    assert_eq!(world.stores.right.contents().len(), 0);
    let text = serde_json::to_string(&planned.plan).unwrap();
    let written = serde_json::from_str(&text).unwrap();
    // What came later is not in the plan, and what went is no longer true.
    let later = world.message();
    world.stores.right.deliver(&inbox, &later, flags(&[]));
    world.stores.left.take(&inbox, &key);
    let done = world.run(Mode::Only(Box::new(written))).await.unwrap();
    assert_eq!((done.done.right.copied, done.done.left.copied, done.outdated), (1, 0, 1));
    world.settle().await;
    assert_eq!(world.assert_equal().len(), 2);
}

#[tokio::test]
async fn a_side_that_may_only_be_read_stays_as_it_is() {
    let mut world = World::plain();
    let inbox = folder("INBOX");
    let (one, two) = (world.message(), world.message());
    world.stores.right.deliver(&inbox, &one, flags(&[]));
    world.settle().await;
    world.stores.right.set_options(|options| options.read_only = true);
    world.stores.left.deliver(&inbox, &two, flags(&[]));
    let three = world.message();
    world.stores.right.deliver(&inbox, &three, flags(&[]));
    let (inbox, key) = world.find(Side::Left, &one).unwrap();
    world.stores.left.set_flags(&inbox, &key, flags(&["\\Seen"]));
    let before = world.everything(Side::Right);
    let summary = world.sync().await;
    assert_eq!((summary.done.left.copied, summary.done.right.copied), (1, 0));
    assert_eq!(world.everything(Side::Right), before);
    // Once it may be changed, it gets what it missed.
    world.stores.right.set_options(|options| options.read_only = false);
    world.settle().await;
    assert_eq!(world.assert_equal().len(), 3);
}

#[tokio::test]
async fn the_last_run_can_be_undone() {
    let mut world = World::plain();
    let (inbox, archive) = (folder("INBOX"), folder("Archive"));
    let bodies: Vec<_> = (0..3).map(|_| world.message()).collect();
    for body in &bodies {
        world.stores.left.deliver(&inbox, body, flags(&["\\Flagged"]));
    }
    world.stores.right.add_folder(&archive);
    world.settle().await;
    let before = world.assert_equal();
    let key = |at: usize| world.find(Side::Left, &bodies[at]).unwrap().1;
    world.stores.left.take(&inbox, &key(0));
    world.stores.left.set_flags(&inbox, &key(1), flags(&["\\Seen"]));
    world.stores.left.shift(&inbox, &key(2), &archive);
    world.sync().await;
    world.assert_equal();
    let now = || model::Time(0);
    let context = mail::engine::Context { now: &now, progress: &|_| {} };
    let undone = mail::engine::undo(&world.account(), &world.state, &context).await.unwrap();
    assert_eq!((undone.restored, undone.flagged, undone.moved, undone.skipped), (1, 1, 1, 0));
    world.settle().await;
    assert_eq!(world.assert_equal(), before);
}

#[tokio::test]
async fn events_tell_each_change_once() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("home.db");
    let mut world = World::plain();
    world.state = State::start(Database::open(&path).unwrap()).unwrap();
    let (inbox, archive) = (folder("INBOX"), folder("Archive"));
    let (one, two) = (world.message(), world.message());
    world.stores.left.deliver(&inbox, &one, flags(&[]));
    world.stores.right.add_folder(&archive);
    // What was there when the account was made is no news.
    world.settle().await;
    world.stores.right.deliver(&inbox, &two, flags(&[]));
    world.settle().await;
    let key = |world: &World, body: &[u8]| world.find(Side::Left, body).unwrap().1;
    world.stores.left.set_flags(&inbox, &key(&world, &one), flags(&["\\Seen"]));
    world.settle().await;
    world.stores.left.shift(&inbox, &key(&world, &one), &archive);
    world.stores.left.take(&inbox, &key(&world, &two));
    world.settle().await;
    let events = Database::open(&path).unwrap().events(0, 100).unwrap();
    let mut kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    kinds.retain(|kind| kind.contains("message"));
    kinds.sort_unstable();
    let short = |kind: &&str| kind.trim_start_matches("io.lockstep.mail.message.").to_owned();
    let kinds: Vec<String> = kinds.iter().map(short).collect();
    assert_eq!(kinds, ["arrived.v1", "flags.changed.v1", "moved.v1", "removed.v1"]);
    let arrived = events.iter().find(|event| event.kind.contains("arrived")).unwrap();
    assert_eq!(arrived.data["message_id"], "<2@x>");
    assert_eq!(arrived.data["side"], "right");
}
