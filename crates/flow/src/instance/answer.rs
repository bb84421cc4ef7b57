//! Answering questions about instances and events.

use model::{Error, Explained, Id, InstanceAnswer, InstanceFilter, InstanceQuery, Result, limits};
use store::{PRIMARY, Range, Tx, TxExt as _, Value, tables};

use super::{
    definition, invite,
    newest::newest,
    rows::{EventRow, InstanceRow, JournalRow, status_number},
};

/// Instances that are looked at for one page that is by definition and status.
const LOOKED_AT_MAX: u32 = 10_000;

/// Answers a question; what a match says is added by whoever can compute expressions.
pub fn answer(tx: &mut dyn Tx, namespace: Id, query: &InstanceQuery) -> Result<InstanceAnswer> {
    match query {
        InstanceQuery::List(filter) => Ok(InstanceAnswer::Instances(list(tx, namespace, filter)?)),
        InstanceQuery::One(id) => {
            let row = one(tx, namespace, *id)?;
            Ok(InstanceAnswer::Instance(Box::new(row.show(false)?)))
        }
        InstanceQuery::Journal(id, page) => {
            one(tx, namespace, *id)?;
            let range = Range::prefix([Value::id(namespace), Value::id(*id)]);
            let range = range.after(page.after.map(Value::id));
            let rows: Vec<JournalRow> = tx.find(PRIMARY, &range, size(page.limit))?;
            Ok(InstanceAnswer::Journal(rows.into_iter().map(JournalRow::show).collect()))
        }
        InstanceQuery::Events(page) => {
            let range = Range::prefix([Value::id(namespace)]);
            let range = range.after(page.after.map(Value::id));
            let rows: Vec<EventRow> = tx.find(PRIMARY, &range, size(page.limit))?;
            let shown = rows.into_iter().map(|row| (row.event, row.received)).collect();
            Ok(InstanceAnswer::Events(shown))
        }
        InstanceQuery::Latest(page) => {
            let prefix = vec![Value::id(namespace)];
            let most = size(page.limit) as usize;
            let rules = (|row: &EventRow| row.seq, |_: &EventRow| true);
            let rows = newest(tx, PRIMARY, prefix, page.after, most, rules)?;
            let shown = rows.into_iter().map(|row| (row.event, row.received)).collect();
            Ok(InstanceAnswer::Events(shown))
        }
        InstanceQuery::Waits(page) => {
            Ok(InstanceAnswer::Waits(invite::waits(tx, namespace, page)?))
        }
        InstanceQuery::Invite(instance, hash) => {
            let invite = invite::show(tx, namespace, *instance, hash)?;
            Ok(InstanceAnswer::Invite(invite.map(Box::new)))
        }
        InstanceQuery::Match(_) => Ok(InstanceAnswer::Explained(Vec::<Explained>::new())),
        InstanceQuery::States(..) => {
            Err(Error::Internal("states are computed by another way".to_owned()))
        }
    }
}

fn size(limit: u32) -> u32 {
    if limit == 0 { limits::PAGE_MAX } else { limit.min(limits::PAGE_MAX) }
}

fn one(tx: &mut dyn Tx, namespace: Id, id: Id) -> Result<InstanceRow> {
    let row: Option<InstanceRow> = tx.get(InstanceRow::key(namespace, id))?;
    row.ok_or_else(|| Error::NoSuchInstance(id.to_string()))
}

fn list(tx: &mut dyn Tx, namespace: Id, filter: &InstanceFilter) -> Result<Vec<model::Instance>> {
    let most = size(filter.limit);
    let after = filter.after.map(Value::id);
    let head = match &filter.definition {
        Some(name) => Some(definition::head_or_hidden(tx, namespace, name)?),
        None => None,
    };
    let (index, prefix) = match (&head, filter.status) {
        (Some(head), _) => {
            (tables::INSTANCE_DEFINITION, vec![Value::id(namespace), Value::id(head.id)])
        }
        (None, Some(status)) => {
            let status = Value::Int(status_number(status));
            (tables::INSTANCE_STATE, vec![Value::id(namespace), status])
        }
        (None, None) => (PRIMARY, vec![Value::id(namespace)]),
    };
    if filter.newest {
        let is_wanted = |row: &InstanceRow| filter.status.is_none_or(|wanted| row.status == wanted);
        let rules = (|row: &InstanceRow| row.id, is_wanted);
        let rows = newest(tx, index, prefix, filter.after, most as usize, rules)?;
        return rows.into_iter().map(|row| row.show(true)).collect();
    }
    let both = head.is_some() && filter.status.is_some();
    let limit = if both { LOOKED_AT_MAX } else { most };
    let rows: Vec<InstanceRow> = tx.find(index, &Range::prefix(prefix).after(after), limit)?;
    let wanted = |row: &InstanceRow| filter.status.is_none_or(|status| row.status == status);
    let wanted = rows.into_iter().filter(wanted).take(most as usize);
    wanted.map(|row| row.show(true)).collect()
}
