//! What is kept in the store beside the config file, as the admin endpoints and the commands see it: read, changed in
//! versions, compared and rolled back. What a document must say, the wiring knows.

use lockgate_core::port::{Document, Draft};
use lockgate_core::{Error, Kind};
use serde::Serialize;

/// Keeps documents, and lets nothing in that could not be put in force.
pub trait Cabinet: Send + Sync {
    /// The newest version of every document of a kind, and the names of that kind that the file declares.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self, kind: &str) -> Result<Vec<Entry>, Objection>;

    /// Every version of a document, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn versions(&self, kind: &str, name: &str) -> Result<Vec<Document>, Objection>;

    /// Makes the next version, if it could be put in force; its number.
    ///
    /// # Errors
    /// What speaks against it.
    fn put(&self, draft: &Draft) -> Result<u64, Objection>;

    /// The time that a change is made at, in Unix milliseconds.
    fn wall_ms(&self) -> u64;
}

/// A name of a kind.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The file declares it, so it cannot be changed here.
    OfFile(String),
    /// The store keeps it.
    Kept(Document),
}

/// Why a change is not made.
#[derive(Debug)]
pub enum Objection {
    /// It belongs to the file, or to another document.
    Owned(String),
    /// It is not there, or that version of it is not.
    Missing(String),
    /// Another change came before it.
    Outdated(String),
    /// It says something wrong: everything that is.
    Wrong(Vec<Flaw>),
    /// The store failed.
    Failed(Error),
}

/// Something that is wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// The setting, such as `routes.bot.use`.
    pub path: String,
    /// The line in the document, from 1; of a list the place in it.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What would put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// ` ` in both, `-` in the earlier one alone, `+` in the later one alone.
    pub sign: char,
    /// The line.
    pub text: String,
}

/// The most lines of two documents that are compared line by line.
const MOST_LINES: usize = 2_000;

/// Makes the newest version say what an earlier one says; its number.
///
/// # Errors
/// When that version is not there, or what it says cannot be put in force any more.
pub fn roll_back(
    cabinet: &dyn Cabinet,
    (kind, name): (&str, &str),
    to: u64,
    (by, reason): (&str, &str),
) -> Result<u64, Objection> {
    let versions = cabinet.versions(kind, name)?;
    let earlier = version(&versions, name, Some(to))?;
    let reason = if reason.is_empty() { format!("back to version {to}") } else { reason.to_owned() };
    cabinet.put(&Draft {
        kind: kind.into(),
        name: name.into(),
        after: versions.last().map(|newest| newest.version),
        body: earlier.body.clone(),
        at_ms: cabinet.wall_ms(),
        by: by.into(),
        reason: reason.into(),
    })
}

/// A version of a document; `None`: the newest, unless that removed it.
///
/// # Errors
/// When it is not there.
pub fn version<'a>(
    versions: &'a [Document],
    name: &str,
    number: Option<u64>,
) -> Result<&'a Document, Objection> {
    let missing = |what: String| Objection::Missing(what);
    match number {
        Some(number) => versions.iter().find(|document| document.version == number).ok_or_else(|| {
            missing(format!("\"{name}\" has no version {number}: there are {} of it", versions.len()))
        }),
        None => versions
            .last()
            .filter(|document| document.body.is_some())
            .ok_or_else(|| missing(format!("there is no \"{name}\" in the store"))),
    }
}

/// What is different between two bodies, each written with a member a line.
pub fn compare(earlier: Option<&str>, later: Option<&str>) -> Vec<Line> {
    let (earlier, later) = (pretty(earlier), pretty(later));
    let (a, b): (Vec<&str>, Vec<&str>) = (earlier.lines().collect(), later.lines().collect());
    let line = |sign, text: &str| Line { sign, text: text.to_owned() };
    if a.len().max(b.len()) > MOST_LINES {
        let gone = a.iter().map(|text| line('-', text));
        return gone.chain(b.iter().map(|text| line('+', text))).collect();
    }
    // The longest common subsequence, from behind: longest[i][j] is that of a[i..] and b[j..].
    let width = b.len() + 1;
    let mut longest = vec![0_u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(line(' ', a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            lines.push(line('-', a[i]));
            i += 1;
        } else {
            lines.push(line('+', b[j]));
            j += 1;
        }
    }
    lines
}

/// A body with a member a line; nothing where it was removed.
pub fn pretty(body: Option<&str>) -> String {
    let Some(body) = body else { return String::new() };
    let value: Result<serde_json::Value, _> = serde_json::from_str(body);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| body.to_owned())
}

// === impl Objection ===

impl Objection {
    /// All of it in one text, a flaw a line.
    pub fn text(&self) -> String {
        match self {
            Self::Owned(text) | Self::Missing(text) | Self::Outdated(text) => text.clone(),
            Self::Failed(error) => error.public().to_owned(),
            Self::Wrong(flaws) => {
                let line = |flaw: &Flaw| {
                    let hint =
                        flaw.hint.as_ref().map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
                    format!("{}:{}: {}{hint}", flaw.line, flaw.column, flaw.message)
                };
                flaws.iter().map(line).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// A change that was refused as another came before it is outdated.
impl From<Error> for Objection {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::InvalidRequest => Self::Outdated(error.public().to_owned()),
            _ => Self::Failed(error),
        }
    }
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::OfFile(name) => name,
            Self::Kept(document) => &document.name,
        }
    }

    /// For programs: its newest version, or that it is the file's.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::OfFile(name) => serde_json::json!({ "name": name, "source": "file" }),
            Self::Kept(document) => shown(document),
        }
    }
}

/// A version for programs.
pub fn shown(document: &Document) -> serde_json::Value {
    let body = document.body.as_deref().and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
    serde_json::json!({
        "name": document.name, "source": "store", "version": document.version, "at_ms": document.at_ms,
        "by": document.by, "reason": document.reason, "removed": document.body.is_none(), "body": body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{}{}\n", line.sign, line.text)).collect()
    }

    #[test]
    fn a_comparison_says_what_came_and_what_went() {
        let found = compare(Some(r#"{"use":["a/b"],"retries":1}"#), Some(r#"{"retries":2,"use":["a/b"]}"#));
        assert_eq!(
            text(&found),
            " {\n-  \"retries\": 1,\n+  \"retries\": 2,\n   \"use\": [\n     \"a/b\"\n   ]\n }\n"
        );
        assert_eq!(compare(Some("1"), None), [Line { sign: '-', text: "1".into() }]);
        assert!(compare(Some("[1,2]"), Some("[1, 2]")).iter().all(|line| line.sign == ' '));
    }

    #[test]
    fn a_version_that_was_removed_is_no_newest_one() {
        let document = |version, body: Option<&str>| Document {
            kind: "route".into(),
            name: "bot".into(),
            version,
            body: body.map(Into::into),
            at_ms: 1,
            by: "me".into(),
            reason: "".into(),
        };
        let versions = [document(1, Some("[]")), document(2, None)];
        assert!(matches!(version(&versions, "bot", None), Err(Objection::Missing(_))));
        assert_eq!(version(&versions, "bot", Some(1)).unwrap().version, 1);
        assert!(matches!(version(&versions, "bot", Some(3)), Err(Objection::Missing(_))));
    }
}
