//! What is said in a chat turn whose tokens are to be counted, where the gateway counts them itself.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Asked, Operation};

/// The words of a chat turn, and what stands around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Everything that a model reads as text, a line each: instructions, messages, tools with their schemas.
    pub text: String,
    /// Messages.
    pub messages: u64,
    /// Images, documents and recordings.
    pub attachments: u64,
}

/// Members whose texts a model does not read as such.
const SILENT: [&str; 17] = [
    "type",
    "role",
    "id",
    "tool_use_id",
    "cache_control",
    "signature",
    "thoughtSignature",
    "thought_signature",
    "model",
    "media_type",
    "mimeType",
    "mime_type",
    "safetySettings",
    "generationConfig",
    "metadata",
    "output_config",
    "container",
];
/// Members that are an image, a document or a recording.
const ATTACHED: [&str; 5] = ["source", "inlineData", "inline_data", "fileData", "file_data"];
/// Members below which names and numbers are read as well: schemas and arguments.
const STRUCTURED: [&str; 8] = [
    "tools",
    "input_schema",
    "parameters",
    "parametersJsonSchema",
    "input",
    "args",
    "response",
    "tool_choice",
];
/// Members that are lists of messages.
const MESSAGES: [&str; 2] = ["messages", "contents"];

impl Spoken {
    /// What a request says.
    pub fn read(asked: &Asked) -> Self {
        let mut spoken = Self::default();
        if let Some(payload) = asked.payload() {
            spoken.hear(payload.bytes());
        }
        spoken
    }

    fn hear(&mut self, json: &Bytes) {
        let mut reader = serde_json::Deserializer::from_slice(json);
        // What is malformed deeper down ends the count there; the model will not be asked it.
        let _ = Walk { spoken: self, structured: false, messages: false }.deserialize(&mut reader);
    }

    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// The gateway's own answer of so many tokens.
pub fn answer(operation: Operation, tokens: u64) -> Bytes {
    match operation {
        Operation::GeminiCountTokens => format!("{{\"totalTokens\":{tokens}}}").into(),
        _ => format!("{{\"input_tokens\":{tokens}}}").into(),
    }
}

/// Goes through a value without keeping it. The reader bounds how deep.
struct Walk<'a> {
    spoken: &'a mut Spoken,
    structured: bool,
    /// The value is a list of messages.
    messages: bool,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.spoken.say(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        if self.structured {
            self.spoken.say(if value { "true" } else { "false" });
        }
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        if self.structured {
            self.spoken.say(&value.to_string());
        }
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        if self.structured {
            self.spoken.say(&value.to_string());
        }
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        if self.structured {
            self.spoken.say(&value.to_string());
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (structured, messages) = (self.structured, self.messages);
        while items
            .next_element_seed(Walk { spoken: &mut *self.spoken, structured, messages: false })?
            .is_some()
        {
            self.spoken.messages += u64::from(messages);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            let name = &*name;
            if !self.structured && SILENT.contains(&name) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            if !self.structured && ATTACHED.contains(&name) {
                self.spoken.attachments += 1;
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            if self.structured {
                self.spoken.say(name);
            }
            let structured = self.structured || STRUCTURED.contains(&name);
            let messages = !self.structured && MESSAGES.contains(&name);
            members.next_value_seed(Walk { spoken: &mut *self.spoken, structured, messages })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(json: &str) -> Spoken {
        let mut spoken = Spoken::default();
        spoken.hear(&Bytes::copy_from_slice(json.as_bytes()));
        spoken
    }

    #[test]
    fn words_are_heard_and_frames_are_not() {
        let heard = spoken(
            r#"{"model":"claude","system":[{"type":"text","text":"Be terse.","cache_control":{"type":"ephemeral"}}],
                "messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[
                    {"type":"thinking","thinking":"Hm","signature":"QUJD"},
                    {"type":"tool_use","id":"t1","name":"look","input":{"city":"Bonn","n":2}}]},
                    {"role":"user","content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}],
                "tools":[{"name":"look","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]}"#,
        );
        assert_eq!((heard.messages, heard.attachments), (3, 1));
        let lines: Vec<&str> = heard.text.lines().collect();
        assert_eq!(lines[..7], ["Be terse.", "Hi", "Hm", "look", "city", "Bonn", "n"]);
        assert!(
            lines.contains(&"properties") && !heard.text.contains("QUJD") && !heard.text.contains("AAAA")
        );
    }

    #[test]
    fn geminis_form_is_heard_in_a_wrapper_too() {
        let heard = spoken(
            r#"{"generateContentRequest":{"model":"models/x","contents":[{"role":"user","parts":[{"text":"Hi"},
                {"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}],"systemInstruction":{"parts":[{"text":"Be terse."}]}}}"#,
        );
        assert_eq!((heard.messages, heard.attachments, &*heard.text), (1, 1, "Hi\nBe terse.\n"));
    }

    #[test]
    fn answers_have_the_form_of_the_question() {
        assert_eq!(answer(Operation::CountTokens, 7), "{\"input_tokens\":7}");
        assert_eq!(answer(Operation::GeminiCountTokens, 7), "{\"totalTokens\":7}");
    }
}
