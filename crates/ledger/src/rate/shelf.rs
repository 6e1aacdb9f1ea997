//! Limits that are made by commands and over the network, as documents of the store. A name belongs to the config file or to the
//! store, never to both; the file's are changed there.

use lockgate_core::port::{Document, DocumentStore, Draft};
use lockgate_core::{Error, Key, Kind};
use serde::Serialize;

use super::draft::LimitDraft;
use super::limit::Limit;

/// The kind of such documents.
pub const KIND: &str = "limit";

/// A limit as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitReport {
    /// What it says.
    #[serde(flatten)]
    pub says: LimitDraft,
    /// Whose it is: `file` or `store`.
    pub source: &'static str,
    /// How often it was made, changed or removed; only in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Who changes the limits of a store, and when.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Who.
    pub by: &'a str,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// The limits of a store.
///
/// # Errors
/// `Internal` when it cannot be read, or has a limit that this program does not understand.
pub fn kept(store: &dyn DocumentStore, keys: &[Key], wall_ms: u64) -> Result<Vec<Limit>, Error> {
    let drafts = store.documents(KIND)?;
    drafts
        .iter()
        .map(|document| {
            let draft = draft(document)?;
            // A key that is gone counts nothing; it is no reason to keep the other limits out.
            draft.limit_of_known(keys, wall_ms).map_err(|_| unreadable(document))
        })
        .collect()
}

/// All limits, those of the file first, each in the order of names.
///
/// # Errors
/// As [`kept`].
pub fn list(file: &[Limit], store: &dyn DocumentStore) -> Result<Vec<LimitReport>, Error> {
    let mut reports: Vec<LimitReport> = file.iter().map(of_file).collect();
    reports.sort_by(|a, b| a.says.name.cmp(&b.says.name));
    for document in store.documents(KIND)? {
        // Where the file has taken the name of one that was made before, the file's is in force.
        if !file.iter().any(|limit| limit.name == document.name) {
            let version = Some(document.version);
            reports.push(LimitReport { says: draft(&document)?, source: "store", version });
        }
    }
    Ok(reports)
}

/// One limit.
///
/// # Errors
/// `NotFound` when there is none of this name; else as [`kept`].
pub fn one(file: &[Limit], store: &dyn DocumentStore, name: &str) -> Result<LimitReport, Error> {
    let found = list(file, store)?.into_iter().find(|report| report.says.name.as_deref() == Some(name));
    found.ok_or_else(|| unknown(name))
}

/// Makes a limit, or puts another in place of the one that is named, with the name that the limit has.
///
/// # Errors
/// `InvalidRequest` when the name is the file's, or taken; `NotFound` when the one to be replaced is not there; `Internal`
/// when the store cannot be written.
pub fn put(
    file: &[Limit],
    store: &dyn DocumentStore,
    limit: &Limit,
    instead: Option<&str>,
    author: Author<'_>,
) -> Result<LimitReport, Error> {
    owned(file, &limit.name)?;
    if let Some(name) = instead {
        owned(file, name)?;
        if !store.documents(KIND)?.iter().any(|document| *document.name == *name) {
            return Err(unknown(name));
        }
        if *limit.name != *name {
            let text =
                format!("A limit keeps its name \"{}\"; make another one and remove this.", shown(name));
            return Err(Error::client(Kind::InvalidRequest, text));
        }
    } else if store.documents(KIND)?.iter().any(|document| document.name == limit.name) {
        let text = format!("A limit named \"{}\" exists already.", shown(&limit.name));
        return Err(Error::client(Kind::InvalidRequest, text));
    }
    let says = LimitDraft::of(limit);
    let body = serde_json::to_string(&says).map_err(|error| {
        Error::gateway(Kind::Internal, "The limit cannot be kept.").detail(error.to_string())
    })?;
    let version = write(store, &limit.name, Some(body), instead.is_none().then_some(0), author)?;
    Ok(LimitReport { says, source: "store", version: Some(version) })
}

/// Removes a limit.
///
/// # Errors
/// `InvalidRequest` when it is the file's; `NotFound` when it is not there; `Internal` when the store cannot be written.
pub fn remove(
    file: &[Limit],
    store: &dyn DocumentStore,
    name: &str,
    author: Author<'_>,
) -> Result<(), Error> {
    owned(file, name)?;
    if !store.documents(KIND)?.iter().any(|document| *document.name == *name) {
        return Err(unknown(name));
    }
    write(store, name, None, None, author).map(drop)
}

fn write(
    store: &dyn DocumentStore,
    name: &str,
    body: Option<String>,
    after: Option<u64>,
    author: Author<'_>,
) -> Result<u64, Error> {
    store.put_document(&Draft {
        kind: KIND.into(),
        name: name.into(),
        after,
        body: body.map(Into::into),
        at_ms: author.at_ms,
        by: author.by.into(),
        reason: "".into(),
    })
}

fn of_file(limit: &Limit) -> LimitReport {
    LimitReport { says: LimitDraft::of(limit), source: "file", version: None }
}

fn draft(document: &Document) -> Result<LimitDraft, Error> {
    let body = document.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|_| unreadable(document))
}

fn unreadable(document: &Document) -> Error {
    let text = format!(
        "The limit \"{}\" in the store is not one that this version understands; remove it and make it anew.",
        shown(&document.name)
    );
    Error::gateway(Kind::Internal, text)
}

fn owned(file: &[Limit], name: &str) -> Result<(), Error> {
    if file.iter().any(|limit| *limit.name == *name) {
        let text = format!("The limit \"{}\" is in the config file: change it there.", shown(name));
        return Err(Error::client(Kind::InvalidRequest, text));
    }
    Ok(())
}

fn unknown(name: &str) -> Error {
    Error::client(Kind::NotFound, format!("There is no limit \"{}\".", shown(name)))
}

fn shown(name: &str) -> String {
    name.chars().take(128).collect()
}
