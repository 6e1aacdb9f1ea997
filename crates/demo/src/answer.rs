//! The demo in process: a request of the dialect in, an answer out.

use std::future::pending;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use crate::body::{Act, Body, Pace};
use crate::chunks::{self, Head, Script};
use crate::fault::{Fault, Injection};
use crate::performance::{Framing, LARGE, Opening, Performance};
use crate::reply::{Manner, Persona, Reply};
use crate::request::{Ask, Refusal};
use crate::twist::{self, Twist};

/// The demo provider.
///
/// Its models are `chat`, `echo`, `think` and `large`, and `fault:NAME` (or `fault:NAME@K`), which misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Demo {
    /// How fast it answers.
    pub pace: Pace,
}

impl Demo {
    /// A demo that answers without waiting, for tests.
    pub fn instant() -> Self {
        Self { pace: Pace::INSTANT }
    }

    /// The names of the models that behave.
    pub fn models() -> impl Iterator<Item = &'static str> {
        Persona::ALL.iter().map(|(name, _)| *name)
    }

    /// Answers `/v1/chat/completions` and `/v1/models` (any base before the last segments is accepted) in the shape
    /// of the dialect, errors included. The future waits as long as a model would before its first byte; dropping
    /// it, or the body, cancels.
    ///
    /// A model `fault:NAME` does in process what it can: a connection that would be closed or reset is a body that
    /// fails.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        let performance = self.perform(&request, || None);
        drop(request);
        tokio::time::sleep(performance.wait).await;
        let mut response = Response::new(performance.body);
        match performance.opening {
            Opening::Head => {}
            Opening::Hang => pending().await,
            Opening::Close => *response.body_mut() = Body::acts([Act::Close]),
            Opening::Reset => *response.body_mut() = Body::acts([Act::Reset]),
        }
        *response.status_mut() = StatusCode::from_u16(performance.status).unwrap_or(StatusCode::OK);
        *response.headers_mut() = performance.headers;
        if let (Framing::Length(length), Opening::Head) = (performance.framing, performance.opening) {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    /// Decides everything that will happen. `ordered` gives the fault for a request whose model does not name one;
    /// it is only asked for requests that a fault may strike (POST).
    pub(crate) fn perform(
        &self,
        request: &Request<Bytes>,
        ordered: impl FnOnce() -> Option<Injection>,
    ) -> Performance {
        let path = request.uri().path().trim_end_matches('/');
        let is = |end: &str| path.ends_with(end) || path == &end[1..];
        if is("/chat/completions") {
            return match *request.method() {
                Method::POST => self.chat(request.body(), ordered),
                _ => wrong_method(request, "POST"),
            };
        }
        let model = path.rsplit_once("/models/").map(|(_, model)| model);
        if is("/models") || model.is_some() {
            return match (request.method(), model) {
                (&Method::GET, None) => Performance::json(200, model_list()),
                (&Method::GET, Some(model)) if Persona::named(model).is_some() => {
                    Performance::json(200, chunks::json(&model_card(model)))
                }
                (&Method::GET, Some(model)) => Performance::error(&unknown_model(model)),
                _ => wrong_method(request, "GET"),
            };
        }
        if *request.method() == Method::POST
            && let Some(injection) = ordered()
            && let Some(performance) = twist::instead(&injection, false)
        {
            return performance;
        }
        let message = format!("Invalid URL ({} {path})", request.method());
        Performance::error(&refusal(404, None, message))
    }

    fn chat(&self, body: &Bytes, ordered: impl FnOnce() -> Option<Injection>) -> Performance {
        let mut ask = Ask::read(body);
        let in_model = ask.as_ref().ok().and_then(|ask| ask.model.strip_prefix("fault:"));
        let injection = match in_model.map(Injection::parse) {
            Some(Ok(injection)) => injection,
            Some(Err(message)) => return Performance::error(&refusal(404, Some("model_not_found"), message)),
            None => ordered(),
        };
        let persona = match &ask {
            Ok(ask) if ask.model.starts_with("fault:") => Ok(Persona::Chat),
            Ok(ask) => Persona::named(&ask.model).ok_or_else(|| unknown_model(&ask.model)),
            Err(_) => Ok(Persona::Chat),
        };
        let fault = injection.as_ref().map(|injection| injection.fault);
        if let Ok(ask) = &mut ask
            && fault == Some(Fault::WholeForStream)
        {
            ask.stream = !ask.stream;
        }
        let stream = ask.as_ref().is_ok_and(|ask| ask.stream);
        if let Some(injection) = &injection
            && let Some(performance) = twist::instead(injection, stream)
        {
            return performance;
        }
        match (ask, persona) {
            (Ok(ask), Ok(persona)) => self.tell(&ask, persona, injection.as_ref()),
            (Err(refusal), _) | (_, Err(refusal)) => Performance::error(&refusal),
        }
    }

    fn tell(&self, ask: &Ask, persona: Persona, injection: Option<&Injection>) -> Performance {
        let fault = injection.map(|injection| injection.fault);
        let manner = Manner {
            flourish: fault == Some(Fault::SplitArguments),
            content_bytes: (fault == Some(Fault::LargeEvent) && !ask.stream).then_some(LARGE),
        };
        let reply = Reply::compose(ask, persona, manner);
        let head = Head {
            id: format!("chatcmpl-{}", crate::id::unique()),
            created: unix_seconds(),
            model: ask.model.clone(),
        };
        let performance = if ask.stream {
            let script = Script::new(head, ask, reply);
            let script = if fault == Some(Fault::Endless) { script.endless() } else { script };
            Performance::stream(Body::stream(script, self.pace, Twist::new(injection.cloned())))
        } else {
            let wait = self.pace.whole(reply.longest());
            let finish = fault != Some(Fault::NoFinish);
            let usage = !matches!(fault, Some(Fault::NoUsage | Fault::NoFinish));
            let bytes = chunks::whole(&head, ask, &reply, finish, usage);
            let mut performance = match injection {
                Some(injection) => twist::whole(injection, &bytes),
                None => Performance::json(200, bytes),
            };
            performance.wait += wait;
            performance
        };
        match injection {
            Some(injection) => performance.dress(injection),
            None => performance,
        }
    }
}

fn refusal(status: u16, code: Option<&'static str>, message: String) -> Refusal {
    Refusal { status, message, kind: "invalid_request_error", param: None, code }
}

fn unknown_model(model: &str) -> Refusal {
    let names: Vec<&str> = Demo::models().collect();
    let message = format!("The model `{model}` does not exist; the demo has {}.", names.join(", "));
    refusal(404, Some("model_not_found"), message)
}

fn wrong_method(request: &Request<Bytes>, allowed: &'static str) -> Performance {
    let message = format!("Not allowed to {} on {}", request.method(), request.uri().path());
    let mut performance = Performance::error(&refusal(405, Some("method_not_supported"), message));
    performance.headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    performance
}

fn model_card(name: &str) -> serde_json::Value {
    serde_json::json!({"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "demo"})
}

fn model_list() -> Bytes {
    let cards: Vec<serde_json::Value> = Demo::models().map(model_card).collect();
    chunks::json(&serde_json::json!({"object": "list", "data": cards}))
}

#[expect(clippy::disallowed_methods, reason = "this plays a foreign server, whose clock nobody winds")]
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
