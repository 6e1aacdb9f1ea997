//! `GET /api/v1/journal/{request id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lockgate_core::RequestId;
use lockgate_ledger::report;

use super::{blocking, problem};
use crate::house::House;

/// Every charge and correction of a request; none, if no budget counts it or it was not charged yet.
pub(super) async fn of_request(State(house): State<Arc<House>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<RequestId>() else {
        let text = "A request id has the form req_ and 26 characters.";
        return problem(StatusCode::BAD_REQUEST, "invalid_request", text);
    };
    match blocking(move || report::journal(&*house.ledger, id)).await {
        Ok(entries) => Json(serde_json::json!({ "entries": entries })).into_response(),
        Err(response) => response,
    }
}
