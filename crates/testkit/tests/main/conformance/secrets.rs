//! Secrets, as far as a caller sees them, which is never their values.

use model::{
    Answer, AuditAnswer, AuditFilter, AuditQuery, Command, Error, EventBody, Page, Query, Reply,
    Result, SecretCommand, SecretInfo, SecretName, SecretValue, Write,
};
use testkit::{World, minutes};

cases![
    secrets_are_set_replaced_and_removed,
    secrets_are_listed_by_name_and_of_their_namespace,
    the_same_request_is_done_once_and_tells_values_apart,
    what_is_said_of_a_change_is_the_name,
    sealing_anew_leaves_alone_what_is_sealed_under_the_first_key,
    secrets_go_with_their_namespace,
];

fn name(name: &str) -> SecretName {
    SecretName::new(name).unwrap()
}

fn set(of: &str, value: &str) -> SecretCommand {
    SecretCommand::Set { name: name(of), value: SecretValue::new(value.to_owned()).unwrap() }
}

fn one(w: &World, command: SecretCommand) -> Result<Reply> {
    let committed = w.write([Command::from(command)])?;
    let [reply] = <[Reply; 1]>::try_from(committed.replies).expect("one reply");
    Ok(reply)
}

fn list(w: &World, page: Page<SecretName>) -> Vec<SecretInfo> {
    match w.ask(Query::Secrets(w.namespace().clone(), page)) {
        Ok(Answer::Secrets(secrets)) => secrets,
        other => panic!("asking for a list answers {other:?}"),
    }
}

fn names(w: &World, page: Page<SecretName>) -> Vec<String> {
    list(w, page).into_iter().map(|info| info.name.to_string()).collect()
}

fn secrets_are_set_replaced_and_removed(w: &World) {
    assert_eq!(one(w, set("erp", "v1")), Ok(Reply::Done));
    let [first] = <[SecretInfo; 1]>::try_from(list(w, Page::default())).unwrap();
    assert_eq!((first.changed, first.revision), (w.now(), w.revision()));
    assert_eq!(first.key.len(), 16);
    w.advance(minutes(1));
    assert_eq!(one(w, set("erp", "v2")), Ok(Reply::Done));
    let [second] = <[SecretInfo; 1]>::try_from(list(w, Page::default())).unwrap();
    assert_eq!((second.changed, second.revision), (w.now(), w.revision()));
    assert!(second.revision > first.revision);
    assert_eq!(one(w, SecretCommand::Remove { name: name("erp") }), Ok(Reply::Done));
    assert_eq!(list(w, Page::default()), []);
    let again = one(w, SecretCommand::Remove { name: name("erp") });
    assert_eq!(again, Err(Error::NoSuchSecret("erp".to_owned())));
}

fn secrets_are_listed_by_name_and_of_their_namespace(w: &World) {
    for secret in ["b", "a", "c.1", "B", "_"] {
        one(w, set(secret, "v")).unwrap();
    }
    assert_eq!(names(w, Page::default()), ["B", "_", "a", "b", "c.1"]);
    let page = |after: &str, limit| Page { after: Some(name(after)), limit };
    assert_eq!(names(w, page("_", 2)), ["a", "b"]);
    assert_eq!(names(w, page("b", 9)), ["c.1"]);
    let other = w.in_namespace("secrets of others");
    one(&other, set("a", "v")).unwrap();
    assert_eq!(names(&other, Page::default()), ["a"]);
    let nowhere = w.in_namespace("secrets of nobody");
    let query = Query::Secrets(nowhere.namespace().clone(), Page::default());
    assert!(matches!(nowhere.ask(query), Err(Error::NoSuchNamespace(_))));
}

fn the_same_request_is_done_once_and_tells_values_apart(w: &World) {
    let write = |value: &str| Write {
        request_id: Some("once".to_owned()),
        ..w.write_of([Command::from(set("erp", value))])
    };
    let first = w.send(write("v1")).unwrap();
    assert_eq!(w.send(write("v1")).map(|again| again.revision), Ok(first.revision));
    assert_eq!(w.send(write("v2")), Err(Error::KeyReused("once".to_owned())));
    assert_eq!(list(w, Page::default())[0].revision, first.revision);
}

fn what_is_said_of_a_change_is_the_name(w: &World) {
    one(w, set("erp", "canary-1")).unwrap();
    one(w, SecretCommand::Remove { name: name("erp") }).unwrap();
    let said = EventBody::SecretChanged("erp".to_owned());
    let happened = w.happened_after(0);
    assert_eq!(happened.iter().filter(|body| **body == said).count(), 2);
    let query = AuditQuery::Rows {
        namespace: Some(w.namespace().clone()),
        filter: AuditFilter { kind: Some("secret.".to_owned()), ..AuditFilter::default() },
        before: None,
        limit: 0,
    };
    let Ok(Answer::Audit(AuditAnswer::Rows(rows, _))) = w.ask(Query::Audit(query)) else {
        panic!("no audit log")
    };
    let told: Vec<_> = rows.iter().map(|row| (row.kind.as_str(), row.record.as_str())).collect();
    assert_eq!(told, [("secret.remove", "secret/erp"), ("secret.set", "secret/erp")]);
    assert!(!format!("{rows:?}{happened:?}").contains("canary-"));
}

fn sealing_anew_leaves_alone_what_is_sealed_under_the_first_key(w: &World) {
    for secret in ["a", "b"] {
        one(w, set(secret, "v")).unwrap();
    }
    let before = (w.revision(), list(w, Page::default()));
    let reply = one(w, SecretCommand::Reseal { after: None });
    assert_eq!(reply, Ok(Reply::Resealed { count: 0, next: None }));
    assert_eq!((w.revision(), list(w, Page::default())), before);
}

fn secrets_go_with_their_namespace(w: &World) {
    one(w, set("erp", "v")).unwrap();
    w.destroy().unwrap();
    w.create();
    assert_eq!(list(w, Page::default()), []);
}
