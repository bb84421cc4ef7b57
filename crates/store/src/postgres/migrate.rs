//! Numbered migrations, each applied once; all in one transaction, so that nothing is half-done.

use model::{Error, Result};

use super::address::Address;
use super::failure::{Failure, Outcome};
use super::link::Link;
use crate::checksum::checksum;

/// The migrations; each has its position, counted from 1, as its number. None may ever change.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_tables.sql"),
    include_str!("../../migrations/postgres/0002_workflows.sql"),
    include_str!("../../migrations/postgres/0003_mail.sql"),
    include_str!("../../migrations/postgres/0004_audit.sql"),
    include_str!("../../migrations/postgres/0005_blob.sql"),
    include_str!("../../migrations/postgres/0006_shipped.sql"),
    include_str!("../../migrations/postgres/0007_user.sql"),
    include_str!("../../migrations/postgres/0008_secret.sql"),
];

/// The oldest server with what we need.
const VERSION_MIN: i32 = 150_000;

/// Checks the server and brings its tables to what this program expects, or says why that cannot
/// be. Nodes that start at once wait for each other.
pub(crate) async fn migrate(link: &Link, address: &Address) -> Outcome<()> {
    check_server(link, address).await?;
    // The tables of several stores in one database have nothing to do with each other.
    let lock = checksum(address.schema());
    link.run("BEGIN").await?;
    link.query("SELECT pg_advisory_xact_lock($1)", &[&lock]).await?;
    link.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", address.schema())).await?;
    check_owner(link, address).await?;
    link.run(
        "CREATE TABLE IF NOT EXISTS migration (
            number bigint PRIMARY KEY,
            checksum bigint NOT NULL,
            applied timestamptz NOT NULL DEFAULT now()
        )",
    )
    .await?;
    for (number, text) in to_apply(&applied(link).await?, address)? {
        link.run(text).await?;
        let row = "INSERT INTO migration (number, checksum) VALUES ($1, $2)";
        link.execute(row, &[&number, &checksum(text)]).await?;
    }
    link.run("COMMIT").await
}

/// Refuses a database whose tables are not all that this program expects; changes nothing.
pub(crate) async fn check(link: &Link, address: &Address) -> Outcome<()> {
    check_owner(link, address).await?;
    let text = "SELECT to_regclass('migration') IS NOT NULL";
    let rows = link.query(text, &[]).await?;
    let is_there = rows.first().map(|row| row.try_get::<_, bool>(0)).transpose()?;
    if is_there == Some(true) && to_apply(&applied(link).await?, address)?.is_empty() {
        return Ok(());
    }
    Err(Failure::Error(Error::BadInput(format!(
        "{address} was written by an older Lockstep, or holds no store; start `lockstep serve` on \
         it once, which brings its tables up to date"
    ))))
}

/// Gives the number and checksum of each migration that was applied, in order.
async fn applied(link: &Link) -> Outcome<Vec<(i64, i64)>> {
    let applied = link.query("SELECT number, checksum FROM migration ORDER BY number", &[]).await?;
    applied.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Gives the migrations that are still to be applied.
fn to_apply(applied: &[(i64, i64)], address: &Address) -> Result<Vec<(i64, &'static str)>> {
    if applied.len() > MIGRATIONS.len() {
        return Err(Error::BadInput(format!(
            "{address} was written by a newer Lockstep (its tables are at number {}, this program \
             knows {}); start that version, or restore a backup from before the upgrade",
            applied.len(),
            MIGRATIONS.len(),
        )));
    }
    let known = (1_i64..).zip(MIGRATIONS).map(|(number, text)| (number, *text));
    for ((number, text), found) in known.clone().zip(applied) {
        if *found != (number, checksum(text)) {
            return Err(Error::BadInput(format!(
                "migration {} of {address} is not the one that this program knows as {number}; \
                 start the program that wrote this database",
                found.0,
            )));
        }
    }
    Ok(known.skip(applied.len()).collect())
}

async fn check_server(link: &Link, address: &Address) -> Outcome<()> {
    let text = "SELECT current_setting('server_version_num')::int, current_setting(\
                'server_version'), pg_is_in_recovery(), current_setting('server_encoding'), \
                current_setting('fsync')";
    let rows = link.query(text, &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let server = Server {
        number: row.try_get(0)?,
        version: row.try_get(1)?,
        is_standby: row.try_get(2)?,
        encoding: row.try_get(3)?,
    };
    server.check(address)?;
    if row.try_get::<_, String>(4)? == "off" {
        tracing::warn!("{address} has fsync off: what is acknowledged may be lost in a crash");
    }
    Ok(())
}

/// What a server says of itself.
struct Server {
    number: i32,
    version: String,
    is_standby: bool,
    encoding: String,
}

impl Server {
    /// Refuses a server that will not do.
    fn check(&self, address: &Address) -> Result<()> {
        let Self { number, version, is_standby, encoding } = self;
        let refuse = |why: String| Err(Error::BadInput(why));
        if *number < VERSION_MIN {
            return refuse(format!(
                "{address} is version {version}, which is too old; upgrade it to 15 or newer"
            ));
        }
        if *is_standby {
            return refuse(format!(
                "{address} is a standby that can only be read; point the store at the primary"
            ));
        }
        if encoding != "UTF8" {
            return refuse(format!(
                "the database at {address} has the encoding {encoding}; make one with UTF8, for \
                 instance with `createdb --encoding UTF8 --template template0`"
            ));
        }
        Ok(())
    }
}

/// Refuses a schema that belongs to another program.
async fn check_owner(link: &Link, address: &Address) -> Outcome<()> {
    let text = "SELECT count(*) > 0 AND count(*) FILTER (WHERE tablename = 'migration') = 0 \
                FROM pg_tables WHERE schemaname = $1";
    let rows = link.query(text, &[&address.schema()]).await?;
    let is_foreign = rows.first().map(|row| row.try_get::<_, bool>(0)).transpose()?;
    if is_foreign != Some(true) {
        return Ok(());
    }
    Err(Failure::Error(Error::BadInput(format!(
        "the schema {} of {address} has tables of another program; add ?schema=NAME with another \
         name to the address",
        address.schema()
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_15_is_refused() {
        let address = Address::parse("postgres://me@127.0.0.1/work").unwrap();
        let check = |number, version: &str| {
            let (version, encoding) = (version.to_owned(), "UTF8".to_owned());
            Server { number, version, is_standby: false, encoding }.check(&address)
        };
        let refused = check(140_019, "14.19").unwrap_err();
        assert!(matches!(&refused, Error::BadInput(why) if why.contains("is version 14.19")));
        assert_eq!(check(150_000, "15.0"), Ok(()));
        assert_eq!(check(180_001, "18.1"), Ok(()));
    }
}
