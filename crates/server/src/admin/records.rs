//! `GET /api/v1/records` and `GET /api/v1/records/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lockgate_core::port::Filter;
use lockgate_core::{Kind, Outcome, RequestId};
use serde::Deserialize;

use super::{blocking, problem};
use crate::house::House;

/// What may stand in the query; all of it must fit.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    key: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    customer: Option<String>,
    outcome: Option<String>,
    error: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// The most records of one answer.
const MOST: usize = 1_000;

pub(super) async fn find(
    State(house): State<Arc<House>>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let filter = match asked.map_err(|rejection| rejection.body_text()).and_then(|Query(asked)| filter(asked))
    {
        Ok(filter) => filter,
        Err(message) => return problem(StatusCode::BAD_REQUEST, "invalid_request", &message),
    };
    let records = Arc::clone(&house.records);
    match blocking(move || records.find(&filter)).await {
        Ok(records) => Json(serde_json::json!({ "records": records })).into_response(),
        Err(response) => response,
    }
}

pub(super) async fn one(State(house): State<Arc<House>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<RequestId>() else {
        return problem(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "A request id has the form req_ and 26 characters.",
        );
    };
    let records = Arc::clone(&house.records);
    match blocking(move || records.get(id)).await {
        Ok(Some(record)) => Json(record).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "not_found", "No request of this id is remembered (yet)."),
        Err(response) => response,
    }
}

fn filter(asked: Asked) -> Result<Filter, String> {
    let outcome =
        asked.outcome.map(|code| Outcome::from_code(&code).ok_or(format!("There is no outcome \"{code}\".")));
    let error = asked
        .error
        .map(|code| Kind::from_code(&code).ok_or(format!("There is no kind of error \"{code}\".")));
    let after = asked.after.map(|id| id.parse().map_err(|_| "\"after\" is not a request id.".to_owned()));
    Ok(Filter {
        after: after.transpose()?,
        key: asked.key,
        provider: asked.provider,
        model: asked.model,
        customer: asked.customer,
        outcome: outcome.transpose()?,
        error: error.transpose()?,
        limit: asked.limit.unwrap_or(100).clamp(1, MOST),
        latest: true,
        ..Filter::default()
    })
}
