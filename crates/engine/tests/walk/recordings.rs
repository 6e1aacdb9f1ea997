//! The recorded chat exchanges, ready to be played.

use std::fmt::Write as _;

use bytes::Bytes;
use lockgate_core::Upstream;
use lockgate_core::upstream::StreamUsage;
use lockgate_testkit::vectors::{self, Exchange};
use lockgate_testkit::{Play, builder};
use serde_json::Value;

use crate::reading::Scene;
use crate::requests;
use crate::stage::{Set, Stage};

/// Providers whose streams report usage unasked; every other one is asked. The profiles of the provider crate say the
/// same of those that are built in.
const UNASKED: [&str; 4] = ["mistral", "openrouter", "perplexity", "together"];

/// An exchange, and what a client of the gateway sends for it.
pub(crate) struct Recording {
    pub(crate) exchange: Exchange,
    /// The recorded request, with the provider's name before the model's.
    pub(crate) ask: String,
    /// The model's name at the provider.
    pub(crate) model: String,
    /// The answer's bytes.
    pub(crate) answer: Bytes,
    pub(crate) status: u16,
}

/// Every exchange of the dialect; those without a request get one that is made up. `None` when there are none here.
pub(crate) fn all() -> Option<Vec<Recording>> {
    Some(vectors::of("openai.chat")?.into_iter().map(Recording::new).collect())
}

/// Every event stream among them, the longest first.
pub(crate) fn streams() -> Option<Vec<Recording>> {
    let mut streams: Vec<_> =
        all()?.into_iter().filter(|it| it.exchange.response.body_kind == "sse").collect();
    streams.sort_by_key(|it| std::cmp::Reverse(it.answer.len()));
    Some(streams)
}

/// The provider, as its profile has it.
pub(crate) fn upstream(provider: &str) -> Upstream {
    let stream_usage = if UNASKED.contains(&provider) { StreamUsage::Always } else { StreamUsage::Ask };
    builder::upstream_with(provider, stream_usage)
}

// === impl Recording ===

impl Recording {
    fn new(exchange: Exchange) -> Self {
        let (provider, stream) = (&exchange.provider, exchange.response.is_stream());
        let recorded = match &exchange.request {
            Some(request) => String::from_utf8(request.bytes().to_vec()).unwrap(),
            None => {
                let mut body =
                    r#"{"model":"made-up","messages":[{"role":"user","content":"Hello"}]"#.to_owned();
                let options = r#","stream":true,"stream_options":{"include_usage":true}"#;
                write!(body, "{}}}", if stream { options } else { "" }).unwrap();
                body
            }
        };
        let model = requests::model(&recorded);
        let ask = requests::with(&recorded, "model", &Value::from(format!("{provider}/{model}")).to_string());
        let (answer, status) = (exchange.response.bytes(), exchange.response.status.unwrap_or(200));
        Self { ask, model, answer, status, exchange }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        format!("{} ({})", self.exchange.id, self.exchange.provider)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.exchange.response.is_stream()
    }

    /// Whether the client asks for usage in the stream.
    pub(crate) fn asks_for_usage(&self) -> bool {
        requests::asks_for_usage(&self.ask)
    }

    /// Whether the gateway has to ask for usage in the client's place.
    pub(crate) fn gateway_asks(&self) -> bool {
        let stream = requests::tree(&self.ask)["stream"] == true;
        stream && !self.asks_for_usage() && !UNASKED.contains(&&*self.exchange.provider)
    }

    /// The type of the answer, as recorded or as such an answer has it.
    pub(crate) fn content_type(&self) -> &str {
        let usual = if self.is_stream() { "text/event-stream" } else { "application/json" };
        self.exchange.response.headers.get("content-type").map_or(usual, String::as_str)
    }

    /// The provider's part, in these pieces.
    pub(crate) fn play(&self, pieces: impl IntoIterator<Item = Bytes>) -> Play {
        let play = Play::status(self.status).header("content-type", self.content_type());
        pieces.into_iter().fold(play, Play::piece)
    }

    /// A gateway with this provider alone.
    pub(crate) fn stage(&self) -> Stage {
        Set::of([upstream(&self.exchange.provider)]).patient().stage()
    }

    pub(crate) fn scene(&self) -> Scene {
        Scene::read(&self.answer)
    }
}
