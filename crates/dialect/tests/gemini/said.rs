//! An independent reader of answers.

use lockgate_core::Usage;
use lockgate_dialect::seal::Seal;
use serde_json::{Value, json};

use crate::normal::list;

pub(crate) fn count(usage: &Value, name: &str) -> u64 {
    usage[name].as_u64().unwrap_or(0)
}

fn modality(usage: &Value, list: &str, name: &str, number: u64) -> u64 {
    let own = |share: &&Value| share["modality"] == name || share["modality"] == number;
    usage[list].as_array().into_iter().flatten().filter(own).map(|share| count(share, "tokenCount")).sum()
}

/// The buckets of a report; `None` where it has no counts.
pub(crate) fn buckets(answer: &Value) -> Option<Usage> {
    let usage = &answer["usageMetadata"];
    let names = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount"];
    if !names.iter().any(|name| usage[*name].is_u64()) {
        return None;
    }
    let [prompt, answered, thoughts, tools] = names.map(|name| count(usage, name));
    let cached = count(usage, "cachedContentTokenCount");
    let fresh = |name, number| {
        modality(usage, "promptTokensDetails", name, number)
            - modality(usage, "cacheTokensDetails", name, number)
            + modality(usage, "toolUsePromptTokensDetails", name, number)
    };
    let (audio_input, image_input) = (fresh("AUDIO", 4), fresh("IMAGE", 2));
    let audio_output = modality(usage, "candidatesTokensDetails", "AUDIO", 4);
    let image_output = modality(usage, "candidatesTokensDetails", "IMAGE", 2);
    let beyond = count(usage, "totalTokenCount").saturating_sub(prompt + answered + thoughts + tools);
    Some(Usage {
        input: prompt + tools - cached - audio_input - image_input,
        cache_read: cached,
        audio_input,
        image_input,
        output: answered - audio_output - image_output,
        reasoning: thoughts + beyond,
        audio_output,
        image_output,
        ..Usage::default()
    })
}

pub(crate) fn searches(answer: &Value) -> u64 {
    let queries = |c: &Value| {
        let mut all = list(&c["groundingMetadata"]["webSearchQueries"]);
        all.retain(|query| query != "");
        all.sort_by_key(Value::to_string);
        all.dedup();
        all.len() as u64
    };
    let all = answer["candidates"].as_array().into_iter().flatten().map(queries).sum::<u64>();
    let old = answer["modelVersion"]
        .as_str()
        .is_some_and(|m| m.starts_with("gemini-2") || m.starts_with("gemini-1"));
    if old { all.min(1) } else { all }
}

/// What an answer says, whether it came at once or in pieces.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thoughts: String,
    /// Name, id and arguments.
    pub(crate) calls: Vec<(String, Value, Value)>,
    pub(crate) signatures: Vec<String>,
    pub(crate) others: Vec<Value>,
    pub(crate) finish: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) sources: Value,
    /// The texts of arguments that came in pieces.
    pub(crate) pieces: String,
}

impl Said {
    pub(crate) fn take(&mut self, answer: &Value) {
        if let Some(usage) = buckets(answer) {
            self.usage = Some(usage);
        }
        if answer["promptFeedback"]["blockReason"].is_string() {
            self.finish = Some("SAFETY".into());
        }
        let Some(candidate) = answer["candidates"].get(0) else { return };
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            self.part(part);
        }
        if candidate["groundingMetadata"].is_object() {
            self.sources = candidate["groundingMetadata"].clone();
        }
        if let Some(reason) = reason(&candidate["finishReason"]) {
            self.finish = Some(reason);
        }
    }

    fn part(&mut self, part: &Value) {
        // A call that nobody signed is marked in an answer that was translated.
        let signed = part["thoughtSignature"].as_str().filter(|it| *it != Seal::nobodys().wrapped());
        if let Some(signature) = signed {
            self.signatures.push(signature.into());
        }
        if let Some(text) = part["text"].as_str() {
            if part["thought"] == true {
                self.thoughts.push_str(text);
            } else {
                self.text.push_str(text);
            }
            return;
        }
        let call = &part["functionCall"];
        if call.is_object() {
            for piece in call["partialArgs"].as_array().into_iter().flatten() {
                self.pieces.push_str(piece["stringValue"].as_str().unwrap_or_default());
            }
            if let Some(name) = call["name"].as_str() {
                let args = if call["args"].is_object() { call["args"].clone() } else { json!({}) };
                self.calls.push((name.into(), call["id"].clone(), args));
            }
            return;
        }
        let mut other = part.clone();
        if let Value::Object(members) = &mut other {
            members.remove("thoughtSignature");
            members.retain(|_, value| !value.is_null());
            if !members.is_empty() {
                self.others.push(other);
            }
        }
    }
}

/// Normalised: the neutral form has one word for all that a filter did, and numbers become words.
pub(crate) fn reason(value: &Value) -> Option<String> {
    let word = match value {
        Value::Number(number) => {
            ["", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION"].get(number.as_u64()? as usize)?
        }
        Value::String(word) => word.as_str(),
        _ => return None,
    };
    let filtered = ["RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"];
    let known = word != "FAKE_ENUM";
    Some(
        if filtered.contains(&word) {
            "SAFETY"
        } else if known {
            word
        } else {
            "OTHER"
        }
        .to_owned(),
    )
}
