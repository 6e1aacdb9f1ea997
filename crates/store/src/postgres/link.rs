//! A connection to the database that makes itself anew, and the steps that are done over it.
//!
//! The ports block, and tokio-postgres does not: each connection has a runtime of its own, which runs only while somebody
//! waits for an answer on it. So every answer is waited for a bounded time, and a connection that rests costs no thread.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lockgate_config::Postgres as Address;
use lockgate_core::{Error, Kind};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use super::tls::Tls;
use super::value::Value;

/// Where the database is and how it is reached.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    tls: Option<Tls>,
    /// How long to wait for a connection, signed in.
    pub(super) connect: Duration,
    /// After a connection failed, the next is tried this much later; until then the failure is the answer.
    pub(super) rest: Duration,
}

/// One connection, used by one caller at a time.
#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    /// When the database could not be reached, and why.
    failed: Option<(Instant, String)>,
}

/// A connection that is there.
struct Session {
    /// Taken only when it ends.
    runtime: Option<Runtime>,
    client: Client,
}

/// What statements go through, mostly inside a transaction.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    client: &'a Client,
    patience: Duration,
}

/// Why a step was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is refused, or a row is damaged: the answer is final.
    Refused(Error),
    /// Something came between that may not come again.
    Again,
    /// The database or the connection says no.
    Failed(tokio_postgres::Error),
    /// There was no answer in time.
    Silent,
    /// This, and what was begun could not be taken back in order: the connection is of no use any more.
    Lost(Box<Fault>),
}

/// How long to wait for a connection, signed in.
const CONNECT: Duration = Duration::from_secs(5);
/// After this the database gives a statement up.
const STATEMENT: Duration = Duration::from_secs(10);
/// After this we do not wait for it any longer: whatever ails it, no thread hangs.
const PATIENCE: Duration = Duration::from_secs(12);
/// Whoever leaves in the middle of a transaction must not keep its locks for longer.
const ABANDONED: Duration = Duration::from_secs(15);
/// Short, so that a database that is back is found; long enough to keep those who look every moment from waiting each time.
const REST: Duration = Duration::from_millis(500);
/// How often a step is tried that came into another's way.
const TRIES: u32 = 8;

#[cfg(test)]
thread_local! {
    /// How many statements this thread has sent.
    pub(super) static ASKED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// A result of a step.
pub(super) type Outcome<T> = Result<T, Fault>;

// === impl Target ===

impl Target {
    /// # Errors
    /// [`Kind::Internal`] when the file of good certificates cannot be used.
    pub(super) fn new(address: &Address) -> Result<Self, Error> {
        let tls = Tls::of(address).map_err(|e| unreached(address, &e.to_string()))?;
        Ok(Self { address: address.clone(), tls, connect: CONNECT, rest: REST })
    }

    fn config(&self) -> Config {
        let Address { user, password, host, port, database, .. } = &self.address;
        let mut config = Config::new();
        if self.address.is_local() {
            config.host_path(host);
        } else {
            config.host(host);
        }
        config.user(user).port(*port).dbname(database).application_name("lockgate");
        if let Some(password) = password {
            config.password(password.expose());
        }
        let mode = match (&self.tls, self.address.tls) {
            (None, _) => SslMode::Disable,
            (Some(_), lockgate_config::PostgresTls::Prefer) => SslMode::Prefer,
            (Some(_), _) => SslMode::Require,
        };
        config.ssl_mode(mode).channel_binding(ChannelBinding::Prefer);
        config.connect_timeout(self.connect).tcp_user_timeout(STATEMENT);
        config.keepalives_idle(Duration::from_secs(30)).keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config
    }

    async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        let config = self.config();
        let client = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(connection);
                client
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(connection);
                client
            }
        };
        let (schema, millis) = (&self.address.schema, |time: Duration| time.as_millis());
        let settings = format!(
            "SET search_path TO \"{schema}\"; SET statement_timeout = {}; SET client_min_messages = error; \
             SET idle_in_transaction_session_timeout = {}",
            millis(STATEMENT),
            millis(ABANDONED),
        );
        client.batch_execute(&settings).await?;
        Ok(client)
    }

    /// What a fault looks like to the rest of the house.
    fn failure(&self, fault: Fault) -> Error {
        let why = match fault {
            Fault::Refused(error) => return error,
            Fault::Again => "others were in the way again and again".to_owned(),
            Fault::Failed(error) => said(&error),
            Fault::Silent => "there was no answer in time".to_owned(),
            Fault::Lost(fault) => return self.failure(*fault),
        };
        Error::gateway(Kind::Internal, "the store failed").detail(format!("{}: {why}", self.address))
    }
}

/// The answer when the database cannot be reached. It names the database and never the password.
fn unreached(address: &Address, why: &str) -> Error {
    Error::gateway(Kind::Internal, "the store cannot be reached").detail(format!("{address}: {why}"))
}

/// An error with what caused it.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(database) = error.as_db_error() {
        let hint = database.hint().map_or_else(String::new, |hint| format!("; {hint}"));
        return format!("{} ({}){hint}", database.message(), database.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

// === impl Link ===

impl Link {
    /// Connects at its first use.
    pub(super) fn new() -> Self {
        Self { state: Mutex::default() }
    }

    /// Reads over the connection.
    pub(super) fn read<T: Send>(
        &self,
        target: &Target,
        look: impl AsyncFn(Step<'_>) -> Outcome<T> + Sync,
    ) -> Result<T, Error> {
        self.on_session(target, async |client: &Client| look(Step { client, patience: PATIENCE }).await)
    }

    /// Changes something as one transaction: all of it or nothing. What came into another's way is tried again.
    pub(super) fn write<T: Send>(
        &self,
        target: &Target,
        change: impl AsyncFn(Step<'_>) -> Outcome<T> + Sync,
    ) -> Result<T, Error> {
        self.write_with(target, PATIENCE, change)
    }

    /// As [`Self::write`], with more patience for each statement.
    pub(super) fn write_with<T: Send>(
        &self,
        target: &Target,
        patience: Duration,
        change: impl AsyncFn(Step<'_>) -> Outcome<T> + Sync,
    ) -> Result<T, Error> {
        self.on_session(target, async |client: &Client| {
            let step = Step { client, patience };
            let mut tries = 0;
            loop {
                let fault = match transact(step, &change).await {
                    Ok(done) => return Ok(done),
                    Err(fault) => fault,
                };
                tries += 1;
                if !fault.may_pass() || tries == TRIES {
                    return Err(fault);
                }
                // A little longer each time, so that those who meet do not meet again.
                tokio::time::sleep(Duration::from_millis(u64::from(5 * tries))).await;
            }
        })
    }

    fn on_session<T: Send>(
        &self,
        target: &Target,
        work: impl AsyncFn(&Client) -> Outcome<T> + Sync,
    ) -> Result<T, Error> {
        let run = || {
            // The session is out of its place while it is used: what is left of a panic is no session.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let session = state.session(target)?;
            let outcome = session.block_on(work(&session.client));
            let broken = matches!(outcome, Err(Fault::Silent | Fault::Lost(_))) || session.client.is_closed();
            state.session = (!broken).then_some(session);
            outcome.map_err(|fault| target.failure(fault))
        };
        if Handle::try_current().is_err() {
            return run();
        }
        // A runtime cannot be entered inside another one. Nobody should call from there, and nobody who does shall panic.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("store".into()).spawn_scoped(scope, run);
            let thread = thread.map_err(|e| unreached(&target.address, &e.to_string()))?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

async fn transact<T>(step: Step<'_>, change: &impl AsyncFn(Step<'_>) -> Outcome<T>) -> Outcome<T> {
    // Whatever the database's own default is: rows are locked where it matters.
    step.run("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    match change(step).await {
        Ok(done) => {
            step.run("COMMIT").await?;
            Ok(done)
        }
        // It would not hear that either.
        Err(Fault::Silent) => Err(Fault::Silent),
        Err(fault) => match step.run("ROLLBACK").await {
            Ok(()) => Err(fault),
            Err(_) => Err(Fault::Lost(Box::new(fault))),
        },
    }
}

impl State {
    /// The session that is there and good, or a new one.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long to leave the network alone; nothing that is kept depends on it"
    )]
    fn session(&mut self, target: &Target) -> Result<Session, Error> {
        if let Some(session) = self.session.take()
            && session.is_good()
        {
            return Ok(session);
        }
        if let Some((when, why)) = &self.failed
            && when.elapsed() < target.rest
        {
            return Err(unreached(&target.address, why));
        }
        let made = Session::open(target);
        self.failed = made.as_ref().err().map(|why| (Instant::now(), why.clone()));
        made.map_err(|why| unreached(&target.address, &why))
    }
}

// === impl Session ===

impl Session {
    /// # Errors
    /// Why there is none.
    fn open(target: &Target) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let client = runtime.block_on(async { timeout(target.connect, target.client()).await });
        match client {
            Ok(Ok(client)) => Ok(Self { runtime: Some(runtime), client }),
            Ok(Err(error)) => Err(said(&error)),
            Err(_) => {
                // It may still be asking for the address of the host.
                runtime.shutdown_background();
                Err(format!("no connection within {:?}", target.connect))
            }
        }
    }

    fn block_on<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Fault::Silent),
        }
    }

    /// Whether the database has not left meanwhile. Asks nobody: it reads what has come in already.
    fn is_good(&self) -> bool {
        let heard = self.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok(())
        });
        heard.is_ok() && !self.client.is_closed()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Must not wait, and may happen anywhere, also inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("closed", &self.client.is_closed()).finish_non_exhaustive()
    }
}

// === impl Step ===

impl Step<'_> {
    /// The rows of a statement.
    pub(super) async fn query(self, sql: &str, values: &[Value<'_>]) -> Outcome<Vec<Row>> {
        let typed = typed(values);
        self.patiently(self.client.query_typed(sql, &typed)).await
    }

    /// The first row, if there is one.
    pub(super) async fn first(self, sql: &str, values: &[Value<'_>]) -> Outcome<Option<Row>> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(self, sql: &str, values: &[Value<'_>]) -> Outcome<u64> {
        let typed = typed(values);
        self.patiently(self.client.execute_typed(sql, &typed)).await
    }

    /// Statements without values.
    pub(super) async fn run(self, sql: &str) -> Outcome<()> {
        self.patiently(self.client.batch_execute(sql)).await
    }

    async fn patiently<T>(
        self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Outcome<T> {
        #[cfg(test)]
        ASKED.set(ASKED.get() + 1);
        Ok(timeout(self.patience, answer).await.map_err(|_| Fault::Silent)??)
    }
}

fn typed<'a>(values: &'a [Value<'_>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), value.kind())).collect()
}

// === impl Fault ===

impl Fault {
    /// Whether the same step may go well when it is done anew.
    fn may_pass(&self) -> bool {
        match self {
            Self::Again => true,
            Self::Failed(error) => error.code().is_some_and(|code| {
                *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
            }),
            Self::Refused(_) | Self::Silent | Self::Lost(_) => false,
        }
    }

    /// Whether a row was refused because of this index.
    pub(super) fn is_taken(&self, index: &str) -> bool {
        let Self::Failed(error) = self else { return false };
        error.as_db_error().is_some_and(|database| {
            *database.code() == SqlState::UNIQUE_VIOLATION && database.constraint() == Some(index)
        })
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error)
    }
}
