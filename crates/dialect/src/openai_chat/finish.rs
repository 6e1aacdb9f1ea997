//! Why an answer ended.

use serde_json::value::RawValue;

use super::members::Str;
use crate::neutral::Finish;

/// Reads a finish; `stopped` is what some servers say beside it: the stop text that came.
pub(crate) fn read(word: &str, stopped: Option<&RawValue>) -> Finish {
    match word {
        "stop" | "eos" | "eos_token" | "end_turn" | "completed" => {
            match stopped.and_then(|raw| serde_json::from_str::<Str<'_>>(raw.get()).ok()) {
                Some(Str(text)) => Finish::StopText(Some(text.into_owned())),
                None => Finish::Stop,
            }
        }
        "stop_sequence" => Finish::StopText(None),
        "length" | "max_tokens" => Finish::Length,
        "model_length" | "context_length" => Finish::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => Finish::Calls,
        "content_filter" | "safety" => Finish::Filtered,
        "refusal" => Finish::Refused,
        other => Finish::Other(other.to_owned()),
    }
}

/// The word for a finish. `declined`: the answer holds the model's own words why it declines, so the end is a usual one.
pub(crate) fn word(finish: &Finish, declined: bool) -> &'static str {
    match finish {
        Finish::Length | Finish::ContextWindow => "length",
        Finish::Calls => "tool_calls",
        Finish::Filtered => "content_filter",
        Finish::Refused if !declined => "content_filter",
        Finish::Stop | Finish::StopText(_) | Finish::Refused | Finish::Paused | Finish::Other(_) => "stop",
    }
}

/// Providers end a call that the client demanded by name with `stop`; other dialects' clients wait for calls only when
/// they are told so.
pub(crate) fn with_calls(finish: Finish, calls: bool) -> Finish {
    if calls && finish == Finish::Stop { Finish::Calls } else { finish }
}
