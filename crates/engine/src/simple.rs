//! The shorter walk: of everything that is not a chat turn.

mod direct;
mod estimate;
mod forward;
mod model;
mod passage;
mod talk;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lockgate_core::{Error, Outcome, RequestId, Tick, Usage};
use lockgate_dialect::operation::{Counts, Operation};
use lockgate_dialect::{Dialect, Losses, by_name, openai_chat};

pub use passage::Passage;
pub use talk::{Hail, Talk, realtime};

use crate::admit::identify;
use crate::engine::{Engine, State};
use crate::record::Ticket;
use crate::relay::for_client;
use crate::reply::{Reply, ReplyBody};

/// A request that is not a chat turn, whose path has been understood and whose body has not been read yet.
pub struct Errand {
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub arrived: Tick,
    /// What is asked for.
    pub task: Task,
    /// How.
    pub method: Method,
    /// What stands behind the question mark of its path.
    pub query: Option<String>,
    /// The client's headers.
    pub headers: HeaderMap,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Something of a model, which the path may name.
    Model(Operation, Option<String>),
    /// Files and batches, which are kept at a provider: the path behind the version.
    Kept(String),
    /// Anything at a provider.
    Passthrough {
        /// The provider's name.
        provider: String,
        /// The path behind its base address.
        path: String,
    },
}

/// What a target said.
struct Arrived {
    status: StatusCode,
    headers: HeaderMap,
    losses: Losses,
    /// The numbers in it are the gateway's estimate.
    estimate: bool,
    cargo: Cargo,
}

/// The body of what a target said.
enum Cargo {
    /// All of it.
    Whole { body: Bytes, usage: Option<Usage>, counts: Counts },
    /// A beginning.
    Passing(Box<passage::Begun>),
}

/// The dialect of clients that keep files and batches at Anthropic.
const ANTHROPIC: &str = "anthropic.messages";
/// Says which they are.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// Takes a request through the house. `body` is read only after the key was found good.
///
/// # Errors
/// The caller's, a policy's, the provider's or the gateway's; it is recorded already, and the door renders it.
pub async fn simple(
    engine: &Engine,
    errand: Errand,
    body: impl Future<Output = Result<Bytes, Error>>,
) -> Result<Reply, Error> {
    let state = &engine.state;
    let snapshot = state.snapshot.load_full();

    // Identify. No record is kept of whoever has no key.
    let principal = identify::identify(state, &snapshot, &errand.headers)?;
    let begun = (errand.id, errand.arrived);
    let mut ticket = Ticket::begin((state, &snapshot.catalog), begun, errand.task.name().into(), &principal);

    // From here on every end is recorded: by the reply's own end, by this error, or by the ticket's drop.
    let walked = match &errand.task {
        Task::Model(operation, named) => {
            let asked = (*operation, named.as_deref());
            model::walk(engine, &snapshot, &errand, asked, &mut ticket, &principal, body).await
        }
        Task::Kept(_) | Task::Passthrough { .. } => {
            direct::walk(engine, &snapshot, &errand, &mut ticket, &principal, body).await
        }
    };
    match walked {
        Ok(arrived) => Ok(arrived.reply(state, ticket, &errand)),
        Err(error) => Err(ticket.fail(error)),
    }
}

// === impl Task ===

impl Task {
    /// Its stable name in records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Model(operation, _) => operation.name(),
            Self::Kept(path) if path.contains("/batches") => "batches",
            Self::Kept(_) => "files",
            Self::Passthrough { .. } => "passthrough",
        }
    }

    /// The dialect in which its client reads errors.
    pub fn words(&self, headers: &HeaderMap) -> &'static dyn Dialect {
        match self {
            Self::Model(operation, _) => operation.words(),
            Self::Kept(_) if headers.contains_key(ANTHROPIC_VERSION) => {
                by_name(ANTHROPIC).unwrap_or(&openai_chat::OpenAiChat)
            }
            Self::Kept(_) | Self::Passthrough { .. } => &openai_chat::OpenAiChat,
        }
    }
}

// === impl Arrived ===

impl Arrived {
    fn reply(self, state: &Arc<State>, mut ticket: Ticket, errand: &Errand) -> Reply {
        // Whoever asks for a head alone wants to know how long the rest would be.
        let length = self.headers.get(CONTENT_LENGTH).filter(|_| errand.method == Method::HEAD).cloned();
        ticket.answering(self.status.as_u16());
        ticket.lost(&self.losses);
        if let Cargo::Whole { usage, counts, .. } = &self.cargo {
            ticket.counted(*usage, counts);
        }
        let mut headers = for_client(self.headers, &ticket, errand.id, &self.losses);
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length);
        }
        if self.estimate {
            headers.insert("x-lockgate-estimate", HeaderValue::from_static("true"));
        }
        let body = match self.cargo {
            Cargo::Whole { body, .. } => {
                ticket.finish(Outcome::Ok, None);
                ReplyBody::whole(body)
            }
            Cargo::Passing(begun) => {
                ReplyBody::Passing(Box::new(Passage::new(*begun, Arc::clone(state), ticket)))
            }
        };
        Reply { status: self.status, headers, body }
    }
}
