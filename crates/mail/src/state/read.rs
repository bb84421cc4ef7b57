//! What the state says.

use std::collections::{BTreeMap, HashSet};

use model::{Error, Result, Time};
use rusqlite::{Connection, Row};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use smol_str::SmolStr;

use super::{
    Undo,
    schema::{failed, key, meta},
};
use crate::{
    Checkpoint, Content, Flags, FolderName, Identity, Key, Pair, Side, Sides, Snapshot,
    plan::{Conflict, Ghost, Removal},
};

/// A folder that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRow {
    /// Its name.
    pub name: FolderName,
    /// What stays when a side renames it.
    pub ids: Sides<Option<SmolStr>>,
    /// How far each side was looked at.
    pub checkpoints: Sides<Option<Checkpoint>>,
    /// When both sides were last known to be the same, in seconds since 1970.
    pub proved: Option<i64>,
    /// Whether what comes to it now is news, since all that it had at first was looked at.
    pub known: bool,
    /// Messages in it.
    pub messages: usize,
}

/// Appends whose outcome is not known: how often each was tried, by its key.
pub type Intents = BTreeMap<(FolderName, Side), BTreeMap<Key, u32>>;

/// What a round has to know before it looks at folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Which store each side was.
    pub stores: Sides<Option<SmolStr>>,
    /// The known folders, by name.
    pub folders: Vec<FolderRow>,
    /// Appends whose outcome is not known.
    pub intents: Intents,
    /// Messages of which a second copy may turn up.
    pub ghosts: BTreeMap<FolderName, Vec<Ghost>>,
    /// Tokens of removals that were let through.
    pub approved: HashSet<SmolStr>,
}

/// Removals that wait for approval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldRow {
    /// Stands for exactly this set.
    pub token: String,
    /// Why they wait.
    pub why: String,
    /// What would be removed.
    pub removals: Vec<Removal>,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// Whether the next run lets them through.
    pub approved: bool,
}

/// A run that was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it ended; none if it was cut off.
    pub finished: Option<i64>,
    /// What it did.
    pub summary: Value,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Its place in the order of all.
    pub seq: i64,
    /// What makes it the same event.
    pub id: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub data: Value,
}

/// Reads what a round has to know.
pub(super) fn overview(connection: &Connection, now: Time) -> Result<Overview> {
    let store = |side: Side| meta(connection, &format!("{side}_store"));
    let sql = "SELECT name, left_id, right_id, left_epoch, left_token, right_epoch, right_token,
         proved, known, (SELECT count(*) FROM pair WHERE pair.folder = folder.id) FROM folder
         ORDER BY name";
    let folders = rows(connection, sql, [], |row| {
        let id = |column| row.get::<_, Option<String>>(column).map(|id| id.map(SmolStr::from));
        Ok(FolderRow {
            name: folder(row, 0)?,
            ids: Sides { left: id(1)?, right: id(2)? },
            checkpoints: Sides { left: checkpoint(row, 3)?, right: checkpoint(row, 5)? },
            proved: row.get(7)?,
            known: row.get(8)?,
            messages: usize::try_from(row.get::<_, i64>(9)?).unwrap_or_default(),
        })
    })?;
    let mut intents = Intents::new();
    let sql = "SELECT folder, side, key, attempts FROM intent";
    let found = rows(connection, sql, [], |row| {
        Ok(((folder(row, 0)?, side(row, 1)?), key(row, 2)?, row.get(3)?))
    })?;
    for (place, key, attempts) in found {
        intents.entry(place).or_default().insert(key, attempts);
    }
    let mut ghosts: BTreeMap<FolderName, Vec<Ghost>> = BTreeMap::new();
    let sql = "SELECT folder, side, identity, content FROM ghost WHERE until > ?1 ORDER BY id";
    let found = rows(connection, sql, [now.unix_seconds()], |row| {
        let (identity, content) = (Identity(row.get(2)?), Content(row.get(3)?));
        Ok((folder(row, 0)?, Ghost { side: side(row, 1)?, identity, content }))
    })?;
    for (folder, ghost) in found {
        ghosts.entry(folder).or_default().push(ghost);
    }
    let sql = "SELECT token FROM hold WHERE approved = 1";
    let approved = rows(connection, sql, [], |row| row.get::<_, String>(0).map(SmolStr::from))?;
    Ok(Overview {
        stores: Sides {
            left: store(Side::Left)?.map(SmolStr::from),
            right: store(Side::Right)?.map(SmolStr::from),
        },
        folders,
        intents,
        ghosts,
        approved: approved.into_iter().collect(),
    })
}

/// Reads the pairs of a folder.
pub(super) fn snapshot(connection: &Connection, folder: &FolderName) -> Result<Snapshot> {
    let sql = "SELECT pair.id, left_key, right_key, left_stamp, right_stamp, flags, keywords,
         identity FROM pair JOIN folder ON folder.id = pair.folder WHERE folder.name = ?1";
    let pairs = rows(connection, sql, [folder.as_str()], |row| {
        let stamp = |column| row.get::<_, Option<i64>>(column).map(|s| s.map(i64::cast_unsigned));
        let keywords = row.get_ref(6)?.as_str_or_null().unwrap_or_default();
        Ok(Pair {
            id: row.get(0)?,
            keys: Sides { left: key(row, 1)?, right: key(row, 2)? },
            stamps: Sides { left: stamp(3)?, right: stamp(4)? },
            flags: Flags::from_columns(row.get(5)?, keywords),
            identity: row.get::<_, Option<[u8; 16]>>(7)?.map(Identity),
        })
    })?;
    Ok(Snapshot::new(pairs))
}

/// Reads what waits for approval.
pub(super) fn holds(connection: &Connection) -> Result<Vec<HeldRow>> {
    let sql = "SELECT token, why, removals, at, approved FROM hold ORDER BY at, token";
    rows(connection, sql, [], |row| {
        Ok(HeldRow {
            token: row.get(0)?,
            why: row.get(1)?,
            removals: body(row, 2)?,
            since: row.get(3)?,
            approved: row.get(4)?,
        })
    })
}

/// Reads the last conflicts, newest first, with the seconds since 1970 at which each was found.
pub(super) fn conflicts(connection: &Connection, limit: u32) -> Result<Vec<(i64, Conflict)>> {
    let sql = "SELECT at, body FROM conflict ORDER BY id DESC LIMIT ?1";
    rows(connection, sql, [limit], |row| Ok((row.get(0)?, body(row, 1)?)))
}

/// Reads the last runs, newest first.
pub(super) fn runs(connection: &Connection, limit: u32) -> Result<Vec<RunRow>> {
    let sql = "SELECT id, started, finished, coalesce(summary, 'null') FROM run
         ORDER BY id DESC LIMIT ?1";
    rows(connection, sql, [limit], run_row)
}

/// Gives the number of the last run.
pub(super) fn last_run(connection: &Connection) -> Result<i64> {
    connection
        .query_row("SELECT coalesce(max(id), 0) FROM run", [], |row| row.get(0))
        .map_err(failed)
}

/// Reads the runs that began before a time and whose removals are still kept.
pub(super) fn unpurged(connection: &Connection, before: Time) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM run WHERE purged = 0 AND started < ?1 ORDER BY id";
    rows(connection, sql, [before.unix_seconds()], |row| row.get(0))
}

/// Reads what can be undone of the last run that did something, last things first.
pub(super) fn undoable(connection: &Connection) -> Result<Vec<(i64, Undo)>> {
    let sql = "SELECT id, body FROM done WHERE undone = 0
         AND run = (SELECT max(run) FROM done WHERE undone = 0) ORDER BY id DESC";
    rows(connection, sql, [], |row| Ok((row.get(0)?, body(row, 1)?)))
}

/// Reads events in order.
pub(super) fn events(connection: &Connection, after: i64, limit: u32) -> Result<Vec<Event>> {
    let sql = "SELECT seq, id, at, kind, body FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    rows(connection, sql, [after, i64::from(limit)], |row| {
        Ok(Event {
            seq: row.get(0)?,
            id: row.get(1)?,
            at: row.get(2)?,
            kind: row.get(3)?,
            data: body(row, 4)?,
        })
    })
}

/// Gives the number of the last event.
pub(super) fn last_event(connection: &Connection) -> Result<i64> {
    connection
        .query_row("SELECT coalesce(max(seq), 0) FROM event", [], |row| row.get(0))
        .map_err(failed)
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get(0)?,
        started: row.get(1)?,
        finished: row.get(2)?,
        summary: body(row, 3)?,
    })
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map(values, read).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn folder(row: &Row<'_>, column: usize) -> rusqlite::Result<FolderName> {
    FolderName::new(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

fn side(row: &Row<'_>, column: usize) -> rusqlite::Result<Side> {
    let name = row.get_ref(column)?.as_str()?;
    let unknown = || unreadable(column, Error::bad_input(format!("{name:?} is no side")));
    Side::BOTH.into_iter().find(|side| side.as_str() == name).ok_or_else(unknown)
}

fn checkpoint(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Checkpoint>> {
    let epoch: Option<String> = row.get(column)?;
    let token: Option<String> = row.get(column + 1)?;
    let token = token.map(SmolStr::from);
    Ok(epoch.map(|epoch| Checkpoint { epoch: epoch.into(), token }))
}

fn body<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| unreadable(column, Error::Internal(error.to_string())))
}

fn unreadable(column: usize, error: Error) -> rusqlite::Error {
    let kind = rusqlite::types::Type::Text;
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
