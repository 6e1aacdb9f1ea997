//! The route room: a name that stands for targets, and a request, become a plan.

use http::HeaderMap;
use lockgate_core::decision::Incident;
use lockgate_core::{Attribution, Error, Event, Kind, Payload, Principal, id};
use lockgate_dialect::{Losses, Turn};
use lockgate_route::{Ask, Endpoint, Moment, Plan, Resolution, preferences};

use crate::engine::State;

/// What a decision may look at.
pub(crate) struct Seen<'a> {
    pub(crate) model: &'a str,
    pub(crate) dialect: &'a str,
    pub(crate) stream: bool,
    pub(crate) principal: &'a Principal,
    pub(crate) attribution: &'a Attribution,
    pub(crate) headers: &'a HeaderMap,
    /// The body, where it has members.
    pub(crate) payload: Option<&'a Payload>,
    /// The length of what is said to the model, in bytes.
    pub(crate) prompt_bytes: u64,
}

/// Where the request wants to be processed.
const REGION: &str = "x-lockgate-region";

/// The plan of a request. Nothing of it is read that the route does not ask for.
///
/// # Errors
/// When no target may be used: with each of them, and the reason. `InvalidRequest` when a header cannot be read.
pub(crate) fn plan(state: &State, resolution: &Resolution, seen: &Seen<'_>) -> Result<Plan, Error> {
    let moment = Moment { now: state.clock.now(), breakers: &state.breakers, dry: false };
    let mut ask = ask(seen, state.clock.wall_ms())?;
    if resolution.endpoints.iter().all(|endpoint| is_openrouter(endpoint)) {
        ask.preferences = None;
    }
    let planned = Plan::make(resolution, &ask, &moment);
    let decision = match &planned {
        Ok(plan) => &plan.decision,
        Err(refused) => &refused.decision,
    };
    for Incident { at, why } in decision.choice.iter().flat_map(|choice| &choice.incidents) {
        state.events.emit(&Event::RoutingIncident { at, why });
    }
    planned.map_err(|refused| refused.error(seen.model))
}

/// The request as a decision sees it.
///
/// # Errors
/// `InvalidRequest` when a header or a preference of the body cannot be read.
pub(crate) fn ask<'a>(seen: &Seen<'a>, wall_ms: u64) -> Result<Ask<'a>, Error> {
    let key = &seen.principal.key;
    let mut ask = Ask::new(seen.model, key, seen.attribution);
    (ask.dialect, ask.stream, ask.wall_ms, ask.seed) = (seen.dialect, seen.stream, wall_ms, id::chance());
    // What the key fixes cannot be overridden.
    ask.region = match key.metadata.get("region") {
        Some(region) => Some(region),
        None => seen.headers.get(REGION).map(region).transpose()?,
    };
    if let Some(payload) = seen.payload {
        ask.preferences = preferences::read(payload)?;
    }
    Ok(match seen.payload {
        Some(payload) => ask.reads(payload, seen.prompt_bytes, seen.headers),
        None => ask,
    })
}

/// The turn without the preferences that only routing understands, unless all that it may go to is OpenRouter, whose they are.
/// Those that it does not heed are lost, and told.
pub(crate) fn for_providers(turn: Turn, plan: &Plan) -> (Turn, Losses) {
    let mut losses = Losses::default();
    if plan.endpoints.iter().all(|endpoint| is_openrouter(endpoint)) {
        return (turn, losses);
    }
    let Some(payload) = preferences::without(&turn.payload) else { return (turn, losses) };
    for name in preferences::unheeded(&turn.payload) {
        losses.lose(name, "only OpenRouter itself does this; a route can say what it is for");
    }
    (Turn { payload, ..turn }, losses)
}

/// Whether preferences of a request are this provider's to understand: they name the providers behind it.
fn is_openrouter(endpoint: &Endpoint) -> bool {
    &*endpoint.upstream.catalog == "openrouter"
}

fn region(value: &http::HeaderValue) -> Result<&str, Error> {
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 64);
    text.ok_or_else(|| {
        Error::client(
            Kind::InvalidRequest,
            format!("The header \"{REGION}\" must be a region such as \"eu\"."),
        )
        .param(REGION)
    })
}
