//! What another hand has told a client of the end of a stream: it is not told again.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The reason to finish.
    pub(crate) finish: bool,
    /// The usage.
    pub(crate) usage: bool,
    /// The end mark.
    pub(crate) done: bool,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    finish_reason: Value,
}

impl Told {
    /// Reads an event that was sent. Whether the reason to finish was told with it or before it.
    pub(crate) fn read(&mut self, data: &[u8]) -> bool {
        let data = data.trim_ascii();
        self.done |= data == b"[DONE]";
        if let Ok(chunk) = serde_json::from_slice::<Chunk>(data) {
            self.finish |= chunk
                .choices
                .iter()
                .any(|choice| choice.finish_reason.as_str().is_some_and(|w| !w.is_empty()));
            self.usage |= chunk.choices.is_empty() && chunk.usage.is_object();
        }
        self.finish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known() {
        let mut told = Told::default();
        assert!(!told.read(br#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#));
        assert!(told.read(br#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#));
        assert!(told.read(br#"{"choices":[],"usage":{"prompt_tokens":1}}"#) && told.usage && !told.done);
        assert!(told.read(b"[DONE]") && told.done);
    }
}
