//! What is wrong with a file, where, and what would put it right.

use std::fmt;

use serde::Serialize;

/// How much a [`Diagnostic`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably says something its author does not want.
    Warning,
}

/// One finding about a configuration file. No secret and no value of an environment variable is ever part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the file can still be used.
    pub severity: Severity,
    /// The setting, such as `providers.openai.api_key` or `routes."gpt-4.1".use[0]`; empty for the file as a whole.
    pub path: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, in one sentence that can be read alone.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in the file: line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A fault found in a piece of text by code that does not know where the text stands. The message continues a
/// sentence that begins with the text: "is not a duration".
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The diagnostics gathered so far: at most [`Findings::MOST`], since nobody reads more and a hostile file could
/// otherwise make any number of them.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Diagnostic>,
    unlisted: usize,
}

impl Diagnostic {
    /// The finding as a compiler would print it, with the name of the file in front:
    /// `lockgate.yaml:12:7: error: ...`, and the hint on a second line.
    pub fn in_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| write!(f, "{file}:{self}"))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Findings {
    /// The most diagnostics that are listed; the rest is counted.
    pub(crate) const MOST: usize = 500;

    pub(crate) fn add(&mut self, severity: Severity, path: &str, at: Position, what: Complaint) {
        if self.is_full() {
            self.unlisted += 1;
            return;
        }
        let Complaint { message, hint } = what;
        let Position { line, column } = at;
        self.list.push(Diagnostic { severity, path: path.to_owned(), line, column, message, hint });
    }

    pub(crate) fn error(&mut self, path: &str, at: Position, what: Complaint) {
        self.add(Severity::Error, path, at, what);
    }

    /// Whether a further finding would only be counted, so that costly hints need not be made.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= Self::MOST
    }

    /// All findings in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|found| (found.line, found.column));
        if self.unlisted > 0 {
            let message = format!("{} more mistakes are not listed", self.unlisted);
            let (line, column) = self.list.last().map_or((1, 1), |last| (last.line, last.column));
            let path = String::new();
            self.list.push(Diagnostic { severity: Severity::Error, path, line, column, message, hint: None });
        }
        self.list
    }
}

/// Text from the file made fit for a message: in quotes, control characters escaped, long text cut.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The hint `did you mean "base_url"?`, if one of the candidates looks like what was written.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    const LONGEST: usize = 64;
    const MOST_CANDIDATES: usize = 1000;
    const ALIKE: f64 = 0.7;
    if written.len() > LONGEST {
        return None;
    }
    let lower = written.to_lowercase();
    candidates
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("did you mean {}?", quoted(candidate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            path: "providers.my-vllm.base_ulr".into(),
            line: 12,
            column: 7,
            message: "unknown field \"base_ulr\" in providers.my-vllm".into(),
            hint: Some("did you mean \"base_url\"?".into()),
        }
    }

    #[test]
    fn reads_like_a_compiler_message() {
        assert_eq!(
            example().in_file("lockgate.yaml").to_string(),
            "lockgate.yaml:12:7: error: unknown field \"base_ulr\" in providers.my-vllm\n  hint: did you mean \"base_url\"?"
        );
    }

    #[test]
    fn has_a_form_for_machines() {
        let json = serde_json::to_value(example()).unwrap();
        assert_eq!(json["severity"], "error");
        assert_eq!(json["line"], 12);
        assert_eq!(json["path"], "providers.my-vllm.base_ulr");
    }

    #[test]
    fn suggests_only_what_is_alike() {
        let fields = ["base_url", "api_key", "models"];
        assert_eq!(did_you_mean("apikey", fields).unwrap(), "did you mean \"api_key\"?");
        assert_eq!(did_you_mean("BASE_URL", fields).unwrap(), "did you mean \"base_url\"?");
        assert_eq!(did_you_mean("colour", fields), None);
    }

    #[test]
    fn text_in_messages_is_short_and_printable() {
        assert_eq!(quoted("a\u{7}b\n"), "\"a\\u{7}b\\n\"");
        assert!(quoted(&"x".repeat(10_000)).len() < 100);
    }

    #[test]
    fn findings_are_bounded_and_the_rest_is_counted() {
        let mut findings = Findings::default();
        for _ in 0..Findings::MOST + 7 {
            findings.error("", Position::START, Complaint::new("wrong"));
        }
        let list = findings.finish();
        assert_eq!(list.len(), Findings::MOST + 1);
        assert_eq!(list.last().unwrap().message, "7 more mistakes are not listed");
    }
}
