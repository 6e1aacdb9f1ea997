//! Whole answers, read into the neutral form.

use bytes::Bytes;
use lockgate_core::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::wire::Str;
use super::{checked, items, usage};
use crate::neutral::{Content, Finish, Part, Reply};
use crate::seal::Origin;

/// The members of an answer that say how it went.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Frame<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) model: Option<Str<'a>>,
    pub(in super::super) created_at: Option<f64>,
    #[serde(borrow)]
    pub(in super::super) status: Option<Str<'a>>,
    pub(in super::super) incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    pub(in super::super) service_tier: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) output: Option<Vec<&'a RawValue>>,
}

/// Why an answer is incomplete.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Incomplete {
    reason: Option<String>,
}

/// What an answer is made of, as far as its end depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Said {
    pub(in super::super) calls: bool,
    pub(in super::super) text: bool,
    pub(in super::super) refusal: bool,
}

pub(in super::super) fn reply(body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
    let payload = checked(body)?;
    let frame: Frame<'_> = serde_json::from_slice(body).map_err(|why| {
        Error::upstream(
            lockgate_core::Kind::UpstreamBadAnswer,
            "The provider's answer has members of the wrong kind.",
        )
        .detail(why.to_string())
    })?;
    let (mut parts, mut logprobs) = (Vec::new(), Vec::new());
    for raw in frame.output.iter().flatten() {
        items::parts(raw, origin, &mut parts, &mut logprobs)?;
    }
    Ok(Reply {
        finish: frame.finish(Said::of(&parts)),
        created: frame.created(),
        usage: usage(&payload),
        service_tier: frame.service_tier.map(|Str(tier)| tier.into_owned()),
        id: frame.id.map(|Str(id)| id.into_owned()).unwrap_or_default(),
        model: frame.model.map(|Str(model)| model.into_owned()).unwrap_or_default(),
        parts,
        logprobs,
    })
}

// === impl Frame ===

impl Frame<'_> {
    /// When it was made, in whole Unix seconds.
    pub(in super::super) fn created(&self) -> Option<u64> {
        self.created_at.filter(|at| *at >= 0.0 && *at < 1e15).map(|at| at as u64)
    }

    /// Why it ended.
    pub(in super::super) fn finish(&self, said: Said) -> Finish {
        let reason = self.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        match (self.status.as_ref().map(|Str(status)| status.as_ref()), reason) {
            (Some("incomplete"), Some("max_output_tokens" | "max_tokens") | None) => Finish::Length,
            (Some("incomplete"), Some("content_filter")) => Finish::Filtered,
            (Some("incomplete"), Some(other))
            | (Some(other @ ("cancelled" | "queued" | "in_progress")), _) => Finish::Other(other.to_owned()),
            _ if said.calls => Finish::Calls,
            _ if said.refusal && !said.text => Finish::Refused,
            _ => Finish::Stop,
        }
    }
}

// === impl Said ===

impl Said {
    fn of(parts: &[Part]) -> Self {
        let mut said = Self::default();
        for part in parts {
            match &part.content {
                Content::Call(_) => said.calls = true,
                Content::Refusal(_) => said.refusal = true,
                Content::Text(text) if !text.text.is_empty() => said.text = true,
                _ => {}
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Reply {
        reply(&Bytes::copy_from_slice(json.as_bytes()), &Origin("openai".into())).unwrap()
    }

    #[test]
    fn items_become_parts_in_their_order() {
        let reply = read(
            r#"{"id":"resp_1","model":"m","created_at":7.0,"status":"completed","service_tier":"flex","output":[
                {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"encrypted_content":"gAAA"},
                {"type":"message","id":"msg_1","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"hi","annotations":[{"type":"url_citation","url":"u","title":"t","start_index":0,"end_index":2}]}]},
                {"type":"web_search_call","id":"ws_1","status":"completed"},
                {"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\": 1.0}"}],
                "usage":{"input_tokens":3,"output_tokens":4}}"#,
        );
        assert_eq!((reply.created, reply.finish), (Some(7), Finish::Calls));
        assert_eq!(reply.service_tier.as_deref(), Some("flex"));
        let [thought, phase, text, search, call] = &reply.parts[..] else { panic!("{:?}", reply.parts) };
        let Content::Reasoning(thought) = &thought.content else { panic!() };
        assert_eq!((thought.text.as_str(), thought.summary), ("a\n\nb", true));
        assert!(thought.seal.as_ref().unwrap().data.contains("gAAA"));
        assert!(matches!(&phase.content, Content::Native(native) if native.name == "phase"));
        let Content::Text(text) = &text.content else { panic!() };
        assert_eq!(text.citations[0].span, Some((0, 2)));
        assert!(matches!(&search.content, Content::Native(native) if native.name == "web_search_call"));
        let Content::Call(call) = &call.content else { panic!() };
        assert_eq!(call.arguments, "{\"a\": 1.0}");
    }

    #[test]
    fn the_end_of_an_answer_is_told_by_its_status() {
        let finish = |rest: &str| read(&format!("{{\"output\":[],{rest}}}")).finish;
        assert_eq!(
            finish(r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#),
            Finish::Length
        );
        assert_eq!(
            finish(r#""status":"incomplete","incomplete_details":{"reason":"content_filter"}"#),
            Finish::Filtered
        );
        assert_eq!(finish(r#""status":"queued""#), Finish::Other("queued".into()));
        assert_eq!(finish(r#""status":"completed""#), Finish::Stop);
        let refused =
            read(r#"{"output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}"#);
        assert_eq!(refused.finish, Finish::Refused);
    }
}
