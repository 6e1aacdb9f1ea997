//! Hands the beginning of an answer over to a target that is to go on with it.

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Prefill, Retry};
use lockgate_dialect::neutral::{Message, Output, Part, Request, Role};

use crate::relay::{Transcript, tokens};

/// What a model is asked that cannot be given the beginning of its own answer.
const GO_ON: &str = "Your answer above was cut off by a lost connection. Go on with it exactly where it stops, beginning \
    with the very next character. Repeat nothing of it, do not begin anew, and say nothing about the interruption.";

/// Puts what was said behind a conversation, and the wish to go on with it where the target would else begin anew.
///
/// # Errors
/// `UpstreamBroken` when the answer has a form that can be gone on with only by whoever is given its beginning.
pub(super) fn hand_over(request: &mut Request, said: &Transcript, prefill: Prefill) -> Result<(), Error> {
    if request.choices.is_some_and(|choices| choices > 1) {
        return Err(stuck("several answers at once"));
    }
    if let Some(limit) = &mut request.max_output {
        let left = limit.saturating_sub(tokens(said.text.len() as u64));
        *limit = left.max(1);
    }
    // Nothing of the answer itself has come yet: it is asked for once more.
    if said.text.trim().is_empty() {
        return Ok(());
    }
    let message = |role, text: &str| Message { role, parts: vec![Part::text(text)] };
    // A request that ends with an answer's beginning may go on from a turn of the model's own.
    match prefill {
        Prefill::Last | Prefill::Marked => request.messages.push(message(Role::Assistant, &said.text)),
        Prefill::No if !matches!(request.output, Output::Text) => return Err(stuck("JSON")),
        Prefill::No => {
            request.messages.push(message(Role::Assistant, &said.text));
            request.messages.push(message(Role::User, GO_ON));
        }
    }
    Ok(())
}

fn stuck(what: &str) -> Error {
    let text = format!("The answer broke off, and {what} cannot be gone on with at this target.");
    Error::upstream(Kind::UpstreamBroken, text).retry(Retry::Elsewhere)
}

/// Marks the last message of a request as one to go on with: `"prefix": true`.
pub(super) fn mark(body: &Bytes) -> Bytes {
    const MARK: &[u8] = b",\"prefix\":true";
    let Ok(payload) = Payload::parse(body.clone()) else { return body.clone() };
    let Some(messages) = payload.get("messages") else { return body.clone() };
    let start = messages.as_ptr() as usize - payload.bytes().as_ptr() as usize;
    // The list ends with the brace of its last message.
    let Some(brace) = messages.iter().rposition(|byte| *byte == b'}') else { return body.clone() };
    let (before, behind) = payload.bytes().split_at(start + brace);
    [before, MARK, behind].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_is_marked() {
        let body = r#"{"a":"}","messages":[{"role":"user","content":"}]"},{"role":"assistant","content":"x"} ] ,"b":1}"#;
        let marked = mark(&Bytes::from_static(body.as_bytes()));
        let want = body.replace(r#""x"}"#, r#""x","prefix":true}"#);
        assert_eq!(marked, want);
        assert_eq!(mark(&Bytes::from_static(b"{}")), "{}");
    }

    #[test]
    fn a_beginning_is_handed_over_as_the_target_takes_it() {
        let said = Transcript { text: "Hello wor".into(), ..Transcript::default() };
        let ends = |prefill| {
            let mut request = Request { max_output: Some(10), ..Request::default() };
            hand_over(&mut request, &said, prefill).unwrap();
            (request.messages.iter().map(|message| message.role).collect::<Vec<_>>(), request.max_output)
        };
        assert_eq!(ends(Prefill::Last), (vec![Role::Assistant], Some(7)));
        assert_eq!(ends(Prefill::No), (vec![Role::Assistant, Role::User], Some(7)));
    }

    #[test]
    fn a_form_is_gone_on_with_only_where_the_beginning_is_taken() {
        let said = Transcript { text: "{\"a\":".into(), ..Transcript::default() };
        let mut json = Request { output: Output::Json, ..Request::default() };
        assert!(hand_over(&mut json, &said, Prefill::No).is_err());
        assert!(hand_over(&mut json, &said, Prefill::Last).is_ok());
        let mut two = Request { choices: Some(2), ..Request::default() };
        assert!(hand_over(&mut two, &said, Prefill::Last).is_err());
    }
}
