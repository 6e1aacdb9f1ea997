//! A provider's whole answer in the neutral form.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::neutral::{Citation, Content, Logprob, Part, Reply};
use crate::openai_chat::content::{assistant, cite, native};
use crate::openai_chat::finish;
use crate::openai_chat::members::{Members, Path, Str};
use crate::seal::Origin;

pub(crate) fn read(body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
    let usage = super::whole(body)?;
    let payload = Payload::parse(body.clone()).map_err(|why| unread(&why.to_string()))?;
    let top = Path::Top("choices");
    let choices: &RawValue = serde_json::from_slice(payload.get("choices").unwrap_or(b"[]"))
        .map_err(|why| unread(&why.to_string()))?;
    let mut choices = top.list(choices).map_err(not_ours)?.into_iter();
    let first = choices.next().ok_or_else(|| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer has no choice in it.")
    })?;
    let id = payload.text("id").unwrap_or_default().into_owned();
    let created = payload.number("created");

    let mut choice = top.object(first).map_err(not_ours)?;
    let message = message(&mut choice, &top).map_err(not_ours)?;
    let mut parts = assistant(message, &top, Some(origin), (&id, created)).map_err(not_ours)?;
    // Servers of base models answer with bare text.
    if parts.is_empty()
        && let Some(text) =
            top.text_of(&mut choice, "text").map_err(not_ours)?.filter(|text| !text.is_empty())
    {
        parts.push(Part::text(text));
    }
    cite(&mut parts, 0, sources(payload.get("search_results"), payload.get("citations")));
    let calls = parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    let word = top.text_of(&mut choice, "finish_reason").map_err(not_ours)?.filter(|word| !word.is_empty());
    let word = word.unwrap_or(Cow::Borrowed("stop"));
    if *word == *"error" {
        return Err(Error::upstream(Kind::UpstreamError, "The provider's answer ended in an error."));
    }
    let finish = finish::with_calls(finish::read(&word, choice.take("stop_reason")), calls);
    let logprobs = choice.take("logprobs").map(logprobs).unwrap_or_default();
    for (at, raw) in choices.enumerate() {
        parts.push(Part::new(Content::Native(native(format!("choices.{}", at + 1), raw))));
    }
    Ok(Reply {
        id,
        model: payload.text("model").unwrap_or_default().into_owned(),
        created,
        parts,
        finish,
        usage,
        logprobs,
        service_tier: payload.text("service_tier").filter(|tier| !tier.is_empty()).map(Cow::into_owned),
    })
}

fn message<'a>(choice: &mut Members<'a>, top: &Path<'_>) -> Result<Members<'a>, Error> {
    let Some(raw) = choice.take("message") else { return Ok(Members::default()) };
    let mut message = top.object(raw)?;
    let _ = message.take("role");
    Ok(message)
}

/// The tokens of an answer's text; what is not of their form is none.
pub(crate) fn logprobs(raw: &RawValue) -> Vec<Logprob> {
    #[derive(Deserialize)]
    struct Wire {
        content: Option<Vec<Logprob>>,
    }
    serde_json::from_str::<Wire>(raw.get()).ok().and_then(|wire| wire.content).unwrap_or_default()
}

/// What providers that search by themselves say of their sources: results with titles, else bare addresses.
pub(crate) fn sources(results: Option<&[u8]>, addresses: Option<&[u8]>) -> Vec<Citation> {
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        url: Option<Str<'a>>,
        #[serde(borrow)]
        title: Option<Str<'a>>,
    }
    let own = |text: Option<Str<'_>>| text.map(|Str(text)| text.into_owned());
    if let Some(all) = results.and_then(|raw| serde_json::from_slice::<Vec<Found<'_>>>(raw).ok()) {
        let all = all.into_iter().filter(|found| found.url.is_some());
        return all
            .map(|found| Citation { url: own(found.url), title: own(found.title), ..Citation::default() })
            .collect();
    }
    let all = addresses.and_then(|raw| serde_json::from_slice::<Vec<Str<'_>>>(raw).ok()).unwrap_or_default();
    all.into_iter().map(|Str(url)| Citation { url: Some(url.into_owned()), ..Citation::default() }).collect()
}

/// What was read as a client's fault is the provider's here.
pub(crate) fn not_ours(error: Error) -> Error {
    if error.origin() == lockgate_core::Origin::Client { unread(error.public()) } else { error }
}

fn unread(why: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not of its dialect.")
        .detail(why.to_owned())
}
