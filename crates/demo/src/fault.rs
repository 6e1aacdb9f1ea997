//! The faults by name, and how one is ordered: `NAME`, or `NAME;after=K;delay_ms=N`.

use std::time::Duration;

macro_rules! faults {
    ($($variant:ident $name:literal $about:literal)*) => {
        /// A way to misbehave. Where a fault speaks of a stream, the same is done to a whole answer as far as it
        /// makes sense.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = $about] $variant,)*
        }

        impl Fault {
            /// Every fault, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in flags, headers, models and control calls.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One line that says what happens.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

faults! {
    // The connection, before anything was answered.
    Silence "silence" "Accepts the request and never answers."
    CloseAtOnce "close-at-once" "Closes the connection without an answer."
    ResetAtOnce "reset-at-once" "Resets the connection (RST) without an answer."
    SilenceAfterHeaders "silence-after-headers" "Sends the head and then nothing, for ever."
    HeadersThenClose "headers-then-close" "Sends the head and closes the connection."
    HugeHeader "huge-header" "Sends a header of one megabyte before a good answer."

    // Errors with a status.
    Status401 "status-401" "401, the key is wrong."
    Status402 "status-402" "402, no credit is left."
    Status403 "status-403" "403, the key may not do this."
    Status404 "status-404" "404, the model does not exist."
    Status408 "status-408" "408, the request took too long."
    Status409 "status-409" "409, a conflict with another request."
    Status413 "status-413" "413, the request is too large."
    Status422 "status-422" "422, the request cannot be processed."
    Status429 "status-429" "429, too many requests, without retry-after."
    Status429RetryAfter "status-429-retry-after" "429, too many requests, with retry-after (1 second unless told)."
    Status500 "status-500" "500, an internal error."
    Status502 "status-502" "502, a bad gateway."
    Status503 "status-503" "503, unavailable, without retry-after."
    Status503RetryAfter "status-503-retry-after" "503, unavailable, with retry-after (1 second unless told)."
    Status504 "status-504" "504, a gateway's time-out."
    Status529 "status-529" "529, overloaded."
    InsufficientQuota "insufficient-quota" "429, the account's quota is exhausted: waiting does not help."
    ContextLength "context-length" "400, the prompt is longer than the model's context."
    ContentPolicy "content-policy" "400, the prompt was refused by the content policy."
    HtmlError "html-error" "502 with an HTML page, as from a proxy in between."

    // Successes that are none.
    Html200 "html-200" "200 with an HTML page."
    Empty200 "empty-200" "200 with an empty body."
    WrongShape "wrong-shape" "200 with good JSON of the wrong shape."
    InvalidJson "invalid-json" "200 with JSON that breaks off; in a stream, one event does and the rest is good."
    WrongContentType "wrong-content-type" "The right answer, labelled text/plain."
    BrokenGzip "broken-gzip" "Labelled gzip, but the compressed data is damaged."
    WholeForStream "whole-for-stream" "Answers a stream request with a whole answer, and the other way round."

    // Bytes that end too early.
    CloseMidEvent "close-mid-event" "Closes in the middle of an event, after K content events (2 unless told)."
    OneByteShort "one-byte-short" "Leaves out the last byte of the body, or of the stream's last chunk, and closes."
    BadChunk "bad-chunk" "Sends a chunk size that is no number, after K content events (2 unless told)."
    ResetMidStream "reset-mid-stream" "Resets the connection (RST) after K content events (2 unless told)."
    ErrorEvent "error-event" "Sends an error event in the 200 stream, after K content events (2 unless told)."
    NoFinish "no-finish" "Ends cleanly without finish reason, usage and [DONE]."
    NoDone "no-done" "Ends cleanly with finish reason and usage, but without [DONE]."
    CloseBeforeUsage "close-before-usage" "Closes between the finish reason and the usage."
    NoUsage "no-usage" "Never reports usage; all else is good."
    CloseAfterAnswer "close-after-answer" "Closes the kept-alive connection after a good answer, without a word."

    // Good answers in awkward form: they must work.
    DuplicateStart "duplicate-start" "Sends the role event twice."
    SplitArguments "split-arguments" "Splits arguments inside escapes, and the bytes inside UTF-8 characters."
    OneByteChunks "one-byte-chunks" "Sends every byte in a chunk and a write of its own."
    CrlfComments "crlf-comments" "Ends lines with CRLF and puts comment lines between the events."
    LargeEvent "large-event" "One content event carries a megabyte, after K content events (0 unless told)."

    // Time.
    PingsOnly "pings-only" "Sends comments for ever and no event, one per delay (50 ms unless told)."
    SlowFirstToken "slow-first-token" "Waits before the first content (10 s unless told)."
    Stall "stall" "Waits after K content events (10 s and 1 event unless told), then goes on."
    Endless "endless" "Streams content for ever."
}

/// A fault with its details.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// What goes wrong.
    pub fault: Fault,
    /// Content events that are sent first, for faults that strike in mid-stream.
    pub after: Option<u64>,
    /// How long the faults of time wait.
    pub delay: Option<Duration>,
    /// Value of `retry-after` in seconds, for errors with a status.
    pub retry_after: Option<u64>,
    /// How many requests it strikes before it heals; `None` means all.
    pub count: Option<u64>,
    /// Share of the requests that it strikes, 0 to 1, spread evenly: with 0.25 it is every fourth. `None` means all.
    pub rate: Option<f64>,
}

impl Fault {
    /// Finds a fault by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Self {
        Self { fault, after: None, delay: None, retry_after: None, count: None, rate: None }
    }
}

impl Injection {
    /// The same, after `events` content events.
    pub fn after(self, events: u64) -> Self {
        Self { after: Some(events), ..self }
    }

    /// The same, with this waiting time.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay: Some(delay), ..self }
    }

    /// The same, for this many requests.
    pub fn count(self, requests: u64) -> Self {
        Self { count: Some(requests), ..self }
    }

    /// The same, for this share of the requests (0 to 1).
    pub fn rate(self, share: f64) -> Self {
        Self { rate: Some(share), ..self }
    }

    /// Reads `NAME`, `NAME@K` or `NAME;after=K;delay_ms=N;retry_after=SECONDS;count=N;rate=SHARE`. The name `none`
    /// gives `None`: no fault.
    ///
    /// # Errors
    /// Says which part is not understood.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let (name, after) = match name.split_once('@') {
            Some((name, after)) => (name, Some(number("after", after)?)),
            None => (name, None),
        };
        Self::build(
            name,
            after,
            parts.filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, ""))),
        )
    }

    /// Reads the query of a control call: `fault=NAME&after=K&...`, same members as in [`Injection::parse`].
    ///
    /// # Errors
    /// Says which part is not understood.
    pub(crate) fn from_query(query: &str) -> Result<Option<Self>, String> {
        let members = || query.split('&').filter_map(|member| member.split_once('='));
        let name = members().find(|(name, _)| *name == "fault").map(|(_, value)| value);
        let name = name.ok_or("the query needs fault=NAME, or fault=none to heal")?;
        Self::build(name, None, members().filter(|(name, _)| *name != "fault"))
    }

    fn build<'a>(
        name: &str,
        after: Option<u64>,
        members: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, String> {
        if name == "none" {
            return Ok(None);
        }
        let Some(fault) = Fault::named(name) else {
            let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
            return Err(format!("there is no fault {name:?}; known are none, {}", names.join(", ")));
        };
        let mut injection = Self { after, ..Self::from(fault) };
        for (member, value) in members {
            match member {
                "after" => injection.after = Some(number(member, value)?),
                "delay_ms" => injection.delay = Some(Duration::from_millis(number(member, value)?)),
                "retry_after" => injection.retry_after = Some(number(member, value)?),
                "count" => injection.count = Some(number(member, value)?),
                "rate" => {
                    let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
                    injection.rate = Some(rate.ok_or(format!("rate must be from 0 to 1, but is {value:?}"))?);
                }
                _ => return Err(format!("{member:?} is none of after, delay_ms, retry_after, count, rate")),
            }
        }
        Ok(Some(injection))
    }
}

fn number(member: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{member} must be a whole number, but is {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()), Some(*fault));
            assert!(fault.about().ends_with('.'));
        }
        assert_eq!(Fault::named("none"), None);
    }

    #[test]
    fn orders_are_read() {
        assert_eq!(Injection::parse("none"), Ok(None));
        assert_eq!(Injection::parse("stall@3"), Ok(Some(Injection::from(Fault::Stall).after(3))));
        let read = Injection::parse("status-429; retry_after=7;rate=0.5;count=2").unwrap().unwrap();
        assert_eq!(
            (read.fault, read.retry_after, read.rate, read.count),
            (Fault::Status429, Some(7), Some(0.5), Some(2))
        );
        let read = Injection::from_query("fault=stall&after=2&delay_ms=40").unwrap().unwrap();
        assert_eq!(read, Injection::from(Fault::Stall).after(2).delay(Duration::from_millis(40)));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Injection::parse("stal").unwrap_err().contains("stall"));
        assert!(Injection::parse("stall;after=x").unwrap_err().contains("after"));
        assert!(Injection::parse("stall;rate=2").unwrap_err().contains("rate"));
        assert!(Injection::parse("stall;often=2").unwrap_err().contains("often"));
        assert!(Injection::from_query("after=2").is_err());
    }
}
