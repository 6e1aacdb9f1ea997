//! Which key was shown. A look-up in memory; no database.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use lockgate_core::key::{KeyState, PREFIX};
use lockgate_core::{Error, Kind, Principal};

use crate::engine::State;
use crate::snapshot::Snapshot;

/// Where the SDKs of the field put a key, beside `Authorization: Bearer`.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The principal behind a request.
///
/// # Errors
/// `Unauthenticated` that says whether the key is missing, unknown, expired or revoked.
pub fn identify(state: &State, snapshot: &Snapshot, headers: &HeaderMap) -> Result<Principal, Error> {
    let shown = shown(headers).ok_or_else(|| {
        refused("No API key. Send a Lockgate key (lg-...) as \"Authorization: Bearer\", or in \"x-api-key\".")
    })?;
    let hash = (state.hasher)(shown);
    let Some(key) = snapshot.keys.get(&hash) else {
        return Err(if shown.starts_with(PREFIX) {
            refused("This API key is not known here.")
        } else {
            refused(
                "This is not a Lockgate key: those begin with \"lg-\". Provider keys belong in the gateway's config.",
            )
        });
    };
    let principal = Principal { key: Arc::clone(key) };
    match principal.state(state.clock.wall_ms()) {
        KeyState::Active => Ok(principal),
        KeyState::Expired => Err(refused("This API key has expired.")),
        KeyState::Revoked => Err(refused("This API key was revoked.")),
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer
        .or_else(|| KEY_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok().map(str::trim)))
        .filter(|token| !token.is_empty())
}

fn refused(text: &'static str) -> Error {
    Error::client(Kind::Unauthenticated, text)
}
