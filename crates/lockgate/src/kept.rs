//! What is kept in the store beside the config file: routes and scores, version by version.
//!
//! The file goes first. A route that it declares is its own, and so is a benchmark that `catalog.scores` has; the store's
//! documents lie between the built-in table and that.

use std::sync::Arc;

use lockgate_catalog::benchmark::{Row, from_json};
use lockgate_config::{Config, Diagnostic, KeptRoute, Severity, Store};
use lockgate_core::Error;
use lockgate_core::port::{Document, DocumentStore};
use lockgate_store::Postgres;

use crate::exit::Failure;
use crate::installation::open_store;

/// The kind of documents that are routes: the body stands under the name as it would in the file.
pub(crate) const ROUTES: &str = "route";
/// The kind of documents that are scores: the body is a list of rows.
pub(crate) const SCORES: &str = "scores";

/// The newest documents of both kinds, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) routes: Vec<Document>,
    pub(crate) scores: Vec<Document>,
}

/// A document that is not used, and why.
pub(crate) type LeftOut = (Arc<str>, String);

impl Kept {
    /// What a store keeps.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(store: &dyn DocumentStore) -> Result<Self, Error> {
        Ok(Self { routes: store.documents(ROUTES)?, scores: store.documents(SCORES)? })
    }

    /// What the store of a config keeps, if there is one yet; nothing is made. A database that is away keeps nothing as far as is
    /// known: whoever needs it will say so, and a gateway looks again.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn beside(config: &Config) -> Result<Self, Failure> {
        let there = match &config.store {
            Store::Sqlite(path) => path.exists(),
            Store::Postgres(address) => Postgres::is_there(address).unwrap_or(false),
        };
        if !there {
            return Ok(Self::default());
        }
        Ok(Self::read(&*open_store(config)?)?)
    }

    /// The routes, as the grammar takes them.
    pub(crate) fn grammar(&self) -> Vec<KeptRoute<'_>> {
        let documents = self.routes.iter();
        documents
            .filter_map(|document| Some(KeptRoute { name: &document.name, body: document.body.as_deref()? }))
            .collect()
    }

    /// The rows of all scores. Whoever put a document had it checked; what cannot be read is nothing.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.scores.iter().flat_map(rows).collect()
    }

    /// The same with another body under a name, or without the document.
    pub(crate) fn with(mut self, kind: &str, name: &str, body: Option<&str>) -> Self {
        let list = if kind == ROUTES { &mut self.routes } else { &mut self.scores };
        list.retain(|document| *document.name != *name);
        list.extend(body.map(|body| Document {
            kind: kind.into(),
            name: name.into(),
            version: 0,
            body: Some(body.into()),
            at_ms: 0,
            by: "".into(),
            reason: "".into(),
        }));
        list.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Takes the routes out that a diagnosis says are wrong. Those that use them may be wrong then, so it is for the caller to
    /// look again.
    pub(crate) fn without_wrong(&mut self, found: &[Diagnostic]) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        self.routes.retain(|document| {
            let wrong = found.iter().find(|diagnostic| {
                diagnostic.severity == Severity::Error && is_of(diagnostic, &document.name)
            });
            left_out.extend(wrong.map(|wrong| (Arc::clone(&document.name), wrong.message.clone())));
            wrong.is_none()
        });
        left_out
    }
}

/// The rows of a document of scores.
pub(crate) fn rows(document: &Document) -> Vec<Row> {
    document.body.as_deref().and_then(|body| from_json(body).ok()).unwrap_or_default()
}

/// Whether something was found in this route.
pub(crate) fn is_of(diagnostic: &Diagnostic, name: &str) -> bool {
    let path = lockgate_config::path_of(&["routes", name]);
    let rest = diagnostic.path.strip_prefix(&path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
