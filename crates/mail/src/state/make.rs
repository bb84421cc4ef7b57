//! How changes of the agreed state are made in its tables.

use model::{Error, Result};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::{Change, schema::failed};
use crate::Side;

/// Makes a change, within whatever transaction is open.
pub(super) fn make(connection: &Connection, change: &Change) -> Result<()> {
    match change {
        Change::Store(side, id) => {
            let name = format!("{side}_store");
            run(
                connection,
                "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
                params![name, id.as_str()],
            )
        }
        Change::Holds(..)
        | Change::Approve(_)
        | Change::Conflict(..)
        | Change::BeginRun(..)
        | Change::EndRun(..)
        | Change::Purged(_)
        | Change::Done(..)
        | Change::Undone(_)
        | Change::Event { .. } => make_record(connection, change),
        Change::Intend { .. }
        | Change::Settle(..)
        | Change::SettleAll(..)
        | Change::AddGhost(..)
        | Change::DropGhost(..) => make_intent(connection, change),
        Change::AddFolder(_)
        | Change::FolderId(..)
        | Change::RenameFolder(..)
        | Change::DropFolder(_)
        | Change::Dissolve(_)
        | Change::Checkpoint(..)
        | Change::Known(_)
        | Change::Proved(..)
        | Change::ProvedBut(..) => make_folder(connection, change),
        Change::AddPair { .. }
        | Change::Rekey(..)
        | Change::Flags(..)
        | Change::MovePair { .. }
        | Change::DropPair(_) => make_pair(connection, change),
    }
}

fn make_folder(connection: &Connection, change: &Change) -> Result<()> {
    match change {
        Change::AddFolder(name) => {
            run(connection, "INSERT OR IGNORE INTO folder (name) VALUES (?1)", [name.as_str()])
        }
        Change::FolderId(name, side, id) => {
            let sql = match side {
                Side::Left => "UPDATE folder SET left_id = ?2 WHERE name = ?1",
                Side::Right => "UPDATE folder SET right_id = ?2 WHERE name = ?1",
            };
            run(connection, sql, [name.as_str(), id])
        }
        Change::RenameFolder(from, to) => run(
            connection,
            "UPDATE folder SET name = ?2 || substr(name, length(?1) + 1)
             WHERE name = ?1 OR substr(name, 1, length(?1) + 1) = ?1 || '/'",
            [from.as_str(), to.as_str()],
        ),
        Change::DropFolder(name) => {
            run(connection, "DELETE FROM folder WHERE name = ?1", [name.as_str()])
        }
        Change::Dissolve(name) => {
            let pairs = "DELETE FROM pair WHERE folder = (SELECT id FROM folder WHERE name = ?1)";
            run(connection, pairs, [name.as_str()])?;
            let forget = "UPDATE folder SET left_epoch = NULL, left_token = NULL,
                 right_epoch = NULL, right_token = NULL, known = 0 WHERE name = ?1";
            run(connection, forget, [name.as_str()])
        }
        Change::Checkpoint(name, side, checkpoint) => {
            let sql = match side {
                Side::Left => "UPDATE folder SET left_epoch = ?2, left_token = ?3 WHERE name = ?1",
                Side::Right => {
                    "UPDATE folder SET right_epoch = ?2, right_token = ?3 WHERE name = ?1"
                }
            };
            let token = checkpoint.token.as_deref();
            run(connection, sql, params![name.as_str(), checkpoint.epoch.as_str(), token])
        }
        Change::Known(name) => {
            run(connection, "UPDATE folder SET known = 1 WHERE name = ?1", [name.as_str()])
        }
        Change::Proved(name, at) => {
            let sql = "UPDATE folder SET proved = ?2 WHERE name = ?1";
            run(connection, sql, params![name.as_str(), at.unix_seconds()])
        }
        Change::ProvedBut(names, at) => {
            let sql = "UPDATE folder SET proved = ?2
                 WHERE name NOT IN (SELECT value FROM json_each(?1))";
            run(connection, sql, params![text(names)?, at.unix_seconds()])
        }
        _ => misplaced(),
    }
}

fn make_pair(connection: &Connection, change: &Change) -> Result<()> {
    match change {
        Change::AddPair { folder, keys, stamps, flags, identity } => {
            let (system, keywords) = flags.to_columns();
            let sql = "INSERT INTO pair (folder, left_key, right_key, left_stamp, right_stamp,
                 flags, keywords, identity)
                 SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM folder WHERE name = ?1";
            let identity = identity.map(|identity| identity.0);
            run(
                connection,
                sql,
                params![
                    folder.as_str(),
                    keys.left,
                    keys.right,
                    stamps.left.map(u64::cast_signed),
                    stamps.right.map(u64::cast_signed),
                    system,
                    keywords,
                    identity.as_ref().map(<[u8; 16]>::as_slice),
                ],
            )
        }
        Change::Rekey(pair, side, key, stamp) => {
            let sql = match side {
                Side::Left => "UPDATE pair SET left_key = ?2, left_stamp = ?3 WHERE id = ?1",
                Side::Right => "UPDATE pair SET right_key = ?2, right_stamp = ?3 WHERE id = ?1",
            };
            run(connection, sql, params![pair, key, stamp.map(u64::cast_signed)])
        }
        Change::Flags(pair, flags) => {
            let (system, keywords) = flags.to_columns();
            let sql = "UPDATE pair SET flags = ?2, keywords = ?3 WHERE id = ?1";
            run(connection, sql, params![pair, system, keywords])
        }
        Change::MovePair { pair, to, keys, stamps } => {
            let sql = "UPDATE pair SET left_key = ?3, right_key = ?4, left_stamp = ?5,
                 right_stamp = ?6, folder = (SELECT id FROM folder WHERE name = ?2)
                 WHERE id = ?1";
            run(
                connection,
                sql,
                params![
                    pair,
                    to.as_str(),
                    keys.left,
                    keys.right,
                    stamps.left.map(u64::cast_signed),
                    stamps.right.map(u64::cast_signed),
                ],
            )
        }
        Change::DropPair(pair) => run(connection, "DELETE FROM pair WHERE id = ?1", [pair]),
        _ => misplaced(),
    }
}

fn make_intent(connection: &Connection, change: &Change) -> Result<()> {
    match change {
        Change::Intend { folder, side, keys, run: number } => {
            let sql = "INSERT INTO intent VALUES (?1, ?2, ?3, 1, ?4)
                 ON CONFLICT DO UPDATE SET attempts = attempts + 1, run = ?4";
            for key in keys {
                run(connection, sql, params![folder.as_str(), side.as_str(), key, number])?;
            }
            Ok(())
        }
        Change::Settle(folder, side, keys) => {
            let sql = "DELETE FROM intent WHERE folder = ?1 AND side = ?2 AND key = ?3";
            for key in keys {
                run(connection, sql, params![folder.as_str(), side.as_str(), key])?;
            }
            Ok(())
        }
        Change::SettleAll(folder, side) => {
            let sql = "DELETE FROM intent WHERE folder = ?1 AND side = ?2";
            run(connection, sql, params![folder.as_str(), side.as_str()])
        }
        Change::AddGhost(folder, ghost, until) => {
            let sql = "INSERT INTO ghost (folder, side, identity, content, until)
                 VALUES (?1, ?2, ?3, ?4, ?5)";
            run(
                connection,
                sql,
                params![
                    folder.as_str(),
                    ghost.side.as_str(),
                    ghost.identity.0.as_slice(),
                    ghost.content.0.as_slice(),
                    until.unix_seconds(),
                ],
            )
        }
        Change::DropGhost(folder, ghost) => {
            let sql = "DELETE FROM ghost WHERE id = (SELECT id FROM ghost
                 WHERE folder = ?1 AND side = ?2 AND content = ?3 LIMIT 1)";
            run(
                connection,
                sql,
                params![folder.as_str(), ghost.side.as_str(), ghost.content.0.as_slice()],
            )
        }
        _ => misplaced(),
    }
}

fn make_record(connection: &Connection, change: &Change) -> Result<()> {
    match change {
        Change::Holds(holds, at) => {
            // What was approved stays so until that set was let through, or is another by now.
            let tokens: Vec<&str> = holds.iter().map(|hold| hold.token.as_str()).collect();
            let tokens = text(&tokens)?;
            let sql = "DELETE FROM hold WHERE token NOT IN (SELECT value FROM json_each(?1))";
            run(connection, sql, [tokens])?;
            for hold in holds {
                let sql = "INSERT OR IGNORE INTO hold (token, why, removals, at)
                     VALUES (?1, ?2, ?3, ?4)";
                let removals = text(&hold.removals)?;
                let (token, why) = (hold.token.as_str(), &hold.why);
                run(connection, sql, params![token, why, removals, at.unix_seconds()])?;
            }
            Ok(())
        }
        Change::Approve(token) => {
            run(connection, "UPDATE hold SET approved = 1 WHERE token = ?1", [token.as_str()])
        }
        Change::Conflict(conflict, at) => {
            let sql = "INSERT INTO conflict (at, body) VALUES (?1, ?2)";
            run(connection, sql, params![at.unix_seconds(), text(conflict)?])
        }
        Change::BeginRun(id, at) => {
            let sql = "INSERT INTO run (id, started) VALUES (?1, ?2)";
            run(connection, sql, params![id, at.unix_seconds()])
        }
        Change::EndRun(id, at, summary) => {
            let sql = "UPDATE run SET finished = ?2, summary = ?3 WHERE id = ?1";
            run(connection, sql, params![id, at.unix_seconds(), text(summary)?])
        }
        Change::Purged(id) => run(connection, "DELETE FROM run WHERE id = ?1", [id]),
        Change::Done(id, undo) => {
            let sql = "INSERT INTO done (run, body) VALUES (?1, ?2)";
            run(connection, sql, params![id, text(undo)?])
        }
        Change::Undone(id) => run(connection, "UPDATE done SET undone = 1 WHERE id = ?1", [id]),
        Change::Event { id, at, kind, body } => {
            let sql = "INSERT OR IGNORE INTO event (id, at, kind, body) VALUES (?1, ?2, ?3, ?4)";
            run(connection, sql, params![id, at.unix_seconds(), kind.as_str(), text(body)?])
        }
        _ => misplaced(),
    }
}

fn run(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    statement.execute(values).map(|_| ()).map_err(failed)
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(error.to_string()))
}

fn misplaced() -> Result<()> {
    Err(Error::Internal("a change of the state was given to the wrong table".to_owned()))
}
