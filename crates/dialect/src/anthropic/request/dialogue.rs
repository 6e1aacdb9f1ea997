//! The conversation in the order that the target demands: the system in front, roles in turn, every call answered by the
//! message behind it, outcomes before anything else there.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::Losses;
use crate::anthropic::block::noted;
use crate::anthropic::model::Model;
use crate::neutral::{CacheMark, Call, Content, Native, Outcome, Part, Request, Role};

/// A conversation ready to be written.
#[derive(Debug)]
pub(super) struct Dialogue<'a> {
    /// What goes into `system`.
    pub(super) system: Vec<Piece<'a>>,
    /// The messages.
    pub(super) turns: Vec<Spoken<'a>>,
}

/// One message.
#[derive(Debug)]
pub(super) struct Spoken<'a> {
    pub(super) role: Role,
    pub(super) pieces: Vec<Piece<'a>>,
}

/// One block, with the notes that belong to it.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) what: What<'a>,
    pub(super) notes: Vec<&'a Native>,
    pub(super) cache: Option<&'a CacheMark>,
}

/// What a block is.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// A part as it came.
    Part(&'a Content),
    /// A call under the id that it is written with.
    Call(&'a Call, String),
    /// An outcome under the id of its call.
    Outcome(&'a Outcome, String),
    /// The outcome that a call lacks.
    Missing(String),
    /// An outcome that is still to be put behind its call.
    Held(usize),
    /// An outcome of no call.
    Orphan(&'a Outcome),
}

/// Outcomes until their calls take them.
#[derive(Debug, Default)]
struct Outcomes<'a> {
    held: Vec<Option<Piece<'a>>>,
    /// By the call's id, with the turn that each came in.
    by_id: HashMap<&'a str, VecDeque<(usize, usize)>>,
}

/// Ids as they are written: in the target's alphabet, and each once.
#[derive(Debug, Default)]
struct Ids {
    used: HashSet<String>,
    repeats: HashMap<String, usize>,
}

// === impl Dialogue ===

impl<'a> Dialogue<'a> {
    pub(super) fn of(request: &'a Request, model: Model, losses: &mut Losses) -> Self {
        let mut dialogue = Self { system: Vec::new(), turns: Vec::new() };
        for message in &request.messages {
            let pieces = pieces(&message.parts);
            match message.role {
                Role::System | Role::Developer if dialogue.turns.is_empty() => dialogue.system.extend(pieces),
                Role::System | Role::Developer if model.system_in_place() => {
                    dialogue.turns.push(Spoken { role: Role::System, pieces });
                }
                Role::System | Role::Developer => {
                    losses.lose(
                        "messages.system",
                        "the model takes the system's words in front only: moved there",
                    );
                    dialogue.system.extend(pieces);
                }
                role => dialogue.speak(role, pieces),
            }
        }
        dialogue.place_system(losses);
        dialogue.pair(losses);
        if dialogue.turns.is_empty() && !dialogue.system.is_empty() {
            losses
                .lose("messages.system", "the target wants a message: the system's words became the user's");
            let pieces = std::mem::take(&mut dialogue.system);
            dialogue.turns.push(Spoken { role: Role::User, pieces });
        }
        dialogue
    }

    /// Adds to the last message if it has the same role.
    fn speak(&mut self, role: Role, pieces: Vec<Piece<'a>>) {
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.pieces.extend(pieces),
            _ => self.turns.push(Spoken { role, pieces }),
        }
    }

    /// Words of the system may stand only behind the user's.
    fn place_system(&mut self, losses: &mut Losses) {
        let turns = std::mem::take(&mut self.turns);
        let mut waiting = Vec::new();
        for turn in turns {
            match turn.role {
                Role::System if !self.behind_user() => waiting.push(turn),
                Role::System => self.turns.push(turn),
                role => {
                    self.speak(role, turn.pieces);
                    if role == Role::User {
                        self.turns.append(&mut waiting);
                    }
                }
            }
        }
        for turn in waiting {
            losses.lose(
                "messages.system",
                "the target takes it behind the user's words only: moved to the front",
            );
            self.system.extend(turn.pieces);
        }
    }

    fn behind_user(&self) -> bool {
        self.turns.last().is_some_and(|last| matches!(last.role, Role::User | Role::System))
    }

    /// Puts every outcome into the message behind its call.
    fn pair(&mut self, losses: &mut Losses) {
        let mut outcomes = Outcomes::default();
        let mut ids = Ids::default();
        for (at, turn) in self.turns.iter_mut().enumerate() {
            outcomes.hold(at, turn);
        }
        let turns = std::mem::take(&mut self.turns);
        let mut owed: Vec<Piece<'a>> = Vec::new();
        for (at, mut turn) in turns.into_iter().enumerate() {
            if turn.role == Role::User {
                turn.pieces = outcomes.settle(turn.pieces, std::mem::take(&mut owed));
            } else if !owed.is_empty() {
                let pieces = std::mem::take(&mut owed);
                self.turns.push(Spoken { role: Role::User, pieces });
            }
            if turn.role == Role::Assistant {
                for piece in &mut turn.pieces {
                    let What::Part(Content::Call(call)) = piece.what else { continue };
                    let id = ids.give(&call.id);
                    piece.what = What::Call(call, id.clone());
                    owed.push(outcomes.take(&call.id, at, id, losses));
                }
            }
            if !turn.pieces.is_empty() {
                self.turns.push(turn);
            }
        }
        if !owed.is_empty() {
            self.turns.push(Spoken { role: Role::User, pieces: owed });
        }
    }

    /// Whether the model waits for outcomes of calls and the thought before them cannot be sent.
    pub(super) fn thoughtless_calls(&self, opens: impl Fn(&Content) -> bool) -> bool {
        let Some(last) = self.turns.iter().rfind(|turn| turn.role == Role::Assistant) else { return false };
        let calls = last.pieces.iter().any(|piece| matches!(piece.what, What::Call(..)));
        // Thoughts that are not the target's are left out, so the first that is left decides.
        let is_thought = |piece: &Piece<'_>| matches!(piece.what, What::Part(Content::Reasoning(_)));
        let opens = |piece: &Piece<'_>| matches!(piece.what, What::Part(content) if opens(content));
        let first = last.pieces.iter().find(|piece| !is_thought(piece) || opens(piece));
        let thought = first.is_some_and(opens);
        calls && !thought
    }
}

// === impl Outcomes ===

impl<'a> Outcomes<'a> {
    /// Takes the outcomes of a message out of it.
    fn hold(&mut self, at: usize, turn: &mut Spoken<'a>) {
        for piece in &mut turn.pieces {
            let What::Part(Content::Outcome(outcome)) = piece.what else { continue };
            let place = self.held.len();
            let notes = std::mem::take(&mut piece.notes);
            let what = What::Orphan(outcome);
            self.held.push(Some(Piece { what, notes, cache: piece.cache.take() }));
            self.by_id.entry(&outcome.id).or_default().push_back((at, place));
            piece.what = What::Held(place);
        }
    }

    /// The outcome of a call that stands in message `at`.
    fn take(&mut self, call: &str, at: usize, id: String, losses: &mut Losses) -> Piece<'a> {
        if let Some(queue) = self.by_id.get_mut(call) {
            while let Some((came, place)) = queue.pop_front() {
                if came <= at {
                    continue;
                }
                let Some(piece) = self.held.get_mut(place).and_then(Option::take) else { continue };
                if let What::Orphan(outcome) = piece.what {
                    return Piece { what: What::Outcome(outcome, id), ..piece };
                }
            }
        }
        losses.lose("messages.tool_calls", "a call has no outcome: one that says so was put there");
        Piece { what: What::Missing(id), notes: Vec::new(), cache: None }
    }

    /// A user's message: what is owed to the calls before it, then what was said, and the outcomes of no call.
    fn settle(&mut self, pieces: Vec<Piece<'a>>, owed: Vec<Piece<'a>>) -> Vec<Piece<'a>> {
        let mut all = owed;
        for piece in pieces {
            match piece.what {
                What::Held(place) => all.extend(self.held.get_mut(place).and_then(Option::take)),
                _ => all.push(piece),
            }
        }
        all
    }
}

// === impl Ids ===

impl Ids {
    fn give(&mut self, id: &str) -> String {
        let fitted = fitted(id);
        if self.used.insert(fitted.clone()) {
            return fitted;
        }
        let repeat = self.repeats.entry(fitted.clone()).or_insert(1);
        loop {
            *repeat += 1;
            let other = format!("{fitted}_{repeat}");
            if self.used.insert(other.clone()) {
                return other;
            }
        }
    }
}

/// An id in letters, digits, `_` and `-`. One that has others keeps what fits and gets its own hash behind.
fn fitted(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(fits) {
        return id.to_owned();
    }
    let plain: String = id.chars().map(|c| if fits(c) { c } else { '_' }).take(48).collect();
    format!("{plain}_{:016x}", crate::anthropic::response::hash(&[id.as_bytes()]))
}

/// Parts with their notes.
pub(super) fn inner(parts: &[Part]) -> Vec<Piece<'_>> {
    pieces(parts)
}

fn pieces(parts: &[Part]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::with_capacity(parts.len());
    let mut notes = Vec::new();
    for part in parts {
        match &part.content {
            Content::Native(native) if noted(native).is_some() => notes.push(native),
            content => pieces.push(Piece {
                what: What::Part(content),
                notes: std::mem::take(&mut notes),
                cache: part.cache.as_ref(),
            }),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::{CallKind, Message};

    fn call(id: &str) -> Part {
        Part::new(Content::Call(Call {
            id: id.into(),
            name: "f".into(),
            arguments: "{}".into(),
            kind: CallKind::Function,
            seal: None,
        }))
    }

    fn outcome(id: &str) -> Part {
        Part::new(Content::Outcome(Outcome {
            id: id.into(),
            name: None,
            parts: vec![],
            failed: false,
            kind: CallKind::Function,
        }))
    }

    /// Roles and blocks in a word each: `user: =a text` is an outcome of `a` and a text.
    fn drawn(messages: Vec<(Role, Vec<Part>)>, model: &str) -> (String, usize, usize) {
        let messages = messages.into_iter().map(|(role, parts)| Message { role, parts }).collect();
        let request = Request { messages, ..Request::default() };
        let mut losses = Losses::default();
        let dialogue = Dialogue::of(&request, Model::of(model), &mut losses);
        let turns: Vec<String> = dialogue
            .turns
            .iter()
            .map(|turn| {
                let words: Vec<String> = turn
                    .pieces
                    .iter()
                    .map(|piece| match &piece.what {
                        What::Part(_) => "text".into(),
                        What::Call(_, id) => id.clone(),
                        What::Outcome(_, id) => format!("={id}"),
                        What::Missing(id) => format!("!{id}"),
                        What::Orphan(outcome) => format!("?{}", outcome.id),
                        What::Held(_) => "held".into(),
                    })
                    .collect();
                format!("{:?}: {}", turn.role, words.join(" "))
            })
            .collect();
        (turns.join("; "), dialogue.system.len(), losses.iter().count())
    }

    #[test]
    fn outcomes_stand_in_one_message_behind_their_calls_before_the_text() {
        let (turns, _, lost) = drawn(
            vec![
                (Role::User, vec![Part::text("go")]),
                (Role::Assistant, vec![call("a")]),
                (Role::Assistant, vec![call("b")]),
                (Role::User, vec![Part::text("wait")]),
                (Role::User, vec![outcome("b")]),
                (Role::User, vec![outcome("a")]),
            ],
            "m",
        );
        assert_eq!((&*turns, lost), ("User: text; Assistant: a b; User: =a =b text", 0));
    }

    #[test]
    fn what_lacks_its_other_half_is_completed_or_told() {
        let (turns, _, lost) = drawn(
            vec![
                (Role::User, vec![outcome("x"), Part::text("go")]),
                (Role::Assistant, vec![call("a"), call("b")]),
                (Role::User, vec![outcome("b")]),
                (Role::Assistant, vec![call("c")]),
            ],
            "m",
        );
        assert_eq!(
            (&*turns, lost),
            ("User: ?x text; Assistant: a b; User: !a =b; Assistant: c; User: !c", 1)
        );
    }

    #[test]
    fn ids_fit_the_alphabet_and_stand_once() {
        let (turns, _, _) = drawn(
            vec![
                (Role::Assistant, vec![call("a")]),
                (Role::User, vec![outcome("a")]),
                (Role::Assistant, vec![call("a")]),
                (Role::User, vec![outcome("a")]),
            ],
            "m",
        );
        assert_eq!(turns, "Assistant: a; User: =a; Assistant: a_2; User: =a_2");
        assert_eq!(fitted("functions.f:0"), fitted("functions.f:0"));
        assert_ne!(fitted("functions.f:0"), fitted("functions.f.0"));
        assert!(fitted("ü").chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        assert!(!fitted("").is_empty());
    }

    #[test]
    fn the_system_speaks_in_between_only_where_the_model_takes_it() {
        let messages = || {
            vec![
                (Role::System, vec![Part::text("s")]),
                (Role::User, vec![Part::text("u")]),
                (Role::Developer, vec![Part::text("d")]),
                (Role::Assistant, vec![Part::text("a")]),
                (Role::System, vec![Part::text("e")]),
                (Role::User, vec![Part::text("u")]),
            ]
        };
        let (turns, system, lost) = drawn(messages(), "claude-opus-4-8");
        assert_eq!(turns, "User: text; System: text; Assistant: text; User: text; System: text");
        assert_eq!((system, lost), (1, 0));
        let (turns, system, lost) = drawn(messages(), "claude-sonnet-4-5");
        assert_eq!((&*turns, system, lost), ("User: text; Assistant: text; User: text", 3, 1));
    }

    #[test]
    fn the_system_alone_becomes_the_user() {
        let (turns, system, lost) = drawn(vec![(Role::System, vec![Part::text("s")])], "m");
        assert_eq!((&*turns, system, lost), ("User: text", 0, 1));
    }
}
