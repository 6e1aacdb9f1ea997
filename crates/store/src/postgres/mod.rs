//! Keys, records, documents and the ledger in a schema of a PostgreSQL database, which several gateways may share.
//!
//! The files are those of `sqlite/`, and so are the rows, but for records: there is one row of each, in columns that reports
//! can ask for.

mod documents;
mod keys;
mod ledger;
mod link;
mod migrations;
mod records;
#[cfg(test)]
mod tests;
mod tls;
mod value;

use lockgate_core::Error;

use self::link::{Link, Outcome, Step, Target};
use self::value::Columns as _;
use crate::damaged;

/// The store of several gateways. Every call blocks on the network, for a bounded time, and calls on one of its connections wait
/// for each other. A connection that is lost is an error once; the next call makes another.
#[derive(Debug)]
pub struct Postgres {
    target: Target,
    /// Records come in here.
    records: Link,
    /// Records and the ledger are read here. A search through all of them must not keep a key from being revoked.
    reads: Link,
    /// Everything about keys and documents.
    keys: Link,
    /// Everything that changes money.
    ledger: Link,
}

// === impl Postgres ===

impl Postgres {
    /// Connects, and makes schema and tables if there are none. Tables of an older version are brought up to date.
    ///
    /// A commit survives what the server says that it does: see its `synchronous_commit`.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when a newer program wrote the tables, or the database does not keep every text;
    /// [`Kind::Internal`] when it cannot be reached or its tables cannot be made.
    ///
    /// [`Kind::Unavailable`]: lockgate_core::Kind::Unavailable
    /// [`Kind::Internal`]: lockgate_core::Kind::Internal
    pub fn open(address: &lockgate_config::Postgres) -> Result<Self, Error> {
        let store = Self::of(address)?;
        migrations::run(&store.keys, &store.target)?;
        Ok(store)
    }

    /// Whether there is a store at an address, whatever its version. Makes nothing.
    ///
    /// # Errors
    /// [`Kind::Internal`](lockgate_core::Kind::Internal) when the database cannot be reached.
    pub fn is_there(address: &lockgate_config::Postgres) -> Result<bool, Error> {
        let store = Self::of(address)?;
        let schema = &store.target.address.schema;
        store.reads.read(&store.target, async |step: Step<'_>| migrations::is_there(step, schema).await)
    }

    /// Removes a schema and all that is in it.
    #[cfg(any(test, feature = "exam"))]
    pub(crate) fn drop_schema(address: &lockgate_config::Postgres) -> Result<(), Error> {
        let store = Self::of(address)?;
        let sql = format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", address.schema);
        store.keys.read(&store.target, async |step: Step<'_>| step.run(&sql).await)
    }

    fn of(address: &lockgate_config::Postgres) -> Result<Self, Error> {
        Ok(Self {
            target: Target::new(address)?,
            records: Link::new(),
            reads: Link::new(),
            keys: Link::new(),
            ledger: Link::new(),
        })
    }
}

// === numbers that tell of changes ===

/// How often something was changed.
async fn revision(step: Step<'_>, what: &str) -> Outcome<u64> {
    let row = step.first("SELECT number FROM revision WHERE what = $1", &[what.into()]).await?;
    Ok(row.ok_or_else(|| damaged("a revision is missing"))?.number(0)?.cast_unsigned())
}

/// Counts a change. Until the end of the transaction others that count the same wait.
async fn changed(step: Step<'_>, what: &str) -> Outcome<()> {
    let sql = "UPDATE revision SET number = number + 1 WHERE what = $1";
    match step.execute(sql, &[what.into()]).await? {
        1 => Ok(()),
        _ => Err(damaged("a revision is missing").into()),
    }
}
