//! Everything that will happen to one request, decided before the first byte goes out.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use crate::body::Body;
use crate::chunks;
use crate::fault::{Fault, Injection};
use crate::request::Refusal;

/// Everything that will happen to one request.
#[derive(Debug)]
pub(crate) struct Performance {
    /// Time before anything happens.
    pub(crate) wait: Duration,
    pub(crate) opening: Opening,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    pub(crate) body: Body,
    /// Close the connection after a good end, without having said so.
    pub(crate) close_after: bool,
    /// Every byte in a write of its own.
    pub(crate) drip: bool,
    /// The fault behind all this.
    pub(crate) fault: Option<Fault>,
}

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    Head,
    Hang,
    Close,
    Reset,
}

/// How the end of the body is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `content-length`, which a fault may not keep to.
    Length(u64),
    Chunked,
}

/// Size of the events and headers that are too large, in bytes.
pub(crate) const LARGE: usize = 1024 * 1024;

pub(crate) const SSE: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

impl Performance {
    pub(crate) fn json(status: u16, body: Bytes) -> Self {
        Self::bytes(status, JSON, body)
    }

    pub(crate) fn error(refusal: &Refusal) -> Self {
        Self::json(refusal.status, chunks::error(refusal))
    }

    pub(crate) fn stream(body: Body) -> Self {
        let mut performance = Self::bytes(200, SSE, Bytes::new());
        performance.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { framing: Framing::Chunked, body, ..performance }
    }

    pub(crate) fn bytes(status: u16, content_type: HeaderValue, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type);
        if let Ok(id) = HeaderValue::try_from(format!("req_{}", crate::id::unique())) {
            headers.insert("x-request-id", id);
        }
        Self {
            wait: Duration::ZERO,
            opening: Opening::Head,
            status,
            headers,
            framing: Framing::Length(body.len() as u64),
            body: Body::whole(body),
            close_after: false,
            drip: false,
            fault: None,
        }
    }

    pub(crate) fn opening(opening: Opening) -> Self {
        Self { opening, ..Self::bytes(200, JSON, Bytes::new()) }
    }

    /// Applies what a fault does to the connection or the head, whatever the body is.
    pub(crate) fn dress(mut self, injection: &Injection) -> Self {
        self.fault = Some(injection.fault);
        match injection.fault {
            Fault::WrongContentType => {
                self.headers.insert(header::CONTENT_TYPE, PLAIN);
            }
            Fault::HugeHeader => {
                if let Ok(value) = HeaderValue::try_from("h".repeat(LARGE)) {
                    self.headers.insert("x-huge", value);
                }
            }
            Fault::CloseAfterAnswer => self.close_after = true,
            Fault::OneByteChunks => self.drip = true,
            _ => {}
        }
        self
    }
}
