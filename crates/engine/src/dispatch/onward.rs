//! Goes on with a stream that broke after its first content, at another endpoint.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method};
use lockgate_core::port::{Answer, Call, Inflow};
use lockgate_core::{Error, Kind, Role, Usage};
use lockgate_dialect::neutral::Delta;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{Dialect, Framing, Losses, Turn};
use lockgate_route::{Endpoint, RouteSettings};
use tokio::time::Instant;

use super::attempt::{MAX_HELD, Patience, begins_as_stream, not_a_stream, unserved};
use super::outbound::{self, Outbound};
use super::tries::shown;
use super::{Ask, Budget, Failed, Tries, Try, Underway, bad, collect, healthy, hurt, refusal, timely};
use crate::engine::Engine;
use crate::record::Ticket;
use crate::relay::{Course, Inlet, Joint, Transcode, Transcript, owned, says_something, usage_estimate};

/// What is needed to go on with a stream, kept beside it until it ends.
pub(crate) struct Seam {
    engine: Engine,
    dialect: &'static dyn Dialect,
    turn: Arc<Turn>,
    headers: HeaderMap,
    losses: Losses,
    strict: bool,
    budget: Budget,
    settings: RouteSettings,
    /// Where it may go on, the next one first.
    others: VecDeque<Arc<Endpoint>>,
    /// How often it may still.
    left: u8,
    /// What has passed to the client untouched.
    passed: Vec<Bytes>,
    size: usize,
}

/// A stream that goes on.
pub(crate) struct Onward {
    pub(crate) endpoint: Underway,
    /// The attempt's place in the record.
    pub(crate) at: usize,
    pub(crate) inflow: Inflow,
    pub(crate) inlet: Inlet,
    pub(crate) joint: Joint,
    /// What came up to the first content.
    pub(crate) first: Vec<Delta<'static>>,
    pub(crate) losses: Losses,
}

/// How often one stream may break and be gone on with.
const MOST: u8 = 4;
/// The most of a stream that is kept to be read again, in bytes.
const MOST_PASSED: usize = 8 << 20;

// === impl Seam ===

impl Seam {
    pub(super) fn new(engine: &Engine, ask: &Ask<'_>, tries: &Tries<'_>, tried: &Try<'_>) -> Self {
        Self {
            engine: engine.clone(),
            dialect: ask.dialect,
            turn: Arc::clone(&ask.turn),
            headers: ask.headers.clone(),
            losses: ask.losses.clone(),
            strict: ask.strict,
            budget: tries.budget,
            settings: *tried.settings,
            others: tries.others(tried).into(),
            left: MOST,
            passed: Vec::new(),
            size: 0,
        }
    }

    /// Keeps what passes untouched: it costs a reference, and is read only if the stream breaks.
    pub(crate) fn keep(&mut self, pieces: &[Bytes]) {
        if self.size <= MOST_PASSED {
            self.size += pieces.iter().map(Bytes::len).sum::<usize>();
            self.passed.extend_from_slice(pieces);
        }
    }

    /// The stream so far in the neutral form, with an encoder that has it behind it; `None` where that cannot be.
    pub(crate) fn read_again(&mut self, course: &mut Course, provider: &Arc<str>) -> Option<()> {
        if matches!(course, Course::Transcode(_)) {
            return Some(());
        }
        let hub = self.dialect.hub().filter(|_| self.size <= MOST_PASSED)?;
        let inlet = Inlet::new(self.dialect.framing(), hub.decoder(&Origin(Arc::clone(provider))));
        let mut transcode = Transcode::new(inlet, hub.encoder(&self.turn), true);
        transcode.replay(&std::mem::take(&mut self.passed)).ok()?;
        *course = Course::Transcode(Box::new(transcode));
        Some(())
    }

    /// Whether a stream that said this and broke in this way may go on.
    pub(crate) fn may_go_on(&self, said: &Transcript, error: &Error) -> bool {
        let mended = !matches!(error.kind(), Kind::ContentPolicy | Kind::ContextWindow);
        mended
            && self.left > 0
            && !said.bound
            && !said.finished
            && !self.budget.is_over()
            && !self.others.is_empty()
    }

    /// Goes on from the next endpoint that can.
    ///
    /// # Errors
    /// That of the last endpoint, or `broken` where there was none.
    pub(crate) async fn go_on(
        &mut self,
        said: &Transcript,
        broken: Error,
        ticket: &mut Ticket,
    ) -> Result<Onward, Error> {
        self.left -= 1;
        let mut last = broken;
        let state = Arc::clone(&self.engine.state);
        let now = state.clock.now();
        let count = self.others.len();
        let in_rotation: Vec<bool> =
            self.others.iter().map(|it| it.admit(now, &state.breakers).out_until().is_none()).collect();
        let any = in_rotation.contains(&true);
        for is_in in in_rotation.into_iter().take(count) {
            let Some(endpoint) = self.others.pop_front() else { break };
            // It may be asked again should the stream break again, after the others.
            self.others.push_back(Arc::clone(&endpoint));
            if (any && !is_in) || self.budget.is_over() {
                continue;
            }
            let credential = shown(&endpoint, &state);
            let at = ticket.attempt(&endpoint, credential, Role::Continuation);
            let held = {
                let ask = self.ask();
                ticket.hold(at, &endpoint, &ask).await
            };
            let called = match held {
                Ok(limit) => self.call(&endpoint, (credential, limit), said, ticket).await,
                Err(error) => Err(Failed { status: None, error }),
            };
            match called {
                Ok((status, mut onward)) => {
                    onward.at = at;
                    ticket.attempted(at, Some(status), None);
                    healthy(&state, &endpoint, credential);
                    return Ok(onward);
                }
                Err(Failed { status, error }) => {
                    ticket.attempted(at, status, Some(&error));
                    hurt(&state, &endpoint, &error);
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        (credential, limit): (Option<usize>, Option<u64>),
        said: &Transcript,
        ticket: &Ticket,
    ) -> Result<(u16, Onward), Failed> {
        let unsent = |error| Failed { status: None, error };
        let underway = Underway::at(endpoint);
        let ask = match limit {
            Some(tokens) => self.ask().limited(tokens).map_err(unsent)?,
            None => self.ask(),
        };
        let (upstream, model) = (&endpoint.upstream, &*endpoint.target.model);
        let speech = upstream.speech(ask.dialect.name(), model).ok_or_else(|| unsent(unserved(endpoint)))?;
        let speech = upstream.shown(speech, credential);
        let to = (&endpoint.target, &self.settings);
        let (outbound, exact) = Outbound::going_on(&ask, speech, to, said).map_err(unsent)?;
        let Outbound { dialect, prepared, headers, losses, crossing } = outbound;
        let crossing = crossing.ok_or_else(|| unsent(unserved(endpoint)))?;
        let (prefix, path) = outbound::path(dialect, speech, model, true);
        let tried = Try::alone(endpoint, &self.settings);
        let Patience { head, content } = Patience::new(&tried, &self.budget);
        let call = Call {
            upstream: Arc::clone(upstream),
            speech: Arc::clone(speech),
            method: Method::POST,
            prefix,
            path,
            headers,
            stream: true,
            body: prepared.body,
            first_byte: head.saturating_duration_since(Instant::now()),
            total: upstream.timeouts.total.min(self.budget.left()),
        };
        let answer = self.engine.transport.call(call).await.map_err(unsent)?;
        let status = answer.status;
        let failed = |error: Error| Failed { status: Some(status.as_u16()), error };
        if !status.is_success() {
            return Err(failed(refusal(dialect, speech, answer, &self.budget).await));
        }
        if answer.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(failed(bad("The provider's answer is compressed, which was not asked for.")));
        }
        let Answer { headers, body: mut inflow, .. } = answer;
        let mut inlet = crossing.inlet();
        let first = timely(content, async {
            let mut first = Vec::new();
            let (mut said, mut size, mut begins) = (false, 0, true);
            while let Some(chunk) = collect::next(&mut inflow).await {
                let chunk = chunk?;
                let framed = dialect.framing() != Framing::Sse;
                if std::mem::take(&mut begins) && !framed && !begins_as_stream(&headers, &chunk) {
                    return Err(not_a_stream(dialect, upstream, chunk, &mut inflow).await);
                }
                size += chunk.len();
                inlet.feed(&chunk, &mut |delta| {
                    said |= says_something(&delta);
                    first.push(owned(delta));
                })?;
                if said {
                    return Ok(first);
                }
                if size > MAX_HELD {
                    return Err(bad("The provider's stream says nothing for too long."));
                }
            }
            inlet.end(&mut |delta| first.push(owned(delta)))?;
            Ok(first)
        });
        let first = first.await.map_err(failed)?;
        let before = ticket.spent_so_far().unwrap_or_default();
        let joint = Joint::new(said, before, exact);
        Ok((status.as_u16(), Onward { endpoint: underway, at: 0, inflow, inlet, joint, first, losses }))
    }

    fn ask(&self) -> Ask<'_> {
        Ask::of(self.dialect, Arc::clone(&self.turn), self.losses.clone(), &self.headers, self.strict)
    }

    /// What went into a call that goes on with this, should the provider not say.
    pub(crate) fn input_estimate(&self, said: &Transcript) -> u64 {
        let Usage { input, output, .. } =
            usage_estimate(crate::relay::input_estimate(&self.turn), said.text.len() as u64);
        input + output
    }
}
