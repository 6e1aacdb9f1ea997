//! Access tokens of Google Cloud: fetched for a service account or a user, kept until shortly before they expire.

mod grant;

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use lockgate_core::port::{Call, Inflow, Ready, Signer, Transport, Unsigned};
use lockgate_core::upstream::{Reach, Timeouts};
use lockgate_core::{Error, Kind, Segments, Speech, Upstream};
use serde::Deserialize;
use tokio::sync::Mutex;

use self::grant::Grant;
use crate::compile::{address, sensitive};

/// Gives each call an access token, and fetches one when there is none.
pub(crate) struct Tokens {
    grant: Grant,
    /// Who gives tokens.
    giver: Arc<Upstream>,
    speech: Arc<Speech>,
    held: RwLock<Option<Held>>,
    /// Whoever holds it fetches, the others wait for what comes of that. In it is the last failure.
    fetching: Mutex<Option<Failure>>,
    /// How many fetches failed.
    failures: AtomicU64,
}

/// A token that was given.
struct Held {
    value: HeaderValue,
    /// Unix milliseconds.
    since: u64,
    until: u64,
}

/// A token that was not given. Whoever waited for it, or comes a moment later, is told the same instead of asking again:
/// else all would ask in turn, and wait for each other.
struct Failure {
    /// When it was asked for, in Unix milliseconds.
    at: u64,
    /// The how manyth failure it is.
    nth: u64,
    kind: Kind,
    detail: String,
}

/// What the giver of tokens answers.
#[derive(Deserialize)]
struct Given {
    access_token: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

/// How long before its end a token is used no more, in milliseconds.
const MARGIN: u64 = 60_000;

/// How long a failure is told to those who come after it, in milliseconds.
const PAUSE: u64 = 1_000;

/// The longest wait for a token.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer with a token, in bytes.
const MAX_ANSWER: usize = 64 << 10;

// === impl Tokens ===

impl Tokens {
    /// Reads the JSON of credentials; with it comes the project that they belong to, where they name one. `ca` is
    /// trusted besides the public certificate authorities.
    ///
    /// # Errors
    /// What is wrong with it, without a secret.
    pub(crate) fn of(json: &[u8], ca: Option<&Arc<[u8]>>) -> Result<(Self, Option<String>), String> {
        let (grant, project) = Grant::of(json)?;
        let mut place = address(grant.uri()).ok_or("token_uri is not an address")?;
        let host = place.authority.host();
        if place.scheme == http::uri::Scheme::HTTP && !matches!(host, "127.0.0.1" | "[::1]" | "localhost") {
            return Err("token_uri must begin with https".into());
        }
        place.ca = ca.cloned();
        let speech = Arc::new(Speech::plain("oauth2"));
        let giver = Upstream {
            name: "google-tokens".into(),
            catalog: "google-tokens".into(),
            speaks: vec![Arc::clone(&speech)],
            credentials: Vec::new(),
            reach: Reach::Network(Box::new(place)),
            timeouts: Timeouts { between_bytes: PATIENCE, ..Timeouts::default() },
            max_answer: MAX_ANSWER,
            models: Vec::new(),
            claims: &[],
        };
        let (held, fetching, failures) = Default::default();
        Ok((Self { grant, giver: Arc::new(giver), speech, held, fetching, failures }, project))
    }

    async fn token(&self, now: u64, transport: &dyn Transport) -> Result<HeaderValue, Error> {
        if let Some(value) = self.held(now) {
            return Ok(value);
        }
        let seen = self.failures.load(Ordering::Acquire);
        let mut last = self.fetching.lock().await;
        if let Some(value) = self.held(now) {
            return Ok(value);
        }
        if let Some(failure) = last.as_ref()
            && (failure.nth > seen || failure.at.abs_diff(now) < PAUSE)
        {
            return Err(failure.error());
        }
        match self.fetch(now, transport).await {
            Ok(held) => {
                let value = held.value.clone();
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
                *last = None;
                Ok(value)
            }
            Err(error) => {
                let detail = error.private().unwrap_or(error.public()).to_owned();
                let nth = self.failures.fetch_add(1, Ordering::AcqRel) + 1;
                *last = Some(Failure { at: now, nth, kind: error.kind(), detail });
                Err(error)
            }
        }
    }

    fn held(&self, now: u64) -> Option<HeaderValue> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref()?;
        // A wall clock that was set back must not make a token last longer than it does.
        (now < held.until && held.since <= now.saturating_add(MARGIN)).then(|| held.value.clone())
    }

    async fn fetch(&self, now: u64, transport: &dyn Transport) -> Result<Held, Error> {
        let body = self.grant.form(now / 1_000).ok_or_else(|| refused("the key cannot sign".into()))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let answer = transport
            .call(Call {
                upstream: Arc::clone(&self.giver),
                speech: Arc::clone(&self.speech),
                method: Method::POST,
                prefix: None,
                path: "".into(),
                headers,
                stream: false,
                body: Segments::one(Bytes::from(body)),
                first_byte: PATIENCE,
                total: PATIENCE,
            })
            .await?;
        let status = answer.status;
        let body = whole(answer.body).await?;
        let given: Option<Given> = serde_json::from_slice(&body).ok();
        if status != StatusCode::OK {
            return Err(refusal(status, given));
        }
        let told = given.and_then(|given| Some((given.access_token?, given.expires_in.unwrap_or(0))));
        let Some((token, seconds)) = told else {
            return Err(refused("the answer holds no access_token".into()));
        };
        let value = sensitive(&format!("Bearer {token}"))
            .ok_or_else(|| refused("the access token cannot stand in a header".into()))?;
        // One that lasts no longer than the margin is used for half its life.
        let lasts = seconds.saturating_mul(1_000);
        let lasts = if lasts > MARGIN { lasts - MARGIN } else { lasts / 2 };
        Ok(Held { value, since: now, until: now.saturating_add(lasts) })
    }
}

impl Signer for Tokens {
    fn sign<'a>(
        &'a self,
        unsigned: Unsigned<'a>,
        transport: &'a dyn Transport,
    ) -> Ready<'a, Result<HeaderMap, Error>> {
        Box::pin(async move {
            let value = self.token(unsigned.wall_ms, transport).await?;
            Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
        })
    }
}

// === impl Failure ===

impl Failure {
    fn error(&self) -> Error {
        Error::upstream(self.kind, NO_TOKEN).detail(self.detail.clone())
    }
}

const NO_TOKEN: &str = "The gateway could not get an access token for the provider.";

fn refused(detail: String) -> Error {
    Error::upstream(Kind::UpstreamAuth, NO_TOKEN).detail(detail)
}

/// Of an answer that is no token, only the error's own words are told, and not at length.
fn refusal(status: StatusCode, given: Option<Given>) -> Error {
    let kind = match status.as_u16() {
        429 => Kind::UpstreamRateLimited,
        500.. => Kind::UpstreamError,
        _ => Kind::UpstreamAuth,
    };
    let words = given.map_or_else(String::new, |given| {
        let words = [given.error, given.error_description].into_iter().flatten();
        words.collect::<Vec<_>>().join(": ").chars().filter(|c| !c.is_control()).take(200).collect()
    });
    Error::upstream(kind, NO_TOKEN).detail(format!("token refused with status {}: {words}", status.as_u16()))
}

async fn whole(mut body: Inflow) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            if all.len() + data.len() > MAX_ANSWER {
                return Err(refused("the answer is too long for one with a token".into()));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
