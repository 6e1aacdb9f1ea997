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
