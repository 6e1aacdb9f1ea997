//! Why an answer ended, in the words of the dialect.

use crate::neutral::Finish;

/// Reads `stop_reason` and `stop_sequence`.
pub(crate) fn read(reason: &str, sequence: Option<&str>) -> Finish {
    match reason {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopText(sequence.map(str::to_owned)),
        "max_tokens" => Finish::Length,
        "model_context_window_exceeded" => Finish::ContextWindow,
        "tool_use" => Finish::Calls,
        "refusal" => Finish::Refused,
        "pause_turn" => Finish::Paused,
        other => Finish::Other(other.to_owned()),
    }
}

/// Which calls an answer holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// Any.
    pub(crate) any: bool,
    /// One that waits for the client. Those that code at the provider made may have been answered already.
    pub(crate) open: bool,
}

/// The `stop_reason` and the `stop_sequence`, and whether the reason is only the nearest. This dialect's clients act on
/// the reason; some providers of others say "stop" though the answer holds calls.
pub(crate) fn write(finish: &Finish, calls: Calls) -> (&str, Option<&str>, bool) {
    match finish {
        Finish::Stop if calls.open => ("tool_use", None, false),
        Finish::Calls if calls.any => ("tool_use", None, false),
        Finish::Stop | Finish::Calls => ("end_turn", None, false),
        Finish::StopText(text) => ("stop_sequence", text.as_deref(), false),
        Finish::Length => ("max_tokens", None, false),
        Finish::ContextWindow => ("model_context_window_exceeded", None, false),
        Finish::Filtered | Finish::Refused => ("refusal", None, false),
        Finish::Paused => ("pause_turn", None, false),
        Finish::Other(word) if word == "compaction" => (word, None, false),
        Finish::Other(_) if calls.open => ("tool_use", None, true),
        Finish::Other(_) => ("end_turn", None, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_comes_back() {
        for reason in [
            "end_turn",
            "stop_sequence",
            "max_tokens",
            "model_context_window_exceeded",
            "refusal",
            "pause_turn",
            "compaction",
        ] {
            assert_eq!(write(&read(reason, Some("x")), Calls::default()).0, reason);
        }
        assert_eq!(
            write(&read("stop_sequence", Some("x")), Calls::default()),
            ("stop_sequence", Some("x"), false)
        );
    }

    #[test]
    fn an_answer_with_calls_says_so() {
        let (none, open) = (Calls::default(), Calls { any: true, open: true });
        let answered = Calls { open: false, ..open };
        assert_eq!(write(&Finish::Stop, open).0, "tool_use");
        assert_eq!(write(&Finish::Stop, answered).0, "end_turn");
        assert_eq!(write(&Finish::Calls, answered).0, "tool_use");
        assert_eq!(write(&Finish::Calls, none).0, "end_turn");
        assert_eq!(write(&Finish::Length, open).0, "max_tokens");
        assert!(write(&Finish::Other("odd".into()), none).2);
    }
}
