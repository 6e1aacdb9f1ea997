//! Lists of models, in the form that each kind of client reads.

use bytes::Bytes;
use lockgate_dialect::{Dialect, by_name, openai_chat};
use serde::Serialize;

use crate::paths::Form;

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiList<'a> {
    models: Vec<GeminiModel<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiModel<'a> {
    name: String,
    display_name: &'a str,
    supported_generation_methods: [&'static str; 2],
}

/// When a model was made is not known; the form wants a time.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

/// The list of names and owners.
pub(crate) fn list(form: Form, models: &[(String, String)]) -> Bytes {
    let mut names = models.iter().map(|(name, _)| name.as_str());
    let written = match form {
        Form::OpenAi => {
            let data = models
                .iter()
                .map(|(id, owned_by)| OpenAiModel { id, object: "model", created: 0, owned_by })
                .collect();
            serde_json::to_vec(&OpenAiList { object: "list", data })
        }
        Form::Anthropic => {
            let model = |id| AnthropicModel { r#type: "model", id, display_name: id, created_at: NO_TIME };
            serde_json::to_vec(&AnthropicList {
                data: names.clone().map(model).collect(),
                has_more: false,
                first_id: names.clone().next(),
                last_id: names.next_back(),
            })
        }
        Form::Gemini => {
            let models = names.map(|name| GeminiModel {
                name: format!("models/{name}"),
                display_name: name,
                supported_generation_methods: ["generateContent", "streamGenerateContent"],
            });
            serde_json::to_vec(&GeminiList { models: models.collect() })
        }
    };
    // Texts only: this cannot fail.
    written.unwrap_or_default().into()
}

/// The dialect in which such a client reads errors.
pub(crate) fn dialect(form: Form) -> &'static dyn Dialect {
    let name = match form {
        Form::OpenAi => openai_chat::NAME,
        Form::Anthropic => "anthropic.messages",
        Form::Gemini => "gemini.generateContent",
    };
    by_name(name).unwrap_or(&openai_chat::OpenAiChat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_the_models() {
        let models = [("bot".to_owned(), "lockgate".to_owned()), ("demo/x".to_owned(), "demo".to_owned())];
        let list = |form| serde_json::from_slice::<serde_json::Value>(&list(form, &models)).unwrap();
        assert_eq!(list(Form::OpenAi)["data"][1]["owned_by"], "demo");
        assert_eq!(list(Form::Anthropic)["last_id"], "demo/x");
        assert_eq!(list(Form::Gemini)["models"][0]["name"], "models/bot");
    }
}
