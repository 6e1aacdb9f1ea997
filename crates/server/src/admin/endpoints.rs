//! `GET /api/v1/health/endpoints`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use lockgate_core::Tick;
use lockgate_core::record::Target;
use lockgate_route::{Accounts, Site};
use serde::Serialize;

use crate::house::House;

/// An endpoint that was called since the start.
#[derive(Debug, Serialize)]
pub(crate) struct Endpoint {
    /// The provider's name.
    pub(crate) provider: Arc<str>,
    /// The model's name at that provider.
    pub(crate) model: Arc<str>,
    /// `closed`: in rotation; `open`: out of it; `half_open`: the next call is a probe; `limited`: the provider has said
    /// when it takes calls again.
    pub(crate) breaker: &'static str,
    /// Milliseconds until it is called again; absent when it is in rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    back_in_ms: Option<u64>,
    /// Calls and failures in the window of the breaker, and failures since the last success.
    calls: u32,
    failures: u32,
    failures_in_a_row: u32,
    /// How often it opened since it was last closed.
    opened: u32,
    in_flight: u32,
    /// Rate-limited answers in five minutes.
    rate_limited: u32,
    /// The expected part of calls that succeed.
    success: f64,
    /// The expected time to the first content of a short prompt, in milliseconds; absent while nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_content_ms: Option<f64>,
    /// Likewise, output tokens a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<f64>,
}

/// What is known of a provider as a whole.
#[derive(Debug, Serialize)]
struct Provider {
    name: Arc<str>,
    /// Whether its host takes connections, in the words of [`Endpoint::breaker`].
    host: &'static str,
    /// Repeated calls that may be made now.
    retries_left: u64,
    /// Its credentials, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<Credential>,
}

#[derive(Debug, Serialize)]
struct Credential {
    name: Arc<str>,
    /// `awake` or `resting`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    back_in_ms: Option<u64>,
    /// How often it was refused since it was last accepted.
    refusals: u32,
}

/// Every endpoint with its health.
pub(crate) fn all(house: &House) -> Vec<Endpoint> {
    let state = &house.state;
    let now = state.clock.now();
    let all = state.registry.all().into_iter();
    all.map(|(target, breaker)| {
        let seen = breaker.seen(now, &state.breakers);
        let pulse = state.registry.health(&target).pulse(now, 0);
        let Target { provider, model } = target;
        Endpoint {
            provider,
            model,
            breaker: seen.state.word(),
            back_in_ms: seen.state.out_until().map(|until| ms(until, now)),
            calls: seen.calls,
            failures: seen.failures,
            failures_in_a_row: seen.run,
            opened: seen.opened,
            in_flight: pulse.in_flight,
            rate_limited: pulse.limited,
            success: pulse.reliability(),
            first_content_ms: pulse.first_us.map(|us| us / 1e3),
            tokens_per_second: pulse.tokens_per_second,
        }
    })
    .collect()
}

fn providers(house: &House) -> Vec<Provider> {
    let now = house.state.clock.now();
    let all = house.state.registry.sites().into_iter();
    all.map(|(name, site)| provider(name, &site, now)).collect()
}

fn provider(name: Arc<str>, site: &Site, now: Tick) -> Provider {
    let accounts = site.accounts.as_ref().map_or(&[][..], Accounts::all);
    let credentials = accounts.iter().map(|account| {
        let until = account.rests_until(now);
        Credential {
            name: Arc::clone(&account.name),
            state: if until.is_some() { "resting" } else { "awake" },
            back_in_ms: until.map(|until| ms(until, now)),
            refusals: account.strikes(),
        }
    });
    Provider {
        name,
        host: site.host.state(now).word(),
        retries_left: site.retries.left(),
        credentials: credentials.collect(),
    }
}

fn ms(until: Tick, now: Tick) -> u64 {
    u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX)
}

pub(super) async fn health(State(house): State<Arc<House>>) -> Response {
    Json(serde_json::json!({ "endpoints": all(&house), "providers": providers(&house) })).into_response()
}
