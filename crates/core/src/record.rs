//! What is remembered of a request: never its content.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribution::Attribution;
use crate::codes::codes;
use crate::decision::Decision;
use crate::error::Kind;
use crate::id::RequestId;
use crate::key::KeyId;
use crate::money::Money;
use crate::usage::Usage;

/// One request, finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, which holds the time of its arrival.
    #[serde(with = "id_as_text")]
    pub id: RequestId,
    /// The dialect that the client spoke.
    pub dialect: Arc<str>,
    /// The id of the key that was shown.
    pub key: KeyId,
    /// The name of that key at the time.
    pub key_name: Arc<str>,
    /// On whose behalf.
    pub attribution: Attribution,
    /// The model as the client named it.
    pub asked: Arc<str>,
    /// Whether an event stream was asked for.
    pub stream: bool,
    /// The target that answered, or the last that was tried.
    pub target: Option<Target>,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that the client got.
    pub status: u16,
    /// What went wrong, if anything did.
    pub error: Option<Kind>,
    /// Private text for whoever reads the log: what exactly went wrong.
    pub detail: Option<String>,
    /// What it consumed; `None` when nothing is known.
    pub usage: Option<Usage>,
    /// What it cost; `None` when no price is known.
    pub cost: Option<Money>,
    /// How long it took in all, in microseconds.
    pub took_us: u32,
    /// Until the first content went to the client, in microseconds.
    pub first_content_us: Option<u32>,
    /// Time spent in the gateway itself before the first attempt, in microseconds.
    pub overhead_us: u32,
    /// How the targets were chosen; absent when the request failed before that.
    pub decision: Option<Arc<Decision>>,
    /// Every attempt in order.
    pub attempts: Vec<Attempt>,
    /// What the translation between dialects could not carry, by the paths of members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Arc<str>>,
}

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The provider's name in the config.
    pub provider: Arc<str>,
    /// The model's name at that provider.
    pub model: Arc<str>,
}

/// One call to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which target was called.
    pub target: Target,
    /// When, in microseconds since the arrival of the request.
    pub at_us: u32,
    /// How long until it was given up or its first content came, in microseconds.
    pub took_us: u32,
    /// The provider's status, where one came.
    pub status: Option<u16>,
    /// What went wrong; `None` for the attempt that answered.
    pub error: Option<Kind>,
    /// Private text: what exactly went wrong.
    pub detail: Option<String>,
    /// Which of the provider's credentials was shown, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Arc<str>>,
    /// Why it was made.
    #[serde(default, skip_serializing_if = "Role::is_usual")]
    pub role: Role,
    /// What it consumed, where that is not all of the request's usage: it broke off or was given up, and others answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What that cost; `None` when no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

codes! {
    /// Why an attempt was made.
    #[derive(Default)]
    pub enum Role {
        /// It was the target's turn.
        #[default]
        Usual = "usual",
        /// The targets of the plan failed: it comes from the list for that failure.
        Fallback = "fallback",
        /// The attempt before it was slow: both ran, and the one that spoke first was kept.
        Hedge = "hedge",
        /// The attempt before it had begun to answer and broke off: it went on from there.
        Continuation = "continuation",
    }
}

impl Attempt {
    /// One that begins.
    pub const fn begun(target: Target, at_us: u32) -> Self {
        Self {
            target,
            at_us,
            took_us: 0,
            status: None,
            error: None,
            detail: None,
            credential: None,
            role: Role::Usual,
            usage: None,
            cost: None,
        }
    }
}

impl Role {
    /// Whether there is nothing to say about it.
    pub fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

codes! {
    /// How a request ended.
    pub enum Outcome {
        /// The client got a whole answer.
        Ok = "ok",
        /// The client got an error instead of an answer.
        Error = "error",
        /// The answer broke off, and the client was told so.
        Broken = "broken",
        /// The client left.
        Cancelled = "cancelled",
    }
}

mod id_as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::id::RequestId;

    pub(super) fn serialize<S: Serializer>(id: &RequestId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.text().as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RequestId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a request id"))
    }
}
