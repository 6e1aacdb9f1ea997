//! What a load counts, and the report made of it.

use std::fmt;
use std::io;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::exchange::Answer;
use super::{LoadArgs, Usage};

/// Microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) connections: usize,
    pub(crate) rate: Option<f64>,
    pub(crate) stream: bool,
    pub(crate) request_bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) rps: f64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) response_bytes: u64,
    pub(crate) sse_events: u64,
    /// Streams, among `requests`, that ended cleanly but without `[DONE]` or `message_stop`.
    pub(crate) unfinished_streams: u64,
    /// From the moment a request was due (open loop) or sent (closed loop) to its last byte.
    pub(crate) latency_us: Quantiles,
    /// From the moment a request was sent to its last byte.
    pub(crate) service_us: Quantiles,
    /// From the moment a stream was asked for to its first event.
    pub(crate) first_event_us: Option<Quantiles>,
    pub(crate) cpu_us_per_request: Option<f64>,
    /// The part of it spent in user space.
    pub(crate) user_us_per_request: Option<f64>,
    /// Cores kept busy by the sampled process.
    pub(crate) cpu_cores: Option<f64>,
    pub(crate) rss_start_mib: Option<f64>,
    pub(crate) rss_peak_mib: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.0} rps  p50 {:>9.0} us  p99 {:>9.0} us  cpu {:>7.1} us/req  rss {:>6.1} MiB  errors {}{}",
            self.rps,
            self.latency_us.p50,
            self.latency_us.p99,
            self.cpu_us_per_request.unwrap_or(0.0),
            self.rss_peak_mib.unwrap_or(0.0),
            self.errors,
            self.first_error.as_deref().map(|e| format!(" ({e})")).unwrap_or_default(),
        )
    }
}

/// The counts of a load under way.
pub(super) struct Tally {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    first_event: Histogram<u64>,
    requests: u64,
    errors: u64,
    first_error: Option<String>,
    bytes: u64,
    events: u64,
    unfinished: u64,
}

impl Tally {
    pub(super) fn new() -> io::Result<Self> {
        let hist = || Histogram::new_with_bounds(1, 120_000_000_000, 3).map_err(io::Error::other);
        Ok(Self {
            latency: hist()?,
            service: hist()?,
            first_event: hist()?,
            requests: 0,
            errors: 0,
            first_error: None,
            bytes: 0,
            events: 0,
            unfinished: 0,
        })
    }

    pub(super) fn report(&self, args: &LoadArgs, request_bytes: usize, usage: Option<Usage>) -> Report {
        let seconds = args.seconds;
        let per_request = |us: u64| us as f64 / self.requests.max(1) as f64;
        Report {
            connections: args.connections,
            rate: args.rate,
            stream: args.stream,
            request_bytes,
            seconds,
            requests: self.requests,
            rps: self.requests as f64 / seconds,
            errors: self.errors,
            first_error: self.first_error.clone(),
            response_bytes: self.bytes,
            sse_events: self.events,
            unfinished_streams: self.unfinished,
            latency_us: quantiles(&self.latency),
            service_us: quantiles(&self.service),
            first_event_us: args.stream.then(|| quantiles(&self.first_event)),
            cpu_us_per_request: usage.map(|u| per_request(u.cpu_us)),
            user_us_per_request: usage.map(|u| per_request(u.user_us)),
            cpu_cores: usage.map(|u| u.cpu_us as f64 / 1e6 / seconds),
            rss_start_mib: usage.map(|u| u.rss_start as f64 / 1024.0),
            rss_peak_mib: usage.map(|u| u.rss_peak as f64 / 1024.0),
        }
    }

    pub(super) fn count(&mut self, result: io::Result<Answer>, due: Instant, sent: Instant, now: Instant) {
        match result {
            Ok(answer) => {
                self.requests += 1;
                self.bytes += answer.bytes;
                self.events += answer.events;
                self.unfinished += u64::from(answer.unfinished);
                let _ = self.latency.record((now - due).as_nanos() as u64);
                let _ = self.service.record((now - sent).as_nanos() as u64);
                if let Some(first) = answer.first_event {
                    let _ = self.first_event.record((first - sent).as_nanos() as u64);
                }
            }
            Err(e) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| e.to_string());
            }
        }
    }
}

fn quantiles(h: &Histogram<u64>) -> Quantiles {
    let us = |ns: u64| ns as f64 / 1000.0;
    Quantiles {
        mean: h.mean() / 1000.0,
        p50: us(h.value_at_quantile(0.5)),
        p90: us(h.value_at_quantile(0.9)),
        p99: us(h.value_at_quantile(0.99)),
        p999: us(h.value_at_quantile(0.999)),
        max: us(h.max()),
    }
}
