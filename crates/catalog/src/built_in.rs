//! The data that the binary carries, and where in it each provider's lines stand.
//!
//! The text is 1.4 MB and mapped from the binary's file: what is not looked at takes no memory. So a gateway that knows three
//! providers neither reads nor searches the rest; the index leads to their lines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use crate::catalog::Catalog;

/// The lines, a head and then models in order.
pub(crate) const TEXT: &str = include_str!("../data/models.jsonl");
/// What [`index`] says.
const INDEX: &str = include_str!("../data/index.txt");

/// What `data/index.txt` must hold: the version of the data, and on a line for each provider its name and the bytes of the
/// text at which its lines begin and end.
pub fn index() -> String {
    let mut spans: Vec<(String, Range<usize>)> = Vec::new();
    let mut at = 0;
    for line in TEXT.split_inclusive('\n') {
        let span = at..at + line.len();
        at = span.end;
        let Some(provider) = line.strip_prefix(r#"{"p":""#).and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        match spans.last_mut() {
            Some((last, lines)) if last == provider => lines.end = span.end,
            _ => spans.push((provider.to_owned(), span)),
        }
    }
    let mut out = format!("{}\n", Catalog::built_in().version());
    for (provider, Range { start, end }) in spans {
        let _ = writeln!(out, "{provider} {start} {end}");
    }
    out
}

/// The version of the data, without reading it.
pub(crate) fn version() -> &'static str {
    INDEX.lines().next().unwrap_or_default()
}

/// The head and the lines of these providers.
pub(crate) fn excerpt(providers: &BTreeSet<&str>) -> String {
    let head = TEXT.find('\n').map_or(TEXT.len(), |at| at + 1);
    let mut out = TEXT.get(..head).unwrap_or_default().to_owned();
    for line in INDEX.lines().skip(1) {
        if let Some((provider, span)) = entry(line)
            && providers.contains(provider)
        {
            out.push_str(TEXT.get(span).unwrap_or_default());
        }
    }
    out
}

fn entry(line: &str) -> Option<(&str, Range<usize>)> {
    let mut parts = line.split(' ');
    let (provider, start, end) = (parts.next()?, parts.next()?, parts.next()?);
    Some((provider, start.parse().ok()?..end.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_that_of_the_text() {
        assert_eq!(INDEX, index(), "run `cargo xtask generate`");
        assert!(INDEX.lines().skip(1).all(|line| entry(line).is_some()));
    }
}
