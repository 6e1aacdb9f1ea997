//! Events turned into Prometheus metrics and structured log lines.
//!
//! Invariant: the only place that knows Prometheus and the form of a log line. What is not an [`Event`] is not seen.

mod book;
mod line;
mod logs;
mod metrics;
#[cfg(test)]
mod samples;
mod series;

use std::io::Write;
use std::sync::Arc;

use lockgate_core::port::EventSink;
use lockgate_core::{Clock, Event};

pub use crate::line::{Format, Level};
use crate::logs::Log;
use crate::metrics::Metrics;
pub use crate::metrics::reference;

/// The media type of what [`Telemetry::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Sees every event: counts it, and writes a line about it where it is worth one.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    log: Log,
}

// === impl Telemetry ===

impl Telemetry {
    /// Writes lines of at least this level to `out`; with `requests`, also one for each request that went well or
    /// failed by the caller's own doing. The time of the call counts as the start of the process.
    pub fn new(
        format: Format,
        level: Level,
        requests: bool,
        out: Box<dyn Write + Send>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let metrics = Metrics::new(clock.wall_ms());
        let log = Log::new(format, level, requests, out, clock, metrics.lines_lost());
        Self { metrics, log }
    }

    /// All metrics in the OpenMetrics text form, to be sent as [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        self.metrics.render()
    }
}

impl EventSink for Telemetry {
    fn emit(&self, event: &Event<'_>) {
        self.metrics.note(event);
        self.log.note(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Paper, WoundClock, every_event};

    #[test]
    fn every_event_is_seen_in_the_metrics_or_in_the_log() {
        for (name, event) in every_event() {
            let paper = Paper::default();
            let out = Box::new(paper.clone());
            let telemetry = Telemetry::new(Format::Json, Level::Debug, true, out, WoundClock::at(0));
            let before = telemetry.render();
            telemetry.emit(&event);
            assert!(telemetry.render() != before || !paper.text().is_empty(), "{name} leaves no trace");
        }
    }
}
