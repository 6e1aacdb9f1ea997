//! A conversation as strict providers want it: user and assistant take turns, and the outcomes of calls open the turn
//! that follows them, each call with its outcome and each outcome with its call.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::neutral::{Call, Content, Message, Outcome, Part, Role};

/// A conversation in turns.
#[derive(Debug, Default)]
pub(crate) struct Conversation<'a> {
    /// What the operator says, wherever it stood.
    pub(crate) system: Vec<&'a Part>,
    /// The turns; neighbours are of different speakers.
    pub(crate) turns: Vec<Turn<'a>>,
}

/// What one side says before the other speaks.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// The model speaks, and not the user.
    pub(crate) assistant: bool,
    /// What is said, outcomes first.
    pub(crate) pieces: Vec<Piece<'a>>,
}

/// A piece of a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// As it stood in the request.
    Part(&'a Part),
    /// The outcome of this call is nowhere.
    Missing(&'a Call),
    /// The call of this outcome is not before it.
    Orphan(&'a Outcome),
}

impl<'a> Conversation<'a> {
    /// Puts messages into turns.
    pub(crate) fn of(messages: &'a [Message]) -> Self {
        let mut builder = Builder::new(messages);
        for (at, message) in messages.iter().enumerate() {
            match message.role {
                Role::System | Role::Developer => builder.conversation.system.extend(&message.parts),
                Role::Assistant => builder.assistant(&message.parts),
                Role::User => builder.user(at, &message.parts),
            }
        }
        builder.settle();
        builder.conversation
    }
}

/// Where a part stands: its message and its place there.
type Place = (usize, usize);

struct Builder<'a> {
    conversation: Conversation<'a>,
    /// The outcomes that were not put beside their call yet, by the call's id.
    outcomes: HashMap<&'a str, VecDeque<(Place, &'a Part)>>,
    taken: HashSet<Place>,
    /// The calls of the turn under way.
    open: Vec<&'a Call>,
}

impl<'a> Builder<'a> {
    fn new(messages: &'a [Message]) -> Self {
        let mut outcomes: HashMap<&str, VecDeque<(Place, &Part)>> = HashMap::new();
        for (at, message) in messages.iter().enumerate().filter(|(_, message)| message.role == Role::User) {
            for (place, part) in message.parts.iter().enumerate() {
                if let Content::Outcome(outcome) = &part.content {
                    outcomes.entry(&outcome.id).or_default().push_back(((at, place), part));
                }
            }
        }
        let conversation = Conversation::default();
        Self { conversation, outcomes, taken: HashSet::new(), open: Vec::new() }
    }

    fn turn(&mut self, assistant: bool) -> &mut Vec<Piece<'a>> {
        let turns = &mut self.conversation.turns;
        let fits = turns.last().is_some_and(|turn| turn.assistant == assistant);
        if !fits {
            turns.push(Turn { assistant, pieces: Vec::new() });
        }
        let last = turns.len() - 1;
        &mut turns[last].pieces
    }

    fn assistant(&mut self, parts: &'a [Part]) {
        for part in parts {
            self.turn(true).push(Piece::Part(part));
            if let Content::Call(call) = &part.content {
                self.open.push(call);
            }
        }
    }

    fn user(&mut self, at: usize, parts: &'a [Part]) {
        self.settle();
        for (place, part) in parts.iter().enumerate() {
            let Content::Outcome(outcome) = &part.content else {
                self.turn(false).push(Piece::Part(part));
                continue;
            };
            if !self.taken.contains(&(at, place)) {
                if let Some(waiting) = self.outcomes.get_mut(outcome.id.as_str()) {
                    waiting.pop_front();
                }
                self.turn(false).push(Piece::Orphan(outcome));
            }
        }
    }

    /// Opens the user's turn with the outcomes of the calls before it.
    fn settle(&mut self) {
        for call in std::mem::take(&mut self.open) {
            let found = self.outcomes.get_mut(call.id.as_str()).and_then(VecDeque::pop_front);
            let piece = match found {
                Some((place, part)) => {
                    self.taken.insert(place);
                    Piece::Part(part)
                }
                None => Piece::Missing(call),
            };
            self.turn(false).push(piece);
        }
    }
}

/// A short stand-in for an id that a provider does not take as it is (FNV-1a).
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::CallKind;

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
            parts: vec![Part::text(id)],
            failed: false,
            kind: CallKind::Function,
        }))
    }

    fn shape(messages: Vec<(Role, Vec<Part>)>) -> String {
        let messages: Vec<Message> =
            messages.into_iter().map(|(role, parts)| Message { role, parts }).collect();
        let conversation = Conversation::of(&messages);
        let mut out = String::new();
        for turn in &conversation.turns {
            out.push(if turn.assistant { 'A' } else { 'U' });
            for piece in &turn.pieces {
                match piece {
                    Piece::Part(part) => match &part.content {
                        Content::Call(call) => out.push_str(&format!(" call:{}", call.id)),
                        Content::Outcome(outcome) => out.push_str(&format!(" got:{}", outcome.id)),
                        _ => out.push_str(" text"),
                    },
                    Piece::Missing(call) => out.push_str(&format!(" missing:{}", call.id)),
                    Piece::Orphan(outcome) => out.push_str(&format!(" orphan:{}", outcome.id)),
                }
            }
            out.push(';');
        }
        out
    }

    #[test]
    fn outcomes_come_right_behind_their_calls_and_neighbours_are_one() {
        let text = || Part::text("hi");
        let shape = shape(vec![
            (Role::User, vec![text()]),
            (Role::User, vec![text()]),
            (Role::Assistant, vec![text()]),
            (Role::Assistant, vec![call("a"), call("b")]),
            (Role::User, vec![text(), outcome("b")]),
            (Role::User, vec![outcome("a")]),
        ]);
        assert_eq!(shape, "U text text;A text call:a call:b;U got:a got:b text;");
    }

    #[test]
    fn a_call_without_outcome_and_an_outcome_without_call_are_seen() {
        let shape = shape(vec![
            (Role::User, vec![outcome("x")]),
            (Role::Assistant, vec![call("a")]),
            (Role::User, vec![Part::text("go on")]),
            (Role::Assistant, vec![call("z")]),
        ]);
        assert_eq!(shape, "U orphan:x;A call:a;U missing:a text;A call:z;U missing:z;");
    }

    #[test]
    fn an_id_that_is_used_again_finds_its_own_outcome() {
        let shape = shape(vec![
            (Role::Assistant, vec![call("a")]),
            (Role::User, vec![outcome("a")]),
            (Role::Assistant, vec![call("a")]),
            (Role::User, vec![outcome("a")]),
        ]);
        assert_eq!(shape, "A call:a;U got:a;A call:a;U got:a;");
    }
}
