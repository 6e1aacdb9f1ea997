//! Tools that take any text, where the provider has functions only: there the tool is a function with one text
//! (`input`), and its calls come back as calls of that function. Here they become what the client asked for.

use lockgate_core::Error;
use serde_json::Value;

use crate::Decoder;
use crate::neutral::{Block, CallKind, Content, Delta, Reply, Request, Tool};

/// The argument that holds the text, in the functions that writers make of such tools.
const INPUT: &str = "input";

/// The tools of a request that take any text, by name.
#[derive(Clone, Debug, Default)]
pub struct Freeform(Vec<String>);

struct Regaining {
    inner: Box<dyn Decoder>,
    calls: Calls,
}

struct Calls {
    tools: Freeform,
    /// The arguments of the open call, if it is one of these tools.
    held: Option<String>,
}

// === impl Freeform ===

impl Freeform {
    /// Those of a request.
    pub fn of(request: &Request) -> Self {
        let names = request.tools.iter().filter_map(|tool| match tool {
            Tool::Custom(custom) => Some(custom.name.clone()),
            _ => None,
        });
        Self(names.collect())
    }

    fn has(&self, name: &str, kind: CallKind) -> bool {
        kind == CallKind::Function && self.0.iter().any(|tool| tool == name)
    }

    /// Gives the calls in an answer their text back.
    pub fn regain(&self, reply: &mut Reply) {
        for part in &mut reply.parts {
            if let Content::Call(call) = &mut part.content
                && self.has(&call.name, call.kind)
            {
                call.kind = CallKind::Custom;
                call.arguments = text_in(&call.arguments);
            }
        }
    }

    /// A reader that does the same in a stream. Such a call's text comes in one piece, when all of it is there.
    pub fn regaining(&self, inner: Box<dyn Decoder>) -> Box<dyn Decoder> {
        if self.0.is_empty() {
            return inner;
        }
        Box::new(Regaining { inner, calls: Calls { tools: self.clone(), held: None } })
    }
}

/// The text in the arguments of a function: its `input`, else its only text, else all as it stands.
fn text_in(arguments: &str) -> String {
    let text = match serde_json::from_str(arguments) {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Object(mut members)) => {
            let only = members.keys().next().filter(|_| members.len() == 1).cloned();
            let text = members.remove(INPUT).or_else(|| members.remove(&only?));
            text.and_then(|text| text.as_str().map(str::to_owned))
        }
        _ => None,
    };
    text.unwrap_or_else(|| arguments.to_owned())
}

// === impl Regaining ===

impl Decoder for Regaining {
    fn event(&mut self, name: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let Self { inner, calls } = self;
        inner.event(name, data, &mut |delta| calls.pass(delta, sink))
    }

    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let Self { inner, calls } = self;
        inner.end(&mut |delta| calls.pass(delta, sink))
    }
}

impl Calls {
    fn pass(&mut self, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        match (delta, &mut self.held) {
            (Delta::Open(Block::Call { id, name, kind }), _) if self.tools.has(&name, kind) => {
                self.held = Some(String::new());
                sink(Delta::Open(Block::Call { id, name, kind: CallKind::Custom }));
            }
            (Delta::Text(text), Some(held)) => held.push_str(&text),
            (Delta::Close, Some(held)) => {
                sink(Delta::Text(text_in(held).into()));
                self.held = None;
                sink(Delta::Close);
            }
            (delta, _) => sink(delta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it was made with, whatever comes.
    struct Scripted(Vec<Delta<'static>>);

    impl Decoder for Scripted {
        fn event(&mut self, _: &str, _: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
            self.0.drain(..).for_each(sink);
            Ok(())
        }

        fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
            sink(Delta::End);
            Ok(())
        }
    }

    fn call(name: &'static str, kind: CallKind, pieces: &[&'static str]) -> Vec<Delta<'static>> {
        let open = Delta::Open(Block::Call { id: "c1".into(), name: name.into(), kind });
        let pieces = pieces.iter().map(|piece| Delta::Text((*piece).into()));
        std::iter::once(open).chain(pieces).chain([Delta::Close]).collect()
    }

    fn heard(deltas: Vec<Delta<'static>>) -> Vec<String> {
        let tools = Freeform(vec!["apply_patch".to_owned()]);
        let mut heard = Vec::new();
        let mut sink = |delta: Delta<'_>| {
            heard.push(match delta {
                Delta::Open(Block::Call { name, kind, .. }) => format!("{name} {kind:?}"),
                Delta::Text(text) => format!("text {text}"),
                other => format!("{other:?}"),
            });
        };
        let mut decoder = tools.regaining(Box::new(Scripted(deltas)));
        decoder.event("", b"", &mut sink).unwrap();
        decoder.end(&mut sink).unwrap();
        heard
    }

    #[test]
    fn a_call_of_the_stand_in_is_a_call_of_the_tool() {
        let pieces = &[r#"{"inp"#, r#"ut":"*** Begin\n"#, r#"+\"a\""}"#];
        let expected = ["apply_patch Custom", "text *** Begin\n+\"a\"", "Close", "End"];
        assert_eq!(heard(call("apply_patch", CallKind::Function, pieces)), expected);
    }

    #[test]
    fn other_calls_and_real_ones_pass_as_they_come() {
        let expected = ["look Function", "text {", "text }", "Close", "End"];
        assert_eq!(heard(call("look", CallKind::Function, &["{", "}"])), expected);
        let expected = ["apply_patch Custom", "text {", "text }", "Close", "End"];
        assert_eq!(heard(call("apply_patch", CallKind::Custom, &["{", "}"])), expected);
        let expected = ["Open(Text)", "text {}", "Close", "End"];
        assert_eq!(heard(vec![Delta::Open(Block::Text), Delta::Text("{}".into()), Delta::Close]), expected);
    }

    #[test]
    fn the_text_is_found_however_the_model_words_it() {
        for (arguments, text) in [
            (r#"{"input":"a\nb"}"#, "a\nb"),
            (r#"{"why":"x","input":"y"}"#, "y"),
            (r#"{"patch":"y"}"#, "y"),
            (r#""y""#, "y"),
            ("y {", "y {"),
            (r#"{"input":{"a":1}}"#, r#"{"input":{"a":1}}"#),
            ("{}", "{}"),
            ("", ""),
        ] {
            assert_eq!(text_in(arguments), text, "{arguments}");
        }
    }
}
