//! `/api/v1/routes` and `/api/v1/scores`: what is kept beside the config file, in versions.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lockgate_core::port::Draft;
use serde::Deserialize;
use serde_json::json;

use super::problem;
use crate::cabinet::{Cabinet, Entry, Objection, compare, roll_back, shown, version};
use crate::house::House;

/// What may stand in the query of a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Change {
    /// The number of the version that is changed; 0: there must be none.
    after: Option<u64>,
    /// Why.
    reason: String,
}

/// What may stand in the query of a reading.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    version: Option<u64>,
}

/// Which versions are compared; without one of them the newest, or the one before it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Both {
    from: Option<u64>,
    to: Option<u64>,
}

/// To which version.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    version: u64,
    #[serde(default)]
    reason: String,
}

/// Who made a change, where the caller says it.
const BY: &str = "x-lockgate-by";
/// Bytes of a name, of who, or of why.
const LONGEST: usize = 256;

type Answer = Result<Response, Objection>;

/// The endpoints of a kind of documents, under the name that they have in paths.
pub(super) fn router(name: &str, kind: &'static str) -> Router<Arc<House>> {
    let all = format!("/api/v1/{name}");
    let one = format!("{all}/{{name}}");
    Router::new()
        .route(
            &all,
            get(move |State(house): State<Arc<House>>| run(house, move |cabinet| list(cabinet, kind))),
        )
        .route(
            &one,
            get(
                move |State(house): State<Arc<House>>,
                      Path(name): Path<String>,
                      Query(which): Query<Which>| {
                    run(house, move |cabinet| read(cabinet, kind, &name, &which))
                },
            )
            .put(
                move |State(house): State<Arc<House>>,
                      Path(name): Path<String>,
                      Query(change): Query<Change>,
                      headers: HeaderMap,
                      body: Bytes| {
                    let by = by(&headers);
                    run(house, move |cabinet| {
                        let body = std::str::from_utf8(&body).map_err(|_| not_text())?;
                        put(cabinet, (kind, &name), &change, &by, Some(body))
                    })
                },
            )
            .delete(
                move |State(house): State<Arc<House>>,
                      Path(name): Path<String>,
                      Query(change): Query<Change>,
                      headers: HeaderMap| {
                    let by = by(&headers);
                    run(house, move |cabinet| put(cabinet, (kind, &name), &change, &by, None))
                },
            ),
        )
        .route(
            &format!("{one}/versions"),
            get(move |State(house): State<Arc<House>>, Path(name): Path<String>| {
                run(house, move |cabinet| versions(cabinet, kind, &name))
            }),
        )
        .route(
            &format!("{one}/diff"),
            get(
                move |State(house): State<Arc<House>>, Path(name): Path<String>, Query(both): Query<Both>| {
                    run(house, move |cabinet| diff(cabinet, kind, &name, &both))
                },
            ),
        )
        .route(
            &format!("{one}/rollback"),
            post(
                move |State(house): State<Arc<House>>,
                      Path(name): Path<String>,
                      headers: HeaderMap,
                      Json(back): Json<Back>| {
                    let by = by(&headers);
                    run(house, move |cabinet| {
                        let made =
                            roll_back(cabinet, (kind, &name), back.version, (&by, &cut(&back.reason)))?;
                        Ok(Json(json!({ "name": name, "version": made })).into_response())
                    })
                },
            ),
        )
}

fn list(cabinet: &dyn Cabinet, kind: &str) -> Answer {
    let entries: Vec<_> = cabinet.list(kind)?.iter().map(Entry::to_json).collect();
    Ok(Json(json!({ "documents": entries })).into_response())
}

fn read(cabinet: &dyn Cabinet, kind: &str, name: &str, which: &Which) -> Answer {
    let of_file = |entry: &Entry| matches!(entry, Entry::OfFile(own) if own == name);
    if which.version.is_none()
        && let Some(entry) = cabinet.list(kind)?.iter().find(|entry| of_file(entry))
    {
        return Ok(Json(entry.to_json()).into_response());
    }
    let versions = cabinet.versions(kind, name)?;
    Ok(Json(shown(version(&versions, name, which.version)?)).into_response())
}

fn versions(cabinet: &dyn Cabinet, kind: &str, name: &str) -> Answer {
    let versions = cabinet.versions(kind, name)?;
    if versions.is_empty() {
        return Err(Objection::Missing(format!("there is no \"{name}\" in the store")));
    }
    Ok(Json(json!({ "versions": versions.iter().map(shown).collect::<Vec<_>>() })).into_response())
}

fn diff(cabinet: &dyn Cabinet, kind: &str, name: &str, both: &Both) -> Answer {
    let versions = cabinet.versions(kind, name)?;
    let newest = versions.last().map_or(0, |newest| newest.version);
    let to = both.to.unwrap_or(newest);
    let from = both.from.unwrap_or_else(|| to.saturating_sub(1).max(1));
    let (earlier, later) = (version(&versions, name, Some(from))?, version(&versions, name, Some(to))?);
    let lines = compare(earlier.body.as_deref(), later.body.as_deref());
    Ok(Json(json!({ "name": name, "from": from, "to": to, "lines": lines })).into_response())
}

fn put(
    cabinet: &dyn Cabinet,
    (kind, name): (&str, &str),
    change: &Change,
    by: &str,
    body: Option<&str>,
) -> Answer {
    let made = cabinet.put(&Draft {
        kind: kind.into(),
        name: name.into(),
        after: change.after,
        body: body.map(Into::into),
        at_ms: cabinet.wall_ms(),
        by: by.into(),
        reason: cut(&change.reason).into(),
    })?;
    Ok(Json(json!({ "name": name, "version": made })).into_response())
}

/// Runs what may block away from the worker's own thread.
async fn run(house: Arc<House>, work: impl FnOnce(&dyn Cabinet) -> Answer + Send + 'static) -> Response {
    let cabinet = Arc::clone(&house.cabinet);
    match tokio::task::spawn_blocking(move || work(&*cabinet)).await {
        Ok(Ok(response)) => response,
        Ok(Err(objection)) => refused(&objection),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The store could not be read."),
    }
}

fn refused(objection: &Objection) -> Response {
    let (status, code) = match objection {
        Objection::Owned(_) => (StatusCode::CONFLICT, "owned_by_file"),
        Objection::Outdated(_) => (StatusCode::CONFLICT, "outdated"),
        Objection::Missing(_) => (StatusCode::NOT_FOUND, "not_found"),
        Objection::Wrong(flaws) => {
            let body = json!({ "error": { "code": "invalid_document", "message": objection.text(), "flaws": flaws } });
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response();
        }
        Objection::Failed(error) => return super::failed(error),
    };
    problem(status, code, &objection.text())
}

fn by(headers: &HeaderMap) -> String {
    let said = headers.get(BY).and_then(|value| value.to_str().ok()).map(str::trim);
    said.filter(|by| !by.is_empty()).map_or_else(|| "admin".to_owned(), cut)
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn not_text() -> Objection {
    Objection::Wrong(vec![crate::cabinet::Flaw {
        path: String::new(),
        line: 1,
        column: 1,
        message: "the document is not UTF-8".to_owned(),
        hint: None,
    }])
}
