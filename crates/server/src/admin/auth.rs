//! Who may come in by the admin doors: whoever shows the admin token, or has logged in with it on the start page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE as COOKIE_HEADER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use lockgate_core::Tick;

use super::problem;
use crate::house::House;

/// The cookie of a login.
pub(crate) const COOKIE: &str = "lockgate_session";
/// How long a login lasts.
const LASTS: Duration = Duration::from_secs(12 * 3_600);
/// Logins at once; the oldest goes first.
const MOST: usize = 1_000;

/// Logins on the start page, in memory: they end with the process.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Tick>>);

impl Sessions {
    /// Opens a login at `now`; the value of its cookie, or `None` when the system has no random source.
    pub(crate) fn open(&self, now: Tick) -> Option<String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, since| now.since(*since) < LASTS);
        if open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, since)| **since).map(|(token, _)| token.clone())
        {
            open.remove(&oldest);
        }
        open.insert(token.clone(), now);
        Some(token)
    }

    /// Ends a login.
    pub(crate) fn close(&self, token: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    fn holds(&self, token: &str, now: Tick) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(token).is_some_and(|since| now.since(*since) < LASTS)
    }
}

/// Whether the request shows the admin token or a login.
pub(crate) fn is_authenticated(house: &House, headers: &HeaderMap) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if let Some((_, token)) = bearer {
        return house.is_admin(token.trim());
    }
    session(headers).is_some_and(|token| house.sessions.holds(token, house.state.clock.now()))
}

/// The login's cookie.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE_HEADER).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|all| all.split(';'))
        .filter_map(|one| one.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// Lets a request pass that is authenticated.
pub(super) async fn require(State(house): State<Arc<House>>, request: Request, next: Next) -> Response {
    if is_authenticated(&house, request.headers()) {
        return next.run(request).await;
    }
    let mut response = problem(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "The admin token is needed: send it as \"Authorization: Bearer\". It is printed at the start, or set by LOCKGATE_ADMIN_TOKEN.",
    );
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_ends_with_its_time() {
        let sessions = Sessions::default();
        let token = sessions.open(Tick(0)).unwrap();
        assert!(sessions.holds(&token, Tick(1)));
        assert!(!sessions.holds("else", Tick(1)));
        assert!(!sessions.holds(&token, Tick(0).plus(LASTS)));
        sessions.close(&token);
        assert!(!sessions.holds(&token, Tick(1)));
    }
}
