//! Namespaces.

use model::{Answer, EventBody, Namespace, NamespaceInfo, Page, Query};
use testkit::{World, absent};

cases![
    namespace_trivial,
    namespaces,
    creating_again_changes_nothing,
    writing_creates_the_namespace,
    destroying_empties_the_namespace,
    a_namespace_made_again_is_another_one,
    namespaces_are_paged,
];

fn all_of(w: &World, page: Page<Namespace>) -> Vec<NamespaceInfo> {
    match w.ask(Query::Namespaces(page)) {
        Ok(Answer::Namespaces(infos)) => infos,
        other => panic!("asking for all namespaces answers {other:?}"),
    }
}

fn info(w: &World) -> NamespaceInfo {
    match w.ask(Query::Namespace(w.namespace().clone())) {
        Ok(Answer::Namespace(info)) => info,
        other => panic!("asking for a namespace answers {other:?}"),
    }
}

/// 1. A namespace made by name reports that name.
fn namespace_trivial(w: &World) {
    w.create();
    assert_eq!(info(w).name, *w.namespace());
}

/// 2. The list of namespaces contains one just made.
fn namespaces(w: &World) {
    w.create();
    assert!(all_of(w, Page::default()).contains(&info(w)));
}

fn creating_again_changes_nothing(w: &World) {
    w.create();
    let before = info(w);
    w.create();
    assert_eq!(info(w), before);
}

fn writing_creates_the_namespace(w: &World) {
    assert!(absent(&w.ask(Query::Namespace(w.namespace().clone()))));
    w.plain_spec("spec");
    assert_eq!(info(w).revision, 1);
    assert_eq!(w.happened_after(0).first(), Some(&EventBody::NamespaceCreated));
}

fn destroying_empties_the_namespace(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b"]);
    let attempt = w.claim_one();
    w.destroy().unwrap();
    assert!(absent(&w.ask(Query::Namespace(w.namespace().clone()))));
    assert!(absent(&w.try_attempt(attempt.as_ref())));
    assert!(absent(&w.finish(&attempt)));
    assert!(absent(&w.try_worker("worker")));
    assert!(!all_of(w, Page::default()).iter().any(|info| info.name == *w.namespace()));
    assert!(absent(&w.destroy()));
}

fn a_namespace_made_again_is_another_one(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let (before, attempt) = (info(w), w.claim_one());
    w.destroy().unwrap();
    w.create();
    let after = info(w);
    assert_ne!(after.id, before.id);
    assert!(after.revision > before.revision, "the history of a name goes on");
    assert_eq!(w.spec_names(), [""; 0]);
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    assert!(absent(&w.finish(&attempt)), "an attempt of the destroyed namespace is gone");
    assert!(w.claim_one().id > attempt.id, "ids are never reused");
}

fn namespaces_are_paged(w: &World) {
    let names: Vec<_> = ["p/a", "p/b", "p/c"].iter().map(|n| w.in_namespace(n)).collect();
    names.iter().for_each(World::create);
    let after = Namespace::new("p/").unwrap();
    let first = all_of(w, Page { after: Some(after), limit: 2 });
    assert_eq!(first, [info(&names[0]), info(&names[1])]);
    let rest = all_of(w, Page { after: Some(first[1].name.clone()), limit: 2 });
    assert_eq!(rest.first(), Some(&info(&names[2])));
}
