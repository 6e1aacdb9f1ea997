//! The gateway's own count of a chat turn's tokens, where the target has no count of its own.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use lockgate_catalog::tokens::{Counter, Family, Vocabulary};
use lockgate_dialect::Losses;
use lockgate_dialect::operation::count::{self, Spoken};
use lockgate_dialect::operation::{Asked, Counts};

use super::{Arrived, Cargo};

/// One for the process: a vocabulary takes tens of megabytes.
static COUNTER: LazyLock<Counter> = LazyLock::new(Counter::new);
/// Whether somebody has begun to load it, by vocabulary.
static BEGUN: [AtomicBool; Vocabulary::COUNT] = [const { AtomicBool::new(false) }; Vocabulary::COUNT];

/// Bytes of a text that are counted. A longer one goes on as it began.
const COUNTED: usize = 1 << 20;
/// Tokens of the frame around a message.
const FRAME: u64 = 4;
/// Tokens of the frame around a conversation.
const FRAMES: u64 = 3;
/// Tokens of an image of common size.
const ATTACHMENT: u64 = 1_200;

/// The gateway's own answer.
pub(super) fn answer(asked: &Asked, model: &str) -> Arrived {
    let tokens = tokens(&Spoken::read(asked), model);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = count::answer(asked.operation, tokens);
    Arrived {
        status: StatusCode::OK,
        headers,
        losses: Losses::default(),
        estimate: true,
        cargo: Cargo::Whole { body, usage: None, counts: Counts::default() },
    }
}

fn tokens(spoken: &Spoken, model: &str) -> u64 {
    let family = Family::of(model);
    warm(family.vocabulary());
    let text = &*spoken.text;
    let head = text.get(..text.floor_char_boundary(COUNTED)).unwrap_or(text);
    let counted = COUNTER.count(family, head).tokens;
    let whole = if head.len() == text.len() {
        counted
    } else {
        let scaled = u128::from(counted) * text.len() as u128 / head.len().max(1) as u128;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    whole
        .saturating_add(spoken.messages.saturating_mul(FRAME))
        .saturating_add(spoken.attachments.saturating_mul(ATTACHMENT))
        .saturating_add(FRAMES)
}

/// Loads a vocabulary on a thread of its own, once. Until it is there letters are counted by.
fn warm(vocabulary: Vocabulary) {
    let Some(begun) = BEGUN.get(vocabulary as usize) else { return };
    if COUNTER.has(vocabulary) || begun.swap(true, Ordering::Relaxed) {
        return;
    }
    let loading =
        std::thread::Builder::new().name("vocabulary".into()).spawn(move || COUNTER.load(vocabulary));
    if loading.is_err() {
        begun.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_goes_on_as_it_began() {
        let text = |times: usize| "The quick brown fox jumps over the lazy dog.\n".repeat(times);
        let count = |times| {
            tokens(&Spoken { text: text(times), messages: 1, attachments: 0 }, "some-model-of-nobody")
        };
        let (short, long) = (count(20_000), count(80_000));
        assert!(long.abs_diff(short * 4) < short / 5, "{short} {long}");
    }

    #[test]
    fn what_is_not_text_counts_too() {
        let spoken = |messages, attachments| Spoken { text: String::new(), messages, attachments };
        assert_eq!(tokens(&spoken(2, 0), "m"), 11);
        assert_eq!(tokens(&spoken(1, 2), "m"), 2_407);
    }
}
