//! Workflow definitions: publishing, retracting, deleting, going back, and what is seen of it.

use model::{
    Answer, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Error, EventBody, Page, Publish,
    Query, QueueCommand, Running, Terms, Until, Write,
};
use testkit::{World, minutes, publishing};

cases![
    publishing_makes_a_definition,
    the_same_content_again_changes_nothing,
    a_version_with_other_content_is_refused,
    a_change_over_another_revision_is_refused,
    retracting_keeps_the_versions,
    deleting_hides_the_name_and_the_revision_goes_on,
    a_published_version_cannot_be_deleted,
    going_back_publishes_an_earlier_version,
    a_bundle_is_one_change,
    a_bundle_that_fails_changes_nothing,
    one_hook_path_has_one_owner,
    a_bundle_can_hand_a_hook_path_on,
    triggers_that_say_the_same_go_on,
    each_filter_is_a_trigger,
    drafts_are_served_to_nobody,
    the_same_key_publishes_once,
    a_run_tells_of_each_stage,
    a_run_that_fails_changes_nothing,
    a_document_of_another_namespace_is_refused,
    a_write_that_publishes_does_nothing_else,
    a_sub_workflow_that_is_missing_is_a_warning,
    waiting_for_less_or_more,
    the_catalog_has_no_gaps,
    destroying_the_namespace_takes_its_definitions,
    the_pipeline_explains_itself,
];

/// Every script ends with the audit.
fn audited(w: &World) {
    assert_eq!(w.audit(), [""; 0]);
}

fn names(w: &World) -> Vec<String> {
    match w.ask_definitions(DefinitionQuery::List(Page::default())) {
        Ok(DefinitionAnswer::Definitions(found)) => found.into_iter().map(|it| it.name).collect(),
        other => panic!("asking for definitions answers {other:?}"),
    }
}

fn no_definition<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::NoSuchDefinition(_))), "{result:?}");
}

fn publishing_makes_a_definition(w: &World) {
    let w = &w.labelled();
    w.create();
    no_definition(w.try_definition("a"));
    let document = w.document("a", "1.0.0", "{every: PT5M}");
    let published = w.publish(&document);
    assert!(published.is_changed);
    assert_eq!(published.version.as_deref(), Some("1.0.0"));
    assert_eq!((published.revision, published.state.as_str()), (1, "settled"));
    assert_eq!(published.triggers.added, ["every"]);
    let definition = w.definition("a");
    assert_eq!(definition.revision, 1);
    assert_eq!(definition.published.as_deref(), Some("1.0.0"));
    assert_eq!((definition.epoch, definition.run), (published.epoch, published.run));
    let version = w.try_version("a", None).unwrap();
    assert_eq!((version.version.as_str(), version.source), ("1.0.0", document));
    let triggers = w.triggers();
    assert_eq!(triggers[0].name, "every");
    assert_eq!(triggers[0].next, Some(w.now().plus(minutes(5))));
    assert_eq!(names(w), ["a"]);
    audited(w);
}

fn the_same_content_again_changes_nothing(w: &World) {
    let w = &w.labelled();
    let first = w.publish(&w.document("a", "1.0.0", ""));
    let before = w.definition("a");
    // The same document, written in another way.
    let other = w.document("a", "1.0.0", "").replace("do:", "# a comment\ndo:");
    let again = w.publish(&other);
    assert!(!again.is_changed);
    assert_eq!((again.revision, again.epoch), (first.revision, first.epoch));
    assert_eq!(again.state, "unchanged");
    assert_eq!(w.definition("a"), before);
    audited(w);
}

fn a_version_with_other_content_is_refused(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", ""));
    let before = w.definition("a");
    let other = w.try_publish(&w.document("a", "1.0.0", "{every: PT1M}"));
    assert!(matches!(other, Err(Error::VersionConflict { .. })), "{other:?}");
    assert_eq!(w.definition("a"), before);
    assert!(w.triggers().is_empty());
    w.publish(&w.document("a", "1.1.0", "{every: PT1M}"));
    // Nor after another version was published.
    let other = w.try_publish(&w.document("a", "1.0.0", "{every: PT2M}"));
    assert!(matches!(other, Err(Error::VersionConflict { .. })), "{other:?}");
    audited(w);
}

fn a_change_over_another_revision_is_refused(w: &World) {
    let w = &w.labelled();
    let publish =
        |version, base| w.change_definition(publishing(&w.document("a", version, ""), Some(base)));
    publish("1.0.0", 0).unwrap();
    publish("1.1.0", 1).unwrap();
    let (name, base) = ("a".to_owned(), 1);
    let conflict = Error::DefinitionConflict { name, revision: 2, base };
    assert_eq!(publish("1.2.0", 1), Err(conflict));
    assert!(matches!(publish("1.2.0", 0), Err(Error::DefinitionConflict { .. })));
    assert_eq!(w.definition("a").published.as_deref(), Some("1.1.0"));
    let (name, running, terms) = ("a".to_owned(), Running::Keep, Terms::default());
    let retract = DefinitionCommand::Retract { name, base: Some(1), running, terms };
    let refused = w.change_definition(retract);
    assert!(matches!(refused, Err(Error::DefinitionConflict { .. })), "{refused:?}");
    publish("1.2.0", 2).unwrap();
    audited(w);
}

fn retracting_keeps_the_versions(w: &World) {
    let w = &w.labelled();
    no_definition(w.try_retract("a"));
    w.publish(&w.document("a", "1.0.0", "{cron: '0 9 * * *'}"));
    let retracted = w.try_retract("a").unwrap();
    assert_eq!((retracted.version, retracted.revision), (None, 2));
    assert_eq!(retracted.triggers.removed, ["cron"]);
    assert!(w.triggers().is_empty());
    assert_eq!(w.definition("a").published, None);
    let none = w.try_version("a", None);
    assert!(matches!(none, Err(Error::NoSuchVersion { .. })), "{none:?}");
    assert_eq!(w.versions("a"), ["1.0.0"]);
    assert!(!w.try_retract("a").unwrap().is_changed, "it is retracted already");
    let again = w.publish(&w.document("a", "1.0.0", "{cron: '0 9 * * *'}"));
    assert!(again.is_changed);
    assert_eq!((again.revision, again.triggers.added), (3, vec!["cron".to_owned()]));
    audited(w);
}

fn deleting_hides_the_name_and_the_revision_goes_on(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", "{every: PT5M}"));
    w.publish(&w.document("b", "1.0.0", ""));
    let id = w.definition("a").id;
    w.try_delete_definition("a").unwrap();
    no_definition(w.try_definition("a"));
    no_definition(w.try_version("a", None));
    no_definition(w.try_delete_definition("a"));
    no_definition(w.try_rollback("a", "1.0.0"));
    assert_eq!(names(w), ["b"]);
    assert!(w.triggers().is_empty());
    let again = w.publish(&w.document("a", "2.0.0", ""));
    assert_eq!(again.revision, 3);
    assert_eq!(w.definition("a").id, id);
    // What a version says stays said, also after the name was deleted.
    let other = w.try_publish(&w.document("a", "1.0.0", "{every: PT1M}"));
    assert!(matches!(other, Err(Error::VersionConflict { .. })), "{other:?}");
    audited(w);
}

fn a_published_version_cannot_be_deleted(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", ""));
    w.publish(&w.document("a", "1.1.0", "{every: PT5M}"));
    let refused = w.try_delete_version("a", "1.1.0");
    assert!(matches!(refused, Err(Error::VersionInUse { .. })), "{refused:?}");
    let missing = w.try_delete_version("a", "9.0.0");
    assert!(matches!(missing, Err(Error::NoSuchVersion { .. })), "{missing:?}");
    w.advance(minutes(1));
    let next = w.triggers()[0].next;
    let deleted = w.try_delete_version("a", "1.0.0").unwrap();
    assert_eq!(deleted.version.as_deref(), Some("1.1.0"));
    assert_eq!(deleted.triggers.unchanged, ["every"]);
    assert_eq!(w.versions("a"), ["1.1.0"]);
    assert_eq!(w.triggers()[0].next, next);
    let gone = w.try_version("a", Some("1.0.0"));
    assert!(matches!(gone, Err(Error::NoSuchVersion { .. })), "{gone:?}");
    audited(w);
}

fn going_back_publishes_an_earlier_version(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", "{every: PT5M}"));
    w.publish(&w.document("a", "1.1.0", "{cron: '0 9 * * *'}"));
    let back = w.try_rollback("a", "1.0.0").unwrap();
    assert_eq!((back.version.as_deref(), back.revision), (Some("1.0.0"), 3));
    assert_eq!(back.triggers.added, ["every"]);
    assert_eq!(back.triggers.removed, ["cron"]);
    assert_eq!(w.triggers()[0].kind, "every");
    assert_eq!(w.versions("a"), ["1.1.0", "1.0.0"]);
    assert!(!w.try_rollback("a", "1.0.0").unwrap().is_changed);
    let missing = w.try_rollback("a", "9.0.0");
    assert!(matches!(missing, Err(Error::NoSuchVersion { .. })), "{missing:?}");
    audited(w);
}

fn a_bundle_is_one_change(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("c", "1.0.0", "{every: PT5M}"));
    w.publish(&w.document("d", "1.0.0", ""));
    let revision = w.revision();
    let (name, base) = ("c".to_owned(), Some(1));
    let (running, terms) = (Running::Keep, Terms::default());
    let bundle = w.change_definitions([
        publishing(&w.document("b", "1.0.0", ""), None),
        publishing(&w.document("a", "1.0.0", "{every: PT1M}"), Some(0)),
        DefinitionCommand::Retract { name, base, running, terms },
        publishing(&w.document("d", "1.0.0", ""), None),
    ]);
    let bundle = bundle.unwrap();
    let epochs: Vec<_> = bundle.iter().map(|one| one.epoch).collect();
    assert_eq!(epochs[..3], [epochs[0]; 3], "one epoch");
    assert_eq!(bundle[0].run, bundle[1].run, "one run");
    assert!(!bundle[3].is_changed);
    let happened = w.happened_after(revision);
    let changed = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(
        happened.iter().filter(|it| matches!(it, EventBody::DefinitionsChanged(_))).count(),
        1
    );
    assert!(happened.contains(&EventBody::DefinitionsChanged(changed)), "{happened:?}");
    let run = w.pipeline_run(bundle[0].run);
    assert_eq!((run.operation.as_str(), run.state.as_str()), ("bundle", "settled"));
    assert_eq!(run.definitions, ["b", "a", "c", "d"]);
    audited(w);
}

fn a_bundle_that_fails_changes_nothing(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("b", "1.0.0", ""));
    let epoch = w.definition("b").epoch;
    let bundle = w.change_definitions([
        publishing(&w.document("a", "1.0.0", "{every: PT1M}"), None),
        publishing(&w.document("b", "1.0.0", "{every: PT1M}"), None),
    ]);
    assert!(matches!(bundle, Err(Error::VersionConflict { .. })), "{bundle:?}");
    no_definition(w.try_definition("a"));
    assert!(w.triggers().is_empty());
    assert_eq!(w.publish(&w.document("a", "1.0.0", "")).epoch, epoch + 1);
    let twice = w.change_definitions([
        publishing(&w.document("a", "1.1.0", ""), None),
        publishing(&w.document("a", "1.2.0", ""), None),
    ]);
    assert!(matches!(twice, Err(Error::BadInput(_))), "{twice:?}");
    audited(w);
}

fn hook(path: &str) -> String {
    format!(
        "{{on: {{one: {{with: {{type: io.lockstep.http.request.v1, subject: {path}}}, \
         exclusive: true}}}}}}"
    )
}

fn one_hook_path_has_one_owner(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", &hook("orders")));
    let other = w.try_publish(&w.document("b", "1.0.0", &hook("/orders/")));
    let (route, owner) = ("orders".to_owned(), "a".to_owned());
    assert_eq!(other, Err(Error::RouteTaken { route, owner }));
    no_definition(w.try_definition("b"));
    w.publish(&w.document("b", "1.0.0", &hook("other")));
    // Another version of the same definition keeps its path.
    let next = w.publish(&w.document("a", "1.1.0", &hook("orders")));
    assert_eq!(next.triggers.unchanged, ["on"]);
    w.try_retract("a").unwrap();
    w.publish(&w.document("c", "1.0.0", &hook("orders")));
    let back = w.try_rollback("a", "1.0.0");
    assert!(matches!(back, Err(Error::RouteTaken { .. })), "{back:?}");
    let computed = w.try_publish(&w.document("d", "1.0.0", &hook("'${ .path }'")));
    assert!(matches!(computed, Err(Error::BadDefinition(_))), "{computed:?}");
    audited(w);
}

fn a_bundle_can_hand_a_hook_path_on(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", &hook("one")));
    w.publish(&w.document("b", "1.0.0", &hook("two")));
    let swapped = w.change_definitions([
        publishing(&w.document("a", "1.1.0", &hook("two")), None),
        publishing(&w.document("b", "1.1.0", &hook("one")), None),
    ]);
    assert_eq!(swapped.unwrap()[0].triggers.changed, ["on"]);
    let both = w.change_definitions([
        publishing(&w.document("a", "1.2.0", &hook("three")), None),
        publishing(&w.document("b", "1.2.0", &hook("three")), None),
    ]);
    assert!(matches!(both, Err(Error::RouteTaken { .. })), "{both:?}");
    audited(w);
}

fn triggers_that_say_the_same_go_on(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", "{every: PT5M, name: often}"));
    let next = w.triggers()[0].next;
    w.advance(minutes(2));
    let kept = w.publish(&w.document("a", "1.1.0", "{name: often, every: PT5M}"));
    assert_eq!(kept.triggers.unchanged, ["often"]);
    assert_eq!(w.triggers()[0].next, next, "its next slot is where it was");
    let changed = w.publish(&w.document("a", "1.2.0", "{name: often, every: PT1M}"));
    assert_eq!(changed.triggers.changed, ["often"]);
    assert_eq!(w.triggers()[0].next, Some(w.now().plus(minutes(1))));
    audited(w);
}

fn each_filter_is_a_trigger(w: &World) {
    let w = &w.labelled();
    let on = "{on: {any: [{with: {type: com.acme.a}}, {name: b, with: {source: s}}]}}";
    let published = w.publish(&w.document("a", "1.0.0", on));
    assert_eq!(published.triggers.added, ["on-1", "b"]);
    let triggers = w.triggers();
    let found: Vec<_> = triggers.iter().map(|it| (it.name.as_str(), it.text.as_str())).collect();
    assert_eq!(found, [("b", "any event"), ("on-1", "com.acme.a")]);
    assert!(triggers.iter().all(|it| it.kind == "event" && it.next.is_none()));
    let same = "{on: {any: [{with: {type: a}}, {name: on-1, with: {type: b}}]}}";
    let same = w.try_publish(&w.document("a", "1.1.0", same));
    assert!(matches!(same, Err(Error::BadDefinition(_))), "{same:?}");
    audited(w);
}

fn drafts_are_served_to_nobody(w: &World) {
    let w = &w.labelled();
    let save = |source: &str| {
        let (name, source) = ("a".to_owned(), source.to_owned());
        w.write([DefinitionCommand::SaveDraft { name, source }]).unwrap();
    };
    let draft = || w.ask_definitions(DefinitionQuery::Draft("a".to_owned()));
    save("this is: [no document");
    assert_eq!(draft(), Ok(DefinitionAnswer::Draft("this is: [no document".to_owned())));
    no_definition(w.try_definition("a"));
    w.publish(&w.document("a", "1.0.0", ""));
    save("another");
    assert_eq!(w.definition("a").revision, 1);
    w.write([DefinitionCommand::DeleteDraft { name: "a".to_owned() }]).unwrap();
    assert_eq!(draft(), Err(Error::NoSuchDraft("a".to_owned())));
    let again = w.write([DefinitionCommand::DeleteDraft { name: "a".to_owned() }]);
    assert_eq!(again.unwrap_err(), Error::NoSuchDraft("a".to_owned()));
    audited(w);
}

fn the_same_key_publishes_once(w: &World) {
    let w = &w.labelled();
    let keyed = |version: &str| Write {
        request_id: Some("key".to_owned()),
        ..w.write_of([publishing(&w.document("a", version, ""), None)])
    };
    let first = w.send(keyed("1.0.0")).unwrap();
    w.publish(&w.document("a", "1.1.0", ""));
    let again = w.send(keyed("1.0.0")).unwrap();
    assert_eq!(again.replies, first.replies, "the same answer");
    assert_eq!(w.definition("a").published.as_deref(), Some("1.1.0"), "and no other effect");
    assert_eq!(w.send(keyed("1.2.0")), Err(Error::KeyReused("key".to_owned())));
    let failed = Write { request_id: Some("other".to_owned()), ..keyed("no version") };
    let refused = w.send(failed.clone());
    assert!(refused.is_err());
    assert_eq!(w.send(failed), refused, "a refusal is an answer, too");
    let free = Write { request_id: Some("another".to_owned()), ..keyed("1.2.0") };
    w.send(free).unwrap();
    audited(w);
}

fn a_run_tells_of_each_stage(w: &World) {
    let w = &w.labelled();
    let source = w.document("a", "1.0.0", "");
    let terms = Terms { actor: "me".to_owned(), until: Until::Settled };
    let publish = Publish { source, base: None, terms };
    let published = w.change_definition(DefinitionCommand::Publish(publish)).unwrap();
    let run = w.pipeline_run(published.run);
    let stages: Vec<_> = run.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(
        stages,
        [
            "authorize",
            "load",
            "parse",
            "normalize",
            "validate",
            "compile",
            "resolve",
            "plan-triggers",
            "prepare-extensions",
            "seal",
            "lock-head",
            "write-version",
            "write-triggers",
            "write-effects",
            "commit-extensions",
            "flip-head",
            "log",
            "apply-local",
            "poke",
            "barrier",
            "effects",
            "announce",
        ]
    );
    assert!(run.stages.iter().all(|stage| stage.outcome != "failed" && !stage.phase.is_empty()));
    assert_eq!((run.operation.as_str(), run.state.as_str()), ("publish", "settled"));
    assert_eq!(run.definitions, ["a"]);
    assert!(run.ended.is_some() && run.epoch == Some(published.epoch) && run.error.is_none());
    let listed = w.runs(Some("a"));
    assert!(listed[0].stages.is_empty(), "a list is brief");
    assert_eq!(listed.len(), 1);
    assert!(w.runs(Some("b")).is_empty());
    let unknown = w.ask_definitions(DefinitionQuery::Run(999_999));
    assert_eq!(unknown, Err(Error::NoSuchRun(999_999)));
}

fn a_run_that_fails_changes_nothing(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", ""));
    let before = w.definition("a");
    let broken = w.document("a", "1.1.0", "").replace("set:", "sett:");
    let Err(Error::BadDefinition(problems)) = w.try_publish(&broken) else {
        panic!("a broken document is published");
    };
    assert!(problems[0].starts_with("3:"), "{problems:?}");
    assert_eq!(w.definition("a"), before);
    let run = &w.runs(None)[0];
    assert_eq!((run.state.as_str(), run.epoch), ("failed", None));
    assert!(run.error.as_ref().is_some_and(|why| why.contains("3:")), "{run:?}");
    let stages = w.pipeline_run(run.id).stages;
    assert_eq!(
        stages.last().map(|it| (it.name.as_str(), it.outcome.as_str())),
        Some(("parse", "failed"))
    );
    audited(w);
}

fn a_document_of_another_namespace_is_refused(w: &World) {
    let w = &w.labelled();
    let other = w.document("a", "1.0.0", "").replace("namespace: ", "namespace: not-");
    assert!(matches!(w.try_publish(&other), Err(Error::BadDefinition(_))));
    no_definition(w.in_namespace("nowhere").try_retract("a"));
    let nowhere = w.ask(Query::Namespace(w.in_namespace("nowhere").namespace().clone()));
    assert!(testkit::absent(&nowhere), "asking to retract makes no namespace");
}

fn a_write_that_publishes_does_nothing_else(w: &World) {
    let w = &w.labelled();
    let publish = publishing(&w.document("a", "1.0.0", ""), None);
    let mixed = w.send(Write {
        commands: vec![publish.into(), QueueCommand::CreateNamespace.into()],
        ..w.write_of([QueueCommand::CreateNamespace])
    });
    assert!(matches!(mixed, Err(Error::BadInput(_))), "{mixed:?}");
}

fn a_sub_workflow_that_is_missing_is_a_warning(w: &World) {
    let w = &w.labelled();
    let namespace = w.namespace().as_str();
    let calls = |name: &str, of: &str| {
        let run =
            format!("run: {{workflow: {{namespace: {namespace}, name: {of}, version: '1.0.0'}}}}");
        w.document(name, "1.0.0", "").replace("set: {from: '1.0.0'}", &run)
    };
    let published = w.publish(&calls("a", "b"));
    assert!(published.warnings.iter().any(|it| it.contains("/b")), "{published:?}");
    let bundle = w.change_definitions([
        publishing(&calls("c", "d"), None),
        publishing(&w.document("d", "1.0.0", ""), None),
    ]);
    assert!(bundle.unwrap()[0].warnings.is_empty(), "what comes along is not missing");
    audited(w);
}

fn waiting_for_less_or_more(w: &World) {
    let w = &w.labelled();
    for (version, until) in
        [("1.0.0", Until::Committed), ("1.1.0", Until::Effective), ("1.2.0", Until::Settled)]
    {
        let source = w.document("a", version, "");
        let terms = Terms { until, ..Terms::default() };
        let publish = Publish { source, base: None, terms };
        let published = w.change_definition(DefinitionCommand::Publish(publish)).unwrap();
        let expected = if until == Until::Committed { "committed" } else { "settled" };
        assert_eq!(published.state, expected);
        assert_eq!(w.definition("a").published.as_deref(), Some(version));
    }
    audited(w);
}

fn the_catalog_has_no_gaps(w: &World) {
    let w = &w.labelled();
    let other = w.in_namespace(&format!("{}-too", w.namespace().as_str()));
    let first = w.publish(&w.document("a", "1.0.0", "")).epoch;
    other.publish(&other.document("a", "1.0.0", ""));
    w.try_publish(&w.document("a", "1.0.0", "{every: PT1M}")).unwrap_err();
    w.try_delete_definition("a").unwrap();
    let page = Page { after: Some(first - 1), limit: 0 };
    let changes = match w.ask_definitions(DefinitionQuery::Changes(page)) {
        Ok(DefinitionAnswer::Changes(changes)) => changes,
        other => panic!("asking for changes answers {other:?}"),
    };
    let found: Vec<_> =
        changes.iter().map(|it| (it.epoch, it.namespace.as_str(), it.operation.as_str())).collect();
    assert_eq!(
        found,
        [
            (first, w.namespace().as_str(), "publish"),
            (first + 1, other.namespace().as_str(), "publish"),
            (first + 2, w.namespace().as_str(), "delete"),
        ]
    );
    audited(w);
    audited(&other);
}

fn destroying_the_namespace_takes_its_definitions(w: &World) {
    let w = &w.labelled();
    w.publish(&w.document("a", "1.0.0", "{every: PT5M}"));
    let id = w.definition("a").id;
    w.destroy().unwrap();
    assert!(testkit::absent(&w.try_definition("a")));
    let again = w.publish(&w.document("a", "1.0.0", ""));
    assert_eq!(again.revision, 1, "it is another definition");
    assert!(w.definition("a").id > id);
    assert!(w.triggers().is_empty());
    audited(w);
}

fn the_pipeline_explains_itself(w: &World) {
    let answer = w.ask(Query::Definitions(w.namespace().clone(), DefinitionQuery::Pipeline));
    let Ok(Answer::Definitions(DefinitionAnswer::Pipeline(pipeline))) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!((pipeline.stages.len(), pipeline.fingerprint.len()), (22, 64));
    let w = &w.labelled();
    let published = w.publish(&w.document("a", "1.0.0", ""));
    assert_eq!(w.pipeline_run(published.run).fingerprint, pipeline.fingerprint);
}
