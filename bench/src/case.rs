//! The standard cases: what is asked of each gateway and floor.

use std::io;
use std::time::Duration;

use crate::load::{self, LoadArgs, Report};
use crate::post::control_mock;

/// Tokens of a streamed answer of the mock and the events around them: what a paced stream's length is counted in.
const STREAM_EVENTS: u64 = 54;

/// One load.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Straight to the mock, past the gateway.
    pub(crate) direct: bool,
    prompt_bytes: usize,
    connections: usize,
    stream: bool,
    /// Milliseconds between two events of a stream.
    gap_ms: u64,
    /// Requests a second of an open loop; without it the loop is closed.
    rate: Option<f64>,
}

/// Whom a case is run on, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The gateway's chat completions url.
    pub(crate) url: String,
    /// The mock's chat completions url.
    pub(crate) direct: String,
    pub(crate) headers: Vec<String>,
    pub(crate) model: String,
    /// The gateway's process; its descendants count with it.
    pub(crate) pid: Option<u32>,
    /// Of the measured window and of the time before it.
    pub(crate) seconds: f64,
    pub(crate) warmup: f64,
}

impl Case {
    const fn closed(name: &'static str, prompt_bytes: usize, connections: usize) -> Self {
        Self { name, direct: false, prompt_bytes, connections, stream: false, gap_ms: 0, rate: None }
    }

    const fn open(name: &'static str, rate: f64) -> Self {
        Self { rate: Some(rate), ..Self::closed(name, SMALL, 4) }
    }

    const fn streamed(self, gap_ms: u64) -> Self {
        Self { stream: true, gap_ms, ..self }
    }

    const fn direct(self) -> Self {
        Self { direct: true, ..self }
    }

    /// Runs the case once, the mock set as it needs and set back behind it.
    pub(crate) fn run(&self, on: &Target) -> io::Result<Report> {
        let (mock, _) = load::split_url(&on.direct)?;
        // Streams that start together end together, and a window then holds one batch more or less: spread them.
        let stagger_ms = self.gap_ms * STREAM_EVENTS;
        if self.gap_ms > 0 {
            control_mock(&mock, &format!("gap_ms={}", self.gap_ms))?;
        }
        let report = load::run(&LoadArgs {
            url: if self.direct { on.direct.clone() } else { on.url.clone() },
            body: None,
            prompt_bytes: self.prompt_bytes,
            model: on.model.clone(),
            stream: self.stream,
            headers: on.headers.clone(),
            connections: self.connections,
            rate: self.rate,
            seconds: on.seconds,
            warmup: on.warmup + Duration::from_millis(stagger_ms).as_secs_f64(),
            timeout: 30.0,
            stagger_ms,
            pid: on.pid.filter(|_| !self.direct),
            cpu: None,
        })?;
        if self.gap_ms > 0 {
            control_mock(&mock, "")?;
        }
        Ok(report)
    }
}

/// Bytes of the prompt of a small and of a large request.
const SMALL: usize = 900;
const LARGE: usize = 100_000;

/// The cases of `suite`, in order.
pub(crate) fn all(low_rate: f64) -> Vec<Case> {
    vec![
        Case::open("direct_low", low_rate).direct(),
        Case::open("direct_low_stream", low_rate / 2.0).streamed(0).direct(),
        Case::open("gateway_low", low_rate),
        Case::open("gateway_low_stream", low_rate / 2.0).streamed(0),
        Case::closed("direct_small_c16", SMALL, 16).direct(),
        Case::closed("small_c1", SMALL, 1),
        Case::closed("small_c16", SMALL, 16),
        Case::closed("small_c64", SMALL, 64),
        Case::closed("small_c256", SMALL, 256),
        Case::closed("large_c1", LARGE, 1),
        Case::closed("large_c16", LARGE, 16),
        Case::closed("large_c64", LARGE, 64),
        Case::closed("large_c256", LARGE, 256),
        Case::closed("stream_c64", SMALL, 64).streamed(0),
        Case::closed("stream_paced_c64", SMALL, 64).streamed(10),
    ]
}

/// The cases of `compare`, in order. Those with large bodies are last, as what they leave in an allocator would count
/// as the others' memory.
pub(crate) fn compared() -> Vec<Case> {
    vec![
        Case::open("direct_low", 100.0).direct(),
        Case::open("low", 100.0),
        Case::closed("small_c64", SMALL, 64),
        Case::closed("small_c256", SMALL, 256),
        Case::closed("stream_c64", SMALL, 64).streamed(0),
        Case::closed("stream_paced_c64", SMALL, 64).streamed(10),
        Case::closed("large_c64", LARGE, 64),
        Case::closed("large_c256", LARGE, 256),
    ]
}
