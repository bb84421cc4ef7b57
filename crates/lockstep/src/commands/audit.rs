//! `lockstep audit`.

use anyhow::Result;
use clap::{Args, Subcommand};
use client::Lockstep;
use model::{
    Answer, AuditAnswer, AuditEntry, AuditFilter, AuditHead, AuditQuery, ChainCheck, Namespace,
    Page, Query, Time, limits,
};
use serde_json::json;

use super::export::snapshot;
use crate::{
    config::{Config, StoreAt},
    connect::{self, unexpected},
    failure::{Failure, at_server},
    output::{Output, printable, table},
};

const LIST_EXAMPLES: &str = "\
Shows who changed what and when, newest first: in the namespace, or with --server in the whole
installation, which is where tokens are. What workers do all day is not in it: that is in the
history of the attempts.

Examples:
  lockstep audit list --namespace nightly
  lockstep audit list --actor 3f9a0c1b2d4e --kind definition. --since 2026-11-01T00:00:00Z
  lockstep audit list --server --json";

const VERIFY_EXAMPLES: &str = "\
Each row of the audit log holds the hash of its content and that of the row before it. This follows
all chains from their first rows, and says where one is broken: a row that was changed, removed or
put in, or an end that was cut off. With --only it follows the chain of the namespace alone.
Whoever can write to the database could also make all hashes anew. Keep the ends that this prints
somewhere else, and give one back with --end: then that row has to be there as it was.
It ends with 0 if all is well, and with 1 and the code `differs` if a chain is broken.

Examples:
  lockstep audit verify
  lockstep audit verify --store sqlite:/backup/monday.db
  lockstep audit verify --only --namespace nightly --end 41:9f86d081884c7d65…";

/// What to do with the audit log.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show who changed what and when
    #[command(after_long_help = LIST_EXAMPLES)]
    List(Box<ListArgs>),
    /// Look whether somebody has tampered with it
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

/// Which rows to show.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// What was done in the whole installation, and not in the namespace
    #[arg(long, conflicts_with = "namespace")]
    server: bool,
    /// Only what this one did: a token's id, or loopback
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only this kind, such as spec.set, or all that begin with spec.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only what was done to this record, such as spec/hello
    #[arg(long, value_name = "RECORD")]
    record: Option<String>,
    /// Only from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    since: Option<Time>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    until: Option<Time>,
    /// Show at most this many; 0 is all
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    /// Show only what comes before this place (the "before" of an earlier list)
    #[arg(long, value_name = "PLACE")]
    before: Option<u64>,
}

/// Which chains to follow.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Read this store itself, in place of asking a server; servers may go on working
    #[arg(long, value_name = "STORE", conflicts_with_all = ["only", "end"])]
    store: Option<String>,
    /// Follow only the chain of the namespace
    #[arg(long)]
    only: bool,
    /// A row that has to be there, as an earlier run printed it
    #[arg(long, value_name = "PLACE:HASH", requires = "only", value_parser = end)]
    end: Option<(u64, String)>,
}

fn end(text: &str) -> Result<(u64, String), String> {
    let wrong = || format!("{text:?} is not PLACE:HASH, as `lockstep audit verify` prints it");
    let (place, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok((place.parse().map_err(|_| wrong())?, hash.to_owned()))
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        match self {
            Self::List(args) => list(*args, &connect::remote(config, 3)?, out).await,
            Self::Verify(VerifyArgs { store: Some(store), .. }) => return in_store(&store, out),
            Self::Verify(args) => verify(args, &connect::remote(config, 3)?, out).await,
        }
        .map_err(at_server)
    }
}

async fn ask(lockstep: &Lockstep, query: AuditQuery) -> Result<AuditAnswer> {
    match lockstep.ask(Query::Audit(query)).await? {
        Answer::Audit(answer) => Ok(answer),
        _ => Err(unexpected().into()),
    }
}

async fn list(args: ListArgs, lockstep: &Lockstep, out: Output) -> Result<()> {
    let ListArgs { server, actor, kind, record, since, until, limit, mut before } = args;
    let filter = AuditFilter { actor, kind, record, since, until };
    let namespace = (!server).then(|| lockstep.namespace().clone());
    let mut rows: Vec<AuditEntry> = Vec::new();
    loop {
        let taken = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let left = if limit == 0 { limits::PAGE_MAX } else { limit - taken };
        let (namespace, filter) = (namespace.clone(), filter.clone());
        let query = AuditQuery::Rows { namespace, filter, before, limit: left };
        let AuditAnswer::Rows(more, next) = ask(lockstep, query).await? else {
            return Err(unexpected().into());
        };
        rows.extend(more);
        before = next;
        if before.is_none() || (limit > 0 && rows.len() >= limit as usize) {
            break;
        }
    }
    let shown = json!({ "rows": serde_json::to_value(&rows)?, "before": before });
    out.data(&shown, || {
        let heads = ["place", "time", "actor", "kind", "record", "what"];
        table(&heads, &rows.iter().map(cells).collect::<Vec<_>>())
    })?;
    if let Some(before) = before {
        out.note(format!("there are more; go on with --before {before}"));
    }
    Ok(())
}

fn cells(entry: &AuditEntry) -> Vec<String> {
    let actor = if entry.actor.is_empty() { "(lockstep)" } else { &entry.actor };
    let texts = [actor, &entry.kind, &entry.record, &entry.summary];
    let texts = texts.map(|text| printable(text).replace('\n', " "));
    [entry.seq.to_string(), entry.time.to_string()].into_iter().chain(texts).collect()
}

/// A chain that was followed.
struct Followed {
    chain: String,
    head: Option<AuditHead>,
    faults: Vec<String>,
}

async fn verify(args: VerifyArgs, lockstep: &Lockstep, out: Output) -> Result<()> {
    let mut followed = Vec::new();
    if args.only {
        let namespace = Some(lockstep.namespace().clone());
        followed.push(follow(lockstep, namespace, args.end.as_ref()).await?);
        return tell(&followed, out);
    }
    followed.push(follow(lockstep, None, None).await?);
    // Where each chain begins is a row of the installation's own chain; asked for first, since
    // more may begin meanwhile.
    let begun = begun(lockstep).await?;
    let mut after = None;
    loop {
        let heads = AuditQuery::Heads(Page { after, limit: 0 });
        let AuditAnswer::Heads(heads) = ask(lockstep, heads).await? else {
            return Err(unexpected().into());
        };
        let Some((last, _)) = heads.last() else { break };
        after = Some(*last);
        for name in heads.into_iter().filter_map(|(_, head)| head.namespace) {
            followed.push(follow(lockstep, Some(Namespace::new(name)?), None).await?);
        }
    }
    for name in begun {
        if !followed.iter().any(|it| it.chain == named(Some(&name))) {
            let faults = vec!["the whole chain was removed".to_owned()];
            followed.push(Followed { chain: named(Some(&name)), head: None, faults });
        }
    }
    tell(&followed, out)
}

/// Gives the namespaces whose chains have begun.
async fn begun(lockstep: &Lockstep) -> Result<Vec<String>> {
    let filter = AuditFilter { kind: Some("audit.begin".to_owned()), ..AuditFilter::default() };
    let (mut names, mut before) = (Vec::new(), None);
    loop {
        let filter = filter.clone();
        let query = AuditQuery::Rows { namespace: None, filter, before, limit: 0 };
        let AuditAnswer::Rows(rows, next) = ask(lockstep, query).await? else {
            return Err(unexpected().into());
        };
        let name = |row: AuditEntry| row.record.strip_prefix("namespace/").map(str::to_owned);
        names.extend(rows.into_iter().filter_map(name));
        before = next;
        if before.is_none() {
            return Ok(names);
        }
    }
}

fn named(namespace: Option<&str>) -> String {
    namespace.map_or("(installation)".to_owned(), |name| format!("\"{}\"", printable(name)))
}

async fn follow(
    lockstep: &Lockstep,
    namespace: Option<Namespace>,
    end: Option<&(u64, String)>,
) -> Result<Followed> {
    let name = namespace.as_ref().map(Namespace::as_str);
    let (chain, mut check) = (named(name), ChainCheck::new(name));
    let mut wanted = end;
    loop {
        let page = Page { after: Some(check.last()).filter(|last| *last > 0), limit: 0 };
        let query = AuditQuery::Chain(namespace.clone(), page);
        let AuditAnswer::Chain { rows, head } = ask(lockstep, query).await? else {
            return Err(unexpected().into());
        };
        for (seq, entry) in &rows {
            check.row(*seq, entry.as_ref());
            let is_it = |(place, hash): &&(u64, String)| {
                place == seq && entry.as_ref().is_some_and(|entry| entry.hash.starts_with(hash))
            };
            wanted = wanted.filter(|end| !is_it(end));
        }
        // A page that is not full was read at the same moment as the end.
        if rows.len() < limits::PAGE_MAX as usize {
            let mut faults = check.end(head.as_ref());
            if let Some((place, hash)) = wanted {
                faults.push(format!("row {place} is not the one with the hash {hash}"));
            }
            return Ok(Followed { chain, head, faults });
        }
    }
}

/// Follows all chains of a store without a server.
fn in_store(store: &str, out: Output) -> Result<()> {
    let place = StoreAt::parse(store)?;
    let followed = tokio::task::block_in_place(|| -> Result<_> {
        Ok(engine::verify_audit(&mut *snapshot(&place)?)?)
    })?;
    let followed = followed.into_iter().map(|(name, head, faults)| Followed {
        chain: named(name.as_deref()),
        head,
        faults,
    });
    tell(&followed.collect::<Vec<_>>(), out)
}

fn tell(followed: &[Followed], out: Output) -> Result<()> {
    let end = |it: &Followed| it.head.as_ref().map(|head| format!("{}:{}", head.seq, head.hash));
    let shown =
        followed.iter().map(|it| json!({ "chain": it.chain, "end": end(it), "faults": it.faults }));
    out.data(&json!({ "chains": shown.collect::<Vec<_>>() }), || {
        let mut text = String::new();
        for it in followed {
            let state = if it.faults.is_empty() { "whole" } else { "BROKEN" };
            let end = end(it).unwrap_or_else(|| "empty".to_owned());
            text.push_str(&format!("{state}  {}  {end}\n", it.chain));
            it.faults.iter().for_each(|fault| text.push_str(&format!("  {fault}\n")));
        }
        text
    })?;
    let broken = followed.iter().filter(|it| !it.faults.is_empty()).count();
    if broken == 0 {
        return Ok(());
    }
    let message = format!("the audit log was tampered with: {broken} chains are broken");
    let hint = "keep the store as it is, and compare it with a backup that is whole";
    Err(Failure::differs(message, hint).into())
}
