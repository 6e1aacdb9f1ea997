//! `/api/v1/alerts`: what was told to people, with every try, and whether they can be told.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{failed, problem, read};
use crate::house::House;

/// Which channel is tried.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Which {
    /// Its name; without it all are.
    channel: Option<String>,
}

pub(super) async fn list(State(house): State<Arc<House>>) -> Response {
    let deliveries = house.alerts.as_ref().map(|alerts| alerts.list()).unwrap_or_default();
    Json(serde_json::json!({ "configured": house.alerts.is_some(), "deliveries": deliveries }))
        .into_response()
}

pub(super) async fn test(State(house): State<Arc<House>>, body: Bytes) -> Response {
    let which: Which = match if body.is_empty() { Ok(Which::default()) } else { read(&body) } {
        Ok(which) => which,
        Err(refused) => return refused,
    };
    let Some(alerts) = house.alerts.as_deref() else {
        let message =
            "There are no alert channels. Add one under alerts.channels in the config and start anew.";
        return problem(StatusCode::NOT_FOUND, "not_found", message);
    };
    match alerts.test(which.channel.as_deref()).await {
        Ok(tested) => Json(serde_json::json!({ "tests": tested })).into_response(),
        Err(error) => failed(&error),
    }
}
