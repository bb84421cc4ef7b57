//! A connection: its settings, its prepared statements, and the database's time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use model::Error;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::address::Address;
use super::failure::{Failure, Outcome, causes};
use super::texts::Text;

/// The longest time that connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The longest time that a statement may go without an answer before the connection counts as
/// lost: longer than the server itself waits for a lock.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Statements that stay prepared: many more than there are kinds of groups in practice.
const STATEMENTS_MAX: usize = 500;

/// Asks for the time in microseconds since 1970.
pub(crate) const TIME: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// How every connection is set. The queue's statements find rows by an index or not at all, so
/// plans that read whole tables are ruled out, whatever the statistics of a young table say.
const SETTINGS: &str = "
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET enable_bitmapscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;
    SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '15s';
    SET statement_timeout = '45s'; SET client_min_messages = warning;
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local');
";

/// A connection that is used by one thread.
pub(crate) struct Link {
    client: Client,
    statements: RefCell<HashMap<Text, Statement>>,
}

impl Link {
    /// Connects. The runtime that this runs on drives the connection.
    pub(crate) async fn connect(address: &Address, what: &str) -> Outcome<Self> {
        let connecting = address.connect(what);
        let client = tokio::time::timeout(CONNECT_MAX, connecting).await.map_err(|_| {
            let seconds = CONNECT_MAX.as_secs();
            Failure::Lost(Error::Unavailable(format!(
                "{address} did not answer within {seconds} s; check that it runs and can be reached"
            )))
        })??;
        client.batch_execute(SETTINGS).await?;
        client.batch_execute(&format!("SET search_path = {}", address.schema())).await?;
        Ok(Self { client, statements: RefCell::default() })
    }

    /// Runs a statement that was prepared once, and gives its rows.
    pub(crate) async fn query(
        &self,
        text: impl Into<Text>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Outcome<Vec<Row>> {
        let statement = self.prepared(text.into()).await?;
        answered(self.client.query(&statement, parameters)).await
    }

    /// Runs a statement that was prepared once, and gives the number of its rows.
    pub(crate) async fn execute(
        &self,
        text: impl Into<Text>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Outcome<u64> {
        let statement = self.prepared(text.into()).await?;
        answered(self.client.execute(&statement, parameters)).await
    }

    /// Runs statements without parameters or results.
    pub(crate) async fn run(&self, text: &str) -> Outcome<()> {
        answered(self.client.batch_execute(text)).await
    }

    async fn prepared(&self, text: Text) -> Outcome<Statement> {
        let known = self.statements.borrow().get(&text).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = answered(self.client.prepare(&text.words()?)).await?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS_MAX {
            // Others were prepared ahead for good.
            statements.retain(|text, _| !matches!(text, Text::Group(_)));
        }
        statements.insert(text, statement.clone());
        Ok(statement)
    }

    /// Tells whether the connection is known to be gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Prepares statements ahead, so that those that are sent together stay together.
    pub(crate) async fn prepare(&self, texts: impl IntoIterator<Item = Text>) -> Outcome<()> {
        try_join_all(texts.into_iter().map(|text| self.prepared(text))).await.map(drop)
    }

    /// Begins a transaction, and asks for the time unless that was done just now; all with one
    /// round trip, together with what is sent at once behind it.
    pub(crate) async fn begin(&self, text: &'static str, time: &DatabaseTime) -> Outcome<()> {
        try_join(self.execute(text, &[]), self.ask_time(time)).await.map(drop)
    }

    /// Asks for the time unless that was done just now.
    pub(crate) async fn ask_time(&self, time: &DatabaseTime) -> Outcome<()> {
        if !time.is_old() {
            return Ok(());
        }
        let sent = Instant::now();
        let rows = self.query(TIME, &[]).await?;
        if let Some(micros) = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose()? {
            time.note(micros, sent);
        }
        Ok(())
    }
}

/// Waits for an answer, but not for ever: a server that was cut off never says so.
async fn answered<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Outcome<T> {
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            let seconds = ANSWER_MAX.as_secs();
            let message = format!("PostgreSQL did not answer within {seconds} s");
            Err(Failure::Lost(Error::Unavailable(message)))
        }
    }
}

/// Tells what went wrong while connecting.
pub(crate) fn refused(address: &Address, error: &tokio_postgres::Error) -> Failure {
    let (state, causes) = (error.code().map(|state| state.code()), causes(error));
    match state {
        Some("28P01" | "28000") => Failure::Error(Error::BadInput(format!(
            "{address} refuses the user or the password ({causes}); check the user in the address \
             and the password in it, in `password_file` or in PGPASSWORD"
        ))),
        Some("3D000") => Failure::Error(Error::BadInput(format!(
            "{address} has no such database ({causes}); make it first, for instance with `createdb`"
        ))),
        _ => Failure::Lost(Error::Unavailable(format!(
            "cannot connect to {address}: {causes}; check that it runs and can be reached"
        ))),
    }
}

/// How long the machine's steady clock tells the time before the database is asked again.
const TIME_OLD: Duration = Duration::from_millis(250);

/// The database's time, told by the machine's steady clock since it was last asked.
#[derive(Debug)]
pub(crate) struct DatabaseTime {
    start: Instant,
    /// Nanoseconds since 1970 at `start`, by the database.
    offset: AtomicI64,
    /// When it was asked last, in nanoseconds since the start.
    asked: AtomicI64,
}

impl DatabaseTime {
    pub(crate) fn new() -> Self {
        let (offset, asked) = (AtomicI64::new(0), AtomicI64::new(i64::MIN));
        Self { start: Instant::now(), offset, asked }
    }

    /// Tells whether it is time to ask again.
    fn is_old(&self) -> bool {
        let old = i64::try_from(TIME_OLD.as_nanos()).unwrap_or(0);
        self.steady().saturating_sub(self.asked.load(Ordering::Acquire)) >= old
    }

    fn steady(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    /// Takes note of a time that was asked for at `sent` and came just now.
    pub(crate) fn note(&self, micros: i64, sent: Instant) {
        let half = sent.elapsed() / 2;
        let steady = self.start.elapsed().saturating_sub(half);
        let steady = i64::try_from(steady.as_nanos()).unwrap_or(i64::MAX);
        let offset = micros.saturating_mul(1_000).saturating_sub(steady);
        self.offset.store(offset, Ordering::Release);
        self.asked.store(steady, Ordering::Release);
    }

    /// Tells the time in nanoseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.offset.load(Ordering::Acquire).saturating_add(self.steady())
    }
}
