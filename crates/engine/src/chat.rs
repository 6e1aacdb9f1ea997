//! The walk of a chat request, room by room.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use lockgate_core::{Error, Kind};
use lockgate_ledger::rate::Measure;

use crate::admit::{attribute, identify, limits, rate};
use crate::dispatch::{Ask, Budget, dispatch};
use crate::engine::Engine;
use crate::explain;
use crate::inbound::Inbound;
use crate::record::Ticket;
use crate::relay::{input_estimate, relay};
use crate::reply::Reply;
use crate::route::{self, Seen};

/// Takes a request through the house. `body` is read only after the key was found good.
///
/// # Errors
/// The caller's, a policy's, the provider's or the gateway's; it is recorded already, and the door renders it.
pub async fn chat(
    engine: &Engine,
    inbound: Inbound,
    body: impl Future<Output = Result<Bytes, Error>>,
) -> Result<Reply, Error> {
    let state = &engine.state;
    let snapshot = state.snapshot.load_full();

    // Identify. No record is kept of whoever has no key.
    let principal = identify::identify(state, &snapshot, &inbound.headers)?;
    let mut ticket = Ticket::open(state, &snapshot.catalog, &inbound, &principal);

    // From here on every end is recorded: by the reply's own end, by this error, or by the ticket's drop.
    match walk(engine, &snapshot, &inbound, &mut ticket, &principal, body).await {
        Ok(landed) => {
            let told = explain::is_wanted(&inbound.headers).then(|| ticket.decision()).flatten();
            let reply = relay(landed, ticket, inbound.id);
            Ok(match told {
                Some(decision) => explain::beside(reply, &decision),
                None => reply,
            })
        }
        Err(error) => Err(ticket.fail(error)),
    }
}

async fn walk(
    engine: &Engine,
    snapshot: &crate::Snapshot,
    inbound: &Inbound,
    ticket: &mut Ticket,
    principal: &lockgate_core::Principal,
    body: impl Future<Output = Result<Bytes, Error>>,
) -> Result<crate::dispatch::Landed, Error> {
    let state = &engine.state;

    // Peek: the members that decide, nothing else.
    let turn = inbound.dialect.peek(body.await?, inbound.named())?;
    ticket.asked(&turn);

    // Attribute: on whose behalf.
    ticket.attribute(attribute::attribute(
        &snapshot.attribution,
        principal,
        &inbound.headers,
        Some(&turn.payload),
    )?);

    // Admit: what the name stands for, and whether this key may use it.
    let resolution = snapshot.table.resolve(&turn.model).ok_or_else(|| unknown(&turn.model))?;
    limits::may_use(principal, &turn.model, &resolution)?;

    // And whether the limits let it pass.
    rate::admit(state, ticket, |likely| {
        let said = inbound.dialect.ceiling().read(&turn.payload);
        let each = said.tokens.map_or(likely, |most| most.min(likely));
        Measure { input: input_estimate(&turn), output: each.saturating_mul(said.answers) }
    })?;

    // Route: targets in order, with every reason.
    let seen = Seen {
        model: &turn.model,
        dialect: inbound.dialect.name(),
        stream: turn.stream,
        principal,
        attribution: ticket.attribution(),
        headers: &inbound.headers,
        payload: Some(&turn.payload),
        prompt_bytes: turn.prompt_bytes,
    };
    let mut plan = route::plan(state, &resolution, &seen)?;
    ticket.decided(Arc::clone(&plan.decision));
    ticket.remembered_by(std::mem::take(&mut plan.remember));

    // Dispatch: until one target has said something.
    let budget = Budget::new(&inbound.headers, &plan)?;
    let (turn, losses) = route::for_providers(turn, &plan);
    let ask = Ask::new(inbound.dialect, turn, losses, &inbound.headers)?;
    loop {
        let error = match dispatch(engine, &ask, &plan, budget, ticket).await {
            Ok(landed) => return Ok(landed),
            Err(error) => error,
        };
        // A budget that is used up may name a cheaper route. It is the operator's word, so the key need not allow it.
        let Some(cheaper) = ticket.downgrade() else { return Err(error) };
        let Some(resolution) = snapshot.table.resolve(&cheaper) else { return Err(error) };
        let seen = Seen {
            model: &cheaper,
            dialect: inbound.dialect.name(),
            stream: ask.turn.stream,
            principal,
            attribution: ticket.attribution(),
            headers: &inbound.headers,
            payload: Some(&ask.turn.payload),
            prompt_bytes: ask.turn.prompt_bytes,
        };
        plan = route::plan(state, &resolution, &seen)?;
        ticket.decided(Arc::clone(&plan.decision));
    }
}

/// A name that stands for nothing.
pub(crate) fn unknown(model: &str) -> Error {
    let shown: String = model.chars().take(100).collect();
    Error::client(
        Kind::ModelNotFound,
        format!("No route, provider or model is named \"{shown}\". GET /v1/models lists what there is."),
    )
    .param("model")
}
