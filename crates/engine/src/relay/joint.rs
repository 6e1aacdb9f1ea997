//! Joins a continuation on to the stream that a client has had the beginning of.

use lockgate_core::Usage;
use lockgate_dialect::neutral::{Block, Delta};

use super::align::{Align, Diverged};
use super::transcript::{Open, Transcript};

/// Between the deltas of a continuation and the client's encoder.
#[derive(Debug)]
pub(crate) struct Joint {
    align: Align,
    /// What was consumed before the seam.
    before: Usage,
    /// The block that is open for the client.
    client: Open,
    /// The block that is open in the continuation.
    source: Source,
    /// The client has seen a thought or a text: a second thought would stand in the middle of the answer.
    silent: bool,
}

/// Which block of the continuation is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Nothing,
    Text,
    /// It is not the client's.
    Hidden,
    Other,
}

// === impl Joint ===

impl Joint {
    /// Behind what was said and `before` was consumed for. `exact`: the provider was given it as the beginning of its own
    /// answer.
    pub(crate) fn new(said: &Transcript, before: Usage, exact: bool) -> Self {
        Self {
            align: Align::new(&said.text, exact),
            before,
            client: said.open,
            source: Source::Nothing,
            silent: said.thought || !said.text.is_empty(),
        }
    }

    /// Hands on what is the client's of a delta.
    ///
    /// # Errors
    /// [`Diverged`] when the continuation cannot be joined on.
    pub(super) fn pass(&mut self, delta: Delta<'_>, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Diverged> {
        match delta {
            // The client knows the answer under its first name.
            Delta::Start { .. } => {}
            Delta::Open(Block::Text) => {
                self.source = Source::Text;
                if self.client == Open::Thought {
                    self.close(sink);
                }
                if self.client != Open::Text {
                    self.client = Open::Text;
                    sink(Delta::Open(Block::Text));
                }
            }
            Delta::Open(Block::Reasoning { .. }) if self.silent => self.source = Source::Hidden,
            Delta::Open(block) => {
                self.flush(sink)?;
                self.close(sink);
                self.source = Source::Other;
                self.client = Open::Other;
                sink(Delta::Open(block));
            }
            Delta::Text(text) if self.source == Source::Text => {
                let text = self.align.feed(text)?;
                if !text.is_empty() {
                    sink(Delta::Text(text));
                }
            }
            Delta::Close if self.source == Source::Hidden => self.source = Source::Nothing,
            Delta::Close => {
                self.flush(sink)?;
                self.source = Source::Nothing;
                self.close(sink);
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Citation(_) | Delta::Logprobs(_)
                if self.source == Source::Hidden => {}
            Delta::Usage(usage) => sink(Delta::Usage(self.before.plus(&usage))),
            Delta::Finish(finish) => {
                self.flush(sink)?;
                self.close(sink);
                sink(Delta::Finish(finish));
            }
            other => sink(other),
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Diverged> {
        if self.source == Source::Text {
            let rest = self.align.flush()?;
            if !rest.is_empty() {
                sink(Delta::Text(rest.into()));
            }
        }
        Ok(())
    }

    fn close(&mut self, sink: &mut dyn FnMut(Delta<'_>)) {
        if self.client != Open::Nothing {
            self.client = Open::Nothing;
            sink(Delta::Close);
        }
    }
}

#[cfg(test)]
mod tests {
    use lockgate_dialect::neutral::Finish;

    use super::*;

    /// What the client gets, in a word each.
    fn joined(said: &Transcript, deltas: Vec<Delta<'_>>) -> String {
        let before = Usage { input: 10, output: 4, ..Usage::default() };
        let mut joint = Joint::new(said, before, true);
        let mut words = Vec::new();
        for delta in deltas {
            let mut sink = |delta: Delta<'_>| {
                words.push(match delta {
                    Delta::Open(Block::Text) => "(".to_owned(),
                    Delta::Open(_) => "[".to_owned(),
                    Delta::Text(text) => text.into_owned(),
                    Delta::Close => ")".to_owned(),
                    Delta::Usage(usage) => format!("{}+{}", usage.input, usage.output),
                    Delta::Finish(_) => "!".to_owned(),
                    Delta::End => ".".to_owned(),
                    _ => "?".to_owned(),
                });
            };
            joint.pass(delta, &mut sink).unwrap();
        }
        words.join(" ")
    }

    fn start() -> Delta<'static> {
        Delta::Start { id: "x".into(), model: "m".into(), created: None }
    }

    fn said(text: &str, open: Open) -> Transcript {
        Transcript { text: text.into(), open, ..Transcript::default() }
    }

    #[test]
    fn the_open_text_goes_on_and_ends_once() {
        let usage = Usage { input: 12, output: 6, ..Usage::default() };
        let deltas = vec![
            start(),
            Delta::Open(Block::Text),
            Delta::Text("lo".into()),
            Delta::Usage(usage),
            Delta::Close,
            Delta::Finish(Finish::Stop),
            Delta::End,
        ];
        assert_eq!(joined(&said("Hel", Open::Text), deltas), "lo 22+10 ) ! .");
    }

    #[test]
    fn a_second_thought_is_not_shown() {
        let deltas = vec![
            start(),
            Delta::Open(Block::Reasoning { summary: false }),
            Delta::Text("hm".into()),
            Delta::Close,
            Delta::Open(Block::Text),
            Delta::Text("lo".into()),
            Delta::Close,
            Delta::Finish(Finish::Stop),
        ];
        assert_eq!(joined(&said("Hel", Open::Text), deltas.clone()), "lo ) !");
        let thinking = Transcript { thought: true, open: Open::Thought, ..Transcript::default() };
        assert_eq!(joined(&thinking, deltas.clone()), ") ( lo ) !");
        assert_eq!(joined(&Transcript::default(), deltas), "[ hm ) ( lo ) !");
    }

    #[test]
    fn a_call_ends_the_open_text() {
        let call = || Block::Call { id: "c".into(), name: "f".into(), kind: Default::default() };
        let deltas = vec![
            start(),
            Delta::Open(call()),
            Delta::Text("{}".into()),
            Delta::Close,
            Delta::Finish(Finish::Calls),
        ];
        assert_eq!(joined(&said("Look", Open::Text), deltas), ") [ {} ) !");
    }

    #[test]
    fn an_end_without_a_word_closes_what_is_open() {
        assert_eq!(
            joined(&said("All", Open::Text), vec![start(), Delta::Finish(Finish::Stop), Delta::End]),
            ") ! ."
        );
    }
}
