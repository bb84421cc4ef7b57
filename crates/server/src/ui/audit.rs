//! The audit log: who changed what and when, and whether its rows are as they were written.

use askama::Template;
use model::{
    Access, Answer, AuditAnswer, AuditEntry, AuditFilter, AuditQuery, ChainCheck, Error, Namespace,
    Page, Query, Resource, Result, Verb, limits,
};
use serde::Serialize;

use super::{
    ask,
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, mismatch, take},
    outcome::Outcome,
};

#[derive(Template, Serialize)]
#[template(path = "audit.html")]
struct Audit {
    /// The chain; none is that of the installation.
    namespace: Option<Namespace>,
    filter: AuditFilter,
    rows: Vec<AuditEntry>,
    /// Where the next page begins.
    before: Option<u64>,
    /// What following the chain has shown, if that was asked for.
    verdict: Option<Verdict>,
    /// The namespaces that the visitor can choose from.
    #[serde(skip)]
    namespaces: Vec<Namespace>,
}

/// What following a chain has shown.
#[derive(Serialize)]
struct Verdict {
    /// Rows that were followed.
    followed: u64,
    /// Whether these are all.
    is_whole: bool,
    faults: Vec<String>,
    /// The end, as `lockstep audit verify --end` takes it.
    end: Option<String>,
}

impl Audit {
    /// Gives the address of this list with another value of a parameter.
    fn with(&self, name: &str, value: &str) -> String {
        let own = |key: &str, own: Option<&str>| match key == name {
            true => Some(value.to_owned()).filter(|value| !value.is_empty()),
            false => own.map(str::to_owned),
        };
        let namespace = self.namespace.as_ref().map(|name| format!("={}", name.as_str()));
        let pairs = [
            // The default namespace has an empty name, and the installation none.
            ("chain", own("chain", namespace.as_deref())),
            ("actor", own("actor", self.filter.actor.as_deref())),
            ("kind", own("kind", self.filter.kind.as_deref())),
            ("record", own("record", self.filter.record.as_deref())),
            ("before", own("before", None)),
            ("verify", own("verify", None)),
        ];
        let pairs = pairs.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let pairs: Vec<_> =
            pairs.map(|(key, value)| format!("{key}={}", place::value(&value))).collect();
        if pairs.is_empty() {
            place::AUDIT.to_owned()
        } else {
            format!("{}?{}", place::AUDIT, pairs.join("&"))
        }
    }

    fn next(&self, before: &u64) -> String {
        self.with("before", &before.to_string())
    }

    /// Writes the command that shows the same.
    fn command(&self) -> String {
        let mut words = vec!["audit", "list"];
        for (flag, value) in [
            ("--actor", &self.filter.actor),
            ("--kind", &self.filter.kind),
            ("--record", &self.filter.record),
        ] {
            words.extend(value.iter().flat_map(|value| [flag, value.as_str()]));
        }
        match &self.namespace {
            Some(namespace) => show::command_in(namespace, &words),
            None => show::command(&[words.as_slice(), &["--server"]].concat()),
        }
    }

    fn verify_command(&self) -> String {
        match &self.namespace {
            Some(namespace) => show::command_in(namespace, &["audit", "verify", "--only"]),
            None => show::command(&["audit", "verify"]),
        }
    }

    fn is_chain(&self, namespace: &Namespace) -> bool {
        self.namespace.as_ref() == Some(namespace)
    }

    /// Gives the page of a record, where there is one that can be told from its name.
    fn href(&self, record: &str) -> Option<String> {
        let (kind, name) = record.split_once('/')?;
        let segment = place::segment(name.as_bytes());
        match (kind, &self.namespace) {
            ("user", None) => Some(format!("/ui/user/{segment}")),
            ("spec", Some(of)) => Some(format!("{}/{segment}", place::of(of, "spec"))),
            ("definition", Some(of)) => Some(format!("{}/{segment}", place::of(of, "definition"))),
            ("instance", Some(of)) => Some(format!("{}/{segment}", place::of(of, "instance"))),
            ("mail", Some(of)) => Some(format!("{}/{segment}", place::of(of, "mail"))),
            _ => None,
        }
    }
}

/// Shows rows, newest first; with `verify`, also whether the chain is whole.
pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let asked = match params.word("chain")? {
        Some(chain) => {
            let name = chain.strip_prefix('=').map(Namespace::new).transpose()?;
            Some(name.ok_or_else(|| {
                Error::bad_input("chain is \"=\" and the name of a namespace, or absent")
            })?)
        }
        None => None,
    };
    let (verb, resource) = (Verb::Read, Resource::Audit);
    let principal = call.backend.principal();
    let namespace = match principal.check(&Access { verb, resource, namespace: None }) {
        Ok(()) => asked,
        // Whoever may not see the chain of the installation begins with one of theirs.
        Err(_) => asked.or_else(|| principal.namespaces(verb, resource).into_iter().next()),
    };
    let filter = AuditFilter {
        actor: params.word("actor")?,
        kind: params.word("kind")?,
        record: params.word("record")?,
        ..AuditFilter::default()
    };
    let before = params.word("before")?.map(|text| {
        let wrong = |_| Error::bad_input(format!("before {text:?} is not a place in a chain"));
        text.parse::<u64>().map_err(wrong)
    });
    let (before, is_asked) = (before.transpose()?, params.flag("verify", false)?);
    let query = AuditQuery::Rows {
        namespace: namespace.clone(),
        filter: filter.clone(),
        before,
        limit: ask::ROWS,
    };
    let AuditAnswer::Rows(rows, before) = about(&call, query).await? else {
        return Err(mismatch());
    };
    let verdict = match is_asked {
        true => Some(follow(&call, namespace.as_ref()).await?),
        false => None,
    };
    let infos = ask::visible(ask::namespaces(&call, None).await)?.unwrap_or_default();
    let namespaces = infos.into_iter().map(|info| info.name).collect();
    let view = Audit { namespace, filter, rows, before, verdict, namespaces };
    page(&call, Frame::new("Audit log", Here::Audit), &view)
}

async fn about(call: &Call, query: AuditQuery) -> Result<AuditAnswer> {
    take!(call.read(Query::Audit(query)).await?.answer, Answer::Audit)
}

/// Follows a chain from its first row, as far as a page may take.
async fn follow(call: &Call, namespace: Option<&Namespace>) -> Result<Verdict> {
    let mut check = ChainCheck::new(namespace.map(Namespace::as_str));
    loop {
        let page = Page { after: Some(check.last()).filter(|last| *last > 0), limit: 0 };
        let query = AuditQuery::Chain(namespace.cloned(), page);
        let AuditAnswer::Chain { rows, head } = about(call, query).await? else {
            return Err(mismatch());
        };
        rows.iter().for_each(|(seq, entry)| check.row(*seq, entry.as_ref()));
        let (followed, is_whole) = (check.last(), rows.len() < limits::PAGE_MAX as usize);
        if is_whole {
            let end = head.as_ref().map(|head| format!("{}:{}", head.seq, head.hash));
            let faults = check.end(head.as_ref());
            return Ok(Verdict { followed, is_whole, faults, end });
        }
        if followed >= limits::AUDIT_FOLLOWED_MAX {
            return Ok(Verdict { followed, is_whole, faults: check.faults(), end: None });
        }
    }
}
