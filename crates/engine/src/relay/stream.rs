//! A stream under way. The client's connection pulls it: no task and no channel stand between, so the client's own
//! pace is the provider's, and a client that leaves takes the provider's stream with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use lockgate_core::port::Inflow;
use lockgate_core::{Error, Outcome, RequestId};
use lockgate_dialect::Dialect;
use lockgate_route::Endpoint;

use super::estimate::usage_estimate;
use super::{Course, Flow};
use crate::dispatch::unhealthy;
use crate::engine::State;
use crate::record::Ticket;

/// A stream whose first content has come.
pub(crate) struct Begun {
    pub(crate) state: Arc<State>,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) inflow: Inflow,
    pub(crate) course: Course,
    /// What came before and with the first content.
    pub(crate) held: Flow,
    /// Input tokens, should the provider not say.
    pub(crate) input_estimate: u64,
}

/// The body of a streamed answer.
pub struct Relay {
    state: Arc<State>,
    dialect: &'static dyn Dialect,
    endpoint: Arc<Endpoint>,
    /// `None` when the stream has ended, or was given up.
    inflow: Option<Inflow>,
    course: Course,
    ready: VecDeque<Bytes>,
    flow: Flow,
    /// `None` when the record was handed over.
    ticket: Option<Ticket>,
    id: RequestId,
    input_estimate: u64,
}

// === impl Relay ===

impl Relay {
    pub(crate) fn new(begun: Begun, ticket: Ticket, id: RequestId) -> Self {
        Self {
            state: begun.state,
            dialect: begun.dialect,
            endpoint: begun.endpoint,
            inflow: Some(begun.inflow),
            course: begun.course,
            ready: begun.held.into(),
            flow: Flow::new(),
            ticket: Some(ticket),
            id,
            input_estimate: begun.input_estimate,
        }
    }

    /// The next piece for the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(piece));
            }
            let Some(inflow) = &mut self.inflow else { return Poll::Ready(None) };
            let Poll::Ready(next) = inflow.as_mut().poll_frame(cx) else { return Poll::Pending };
            let result = match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.course.feed(&chunk, &mut self.flow),
                    // Trailers say nothing that the client needs.
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => Err(error),
                None => {
                    let end = self.course.end(&mut self.flow);
                    self.ready.extend(self.flow.drain(..));
                    self.close(end.as_ref().err());
                    continue;
                }
            };
            self.ready.extend(self.flow.drain(..));
            if let Err(error) = result {
                let error = self.course.take_failure().unwrap_or(error);
                self.close(Some(&error));
            }
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.inflow.is_none() && self.ready.is_empty()
    }

    /// Ends the stream towards both sides, and books it.
    fn close(&mut self, error: Option<&Error>) {
        self.inflow = None;
        let Some(mut ticket) = self.ticket.take() else { return };
        self.book(&mut ticket);
        match error {
            None => ticket.finish(Outcome::Ok, None),
            Some(error) => {
                if !self.course.told() {
                    self.ready.push_back(self.dialect.error_event(error, self.id));
                }
                if error.kind().counts_against_health() {
                    unhealthy(&self.state, &self.endpoint);
                }
                ticket.finish(Outcome::Broken, Some(error));
            }
        }
    }

    fn book(&self, ticket: &mut Ticket) {
        let reported = self.course.usage();
        ticket.used(Some(
            reported.unwrap_or_else(|| usage_estimate(self.input_estimate, self.course.content_bytes())),
        ));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The client left: what came so far is booked, and dropping the ticket says why it ended.
        if let Some(mut ticket) = self.ticket.take() {
            self.book(&mut ticket);
            // Many clients leave at the end mark, before the provider has closed: they have had the whole answer.
            if self.ready.is_empty() && self.course.complete() {
                ticket.finish(Outcome::Ok, None);
            }
        }
    }
}
