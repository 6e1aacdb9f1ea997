//! How long a provider wants to be left alone.

use std::time::Duration;

use http::HeaderMap;

/// The longest pause that is believed, in seconds.
const LONGEST: f64 = 86_400.0;

/// `retry-after-ms`, or `retry-after` in seconds. The form with a date is left: no provider sends it.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1_000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST)).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn milliseconds_go_before_seconds_and_nonsense_is_no_pause() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers), None);
        headers.insert("retry-after", HeaderValue::from_static("2"));
        assert_eq!(read(&headers), Some(Duration::from_secs(2)));
        headers.insert("retry-after-ms", HeaderValue::from_static("150"));
        assert_eq!(read(&headers), Some(Duration::from_millis(150)));
        for nonsense in ["NaN", "soon", ""] {
            let headers =
                HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static(nonsense))]);
            assert_eq!(read(&headers), None, "{nonsense}");
        }
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("1e300"))]);
        assert_eq!(read(&headers), Some(Duration::from_secs(86_400)));
    }
}
