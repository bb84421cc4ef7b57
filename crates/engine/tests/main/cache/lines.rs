//! The cache's lines of the conformance list. The number at the start is the line.

use engine::CacheOptions;
use model::{Error, QueueCommand};
use serde_json::json;
use testkit::worker_name;

use super::{Kind, Node, spec_query, value};

/// 61. After a namespace was destroyed, asking it for an old spec says that there is none.
#[tokio::test]
async fn namespace_deletion() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    node.here().spec().await.unwrap();
    node.here().destroy_namespace().await;
    node.here().run(QueueCommand::CreateNamespace).await;
    let absent = Error::NoSuchWorkSpec("spec".to_owned());
    assert_eq!(node.here().spec().await, Err(absent.clone()));
    assert_eq!(node.here().spec().await, Err(absent));
}

/// 62. A spec that was destroyed and recreated has no units.
#[tokio::test]
async fn spec_deletion() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    for by in [node.here(), node.elsewhere()] {
        node.here().plain_spec().await;
        node.here().add("a").await;
        let first = node.here().spec().await.unwrap();
        node.here().unit("a").await.unwrap();
        by.destroy_spec().await;
        by.plain_spec().await;
        node.catch_up().await;
        let again = node.here().spec().await.unwrap();
        assert_ne!(again.id, first.id);
        assert_eq!(again.counts.total(), 0);
        assert_eq!(node.here().unit("a").await, Err(Error::NoSuchWorkUnit("a".to_owned())));
        assert_eq!(node.here().ask(spec_query(Some(first.id))).await, Err(Error::Gone));
    }
}

/// 63. The same when the namespace was destroyed and the spec recreated.
#[tokio::test]
async fn spec_deletion_with_its_namespace() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    for by in [node.here(), node.elsewhere()] {
        node.here().plain_spec().await;
        node.here().add("a").await;
        let first = node.here().spec().await.unwrap();
        node.here().unit("a").await.unwrap();
        by.destroy_namespace().await;
        by.plain_spec().await;
        node.catch_up().await;
        assert_ne!(node.here().spec().await.unwrap().id, first.id);
        assert!(node.here().unit("a").await.is_err());
    }
}

/// 64. A cached unit that was deleted and recreated in the backend shows the new data, and whoever
/// asks for the old incarnation hears that it is gone.
#[tokio::test]
async fn unit_deletion() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    let first = node.here().add_data("a", 1).await;
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 1);
    node.elsewhere().delete_all().await;
    let second = node.elsewhere().add_data("a", 2).await;
    // Who knows the new incarnation gets it, although nothing was heard of it here.
    assert_eq!(value(&node.here().unit_of("a", Some(second), 0).await.unwrap()), 2);
    node.catch_up().await;
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 2);
    assert_eq!(node.here().unit_of("a", Some(first), 0).await, Err(Error::Gone));
}

/// 65. Children that were set up in the backend are seen through the cache.
#[tokio::test]
async fn worker_children() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().run(QueueCommand::CreateWorker { worker: worker_name("parent") }).await;
    assert_eq!(node.here().worker("parent").await.unwrap().children, []);
    node.elsewhere().set_parent("child", "parent").await;
    node.catch_up().await;
    let children = [worker_name("child")];
    assert_eq!(node.here().worker("parent").await.unwrap().children, children);
    assert_eq!(node.here().worker("child").await.unwrap().parent, Some(worker_name("parent")));
}

/// Makes a node that keeps two entries, with units `a` to `d`.
async fn of_two() -> Node {
    let node = Node::with(Kind::Ours, CacheOptions { entries: 2, ..CacheOptions::default() });
    node.warm().await;
    node.here().plain_spec().await;
    for unit in ["a", "b", "c", "d"] {
        node.here().add(unit).await;
    }
    node
}

/// Reads units, and tells of each whether it was in the cache.
async fn hits(node: &Node, units: &[&str]) -> Vec<bool> {
    let mut hits = Vec::new();
    for unit in units {
        let before = node.slow.loads();
        node.here().unit(unit).await.unwrap();
        hits.push(node.slow.loads() == before);
    }
    hits
}

/// 66. What was put in is there, something else is not.
#[tokio::test]
async fn lru_simple() {
    let node = of_two().await;
    assert_eq!(hits(&node, &["a", "a", "b"]).await, [false, true, false]);
}

/// 67. Reading puts in, and the third of two evicts the oldest.
#[tokio::test]
async fn lru_auto_insert() {
    let node = of_two().await;
    assert_eq!(hits(&node, &["a", "b", "c", "b", "c"]).await, [false, false, false, true, true]);
    assert_eq!(node.cached().counts().evictions, 1);
    assert_eq!(hits(&node, &["a"]).await, [false]);
}

/// 68. A load that fails is reported, and neither puts in nor evicts; a hit loads nothing.
#[tokio::test]
async fn lru_insert_error() {
    let node = of_two().await;
    hits(&node, &["a", "b"]).await;
    let error = Error::Unavailable("the store is away".to_owned());
    node.slow.fail(Some(error.clone()));
    assert_eq!(node.here().unit("c").await, Err(error));
    assert_eq!(hits(&node, &["a", "b"]).await, [true, true]);
    node.slow.fail(None);
    assert_eq!(hits(&node, &["c"]).await, [false]);
}

/// 69. Reading refreshes: what was not used for longest goes first.
#[tokio::test]
async fn lru_order() {
    let node = of_two().await;
    assert_eq!(hits(&node, &["a", "b", "a", "c"]).await, [false, false, true, false]);
    assert_eq!(hits(&node, &["a", "b"]).await, [true, false]);
}

/// 70. Removing works, of what is not there too, and frees a place.
#[tokio::test]
async fn lru_removal() {
    let node = of_two().await;
    hits(&node, &["a", "b"]).await;
    node.here().add("a").await;
    node.here().add("d").await;
    assert_eq!(hits(&node, &["c", "b", "c"]).await, [false, true, true]);
    assert_eq!(node.cached().counts().evictions, 0);
}

/// The lines are all here.
#[test]
fn the_list_is_covered() {
    let source = include_str!("lines.rs");
    let missing = |line: &u32| !source.contains(&format!("\n/// {line}. "));
    assert_eq!((61..=70).filter(missing).collect::<Vec<_>>(), [0; 0]);
}

/// The defaults have room for what the ancestor's cache could hold.
#[test]
fn the_defaults_cover_the_ancestors_capacities() {
    let options = CacheOptions::default();
    assert!(options.namespaces >= 32);
    assert!(options.entries >= 32 * (64 + 64 * 2_048 + 256));
}

/// Bytes are bounded as well as entries, and what is too large for that is not kept.
#[tokio::test]
async fn bytes_are_bounded() {
    let options = CacheOptions { bytes: 16_000, ..CacheOptions::default() };
    let node = Node::with(Kind::Ours, options);
    node.warm().await;
    node.here().plain_spec().await;
    for unit in 0..100 {
        node.here().add(&format!("u{unit}")).await;
        node.here().unit(&format!("u{unit}")).await.unwrap();
    }
    let evictions = node.cached().counts().evictions;
    assert!((70..100).contains(&evictions), "{evictions}");
    let text = "x".repeat(10_000);
    let large = testkit::data(&json!({"large": text}));
    let unit = model::NewUnit { data: large, ..testkit::new_unit("large") };
    node.here().add_unit("spec", unit).await;
    let loads = node.slow.loads();
    for _ in 0..3 {
        node.here().unit("large").await.unwrap();
    }
    assert_eq!(node.slow.loads() - loads, 3);
    assert_eq!(hits(&node, &["u99"]).await, [true]);
}

/// A cache says how it is doing.
#[tokio::test]
async fn hits_and_misses_are_counted() {
    let node = of_two().await;
    let before = node.cached().counts();
    hits(&node, &["a", "a", "a", "b"]).await;
    let after = node.cached().counts();
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (2, 2));
}
