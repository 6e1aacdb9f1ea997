//! Reads beside an answer that flows past.

use bytes::Bytes;
use lockgate_core::usage::Source;
use lockgate_core::{Payload, Usage};

use super::{BYTES_PER_TOKEN, Counts, usage};
use crate::frames::Frames;
use crate::{Framing, Meter, Turn};

/// Takes note of what an answer under way reports. Whatever it hears, the bytes pass.
pub struct Listener {
    /// `None` where there are no events, or they could not be read on.
    frames: Option<Frames>,
    ear: Ear,
    usage: Option<Usage>,
    counts: Counts,
}

enum Ear {
    /// Events of an operation, with `usage` in the last.
    Operation { makes_images: bool },
    /// A chat turn's, with the input tokens, should the provider not say.
    Chat(Box<dyn Meter>, u64),
}

impl Listener {
    /// For an answer without events: nothing is reported but what is known already.
    pub fn deaf(counts: Counts) -> Self {
        Self { frames: None, ear: Ear::Operation { makes_images: false }, usage: None, counts }
    }

    /// For the event stream of an operation.
    pub fn events(counts: Counts, makes_images: bool) -> Self {
        Self { frames: Some(Frames::new(Framing::Sse)), ..Self::deaf(counts) }
            .with(Ear::Operation { makes_images })
    }

    /// For the event stream that answers a chat turn.
    pub fn chat(framing: Framing, meter: Box<dyn Meter>, turn: &Turn) -> Self {
        let input = turn.prompt_bytes.div_ceil(BYTES_PER_TOKEN);
        Self { frames: Some(Frames::new(framing)), ..Self::deaf(Counts::default()) }
            .with(Ear::Chat(meter, input))
    }

    fn with(self, ear: Ear) -> Self {
        Self { ear, ..self }
    }

    /// Hears a piece of the answer.
    pub fn hear(&mut self, piece: &Bytes) {
        let Some(frames) = &mut self.frames else { return };
        let mut rest = piece.clone();
        loop {
            match frames.next(&mut rest) {
                Ok(Some(frame)) => {
                    let Some(data) = frame.data() else { continue };
                    match &mut self.ear {
                        Ear::Chat(meter, _) => drop(meter.note(&data)),
                        Ear::Operation { makes_images } => {
                            // Pieces of images and sound are long and report nothing.
                            if memchr::memmem::find(&data, b"\"usage\"").is_some()
                                && let Ok(payload) = Payload::parse(Bytes::copy_from_slice(&data))
                            {
                                self.usage = usage::of(&payload, *makes_images).or(self.usage);
                                self.counts.seconds = usage::seconds(&payload).max(self.counts.seconds);
                            }
                        }
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    self.frames = None;
                    return;
                }
            }
        }
    }

    /// What was reported so far; of a chat turn without a report an estimate, as the model has spoken.
    pub fn usage(&self) -> Option<Usage> {
        match &self.ear {
            Ear::Chat(meter, input) => Some(meter.usage().unwrap_or_else(|| Usage {
                input: *input,
                output: meter.content_bytes().div_ceil(BYTES_PER_TOKEN),
                source: Source::Estimated,
                ..Usage::default()
            })),
            Ear::Operation { .. } => self.usage,
        }
    }

    /// What was counted so far that is not tokens.
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_report_of_a_stream_counts_in_any_pieces() {
        let stream = concat!(
            "event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n",
            "data: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"input_tokens\":14,\"output_tokens\":45,",
            "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14}}}\n\n",
        );
        for size in [1, 7, stream.len()] {
            let mut listener = Listener::events(Counts::default(), false);
            for piece in stream.as_bytes().chunks(size) {
                listener.hear(&Bytes::copy_from_slice(piece));
            }
            let usage = listener.usage().unwrap();
            assert_eq!((usage.audio_input, usage.output), (14, 45));
        }
    }

    #[test]
    fn what_is_not_understood_passes() {
        let mut listener = Listener::deaf(Counts { characters: 5, ..Counts::default() });
        listener.hear(&Bytes::from_static(b"\xff\xfb\x90data: {"));
        assert_eq!((listener.usage(), listener.counts().characters), (None, 5));
    }
}
