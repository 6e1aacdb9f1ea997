//! `store`, `records` and `log`: what is remembered, where, and what is said about it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value as Json;

use crate::context::Context;
use crate::declare::{choices, settings};
use crate::diagnostic::Complaint;
use crate::document::Node;
use crate::postgres::{Postgres, WrongPostgres};
use crate::scalar::warn_if_written;
use crate::setting::{Setting, Shape};

/// Where keys, records, documents and budgets live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// An embedded database in a file; written `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A database that several gateways may share; written `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(Box<Postgres>),
}

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// They are never deleted; written `0`.
    Forever,
    /// They are deleted when they are older than this; at least an hour.
    For(Duration),
}

/// The text does not name a store. Says nothing of what it holds, which may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownStore {
    /// It is of no known kind.
    Kind,
    /// It is an address of PostgreSQL that something is wrong with.
    Postgres(WrongPostgres),
}

settings! {
    /// How the record of each request gets into the store.
    pub struct Records {
        /// Longest time a record waits in memory before it is written; what a crash can lose.
        flush: Duration = Duration::from_millis(100), within Duration::from_millis(10)..=Duration::from_secs(10);
        /// Records held in memory at most; further ones are counted and dropped, never waited for.
        queue: u32 = 65_536, within 1..=10_000_000;
        /// Age at which records are deleted, at least 1h; 0 keeps them for ever.
        retention: Retention = Retention::For(Duration::from_secs(30 * 86_400));
    }
}

settings! {
    /// What the process says on its standard error.
    pub struct Log {
        /// Lines to read, or JSON objects to collect.
        format: LogFormat = LogFormat::Text;
        /// The least important messages that are still said.
        level: LogLevel = LogLevel::Info;
        /// Whether each request gets a line, at level info.
        requests: bool = false;
    }
}

choices! {
    /// The form of log lines.
    pub enum LogFormat {
        /// Lines to read.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

choices! {
    /// How important a message must be to be logged.
    pub enum LogLevel {
        /// Something failed that should not fail.
        Error = "error",
        /// Something needs attention.
        Warn = "warn",
        /// Something worth knowing happened.
        Info = "info",
        /// Everything that helps to find a fault.
        Debug = "debug",
    }
}

// === impl Store ===

impl FromStr for Store {
    type Err = UnknownStore;

    fn from_str(text: &str) -> Result<Self, UnknownStore> {
        if Postgres::behind_scheme(text).is_some() {
            let address = text.parse().map_err(UnknownStore::Postgres)?;
            return Ok(Self::Postgres(Box::new(address)));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(UnknownStore::Kind),
        }
    }
}

/// Without a password.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for UnknownStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str(
                "is not a store; \"sqlite:PATH\" and \"postgres://USER@HOST/DATABASE\" are what is supported",
            ),
            Self::Postgres(wrong) => wrong.fmt(f),
        }
    }
}

impl std::error::Error for UnknownStore {}

impl Setting for Store {
    fn shape() -> Shape {
        let schema = serde_json::json!({ "type": "string", "pattern": "^(sqlite:.|postgres(ql)?://.)" });
        Shape::plain("`sqlite:PATH`, `postgres://USER@HOST/DATABASE`", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        // An address can hold a password, so only its scheme is ever shown.
        let scalar = cx.text(node, "a store such as sqlite:.lockgate/lockgate.db")?;
        let store = scalar.text.parse();
        let store = store
            .map_err(|fault: UnknownStore| cx.error(node.at, Complaint::new(format!("this {fault}"))))
            .ok()?;
        if matches!(&store, Self::Postgres(address) if address.password.is_some()) {
            warn_if_written(scalar, node, cx);
        }
        Some(store)
    }

    fn spell(&self) -> Json {
        self.to_string().into()
    }
}

// === impl Retention ===

impl Setting for Retention {
    fn shape() -> Shape {
        Duration::shape()
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        const SHORTEST: Duration = Duration::from_secs(3600);
        match Duration::read(node, cx)? {
            Duration::ZERO => Some(Self::Forever),
            span if span >= SHORTEST => Some(Self::For(span)),
            _ => {
                cx.error(node.at, Complaint::new("must be at least 1h, or 0 to keep records for ever"));
                None
            }
        }
    }

    fn spell(&self) -> Json {
        match self {
            Self::Forever => Duration::ZERO.spell(),
            Self::For(span) => span.spell(),
        }
    }
}
