//! `GET /api/v1/keys`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::blocking;
use crate::house::House;

/// Every key, without its secret.
pub(super) async fn list(State(house): State<Arc<House>>) -> Response {
    let keys = Arc::clone(&house.keys);
    match blocking(move || keys.keys()).await {
        Ok(keys) => Json(serde_json::json!({ "keys": keys })).into_response(),
        Err(response) => response,
    }
}
