//! The commonest event read without a parser: a piece of text in the exact form in which the provider writes it. Anything
//! that is written otherwise is for the parser.

use std::borrow::Cow;

/// The block's index and the text that is added to it, if the event is such a piece.
pub(super) fn piece(data: &[u8]) -> Option<(u64, Cow<'_, str>)> {
    let rest = data.strip_prefix(br#"{"type":"content_block_delta","index":"#)?;
    let digits = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let index = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
    let rest = rest.get(digits..)?.strip_prefix(br#","delta":{"type":""#)?;
    let text = [
        br#"text_delta","text":"#.as_slice(),
        br#"input_json_delta","partial_json":"#,
        br#"thinking_delta","thinking":"#,
    ]
    .into_iter()
    .find_map(|form| rest.strip_prefix(form))?;
    let end = end_of_text(text)?;
    let (text, rest) = text.split_at_checked(end)?;
    let rest = rest.strip_prefix(b"}")?.trim_ascii_start();
    (rest == b"}").then_some(())?;
    Some((index, lockgate_core::payload::text(text)?))
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
    use super::*;

    #[test]
    fn reads_pieces_of_all_three_kinds_and_leaves_the_rest_to_the_parser() {
        let of = |json: &'static str| piece(json.as_bytes()).map(|(index, text)| (index, text.into_owned()));
        let event =
            r#"{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"a \"b\"\n"}   }"#;
        assert_eq!(of(event), Some((3, "a \"b\"\n".into())));
        let event = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#;
        assert_eq!(of(event), Some((0, String::new())));
        let event =
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"é"}}"#;
        assert_eq!(of(event), Some((0, "é".into())));
        for other in [
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a","x":1}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"},"x":1}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\q"}}"#,
            r#"{"type":"content_block_delta","index":-1,"delta":{"type":"text_delta","text":"a"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a"}}"#,
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
