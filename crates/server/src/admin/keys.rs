//! `/api/v1/keys`: virtual keys. What a key opens with is in the answer that makes it, and nowhere else.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lockgate_core::key::{self, Change, Draft, KeyState, PREFIX, Shown};
use lockgate_core::port::KeyStore;
use lockgate_core::{Error, Key, Kind, Secret};
use serde::Deserialize;

use super::{blocking, mistaken, read};
use crate::house::House;

/// What a renewal may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Renewal {
    /// A new expiry in Unix milliseconds; without it the old one stays.
    expires_ms: Option<u64>,
}

/// Every key, without its secret.
pub(super) async fn list(State(house): State<Arc<House>>) -> Response {
    let now = house.state.clock.wall_ms();
    match blocking(move || house.keys.keys()).await {
        Ok(keys) => {
            let keys: Vec<Shown<'_>> = keys.iter().map(|key| Shown::new(key, now)).collect();
            Json(serde_json::json!({ "keys": keys })).into_response()
        }
        Err(response) => response,
    }
}

pub(super) async fn create(State(house): State<Arc<House>>, body: Bytes) -> Response {
    let draft: Draft = match read(&body) {
        Ok(draft) => draft,
        Err(refused) => return refused,
    };
    let now = house.state.clock.wall_ms();
    let mistakes = draft.mistakes(now);
    if !mistakes.is_empty() {
        return mistaken(mistakes);
    }
    let made = blocking(move || {
        let new = (house.new_key)()?;
        let key = Key {
            id: new.id,
            name: draft.name.into(),
            hint: new.hint,
            hash: (house.state.hasher)(new.secret.expose()),
            created_ms: now,
            expires_ms: draft.expires_ms,
            revoked_ms: None,
            models: draft.models,
            metadata: draft.metadata,
        };
        house.keys.add(&key)?;
        Ok((key, new.secret))
    });
    made.await.map_or_else(|refused| refused, |(key, secret)| once(StatusCode::CREATED, &key, &secret, now))
}

pub(super) async fn change(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    body: Bytes,
) -> Response {
    let change: Change = match read(&body) {
        Ok(change) => change,
        Err(refused) => return refused,
    };
    let now = house.state.clock.wall_ms();
    let mistakes = change.mistakes(now);
    if !mistakes.is_empty() {
        return mistaken(mistakes);
    }
    let changed = blocking(move || {
        let mut key = find(&*house.keys, &named, now)?;
        if key.state(now) == KeyState::Revoked {
            return Err(Error::client(Kind::InvalidRequest, "The key is revoked, for good."));
        }
        change.apply(&mut key);
        update(&*house.keys, key)
    });
    changed.await.map_or_else(|refused| refused, |key| Json(Shown::new(&key, now)).into_response())
}

/// Takes a key back; also one that was taken back before.
pub(super) async fn revoke(State(house): State<Arc<House>>, Path(named): Path<String>) -> Response {
    let now = house.state.clock.wall_ms();
    let revoked = blocking(move || {
        let mut key = find(&*house.keys, &named, now)?;
        if key.state(now) == KeyState::Revoked {
            return Ok(key);
        }
        key.revoked_ms = Some(now);
        update(&*house.keys, key)
    });
    revoked.await.map_or_else(|refused| refused, |key| Json(Shown::new(&key, now)).into_response())
}

/// Gives a key a new secret. The old one is refused within a second.
pub(super) async fn rotate(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    body: Bytes,
) -> Response {
    let renewal: Renewal = match read(if body.is_empty() { b"{}" } else { &body }) {
        Ok(renewal) => renewal,
        Err(refused) => return refused,
    };
    let now = house.state.clock.wall_ms();
    let change = Change { expires_ms: renewal.expires_ms.map(Some), ..Change::default() };
    let mistakes = change.mistakes(now);
    if !mistakes.is_empty() {
        return mistaken(mistakes);
    }
    let rotated = blocking(move || {
        let mut key = find(&*house.keys, &named, now)?;
        change.apply(&mut key);
        key::may_rotate(&key, now).map_err(|why| Error::client(Kind::InvalidRequest, why))?;
        let new = (house.new_key)()?;
        key.hint = new.hint;
        key.hash = (house.state.hasher)(new.secret.expose());
        Ok((update(&*house.keys, key)?, new.secret))
    });
    rotated.await.map_or_else(|refused| refused, |(key, secret)| once(StatusCode::OK, &key, &secret, now))
}

/// Shows a key with what it opens with. There is no second time, and nothing on the way may keep it.
fn once(status: StatusCode, key: &Key, secret: &Secret, now: u64) -> Response {
    let shown = Shown { secret: Some(secret.expose()), ..Shown::new(key, now) };
    let mut response = (status, Json(shown)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn find(store: &dyn KeyStore, named: &str, now: u64) -> Result<Key, Error> {
    // It would end up in logs and in our own message.
    if named.starts_with(PREFIX) {
        let text = "A key is named by its id or its name, not by the secret itself.";
        return Err(Error::client(Kind::InvalidRequest, text));
    }
    key::find(&store.keys()?, named, now).cloned().ok_or_else(|| {
        let named: String = named.chars().take(128).collect();
        Error::client(Kind::NotFound, format!("There is no key \"{named}\"."))
    })
}

fn update(store: &dyn KeyStore, key: Key) -> Result<Key, Error> {
    if store.update(&key)? {
        Ok(key)
    } else {
        Err(Error::client(Kind::NotFound, format!("The key {} is no longer there.", key.id)))
    }
}
