//! `/api/v1/limits`: rate limits. Those of the config file are shown and not changed.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lockgate_ledger::rate::shelf::{self, Author};
use lockgate_ledger::rate::{Limit, LimitDraft};

use super::{ADMIN, blocking, mistaken, read};
use crate::house::House;

pub(super) async fn list(State(house): State<Arc<House>>) -> Response {
    let answer = blocking(move || shelf::list(&of_file(&house), &*house.documents));
    answer
        .await
        .map_or_else(|refused| refused, |list| Json(serde_json::json!({ "limits": list })).into_response())
}

pub(super) async fn create(State(house): State<Arc<House>>, body: Bytes) -> Response {
    put(house, body, None, StatusCode::CREATED).await
}

pub(super) async fn replace(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    body: Bytes,
) -> Response {
    put(house, body, Some(named), StatusCode::OK).await
}

pub(super) async fn one(State(house): State<Arc<House>>, Path(named): Path<String>) -> Response {
    let answer = blocking(move || shelf::one(&of_file(&house), &*house.documents, &named));
    answer.await.map_or_else(|refused| refused, |limit| Json(limit).into_response())
}

pub(super) async fn remove(State(house): State<Arc<House>>, Path(named): Path<String>) -> Response {
    let answer = blocking(move || {
        let author = Author { by: ADMIN, at_ms: house.state.clock.wall_ms() };
        shelf::remove(&of_file(&house), &*house.documents, &named, author)
    });
    answer.await.map_or_else(|refused| refused, |()| StatusCode::NO_CONTENT.into_response())
}

/// Makes a limit, or puts another in place of the one that is named.
async fn put(house: Arc<House>, body: Bytes, named: Option<String>, status: StatusCode) -> Response {
    let mut draft: LimitDraft = match read(&body) {
        Ok(draft) => draft,
        Err(refused) => return refused,
    };
    if draft.name.is_none() {
        draft.name.clone_from(&named);
    }
    let answer = blocking(move || {
        let now = house.state.clock.wall_ms();
        let keys = house.keys.keys()?;
        // The mistakes go into the answer one by one.
        let limit = match draft.limit(&keys, now) {
            Ok(limit) => limit,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        let author = Author { by: ADMIN, at_ms: now };
        shelf::put(&of_file(&house), &*house.documents, &limit, named.as_deref(), author).map(Ok)
    });
    match answer.await {
        Ok(Ok(report)) => (status, Json(report)).into_response(),
        Ok(Err(mistakes)) => mistaken(mistakes.into_iter().map(|mistake| (mistake.member, mistake.text))),
        Err(refused) => refused,
    }
}

fn of_file(house: &House) -> Vec<Limit> {
    house.file_limits.read().unwrap_or_else(PoisonError::into_inner).clone()
}
