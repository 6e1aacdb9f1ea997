//! How much time a request has.

use std::time::Duration;

use http::HeaderMap;
use lockgate_core::{Error, Kind};
use lockgate_route::Plan;
use tokio::time::Instant;

/// The time that is left for all attempts of a request together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    deadline: Instant,
    attempt: Option<Duration>,
}

const HEADER: &str = "x-lockgate-timeout-ms";

impl Budget {
    /// The smaller of the client's own wish and the route's limit; without a limit, what the plan's providers are given
    /// together, so that a slow one leaves the next its time.
    ///
    /// # Errors
    /// `InvalidRequest` when the client's wish is not a number of milliseconds from 1 up.
    pub(crate) fn new(headers: &HeaderMap, plan: &Plan) -> Result<Self, Error> {
        let together = plan.endpoints.iter().map(|endpoint| endpoint.upstream.timeouts.total).sum();
        let mut total = plan.patience.total.unwrap_or(together);
        if let Some(value) = headers.get(HEADER) {
            let wish = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|ms| *ms > 0);
            let wish = wish.map(Duration::from_millis).ok_or_else(|| {
                Error::client(
                    Kind::InvalidRequest,
                    format!("\"{HEADER}\" must be a whole number of milliseconds from 1 up."),
                )
                .param(HEADER)
            })?;
            total = total.min(wish);
        }
        Ok(Self { deadline: Instant::now() + total, attempt: plan.patience.attempt })
    }

    /// What is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// When an attempt that begins now must have its answer or its first content: at `limit`, the route's limit for an
    /// attempt, or the end, whichever is first.
    pub(crate) fn attempt(&self, limit: Duration) -> Instant {
        let limit = self.attempt.map_or(limit, |own| own.min(limit));
        self.deadline.min(Instant::now() + limit)
    }

    /// When an answer that is not streamed must be there: a route's limit for an attempt holds for all of it.
    pub(crate) fn whole(&self) -> Instant {
        self.attempt.map_or(self.deadline, |own| self.deadline.min(Instant::now() + own))
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// The end.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }
}
