//! `GET /api/v1/health/endpoints`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use lockgate_route::State as Breaker;
use serde::Serialize;

use crate::house::House;

/// An endpoint that was called since the start.
#[derive(Debug, Serialize)]
pub(crate) struct Endpoint {
    /// The provider's name.
    pub(crate) provider: Arc<str>,
    /// The model's name at that provider.
    pub(crate) model: Arc<str>,
    /// `closed`: in rotation; `open`: out of it; `half_open`: the next call is a probe.
    pub(crate) breaker: &'static str,
}

/// Every endpoint with the state of its breaker.
pub(crate) fn all(house: &House) -> Vec<Endpoint> {
    let now = house.state.clock.now();
    let of = |state| match state {
        Breaker::Closed => "closed",
        Breaker::Probe => "half_open",
        Breaker::Open(_) => "open",
    };
    let all = house.state.registry.all().into_iter();
    all.map(|(target, breaker)| Endpoint {
        provider: target.provider,
        model: target.model,
        breaker: of(breaker.state(now)),
    })
    .collect()
}

pub(super) async fn health(State(house): State<Arc<House>>) -> Response {
    Json(serde_json::json!({ "endpoints": all(&house) })).into_response()
}
