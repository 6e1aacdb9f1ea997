//! The commonest events read without a parser: pieces of text in the forms in which providers write them. Whatever is
//! written otherwise is left to the parser; what is read here it would read in the same way.

use std::borrow::Cow;

/// The value of a member of a flat object.
#[derive(Debug)]
pub(crate) enum Flat<'a> {
    /// JSON text, decoded.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(u64),
    /// An empty list.
    Empty,
}

/// A JSON text at the start, decoded, and what is behind it.
pub(crate) fn text(data: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let (text, rest) = data.split_at_checked(end_of_text(data)?)?;
    Some((lockgate_core::payload::text(text)?, rest))
}

/// A whole number below 10⁹ at the start, and what is behind it.
pub(crate) fn number(data: &[u8]) -> Option<(u64, &[u8])> {
    let digits = data.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = data.split_at_checked(digits)?;
    if digits > 9 || (digits > 1 && number.first() == Some(&b'0')) {
        return None;
    }
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// Hands over the members of an object that has only texts, whole numbers and empty lists and no white space. `None`
/// when it is another, or `member` gives it.
pub(crate) fn flat<'a>(data: &'a [u8], mut member: impl FnMut(&str, Flat<'a>) -> Option<()>) -> Option<()> {
    let mut rest = data.strip_prefix(b"{")?;
    loop {
        let (name, behind) = text(rest)?;
        let value = behind.strip_prefix(b":")?;
        let (value, behind) = match value.first()? {
            b'"' => text(value).map(|(text, rest)| (Flat::Text(text), rest))?,
            b'[' => (Flat::Empty, value.strip_prefix(b"[]")?),
            _ => number(value).map(|(number, rest)| (Flat::Number(number), rest))?,
        };
        member(&name, value)?;
        match behind.split_first()? {
            (b',', behind) => rest = behind,
            (b'}', []) => return Some(()),
            _ => return None,
        }
    }
}

/// The length of a JSON text that stands at the start, with its quotes.
fn end_of_text(data: &[u8]) -> Option<usize> {
    (data.first() == Some(&b'"')).then_some(())?;
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', data.get(at..)?)?;
        if data.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(json: &str) -> Option<Value> {
        let mut members = serde_json::Map::new();
        flat(json.as_bytes(), |name, value| {
            let value = match value {
                Flat::Text(text) => text.into(),
                Flat::Number(number) => number.into(),
                Flat::Empty => Value::Array(Vec::new()),
            };
            members.insert(name.to_owned(), value).is_none().then_some(())
        })?;
        Some(Value::Object(members))
    }

    #[test]
    fn what_is_not_flat_is_left_to_the_parser() {
        assert!(read(r#"{"a":"x\"y","b":0,"c":[]}"#).is_some());
        for json in [
            "{}",
            r#"{"a":1 }"#,
            r#"{"a":[1]}"#,
            r#"{"a":{}}"#,
            r#"{"a":null}"#,
            r#"{"a":1.5}"#,
            r#"{"a":-1}"#,
            r#"{"a":01}"#,
            r#"{"a":1}x"#,
            r#"{"a":1"#,
            r#"{"a":"\q"}"#,
            r#"{"a":"x}"#,
            r#"{"a":12345678901}"#,
        ] {
            assert!(read(json).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_a_parser_reads(json in r#"\{("[a-b\\n]{0,2}":("[a-b\\"u0é]{0,4}"|[0-9]{1,3}|\[\]),?){0,3}\}"#) {
            if let Some(value) = read(&json) {
                prop_assert_eq!(Some(value), serde_json::from_str(&json).ok());
            }
        }
    }
}
