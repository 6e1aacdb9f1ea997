//! Schemas for tests, each of its own and gone after the test.

use std::ops::Deref;

use lockgate_config::Postgres as Address;

use crate::Postgres;

/// An empty schema in the database for tests; it goes with this value.
#[derive(Debug)]
pub struct Schema {
    address: Address,
}

/// A store in a schema of its own.
#[derive(Debug)]
pub struct InSchema {
    store: Postgres,
    // After the store, which is closed first.
    _schema: Schema,
}

/// Names the database for tests.
const VARIABLE: &str = "LOCKGATE_TEST_POSTGRES";

// === impl Schema ===

impl Schema {
    /// A name that nobody else has, in the database that `LOCKGATE_TEST_POSTGRES` names; without that variable, in one
    /// that is usually there: of `postgres` at localhost, or of the present user behind the usual socket.
    ///
    /// # Errors
    /// Why there is no database: the test is to be skipped.
    ///
    /// # Panics
    /// When the variable names a database that cannot be reached: whoever sets it wants the tests to run.
    pub fn find() -> Result<Self, String> {
        let mut chance = [0; 8];
        getrandom::fill(&mut chance).expect("the system has a random source");
        let schema = format!("lockgate_test_{:016x}", u64::from_be_bytes(chance));
        let within = |url: &str| -> Result<Address, String> {
            let address: Address = url.parse().map_err(|wrong| format!("the address {wrong}"))?;
            let address = Address { schema: schema.clone(), ..address };
            Postgres::is_there(&address).map(|_| address).map_err(|error| format!("{error:?}"))
        };
        if let Ok(url) = std::env::var(VARIABLE) {
            let address = within(&url).unwrap_or_else(|why| panic!("{VARIABLE}: {why}"));
            return Ok(Self { address });
        }
        let user =
            std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "root".into());
        let usual = [
            "postgres://postgres@localhost/postgres".to_owned(),
            format!("postgres://{user}@/postgres?host=/var/run/postgresql"),
        ];
        let address = usual.iter().find_map(|url| within(url).ok());
        let none = || format!("no PostgreSQL: neither {VARIABLE} nor {} leads to one", usual.join(" nor "));
        address.map(|address| Self { address }).ok_or_else(none)
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The same as the text of a setting.
    pub fn url(&self) -> String {
        let Address { user, password, host, port, database, schema, .. } = &self.address;
        let password = password.as_ref().map_or_else(String::new, |word| format!(":{}", word.expose()));
        format!("postgres://{user}{password}@/{database}?host={host}&port={port}&schema={schema}")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let gone = Postgres::drop_schema(&self.address);
        if !std::thread::panicking() {
            gone.expect("the schema of a test can be removed");
        }
    }
}

// === impl InSchema ===

impl InSchema {
    /// An empty store.
    ///
    /// # Errors
    /// As [`Schema::find`].
    ///
    /// # Panics
    /// When the store cannot be opened.
    pub fn open() -> Result<Self, String> {
        let schema = Schema::find()?;
        let store = Postgres::open(schema.address()).unwrap_or_else(|error| panic!("{error:?}"));
        Ok(Self { store, _schema: schema })
    }
}

impl Deref for InSchema {
    type Target = Postgres;

    fn deref(&self) -> &Postgres {
        &self.store
    }
}
