//! The floors: P, what `pgbench` gets out of the cluster, and R, the bare statements of a queue.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use store::{Postgres, PostgresOptions};
use tokio_postgres::{Client, NoTls, Statement};

use super::{AT_ONCE, Bench};
use crate::bench::{
    disk::PART,
    figure::Figure,
    load::{Step, drive},
    names::{Names, Order},
};

/// What the figures are called.
const PGBENCH: &str = "P: pgbench, simple-update, prepared";
pub(super) const ADD: &str = "R: raw upserts by unnest, by 1,000";
pub(super) const WORK: &str = "R: raw claim (SKIP LOCKED) + finish by ids, by 1,000";

/// How large the tables of `pgbench` are: a hundred thousand accounts for each.
const SCALE: &str = "10";
/// Callers of raw statements.
const CALLERS: usize = 8;
const BATCH: usize = 1_000;
/// Units a second that raw statements are not expected to exceed.
const WORK_MAX: u64 = 80_000;
/// Bodies as long as those of the real rows with names of this length.
const UNIT_BODY: [u8; 15] = [1; 15];
const ATTEMPT_BODY: [u8; 64] = [1; 64];

/// As the store sets its connections: rows are found by an index, whatever the statistics say.
const SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; \
    SET enable_mergejoin = off; SET enable_bitmapscan = off; SET jit = off; \
    SET plan_cache_mode = force_generic_plan; SET search_path = raw";

const ANALYZE: &str = "ANALYZE unit; ANALYZE attempt";
const ADD_SQL: &str = "
    INSERT INTO unit (namespace, spec, name, id, state, ready, due, since, body)
    SELECT 1, 1, new.name, new.id, 0, 0, NULL, new.id, $3
    FROM unnest($1::bytea[], $2::bigint[]) AS new (name, id)
    ON CONFLICT (namespace, spec, name) DO UPDATE SET body = excluded.body";
const CLAIM_SQL: &str = "
    WITH taken AS (
        UPDATE unit SET state = 1, ready = NULL, since = NULL, body = $2
        WHERE namespace = 1 AND spec = 1 AND name = ANY (ARRAY(
            SELECT name FROM unit WHERE namespace = 1 AND spec = 1 AND ready IS NOT NULL
            ORDER BY ready, name LIMIT $1 FOR UPDATE SKIP LOCKED
        )) RETURNING name, id
    ), started AS (
        INSERT INTO attempt (namespace, unit, id, worker, busy, due, body)
        SELECT 1, id, id, $3, $3, 1, $4 FROM taken
    )
    SELECT name, id FROM taken";
const FINISH_SQL: &str = "
    WITH ended AS (
        UPDATE attempt SET busy = NULL, due = NULL, body = $4
        WHERE namespace = 1 AND unit = ANY ($2::bigint[])
    )
    UPDATE unit SET state = NULL, body = $3
    WHERE namespace = 1 AND spec = 1 AND name = ANY ($1::bytea[])";

/// Connects to a database; the runtime that this runs on drives the connection.
pub(super) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Finds P for some number of clients.
pub(super) fn pgbench(floors: &[Figure], at_once: usize) -> Option<&Figure> {
    floors.iter().find(|floor| floor.what == PGBENCH && floor.at_once == Some(at_once))
}

/// Finds R by what it is called.
pub(super) fn raw<'f>(floors: &'f [Figure], what: &str) -> Option<&'f Figure> {
    floors.iter().find(|floor| floor.what == what)
}

impl Bench<'_> {
    /// Measures all floors.
    pub(super) fn floors(&self) -> Result<Vec<Figure>> {
        let port = self.cluster.url();
        let port = port.rsplit(':').next().and_then(|rest| rest.split('/').next());
        let port = port.context("a cluster without a port")?.to_owned();
        self.pgbench(&port, &["--initialize", "--quiet", "--scale", SCALE])?;
        let seconds = self.plan.window.as_secs_f64().ceil().max(2.0).to_string();
        let mut figures = Vec::new();
        for at_once in AT_ONCE {
            let clients = at_once.to_string();
            let threads = at_once.min(2).to_string();
            let flags = ["--builtin=simple-update", "--protocol=prepared", "--no-vacuum"];
            let more = ["--client", &clients, "--jobs", &threads, "--time", &seconds];
            let said = self.pgbench(&port, &[&flags[..], &more[..]].concat())?;
            let figure = Figure::new(PART, PGBENCH, transactions(&said)?, "transactions/s");
            figures.push(Figure { at_once: Some(at_once), ..figure });
        }
        figures.extend(self.raw()?);
        Ok(figures)
    }

    fn pgbench(&self, port: &str, flags: &[&str]) -> Result<String> {
        let mut command = self.cluster.command("pgbench")?;
        command.args(["--host=127.0.0.1", "--username=postgres", "--port", port]);
        let output = command.args(flags).arg("postgres").output()?;
        if !output.status.success() {
            bail!("pgbench fails: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the bare statements on tables like those of the store.
    fn raw(&self) -> Result<Vec<Figure>> {
        let url = self.cluster.url();
        drop(Postgres::open(&format!("{url}?schema=raw"), &PostgresOptions::default())?);
        self.runtime.block_on(async {
            self.clean().await?;
            let names = Arc::new(Names::new(Order::Ordered));
            let mut adders = Vec::new();
            for _ in 0..CALLERS {
                adders.push(Adder::connect(&url, &names).await?);
            }
            let load = drive(adders, self.plan.window).await?;
            let added = Figure::of_load(PART, ADD, CALLERS, &load);
            let mut filler = Adder::connect(&url, &names).await?;
            let wanted = self.plan.units_for(WORK_MAX, CALLERS, BATCH);
            for _ in 0..wanted.div_ceil(BATCH as u64) {
                filler.step().await?;
            }
            // Plans follow what is known of the tables, and of an empty one nothing is.
            filler.client.batch_execute(ANALYZE).await?;
            Worker::connect(&url, 0).await?.step().await?;
            filler.client.batch_execute(ANALYZE).await?;
            let mut workers = Vec::new();
            for number in 0..CALLERS {
                workers.push(Worker::connect(&url, number as i64).await?);
            }
            self.clean().await?;
            let load = drive(workers, self.plan.window).await?;
            Ok(vec![added, Figure::of_load(PART, WORK, CALLERS, &load)])
        })
    }
}

/// Reads the transactions a second out of what `pgbench` says.
fn transactions(said: &str) -> Result<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let value = line.and_then(|line| line.split(' ').next()).and_then(|text| text.parse().ok());
    value.with_context(|| format!("pgbench says {said}"))
}

struct Adder {
    client: Client,
    add: Statement,
    names: Arc<Names>,
}

impl Adder {
    async fn connect(url: &str, names: &Arc<Names>) -> Result<Self> {
        let client = connect(url).await?;
        client.batch_execute(SETTINGS).await?;
        let add = client.prepare(ADD_SQL).await?;
        Ok(Self { client, add, names: Arc::clone(names) })
    }
}

impl Step for Adder {
    async fn step(&mut self) -> Result<u64> {
        let numbers = self.names.take(BATCH);
        let names: Vec<_> = numbers.clone().map(|n| self.names.name(n).into_bytes()).collect();
        let ids: Vec<i64> = numbers.map(|number| number as i64 + 1).collect();
        Ok(self.client.execute(&self.add, &[&names, &ids, &&UNIT_BODY[..]]).await?)
    }
}

struct Worker {
    client: Client,
    claim: Statement,
    finish: Statement,
    number: i64,
}

impl Worker {
    async fn connect(url: &str, number: i64) -> Result<Self> {
        let client = connect(url).await?;
        client.batch_execute(SETTINGS).await?;
        let claim = client.prepare(CLAIM_SQL).await?;
        let finish = client.prepare(FINISH_SQL).await?;
        Ok(Self { client, claim, finish, number })
    }
}

impl Step for Worker {
    async fn step(&mut self) -> Result<u64> {
        let (unit, attempt) = (&UNIT_BODY[..], &ATTEMPT_BODY[..]);
        let count = BATCH as i64;
        let rows = self.client.query(&self.claim, &[&count, &unit, &self.number, &attempt]).await?;
        let mut names: Vec<Vec<u8>> = Vec::with_capacity(rows.len());
        let mut ids: Vec<i64> = Vec::with_capacity(rows.len());
        for row in &rows {
            names.push(row.try_get(0)?);
            ids.push(row.try_get(1)?);
        }
        self.client.execute(&self.finish, &[&names, &ids, &unit, &attempt]).await?;
        Ok(rows.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_pgbench_says_is_read() {
        let said = "latency average = 0.4 ms\ntps = 2314.251 (without initial connection time)\n";
        assert_eq!(super::transactions(said).unwrap(), 2314.251);
        assert!(super::transactions("tps = many").is_err());
    }
}
