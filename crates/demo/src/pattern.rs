//! A text that matches a simple regular expression.
//!
//! Understood: literals, `.`, classes with ranges, `\d \w \s` and escaped punctuation, groups, alternatives and
//! quantifiers, anchors at the borders. Anything else (look-around, back-references, properties) gives no text.

use std::iter::Peekable;
use std::str::Chars;

/// Most repetitions tried beyond the least ones, to reach a wanted length.
const MAX_EXTRA: usize = 256;
/// Deepest nesting of groups.
const MAX_NESTING: usize = 32;

/// A part of an expression.
#[derive(Debug)]
enum Part {
    Char(char),
    /// One of the branches; each is a sequence.
    Group(Vec<Vec<Part>>),
    Repeat {
        part: Box<Part>,
        least: usize,
        most: usize,
    },
}

/// A text of `least` to `most` characters that matches, or `None` when the expression is not understood or no
/// such text was found.
pub(crate) fn sample(pattern: &str, least: usize, most: usize) -> Option<String> {
    let mut chars = pattern.chars().peekable();
    let branches = alternatives(&mut chars, 0)?;
    if chars.next().is_some() {
        return None;
    }
    let branch = branches.first()?;
    (0..=MAX_EXTRA.min(least)).find_map(|extra| {
        let mut text = String::new();
        write(branch, extra, &mut text);
        let length = text.chars().count();
        (length >= least && length <= most).then_some(text)
    })
}

fn write(parts: &[Part], extra: usize, out: &mut String) {
    for part in parts {
        match part {
            Part::Char(c) => out.push(*c),
            Part::Group(branches) => write(branches.first().map_or(&[], Vec::as_slice), extra, out),
            Part::Repeat { part, least, most } => {
                for _ in 0..least.saturating_add(extra).min(*most) {
                    if out.len() > 64 * 1024 {
                        return;
                    }
                    write(std::slice::from_ref(part), extra, out);
                }
            }
        }
    }
}

fn alternatives(chars: &mut Peekable<Chars<'_>>, nesting: usize) -> Option<Vec<Vec<Part>>> {
    if nesting > MAX_NESTING {
        return None;
    }
    let mut branches = vec![Vec::new()];
    loop {
        let part = match chars.peek() {
            None | Some(')') => return Some(branches),
            Some('|') => {
                chars.next();
                branches.push(Vec::new());
                continue;
            }
            // Anchors hold by themselves, as the text is made from one end of the expression to the other.
            Some('^' | '$') => {
                chars.next();
                continue;
            }
            Some('(') => {
                chars.next();
                group(chars, nesting)?
            }
            Some('[') => {
                chars.next();
                Part::Char(class(chars)?)
            }
            Some('.') => {
                chars.next();
                Part::Char('a')
            }
            Some('\\') => {
                chars.next();
                Part::Char(escape(chars.next()?)?)
            }
            Some('*' | '+' | '?' | '{') => return None,
            Some(&other) => {
                chars.next();
                Part::Char(other)
            }
        };
        let part = quantified(part, chars)?;
        branches.last_mut()?.push(part);
    }
}

fn group(chars: &mut Peekable<Chars<'_>>, nesting: usize) -> Option<Part> {
    if chars.peek() == Some(&'?') {
        chars.next();
        if chars.next()? != ':' {
            return None;
        }
    }
    let branches = alternatives(chars, nesting + 1)?;
    (chars.next() == Some(')')).then_some(Part::Group(branches))
}

fn quantified(part: Part, chars: &mut Peekable<Chars<'_>>) -> Option<Part> {
    let (least, most) = match chars.peek() {
        Some('*') => (0, usize::MAX),
        Some('+') => (1, usize::MAX),
        Some('?') => (0, 1),
        Some('{') => {
            let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
            let (least, most) = match digits.split_once(',') {
                None => (digits.parse().ok()?, digits.parse().ok()?),
                Some((least, "")) => (least.parse().ok()?, usize::MAX),
                Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
            };
            lazy(chars);
            return Some(Part::Repeat { part: Box::new(part), least, most });
        }
        _ => return Some(part),
    };
    chars.next();
    lazy(chars);
    Some(Part::Repeat { part: Box::new(part), least, most })
}

/// Passes over the mark of a lazy quantifier: it changes nothing about what matches.
fn lazy(chars: &mut Peekable<Chars<'_>>) {
    if chars.peek() == Some(&'?') {
        chars.next();
    }
}

/// A member of a class, whose opening bracket was read.
fn class(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let start = match chars.next()? {
            ']' if !ranges.is_empty() => break,
            '\\' => match chars.next()? {
                'd' => ('0', '9'),
                'w' => {
                    ranges.extend([('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]);
                    continue;
                }
                's' => (' ', ' '),
                other => {
                    let c = escape(other)?;
                    (c, c)
                }
            },
            other => (other, other),
        };
        let is_range = start.0 == start.1 && chars.peek() == Some(&'-') && {
            let mut ahead = chars.clone();
            ahead.next();
            ahead.peek().is_some_and(|c| *c != ']')
        };
        if is_range {
            chars.next();
            let end = match chars.next()? {
                '\\' => escape(chars.next()?)?,
                other => other,
            };
            ranges.push((start.0, end));
        } else {
            ranges.push(start);
        }
    }
    if !negated {
        return ranges.first().map(|range| range.0);
    }
    let allowed = |c: &char| !ranges.iter().any(|(first, last)| (first..=last).contains(&c));
    ('a'..='z').chain('0'..='9').chain('A'..='Z').chain(" -_.".chars()).find(allowed)
}

/// A character that matches an escape.
fn escape(c: char) -> Option<char> {
    match c {
        'd' => Some('0'),
        'w' | 'S' | 'D' => Some('a'),
        's' => Some(' '),
        'W' => Some('-'),
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        other => (!other.is_alphanumeric()).then_some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn simple_expressions() {
        for (pattern, text) in [
            ("^abc$", "abc"),
            (r"^\d{3}-\d{4}$", "000-0000"),
            ("^(foo|bar)+baz?$", "fooba"),
            (r"^[^a-c]x\.$", "dx."),
            (r"[\w.-]+@[a-z]+\.com", "a@a.com"),
            (r"^(?:[A-F0-9]{2}:){2}[A-F0-9]{2}$", "AA:AA:AA"),
            ("^[]a]$", "]"),
        ] {
            assert_eq!(sample(pattern, 0, 100).as_deref(), Some(text), "{pattern}");
        }
    }

    #[test]
    fn lengths_are_reached_or_refused() {
        assert_eq!(sample("^a+b$", 5, 5).as_deref(), Some("aaaab"));
        assert_eq!(sample("^abc$", 4, 9), None);
        assert_eq!(sample("^abc$", 0, 2), None);
    }

    #[test]
    fn what_is_not_understood_gives_nothing() {
        for pattern in ["(?=a)b", r"(a)\1", r"\p{L}", "(a", "[a", "*a", "a{x}"] {
            assert_eq!(sample(pattern, 0, 100), None, "{pattern}");
        }
    }
}
