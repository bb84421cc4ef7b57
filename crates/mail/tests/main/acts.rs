//! What workflows do to mail: on both sides and in the agreed state.

use mail::{
    FlagChange, Key, Side,
    driver::memory::MemoryOptions,
    engine::{Acted, Action, Context, Message, Mode, New, Session, Tell},
    mime,
};
use model::{Error, Result, Time};

use crate::world::{World, flags, folder};

async fn act(world: &World, action: &Action, tell: Tell) -> Result<Acted> {
    let now = || Time(1_800_000_000_000_000_000);
    let context = Context { now: &now, progress: &|_| {} };
    let account = world.account();
    Session::new(&account, &world.state, &context).act(action, tell).await
}

/// Gives a world in which both sides have a message, and its name as an event tells it.
async fn with_message() -> (World, Vec<u8>, Message) {
    let mut world = World::plain();
    let body = world.message();
    world.stores.right.deliver(&folder("INBOX"), &body, flags(&[]));
    world.settle().await;
    let snapshot = world.state.snapshot(&folder("INBOX")).await.unwrap();
    let pair = snapshot.pairs().first().unwrap();
    let message = Message {
        folder: folder("INBOX"),
        side: Side::Right,
        key: pair.keys.right.clone(),
        epoch: None,
        identity: pair.identity,
    };
    (world, body, message)
}

/// Makes sure that a round finds nothing that is new to it.
async fn assert_known(world: &World) {
    let summary = world.run(Mode::Plan).await.unwrap();
    assert!(summary.plan.is_empty(), "{:?}", summary.plan);
    world.sync().await;
    world.assert_equal();
}

#[tokio::test]
async fn a_message_is_moved_on_both_sides_and_the_next_round_knows_it() {
    let (world, body, message) = with_message().await;
    let archive = folder("Archive/2026");
    let action = Action::Move(message, archive.clone());
    for _ in 0..2 {
        // Done twice, as after a crash, it is done once.
        let acted = act(&world, &action, Tell::Nobody).await.unwrap();
        assert!(matches!(acted, Acted::There(there, Some(_)) if there == archive));
        assert_known(&world).await;
    }
    for side in Side::BOTH {
        assert_eq!(world.find(side, &body).unwrap().0, archive);
    }
}

#[tokio::test]
async fn flags_change_on_both_sides_and_a_message_that_is_gone_is_told() {
    let (world, body, message) = with_message().await;
    let change = FlagChange { add: flags(&["\\Seen", "filed"]), remove: flags(&["\\Flagged"]) };
    act(&world, &Action::Flag(message.clone(), change), Tell::Nobody).await.unwrap();
    let all = world.assert_equal();
    assert!(all.keys().all(|(_, _, has)| *has == flags(&["\\Seen", "filed"]).to_string()));
    assert_known(&world).await;
    let Acted::Read(read) =
        act(&world, &Action::Fetch(message.clone()), Tell::Nobody).await.unwrap()
    else {
        panic!("it was not read")
    };
    assert_eq!(read, body);
    assert_eq!(mime::read(&read).text, "body 1\r\n");
    let other = Message { epoch: Some("another".into()), identity: None, ..message.clone() };
    let key = world.find(Side::Left, &body).unwrap().1;
    world.stores.left.take(&folder("INBOX"), &key);
    world.settle().await;
    for gone in [message, other] {
        let told = act(&world, &Action::Fetch(gone), Tell::Nobody).await;
        assert_eq!(told, Err(Error::Gone));
    }
}

#[tokio::test]
async fn a_message_that_is_made_is_there_once_however_often_it_is_tried() {
    for knows_keys in [true, false] {
        let options = MemoryOptions { tells_keys: knows_keys, ..MemoryOptions::default() };
        let world = World::new(mail::Sides { left: options.clone(), right: options });
        let content = b"Message-ID: <n@x>\r\nSubject: new\r\n\r\nhello\r\n".to_vec();
        let (folder, flags) = (folder("Notes"), flags(&["\\Seen"]));
        let new = New { folder, content, flags, name: "abc123".into() };
        for _ in 0..3 {
            act(&world, &Action::Append(new.clone()), Tell::Nobody).await.unwrap();
        }
        world.settle().await;
        assert_eq!(world.assert_equal().values().sum::<usize>(), 1);
        let name = Key::name("abc123").unwrap();
        let overview = world.state.overview(Time(0)).await.unwrap();
        assert!(overview.intents.values().all(|open| !open.contains_key(&name)));
    }
}
