//! The commonest event read without a parser: a piece of text in the exact form in which the provider writes it. Anything
//! that is written otherwise is for the parser.

use std::borrow::Cow;

use crate::quick;

/// The block's index and the text that is added to it, if the event is such a piece.
pub(super) fn piece(data: &[u8]) -> Option<(u64, Cow<'_, str>)> {
    let rest = data.strip_prefix(br#"{"type":"content_block_delta","index":"#)?;
    let (index, rest) = quick::number(rest)?;
    let rest = rest.strip_prefix(br#","delta":{"type":""#)?;
    let text = [
        br#"text_delta","text":"#.as_slice(),
        br#"input_json_delta","partial_json":"#,
        br#"thinking_delta","thinking":"#,
    ]
    .into_iter()
    .find_map(|form| rest.strip_prefix(form))?;
    let (text, rest) = quick::text(text)?;
    let rest = rest.strip_prefix(b"}")?.trim_ascii_start();
    (rest == b"}").then_some(())?;
    Some((index, text))
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
