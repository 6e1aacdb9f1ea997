//! The admin endpoints: closed unless authenticated.

mod alerts;
mod auth;
mod budgets;
mod documents;
pub(crate) mod endpoints;
mod journal;
mod keys;
mod limits;
mod records;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use lockgate_core::Error;

pub use auth::Sessions;
pub(crate) use auth::{COOKIE, is_authenticated, session};

use crate::house::{House, MetricsAccess};

/// Who acts by the admin token, for the records.
const ADMIN: &str = "admin";

/// The admin endpoints, health and metrics.
pub(crate) fn router(house: &Arc<House>) -> Router {
    let admin = Router::new()
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{key}", patch(keys::change).delete(keys::revoke))
        .route("/api/v1/keys/{key}/rotate", post(keys::rotate))
        .route("/api/v1/budgets", get(budgets::list).post(budgets::create))
        .route("/api/v1/budgets/{budget}", get(budgets::one).put(budgets::replace).delete(budgets::remove))
        .route("/api/v1/budgets/{budget}/accounts", get(budgets::accounts))
        .route("/api/v1/budgets/{budget}/increases", post(budgets::raise))
        .route("/api/v1/budgets/{budget}/increases/{increase}", delete(budgets::lower))
        .route("/api/v1/budgets/{budget}/reconcile", post(budgets::reconcile))
        .route("/api/v1/limits", get(limits::list).post(limits::create))
        .route("/api/v1/limits/{limit}", get(limits::one).put(limits::replace).delete(limits::remove))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/test", post(alerts::test))
        .route("/api/v1/journal/{request}", get(journal::of_request))
        .route("/api/v1/records", get(records::find))
        .route("/api/v1/records/{id}", get(records::one))
        .route("/api/v1/health/endpoints", get(endpoints::health))
        .merge(documents::router("routes", "route"))
        .merge(documents::router("scores", "scores"))
        .layer(from_fn_with_state(Arc::clone(house), auth::require));
    let metrics = Router::new().route("/metrics", get(metrics));
    let metrics = match house.metrics {
        MetricsAccess::Public => metrics,
        MetricsAccess::Admin => metrics.layer(from_fn_with_state(Arc::clone(house), auth::require)),
    };
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .merge(admin)
        .merge(metrics)
        .fallback(not_found)
        .with_state(Arc::clone(house))
}

async fn ready(State(house): State<Arc<House>>) -> Response {
    if house.drain.is_leaving() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match (house.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(house): State<Arc<House>>) -> Response {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], (house.render_metrics)())
        .into_response()
}

async fn not_found(request: axum::extract::Request) -> Response {
    let message = format!("Nothing is served at {} {}.", request.method(), request.uri().path());
    problem(StatusCode::NOT_FOUND, "not_found", &message)
}

/// An error of the admin side.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } });
    (status, axum::Json(body)).into_response()
}

fn failed(error: &Error) -> Response {
    problem(error.status(), error.kind().code(), error.public())
}

/// A refusal of what somebody sent, with all that is wrong with it: the member, and why.
fn mistaken(mistakes: impl IntoIterator<Item = (&'static str, String)>) -> Response {
    let (mut lines, mut list) = (Vec::new(), Vec::new());
    for (member, text) in mistakes {
        lines.push(format!("{member}: {text}"));
        list.push(serde_json::json!({ "member": member, "message": text }));
    }
    let error =
        serde_json::json!({ "code": "invalid_request", "message": lines.join("; "), "mistakes": list });
    (StatusCode::BAD_REQUEST, axum::Json(serde_json::json!({ "error": error }))).into_response()
}

/// Reads the JSON that somebody sent.
#[expect(clippy::result_large_err, reason = "as everywhere here, what is wrong is answered at once")]
fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|wrong| {
        problem(StatusCode::BAD_REQUEST, "invalid_request", &format!("The body cannot be taken: {wrong}."))
    })
}

/// Runs work that may block, as a store's does, away from the worker's own thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Response> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failed(&error)),
        Err(_) => Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The store could not be read.")),
    }
}
