//! The audit log.

use model::{
    AdminCommand, Answer, AuditAnswer, AuditEntry, AuditFilter, AuditQuery, ChainCheck, Command,
    Control, Namespace, Page, Query, QueueCommand, Scope, Time, TokenInfo, UnitChange, UnitFilter,
    Write,
};
use serde_json::json;
use testkit::{World, minutes, spec_name};

cases![
    each_change_has_a_row_in_the_same_commit,
    what_workers_do_is_not_in_it,
    what_fails_or_changes_nothing_leaves_no_row,
    publishing_and_drafts_are_in_it,
    the_installation_has_a_chain_of_its_own,
    values_are_never_in_it,
    rows_are_filtered_and_paged_from_the_newest_on,
    a_namespace_keeps_its_chain_when_it_is_destroyed,
];

fn ask(w: &World, query: AuditQuery) -> AuditAnswer {
    match w.ask(Query::Audit(query)) {
        Ok(Answer::Audit(answer)) => answer,
        other => panic!("asking about the audit log answers {other:?}"),
    }
}

fn page(
    w: &World,
    filter: AuditFilter,
    before: Option<u64>,
    limit: u32,
) -> (Vec<AuditEntry>, Option<u64>) {
    let namespace = Some(w.namespace().clone());
    match ask(w, AuditQuery::Rows { namespace, filter, before, limit }) {
        AuditAnswer::Rows(rows, next) => (rows, next),
        other => panic!("asking for rows answers {other:?}"),
    }
}

/// Gives all rows of a chain, oldest first, having followed it to its end.
fn chain(w: &World, namespace: Option<&Namespace>) -> Vec<AuditEntry> {
    let query = AuditQuery::Chain(namespace.cloned(), Page::default());
    let AuditAnswer::Chain { rows, head } = ask(w, query) else { panic!("no chain") };
    let mut check = ChainCheck::new(namespace.map(Namespace::as_str));
    rows.iter().for_each(|(seq, entry)| check.row(*seq, entry.as_ref()));
    assert_eq!(check.end(head.as_ref()), Vec::<String>::new());
    rows.into_iter().map(|(_, entry)| entry.expect("a row that can be read")).collect()
}

fn own(w: &World) -> Vec<AuditEntry> {
    chain(w, Some(w.namespace()))
}

fn kinds(rows: &[AuditEntry]) -> Vec<&str> {
    rows.iter().map(|row| row.kind.as_str()).collect()
}

fn revision(w: &World) -> u64 {
    match w.ask(Query::Namespace(w.namespace().clone())) {
        Ok(Answer::Namespace(info)) => info.revision,
        other => panic!("asking for a namespace answers {other:?}"),
    }
}

fn paused() -> Control {
    Control { paused: Some(true), priority: Some(3), ..Control::default() }
}

fn each_change_has_a_row_in_the_same_commit(w: &World) {
    w.create();
    w.plain_spec("s");
    w.control("s", paused()).unwrap();
    w.add("s", ["a", "b", "c"]);
    let two = UnitFilter { limit: 2, ..UnitFilter::default() };
    w.set_units("s", two, UnitChange::Priority(7.0));
    w.delete("s", UnitFilter::default());
    w.destroy_spec("s").unwrap();
    let rows = own(w);
    let expected = [
        "namespace.create",
        "spec.set",
        "spec.control",
        "unit.priority",
        "unit.delete",
        "spec.destroy",
    ];
    assert_eq!(kinds(&rows), expected);
    assert_eq!(rows[2].record, "spec/s");
    assert_eq!(rows[2].summary, "paused true, priority 3");
    assert_eq!(rows[3].summary, "2 units to 7");
    assert_eq!(rows[4].summary, "3 units");
    let revisions: Vec<u64> = rows.iter().map(|row| row.revision).collect();
    assert_eq!(revisions, [1, 2, 3, 5, 6, 7], "the additions are revision 4");
    assert_eq!(revision(w), 7);
    assert!(rows.iter().all(|row| row.time == w.now()));
}

fn what_workers_do_is_not_in_it(w: &World) {
    w.plain_spec("s");
    w.add("s", ["a", "b", "c"]);
    w.finish(&w.claim_one()).unwrap();
    let attempt = w.claim_one();
    w.renew(&attempt, minutes(5)).unwrap();
    w.fail(&attempt).unwrap();
    w.expire(&w.claim_one()).unwrap();
    assert_eq!(kinds(&own(w)), ["spec.set"]);
}

fn what_fails_or_changes_nothing_leaves_no_row(w: &World) {
    w.plain_spec("s");
    w.create();
    assert!(w.control("none", paused()).is_err());
    // The first command of a write that fails leaves nothing either.
    let control = QueueCommand::ControlSpec {
        spec: model::SpecRef { name: spec_name("s"), id: None },
        control: paused(),
    };
    let lost =
        QueueCommand::DestroySpec { spec: model::SpecRef { name: spec_name("none"), id: None } };
    assert!(w.write([control.clone(), lost]).is_err());
    assert_eq!(kinds(&own(w)), ["spec.set"]);
    // A key that is used again has one effect and one row.
    let keyed = Write { request_id: Some("key".to_owned()), ..w.write_of([control]) };
    w.send(keyed.clone()).unwrap();
    w.send(keyed).unwrap();
    assert_eq!(kinds(&own(w)), ["spec.set", "spec.control"]);
}

fn publishing_and_drafts_are_in_it(w: &World) {
    let w = &w.labelled();
    let draft = |name: &str| model::DefinitionCommand::SaveDraft {
        name: name.to_owned(),
        source: "not right yet".to_owned(),
    };
    w.write([draft("a")]).unwrap();
    w.publish(&w.document("a", "1.0.0", ""));
    // The same again changes nothing.
    w.publish(&w.document("a", "1.0.0", ""));
    w.publish(&w.document("a", "1.1.0", ""));
    w.try_rollback("a", "1.0.0").unwrap();
    assert!(w.try_publish("nonsense").is_err());
    w.try_retract("a").unwrap();
    w.try_delete_definition("a").unwrap();
    let rows = own(w);
    let expected = [
        "definition.draft",
        "definition.publish",
        "definition.publish",
        "definition.rollback",
        "definition.retract",
        "definition.delete",
    ];
    assert_eq!(kinds(&rows), expected);
    assert!(rows.iter().all(|row| row.record == "definition/a"), "{rows:?}");
    assert!(rows[2].summary.starts_with("version 1.1.0, run "), "{}", rows[2].summary);
}

fn token(id: &str) -> Command {
    let info = TokenInfo {
        id: id.to_owned(),
        namespace: None,
        scopes: vec![Scope::ALL],
        created: Time(0),
        expires: None,
    };
    Command::Admin(AdminCommand::CreateToken { info, hash: [7; 32] })
}

fn the_installation_has_a_chain_of_its_own(w: &World) {
    w.write([token("one")]).unwrap();
    w.plain_spec("s");
    let other = w.in_namespace("other");
    other.plain_spec("s");
    w.write([Command::Admin(AdminCommand::RevokeToken { id: "one".to_owned() })]).unwrap();
    let rows = chain(w, None);
    assert_eq!(kinds(&rows), ["token.create", "audit.begin", "audit.begin", "token.revoke"]);
    assert_eq!((rows[0].record.as_str(), rows[0].namespace.as_ref()), ("token/one", None));
    assert_eq!(rows[0].summary, "*:* in all namespaces");
    assert_eq!(rows[2].record, "namespace/other");
    assert_eq!(kinds(&own(w)), ["spec.set"]);
    let AuditAnswer::Heads(heads) = ask(w, AuditQuery::Heads(Page::default())) else {
        panic!("no heads");
    };
    let names: Vec<_> = heads.iter().map(|(_, head)| head.namespace.as_deref()).collect();
    assert_eq!(names, [None, Some(w.namespace().as_str()), Some("other")]);
}

fn values_are_never_in_it(w: &World) {
    let secret = "correct-horse-battery";
    w.set_spec(&json!({"name": "s", "password": secret}));
    w.change_spec("s", &json!({"name": "s", "key": secret})).unwrap();
    w.add("s", ["a"]);
    let data = testkit::data(&json!({ "token": secret }));
    w.set_units("s", UnitFilter::default(), UnitChange::Data(data));
    let rows = own(w);
    assert_eq!(kinds(&rows), ["spec.set", "spec.change", "unit.data"]);
    assert_eq!(rows[0].summary, "keys: name, password");
    assert!(!format!("{rows:?}").contains(secret));
}

fn rows_are_filtered_and_paged_from_the_newest_on(w: &World) {
    w.plain_spec("a");
    w.advance(minutes(1));
    let middle = w.now();
    w.plain_spec("b");
    w.control("a", paused()).unwrap();
    w.advance(minutes(1));
    w.control("b", paused()).unwrap();
    let of = |filter: AuditFilter| {
        let (rows, next) = page(w, filter, None, 0);
        assert_eq!(next, None);
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    let all = AuditFilter::default;
    assert_eq!(of(all()), [4, 3, 2, 1]);
    assert_eq!(of(AuditFilter { kind: Some("spec.control".to_owned()), ..all() }), [4, 3]);
    assert_eq!(of(AuditFilter { kind: Some("spec.".to_owned()), ..all() }), [4, 3, 2, 1]);
    assert_eq!(of(AuditFilter { record: Some("spec/a".to_owned()), ..all() }), [3, 1]);
    assert_eq!(of(AuditFilter { actor: Some("nobody".to_owned()), ..all() }), [0; 0]);
    assert_eq!(of(AuditFilter { since: Some(middle), ..all() }), [4, 3, 2]);
    let until = Some(middle.plus(minutes(1)));
    assert_eq!(of(AuditFilter { since: Some(middle), until, ..all() }), [3, 2]);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let (rows, next) = page(w, all(), before, 3);
        seen.extend(rows.iter().map(|row| row.seq));
        before = next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [4, 3, 2, 1]);
}

fn a_namespace_keeps_its_chain_when_it_is_destroyed(w: &World) {
    w.plain_spec("s");
    w.destroy().unwrap();
    assert_eq!(kinds(&own(w)), ["spec.set", "namespace.destroy"]);
    w.plain_spec("s");
    assert_eq!(kinds(&own(w)), ["spec.set", "namespace.destroy", "spec.set"]);
}
