//! Users and their roles. Sessions are for servers alone, whose tests have them.

use model::{
    Answer, AuditAnswer, AuditFilter, AuditQuery, Error, Grant, Identity, Namespace, Page,
    PasswordHash, Query, Role, UserAnswer, UserChange, UserCommand, UserInfo, UserName, UserQuery,
    limits,
};
use testkit::World;

cases![
    a_user_is_added_once_changed_and_removed,
    there_is_one_role_for_each_place,
    users_are_listed_in_the_order_of_their_names,
    a_password_is_seen_nowhere,
    what_changes_nothing_leaves_no_row_of_users,
];

/// A hash that is in the right form, and of nothing.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5dR8bB0V2y7qk1bX";

fn name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn grant(role: Role, namespace: Option<&str>) -> Grant {
    Grant { role, namespace: namespace.map(|name| Namespace::new(name).unwrap()) }
}

fn add(w: &World, user: &str, grants: Vec<Grant>) -> Result<(), Error> {
    let password = Some(PasswordHash::new(HASH).unwrap());
    let identity = None;
    w.write([UserCommand::Add { name: name(user), password, grants, identity }]).map(drop)
}

fn change(w: &World, user: &str, change: UserChange) -> Result<(), Error> {
    w.write([UserCommand::Change { name: name(user), change }]).map(drop)
}

fn remove(w: &World, user: &str) -> Result<(), Error> {
    w.write([UserCommand::Remove { name: name(user) }]).map(drop)
}

fn ask(w: &World, query: UserQuery) -> Result<UserAnswer, Error> {
    match w.ask(Query::Users(query))? {
        Answer::Users(answer) => Ok(answer),
        other => panic!("asking about users answers {other:?}"),
    }
}

fn show(w: &World, user: &str) -> Result<UserInfo, Error> {
    match ask(w, UserQuery::One(name(user)))? {
        UserAnswer::User(info, sessions) => {
            assert_eq!(sessions, []);
            Ok(info)
        }
        other => panic!("asking for a user answers {other:?}"),
    }
}

fn names(w: &World, after: Option<&str>, limit: u32) -> Vec<String> {
    match ask(w, UserQuery::List(Page { after: after.map(name), limit })) {
        Ok(UserAnswer::Users(users)) => users.iter().map(|user| user.name.to_string()).collect(),
        other => panic!("listing users answers {other:?}"),
    }
}

fn a_user_is_added_once_changed_and_removed(w: &World) {
    let none = Err(Error::NoSuchUser("ann".to_owned()));
    assert_eq!(show(w, "ann"), none.clone().map(|()| unreachable!()));
    assert_eq!(change(w, "ann", UserChange::Disable), none);
    assert_eq!(remove(w, "ann"), none);
    add(w, "ann", vec![grant(Role::View, None)]).unwrap();
    assert_eq!(add(w, "ann", vec![]), Err(Error::UserExists("ann".to_owned())));
    let user = show(w, "ann").unwrap();
    assert_eq!((user.created, user.is_disabled, user.has_password), (w.now(), false, true));
    assert_eq!((user.grants, user.identity), (vec![grant(Role::View, None)], None));
    change(w, "ann", UserChange::Disable).unwrap();
    assert!(show(w, "ann").unwrap().is_disabled);
    change(w, "ann", UserChange::Enable).unwrap();
    assert!(!show(w, "ann").unwrap().is_disabled);
    remove(w, "ann").unwrap();
    assert!(show(w, "ann").is_err());
    let issuer = "https://id.example".to_owned();
    let identity = Some(Identity { issuer, subject: "1".to_owned() });
    let elsewhere = UserCommand::Add {
        name: name("ann"),
        password: None,
        grants: vec![],
        identity: identity.clone(),
    };
    w.write([elsewhere]).unwrap();
    let user = show(w, "ann").unwrap();
    assert_eq!((user.identity, user.has_password), (identity, false));
}

fn there_is_one_role_for_each_place(w: &World) {
    let (shop, all) = (grant(Role::View, Some("shop")), grant(Role::View, None));
    let twice = vec![shop.clone(), grant(Role::Admin, Some("shop"))];
    assert!(matches!(add(w, "ann", twice.clone()), Err(Error::BadInput(_))));
    assert!(show(w, "ann").is_err(), "what is refused leaves nothing");
    add(w, "ann", vec![shop, all.clone()]).unwrap();
    let author = grant(Role::Author, Some("shop"));
    change(w, "ann", UserChange::Grant(author.clone())).unwrap();
    assert_eq!(show(w, "ann").unwrap().grants, [all, author.clone()]);
    change(w, "ann", UserChange::Ungrant { namespace: None }).unwrap();
    assert_eq!(show(w, "ann").unwrap().grants, [author]);
    let again = change(w, "ann", UserChange::Ungrant { namespace: None });
    assert!(matches!(again, Err(Error::BadInput(_))), "{again:?}");
    assert!(matches!(change(w, "ann", UserChange::Grants(twice)), Err(Error::BadInput(_))));
    let many = (0..=limits::GRANTS_MAX).map(|n| grant(Role::View, Some(&n.to_string())));
    let many = change(w, "ann", UserChange::Grants(many.collect()));
    assert!(matches!(many, Err(Error::TooLarge { .. })), "{many:?}");
    change(w, "ann", UserChange::Grants(vec![])).unwrap();
    assert_eq!(show(w, "ann").unwrap().grants, []);
}

fn users_are_listed_in_the_order_of_their_names(w: &World) {
    assert_eq!(names(w, None, 0), [""; 0]);
    for user in ["bob", "ann", "Zoe", "é", "ann b"] {
        add(w, user, vec![]).unwrap();
    }
    assert_eq!(names(w, None, 0), ["Zoe", "ann", "ann b", "bob", "é"]);
    assert_eq!(names(w, None, 2), ["Zoe", "ann"]);
    assert_eq!(names(w, Some("ann"), 2), ["ann b", "bob"]);
    assert_eq!(names(w, Some("é"), 2), [""; 0]);
}

fn a_password_is_seen_nowhere(w: &World) {
    add(w, "ann", vec![]).unwrap();
    let again = HASH.replace("c29t", "d29t");
    change(w, "ann", UserChange::Password(PasswordHash::new(again).unwrap())).unwrap();
    let rows = rows(w);
    assert_eq!(
        rows.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
        ["user.password", "user.add",]
    );
    let shown = format!("{rows:?} {:?}", show(w, "ann"));
    assert!(!shown.contains("argon2") && !shown.contains("c29t"), "{shown}");
    let events = format!("{:?}", w.events_after(0));
    assert!(events.contains("UserChanged(\"user/ann\")") && !events.contains("argon2"), "{events}");
}

fn rows(w: &World) -> Vec<(String, String)> {
    let filter = AuditFilter { kind: Some("user.".to_owned()), ..AuditFilter::default() };
    let query = AuditQuery::Rows { namespace: None, filter, before: None, limit: 0 };
    match w.ask(Query::Audit(query)) {
        Ok(Answer::Audit(AuditAnswer::Rows(rows, None))) => {
            rows.into_iter().map(|row| (row.kind, row.summary)).collect()
        }
        other => panic!("asking for rows answers {other:?}"),
    }
}

fn what_changes_nothing_leaves_no_row_of_users(w: &World) {
    let shop = grant(Role::Operate, Some("shop"));
    add(w, "ann", vec![shop.clone()]).unwrap();
    change(w, "ann", UserChange::Grant(shop)).unwrap();
    change(w, "ann", UserChange::Enable).unwrap();
    let expected = ("user.add".to_owned(), "operate in namespace \"shop\"".to_owned());
    assert_eq!(rows(w), [expected]);
}
