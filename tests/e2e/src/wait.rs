//! Waiting for what will come true.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for what should come at once, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks every few milliseconds until there is a value.
///
/// # Panics
/// When there is none after `limit`; `what` says in the message what was waited for.
pub async fn eventually<T, F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(3)).await;
    }
}
