//! What a request would be routed to, without calling anybody; and the decision of one that was, for whoever asks for it.
//!
//! `POST /v1/route/explain` takes the body of a request, or `{"request": ..., "dialect": ..., "attribution": ..., "seed": ...}`,
//! or `{"requests": [...]}` of such. Nothing is changed by it: no probe is taken, no session moved, nothing recorded.

use std::future::Future;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use lockgate_core::{Aspect, Attribution, Decision, Error, Kind, Payload, Principal, RequestId, Tick};
use lockgate_dialect::Dialect;
use lockgate_route::{Moment, Plan, Settings, Table, Told};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::admit::attribute::{self, Rules};
use crate::admit::{identify, limits};
use crate::chat::unknown;
use crate::engine::State;
use crate::reply::{Reply, ReplyBody};
use crate::route::{self, Seen};

/// A request of which only the decision is wanted.
pub struct Question<'a> {
    /// The dialect of its body.
    pub dialect: &'static dyn Dialect,
    /// Its body.
    pub body: Bytes,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Who asks.
    pub principal: &'a Principal,
    /// On whose behalf, but for what the key fixes; `None`: as headers and body say.
    pub attribution: Option<&'a Attribution>,
    /// What must be said of it.
    pub rules: &'a Rules,
    /// Now, on the monotonic clock.
    pub now: Tick,
    /// The time of day, in Unix milliseconds.
    pub wall_ms: u64,
    /// Makes every draw repeatable.
    pub seed: u64,
    /// What is known of it beside its body; it goes before what the body says.
    pub told: Told,
}

/// What would become of a request.
#[derive(Debug)]
pub struct Verdict {
    /// The model that it names; empty where it could not be read.
    pub model: Arc<str>,
    /// The decision; `None` where it did not come to one.
    pub decision: Option<Arc<Decision>>,
    /// What it would end in without any call.
    pub error: Option<Error>,
}

/// An item of the body of `POST /v1/route/explain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    dialect: Option<String>,
    #[serde(default)]
    attribution: Attribution,
    seed: Option<u64>,
}

/// Several of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Items<'a> {
    #[serde(borrow)]
    requests: Vec<Item<'a>>,
}

const EXPLAIN: &str = "x-lockgate-explain";
/// The member of an answer that holds the decision.
const MEMBER: &str = "lockgate";
/// The most requests of one call.
const MOST: usize = 100;

// === deciding ===

/// Makes the decision of a request as the walk would, and changes nothing.
pub fn decide(table: &Table, breakers: &Settings, question: &Question<'_>) -> Verdict {
    let mut verdict = Verdict { model: "".into(), decision: None, error: None };
    verdict.error = walk(table, breakers, question, &mut verdict).err();
    verdict
}

fn walk(
    table: &Table,
    breakers: &Settings,
    question: &Question<'_>,
    verdict: &mut Verdict,
) -> Result<(), Error> {
    let Question { dialect, headers, principal, rules, now, wall_ms, seed, .. } = *question;
    let turn = dialect.peek(question.body.clone(), None)?;
    verdict.model = Arc::clone(&turn.model);
    let attribution = match question.attribution {
        Some(attribution) => within(principal, attribute::fixed(principal), attribution, |_| true),
        None => attribute::said(rules, principal, headers, Some(&turn.payload))?,
    };
    rules.check(&attribution)?;
    let resolution = table.resolve(&turn.model).ok_or_else(|| unknown(&turn.model))?;
    verdict.decision = Some(Arc::clone(&resolution.decision));
    limits::may_use(principal, &turn.model, &resolution)?;
    let seen = Seen {
        model: &turn.model,
        dialect: dialect.name(),
        stream: turn.stream,
        principal,
        attribution: &attribution,
        headers,
        payload: Some(&turn.payload),
        prompt_bytes: turn.prompt_bytes,
    };
    let mut ask = route::ask(&seen, wall_ms)?.told(question.told.clone());
    (ask.now, ask.seed) = (now, seed);
    match Plan::make(&resolution, &ask, &Moment { now, breakers, dry: true }) {
        Ok(plan) => verdict.decision = Some(plan.decision),
        Err(refused) => {
            verdict.decision = Some(Arc::clone(&refused.decision));
            return Err(refused.error(&turn.model));
        }
    }
    Ok(())
}

impl Verdict {
    /// The document that is shown for it.
    pub fn to_json(&self) -> Json {
        let name =
            |candidate: &lockgate_core::Candidate| format!("{}/{}", candidate.provider, candidate.model);
        let order: Vec<String> = match (&self.decision, &self.error) {
            (Some(decision), None) => decision.ranked().map(name).collect(),
            _ => Vec::new(),
        };
        json!({
            "model": self.model,
            "winner": order.first(),
            "order": order,
            "decision": self.decision,
            "error": self.error.as_ref().map(|error| json!({
                "type": error.kind().code(),
                "message": error.public(),
                "param": error.at(),
            })),
        })
    }
}

// === the endpoint ===

/// Answers `POST /v1/route/explain`.
///
/// # Errors
/// Without a good key; and when the body is not what is asked for.
pub async fn explain(
    state: &State,
    headers: &HeaderMap,
    id: RequestId,
    dialect: &'static dyn Dialect,
    body: impl Future<Output = Result<Bytes, Error>>,
) -> Result<Reply, Error> {
    let snapshot = state.snapshot.load_full();
    let principal = identify::identify(state, &snapshot, headers)?;
    let body = body.await?;
    let answer = |question: &Question<'_>| decide(&snapshot.table, &state.breakers, question).to_json();
    let (now, wall_ms) = (state.clock.now(), state.clock.wall_ms());
    let plain = |body: Bytes| Question {
        dialect,
        body,
        headers,
        principal: &principal,
        attribution: None,
        rules: &snapshot.attribution,
        now,
        wall_ms,
        seed: 0,
        told: Told::default(),
    };
    let asked = |item: &Item<'_>| -> Result<Json, Error> {
        let dialect = item.dialect.as_deref().map_or(Ok(dialect), |name| {
            let unknown = || malformed(&format!("There is no dialect \"{name}\".")).param("dialect");
            lockgate_dialect::by_name(name).ok_or_else(unknown)
        })?;
        let body = Bytes::copy_from_slice(item.request.get().as_bytes());
        let payload = Payload::parse(body.clone()).ok();
        let rules = &*snapshot.attribution;
        let own = attribute::said(rules, &principal, headers, payload.as_ref())?;
        let may_say = |aspect| rules.lets_client_say(aspect);
        let attribution = within(&principal, own, &item.attribution, may_say);
        let question = Question {
            dialect,
            attribution: Some(&attribution),
            seed: item.seed.unwrap_or(0),
            ..plain(body)
        };
        Ok(answer(&question))
    };
    let top = Payload::parse(body.clone()).map_err(|_| malformed("The body is not a JSON object."))?;
    let wrong = |error: serde_json::Error| malformed(&format!("The body cannot be read: {error}."));
    let answer = if top.has("requests") {
        let items: Items<'_> = serde_json::from_slice(&body).map_err(wrong)?;
        if items.requests.len() > MOST {
            return Err(malformed(&format!("\"requests\" has more than {MOST} items.")).param("requests"));
        }
        json!({ "results": items.requests.iter().map(asked).collect::<Result<Vec<_>, _>>()? })
    } else if top.has("request") {
        asked(&serde_json::from_slice(&body).map_err(wrong)?)?
    } else {
        answer(&plain(body))
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(id.text().as_str()) {
        headers.insert("x-lockgate-request-id", value);
    }
    Ok(Reply { status: StatusCode::OK, headers, body: ReplyBody::whole(answer.to_string().into()) })
}

fn malformed(text: &str) -> Error {
    Error::client(Kind::InvalidRequest, text.to_owned())
}

/// What is said, except where the key fixes something else, or it is not for the client to say.
fn within(
    principal: &Principal,
    own: Attribution,
    said: &Attribution,
    may_say: impl Fn(Aspect) -> bool,
) -> Attribution {
    let mut attribution = own;
    for aspect in Aspect::ALL {
        let fixed = aspect.can_be_fixed() && principal.key.metadata.contains_key(aspect.code());
        if fixed || !may_say(*aspect) || !said.has(*aspect) {
            continue;
        }
        match attribution.place(*aspect) {
            Some(place) => *place = said.get(*aspect).cloned(),
            None => attribution.tags.clone_from(&said.tags),
        }
    }
    attribution
}

// === beside an answer ===

/// Whether the client wants the decision beside the answer.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(EXPLAIN).is_some_and(|value| matches!(value.as_bytes(), b"true" | b"1"))
}

/// Puts a decision beside an answer: as a member of a JSON object, or as a comment before the first event of a stream, which
/// readers of event streams pass over. What is neither stays as it is.
pub(crate) fn beside(mut reply: Reply, decision: &Decision) -> Reply {
    let Ok(told) = serde_json::to_vec(&json!({ "decision": decision })) else { return reply };
    let is = |kind: &str| {
        let value = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.starts_with(kind))
    };
    let (json, events) = (is("application/json"), is("text/event-stream"));
    reply.body = match reply.body {
        ReplyBody::Whole(Some(bytes)) if json => match Payload::parse(bytes.clone()) {
            Ok(payload) => {
                reply.headers.remove(CONTENT_LENGTH);
                ReplyBody::whole(payload.splice().set(MEMBER, told.into()).segments().join())
            }
            Err(_) => ReplyBody::whole(bytes),
        },
        ReplyBody::Stream(relay) if events => {
            let mut comment = BytesMut::with_capacity(told.len() + 16);
            // JSON in one line holds no line break, which would end the comment.
            comment.put_slice(b": lockgate ");
            comment.put_slice(&told);
            comment.put_slice(b"\n\n");
            ReplyBody::Told(Some(comment.freeze()), relay)
        }
        body => body,
    };
    reply
}
