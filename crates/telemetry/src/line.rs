//! One line of the log, for people or for programs.

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// The form of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: time, level, event, then `key=value`.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// How much a line matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The gateway is at fault or loses something.
    Error,
    /// Something outside fails that somebody should look at.
    Warn,
    /// What happens on a good day.
    Info,
    /// What helps to find a fault.
    Debug,
}

/// A line being written.
pub(crate) struct Line {
    format: Format,
    text: String,
}

/// Milliseconds, as many digits as all lines have.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

// === impl Level ===

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

// === impl Line ===

impl Line {
    /// Begins a line; `event` is one word.
    pub(crate) fn new(format: Format, wall_ms: u64, level: Level, event: &str) -> Self {
        let time = i64::try_from(wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let time = TIME.timestamp_to_string(&time.unwrap_or(Timestamp::MAX));
        let mut line = Self { format, text: String::with_capacity(256) };
        match format {
            Format::Text => line.add(format_args!("{time} {:5} {event}", level.name())),
            Format::Json => {
                line.add(format_args!(
                    "{{\"time\":\"{time}\",\"level\":\"{}\",\"event\":\"{event}\"",
                    level.name()
                ));
            }
        }
        line
    }

    /// Adds a text, whatever is in it. `key` is one word.
    pub(crate) fn text(mut self, key: &str, value: &str) -> Self {
        match self.format {
            Format::Text if is_plain(value) => self.add(format_args!(" {key}={value}")),
            // The debug form escapes whatever could break the line or speak to a terminal.
            Format::Text => self.add(format_args!(" {key}={value:?}")),
            Format::Json => self.add(format_args!(",\"{key}\":{}", serde_json::Value::from(value))),
        }
        self
    }

    /// Adds a text that may be missing.
    pub(crate) fn maybe(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// Adds a number or a truth value: what needs no quotes in JSON.
    pub(crate) fn number(mut self, key: &str, value: impl Display) -> Self {
        match self.format {
            Format::Text => self.add(format_args!(" {key}={value}")),
            Format::Json => self.add(format_args!(",\"{key}\":{value}")),
        }
        self
    }

    /// The line with its end.
    pub(crate) fn end(mut self) -> String {
        if self.format == Format::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }

    fn add(&mut self, part: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(part);
    }
}

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format) -> String {
        Line::new(format, 1_790_000_000_007, Level::Warn, "breaker")
            .text("model", "openai/gpt-5")
            .text("note", "two words\nnext \u{1b}[31m\u{9b}\"q\"")
            .maybe("nothing", None)
            .number("count", 3)
            .end()
    }

    #[test]
    fn for_people() {
        assert_eq!(
            line(Format::Text),
            "2026-09-21T14:13:20.007Z warn  breaker model=openai/gpt-5 \
             note=\"two words\\nnext \\u{1b}[31m\\u{9b}\\\"q\\\"\" count=3\n"
        );
    }

    #[test]
    fn for_programs() {
        let text = line(Format::Json);
        assert_eq!(text.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["time"], "2026-09-21T14:13:20.007Z");
        assert_eq!(object["level"], "warn");
        assert_eq!(object["event"], "breaker");
        assert_eq!(object["note"], "two words\nnext \u{1b}[31m\u{9b}\"q\"");
        assert_eq!(object["count"], 3);
    }

    #[test]
    fn a_time_that_cannot_be_shown_is_the_last_one() {
        assert!(Line::new(Format::Text, u64::MAX, Level::Info, "x").end().starts_with("9999-12-3"));
    }
}
