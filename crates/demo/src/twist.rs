//! What each fault does: instead of an answer, to a stream event by event, or to a whole answer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};

use crate::body::{Act, Body};
use crate::chunks::{self, Kind, Script, Step};
use crate::fault::{Fault, Injection};
use crate::performance::{Framing, JSON, LARGE, Opening, Performance, SSE};
use crate::request::Refusal;

/// A fault at work on a stream.
#[derive(Debug, Default)]
pub(crate) struct Twist {
    injection: Option<Injection>,
    content_events: u64,
    /// The fault has struck once.
    struck: bool,
    over: bool,
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// How long the faults of time wait when nobody says.
const LONG: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_millis(50);

const HTML_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n\
    <body><center><h1>502 Bad Gateway</h1></center></body></html>\n";

/// The head of a gzip member, then a block of a type that does not exist.
const BROKEN_GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\xff\xff\xff\xff";

/// The answer of a fault that does not need to know the question; `None` for all other faults.
pub(crate) fn instead(injection: &Injection, stream: bool) -> Option<Performance> {
    let kind = if stream { SSE } else { JSON };
    // Where the answer breaks off, its announced length must be one that is not reached.
    let framing = if stream { Framing::Chunked } else { Framing::Length(1000) };
    let performance = match injection.fault {
        Fault::Silence => Performance::opening(Opening::Hang),
        Fault::CloseAtOnce => Performance::opening(Opening::Close),
        Fault::ResetAtOnce => Performance::opening(Opening::Reset),
        Fault::SilenceAfterHeaders => Performance {
            framing,
            body: Body::acts([Act::Hang]),
            ..Performance::bytes(200, kind, Bytes::new())
        },
        Fault::HeadersThenClose => Performance {
            framing,
            body: Body::acts([Act::Close]),
            ..Performance::bytes(200, kind, Bytes::new())
        },
        Fault::HtmlError => Performance::bytes(502, HTML, Bytes::from_static(HTML_PAGE.as_bytes())),
        Fault::Html200 => Performance::bytes(200, HTML, Bytes::from_static(HTML_PAGE.as_bytes())),
        Fault::Empty200 => Performance::bytes(200, kind, Bytes::new()),
        Fault::WrongShape => {
            let json = r#"{"message":"hello","items":[1,2,3]}"#;
            let body = if stream { format!("data: {json}\n\ndata: [DONE]\n\n") } else { json.to_owned() };
            Performance::bytes(200, kind, body.into())
        }
        Fault::BrokenGzip => {
            let mut performance = Performance::bytes(200, kind, Bytes::from_static(BROKEN_GZIP));
            performance.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            performance
        }
        Fault::PingsOnly => {
            let ping: &[u8] = if stream { b": ping\n\n" } else { b"\n" };
            let every = injection.delay.unwrap_or(PING_EVERY);
            let body = Body::refrain(Bytes::new(), Bytes::from_static(ping), every);
            Performance { framing: Framing::Chunked, body, ..Performance::bytes(200, kind, Bytes::new()) }
        }
        other => {
            let refusal = refusal(other)?;
            let mut performance = Performance::error(&refusal);
            let wanted =
                matches!(other, Fault::Status429RetryAfter | Fault::Status503RetryAfter).then_some(1);
            if let Some(seconds) = injection.retry_after.or(wanted) {
                performance.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            performance
        }
    };
    Some(Performance { fault: Some(injection.fault), ..performance })
}

/// The error with a status that a fault stands for.
fn refusal(fault: Fault) -> Option<Refusal> {
    let error = |status, kind, code, message: &str| {
        Some(Refusal { status, message: message.to_owned(), kind, param: None, code })
    };
    let invalid = "invalid_request_error";
    match fault {
        Fault::Status401 => {
            error(401, invalid, Some("invalid_api_key"), "Incorrect API key provided: demo-****.")
        }
        Fault::Status402 => {
            error(402, "billing_error", Some("payment_required"), "No credit is left on this account.")
        }
        Fault::Status403 => {
            error(403, "permission_error", Some("permission_denied"), "This key may not use this model.")
        }
        Fault::Status404 => error(
            404,
            invalid,
            Some("model_not_found"),
            "The model does not exist or you do not have access to it.",
        ),
        Fault::Status408 => error(408, "timeout_error", None, "The request took too long to arrive."),
        Fault::Status409 => {
            error(409, "conflict_error", None, "Another request is changing the same resource.")
        }
        Fault::Status413 => {
            error(413, "request_too_large", None, "The request is larger than the allowed size.")
        }
        Fault::Status422 => error(422, invalid, None, "The request was understood but cannot be processed."),
        Fault::Status429 | Fault::Status429RetryAfter => {
            error(429, "requests", Some("rate_limit_exceeded"), "Rate limit reached. Please try again later.")
        }
        Fault::InsufficientQuota => error(
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        Fault::Status500 => {
            error(500, "server_error", None, "The server had an error while processing your request.")
        }
        Fault::Status502 => error(502, "server_error", None, "Bad gateway."),
        Fault::Status503 | Fault::Status503RetryAfter => {
            error(503, "service_unavailable_error", None, "The service is temporarily unavailable.")
        }
        Fault::Status504 => error(504, "server_error", None, "Gateway time-out."),
        Fault::Status529 => {
            error(529, "overloaded_error", None, "The model is overloaded. Please try again later.")
        }
        Fault::ContextLength => Some(Refusal {
            status: 400,
            message:
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 \
                      tokens. Please reduce the length of the messages."
                    .to_owned(),
            kind: invalid,
            param: Some("messages"),
            code: Some("context_length_exceeded"),
        }),
        Fault::ContentPolicy => error(
            400,
            invalid,
            Some("content_policy_violation"),
            "Your request was rejected as a result of our safety system.",
        ),
        _ => None,
    }
}

/// The error that arrives where an answer was expected.
fn late_error() -> Bytes {
    let message = "The server had an error while processing your request.".to_owned();
    chunks::error(&Refusal { status: 500, message, kind: "server_error", param: None, code: None })
}

/// What a fault makes of a whole answer.
pub(crate) fn whole(injection: &Injection, bytes: &Bytes) -> Performance {
    let mut performance = Performance::json(200, bytes.clone());
    let length = bytes.len();
    let half = bytes.slice(..length / 2);
    let delay = injection.delay.unwrap_or(LONG);
    let mut chunked = |acts: Vec<Act>| {
        performance.framing = Framing::Chunked;
        performance.body = Body::acts(acts);
    };
    match injection.fault {
        Fault::CloseMidEvent => performance.body = Body::acts([Act::Data(half), Act::Close]),
        Fault::ResetMidStream => performance.body = Body::acts([Act::Data(half), Act::Reset]),
        Fault::OneByteShort => {
            performance.body = Body::acts([Act::Data(bytes.slice(..length.saturating_sub(1))), Act::Close]);
        }
        Fault::CloseBeforeUsage => {
            let end = memchr::memmem::find(bytes, b",\"usage\":").unwrap_or(length / 2);
            performance.body = Body::acts([Act::Data(bytes.slice(..end)), Act::Close]);
        }
        Fault::BadChunk => chunked(vec![Act::Data(half), Act::BadChunk, Act::Close]),
        Fault::SplitArguments => chunked(split_hard(bytes).into_iter().map(Act::Data).collect()),
        Fault::OneByteChunks => chunked(split_bytes(bytes).map(Act::Data).collect()),
        Fault::InvalidJson => return Performance::json(200, half),
        Fault::ErrorEvent => return Performance::json(200, late_error()),
        Fault::CrlfComments => {
            return Performance::json(200, [b"\r\n\t ", &bytes[..], b"\r\n"].concat().into());
        }
        Fault::SlowFirstToken => performance.wait = delay,
        Fault::Stall => {
            performance.body =
                Body::acts([Act::Data(half), Act::Wait(delay), Act::Data(bytes.slice(length / 2..))]);
        }
        Fault::Endless => {
            let start =
                br#"{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":""#;
            let every = injection.delay.unwrap_or(Duration::from_millis(1));
            performance.framing = Framing::Chunked;
            performance.body =
                Body::refrain(Bytes::from_static(start), Bytes::from_static(b"and on "), every);
        }
        _ => {}
    }
    performance
}

impl Twist {
    pub(crate) fn new(injection: Option<Injection>) -> Self {
        Self { injection, ..Self::default() }
    }

    /// Nothing more is to be played.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Turns an event into acts.
    pub(crate) fn apply(&mut self, step: Step, script: &Script, acts: &mut VecDeque<Act>) {
        let Some(injection) = &self.injection else {
            acts.push_back(Act::Data(step.bytes));
            return;
        };
        let fault = injection.fault;
        let delay = injection.delay.unwrap_or(LONG);
        let pause = injection.delay;
        let strikes = self.strikes(step.kind, fault);
        match fault {
            Fault::CloseMidEvent if strikes => {
                acts.extend([Act::Data(step.bytes.slice(..step.bytes.len() / 2)), Act::Close]);
            }
            Fault::BadChunk if strikes => acts.extend([Act::BadChunk, Act::Close]),
            Fault::ResetMidStream if strikes => acts.push_back(Act::Reset),
            Fault::ErrorEvent if strikes => {
                acts.push_back(Act::Data([b"data: ", &late_error()[..], b"\n\n"].concat().into()));
                self.over = true;
            }
            Fault::InvalidJson if strikes => {
                let broken = [&step.bytes[..step.bytes.len() / 2], b"\n\n"].concat();
                acts.push_back(Act::Data(broken.into()));
            }
            Fault::LargeEvent if strikes => {
                acts.extend([Act::Data(script.extra(&"x".repeat(LARGE))), Act::Data(step.bytes)]);
            }
            Fault::Stall | Fault::SlowFirstToken if strikes => {
                acts.extend([Act::Wait(delay), Act::Data(step.bytes)]);
            }
            Fault::NoFinish if matches!(step.kind, Kind::Finish | Kind::Usage | Kind::Done) => {}
            Fault::NoDone if step.kind == Kind::Done => {}
            Fault::NoUsage if step.kind == Kind::Usage => {}
            Fault::CloseBeforeUsage if matches!(step.kind, Kind::Usage | Kind::Done) => {
                acts.push_back(Act::Close);
            }
            Fault::OneByteShort if step.kind == Kind::Done => {
                let end = step.bytes.len() - 1;
                acts.extend([Act::ShortChunk(step.bytes.slice(..end)), Act::Close]);
            }
            Fault::DuplicateStart if step.kind == Kind::Start => {
                acts.extend([Act::Data(step.bytes.clone()), Act::Data(step.bytes)]);
            }
            Fault::SplitArguments => acts.extend(split_hard(&step.bytes).into_iter().map(Act::Data)),
            Fault::OneByteChunks => acts.extend(split_bytes(&step.bytes).map(Act::Data)),
            Fault::CrlfComments => {
                let data = step.bytes.strip_suffix(b"\n\n").unwrap_or(&step.bytes);
                let event = [b": comment\r\n\r\n: another\r\n", data, b"\r\n: within\r\n\r\n"].concat();
                acts.push_back(Act::Data(event.into()));
            }
            Fault::Endless if step.kind == Kind::Content => {
                acts.push_back(Act::Data(step.bytes));
                acts.extend(pause.map(Act::Wait));
            }
            _ => acts.push_back(Act::Data(step.bytes)),
        }
        if matches!(acts.back(), Some(Act::Close | Act::Reset)) {
            self.over = true;
        }
    }

    /// Whether this is the event at which the fault strikes. It strikes at the finish at the latest.
    fn strikes(&mut self, kind: Kind, fault: Fault) -> bool {
        let usual = match fault {
            Fault::LargeEvent | Fault::SlowFirstToken => 0,
            Fault::Stall => 1,
            _ => 2,
        };
        let after = self.injection.as_ref().and_then(|injection| injection.after).unwrap_or(usual);
        let now = match kind {
            Kind::Content => {
                self.content_events += 1;
                self.content_events > after
            }
            Kind::Finish => true,
            Kind::Start | Kind::Usage | Kind::Done => false,
        };
        let strikes = now && !self.struck;
        self.struck |= strikes;
        strikes
    }
}

/// Pieces with borders after every backslash and inside every character of more than one byte.
fn split_hard(bytes: &Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if *byte == b'\\' || *byte >= 0x80 {
            pieces.push(bytes.slice(start..=index));
            start = index + 1;
        }
    }
    if start < bytes.len() {
        pieces.push(bytes.slice(start..));
    }
    pieces
}

fn split_bytes(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..bytes.len()).map(|index| bytes.slice(index..=index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_borders() {
        let bytes = Bytes::from("a\\\"\u{fc}b");
        let pieces = split_hard(&bytes);
        assert_eq!(pieces.concat(), bytes);
        assert_eq!(pieces.len(), 4);
        assert_eq!(split_bytes(&bytes).count(), bytes.len());
    }

    #[test]
    fn every_status_fault_has_its_status() {
        for fault in Fault::ALL.iter().filter(|fault| fault.name().starts_with("status-")) {
            let performance = instead(&Injection::from(*fault), true).unwrap();
            assert!(fault.name().contains(&performance.status.to_string()), "{}", fault.name());
            let wants = fault.name().ends_with("retry-after");
            assert_eq!(performance.headers.contains_key("retry-after"), wants, "{}", fault.name());
        }
    }
}
