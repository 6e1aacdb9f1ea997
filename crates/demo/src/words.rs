//! Text making: the token rule, a seeded source of choices, and the prose of the demo's persona.
//!
//! The token rule: a token is an optional single space followed by a run of letters and digits of at most
//! [`WORD_BYTES`] bytes, or one other character (again with the optional space before it). Every byte of a text
//! belongs to exactly one token, so joining the tokens gives the text back.

use std::time::Duration;

/// Longest run of letters and digits in one token, in bytes of UTF-8 (a single longer character stands alone).
const WORD_BYTES: usize = 8;

/// Longest part of a prompt that the persona repeats, in characters.
const ECHO_CHARS: usize = 160;

/// A text cut into tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    text: String,
    /// End offset of each token, ascending; the last one is `text.len()`.
    ends: Vec<usize>,
}

/// A small deterministic source of choices: the same seed makes the same answers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

/// What the persona knows about a conversation.
#[derive(Debug)]
pub(crate) struct Topic<'a> {
    /// The last message of the user.
    pub(crate) prompt: &'a str,
    /// Number of messages of the user, the last one included.
    pub(crate) turns: usize,
    /// The instructions of a system or developer message, if there are any.
    pub(crate) system: Option<&'a str>,
}

impl Tokens {
    /// Cuts by the token rule.
    pub(crate) fn of(text: String) -> Self {
        let mut ends = Vec::with_capacity(text.len() / 4);
        let mut end = 0;
        while end < text.len() {
            end += first_token(&text[end..]);
            ends.push(end);
        }
        Self { text, ends }
    }

    /// Cuts into pieces of one character each: the finest split that is still valid text.
    pub(crate) fn of_chars(text: String) -> Self {
        let ends = text.char_indices().map(|(start, c)| start + c.len_utf8()).collect();
        Self { text, ends }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.text[start..end])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Keeps at most `limit` tokens and returns how many are left.
    pub(crate) fn truncate(&mut self, limit: usize) -> usize {
        if limit < self.len() {
            self.ends.truncate(limit);
            self.text.truncate(self.ends.last().copied().unwrap_or(0));
        }
        self.len()
    }
}

/// Number of tokens in a text, by the token rule.
pub(crate) fn count(text: &str) -> u64 {
    let mut rest = text;
    let mut tokens = 0;
    while !rest.is_empty() {
        rest = &rest[first_token(rest)..];
        tokens += 1;
    }
    tokens
}

/// Length in bytes of the first token of a text that is not empty.
fn first_token(text: &str) -> usize {
    let lead = usize::from(text.starts_with(' '));
    let mut end = lead;
    for c in text[lead..].chars() {
        let fits = end == lead || end - lead + c.len_utf8() <= WORD_BYTES;
        if !(c.is_alphanumeric() && fits) {
            break;
        }
        end += c.len_utf8();
    }
    match text[lead..].chars().next() {
        // A second space starts the next token, so that "  word" is " " and " word".
        Some(' ') | None => lead.max(1),
        Some(other) => end.max(lead + other.len_utf8()),
    }
}

impl Dice {
    /// Seeded by a number and by texts: their order and their borders count.
    pub(crate) fn new<'a>(seed: u64, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
        for text in texts {
            for byte in text.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            hash = scramble(hash);
        }
        Self(hash)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// One of the options, which are never empty.
    pub(crate) fn pick<'a>(&mut self, options: &[&'a str]) -> &'a str {
        let index = self.next() % (options.len() as u64).max(1);
        options.get(index as usize).copied().unwrap_or("")
    }
}

/// Spreads the bits of a counter so that neighbours look unrelated.
pub(crate) fn scramble(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The default persona: short prose that shows that the prompt arrived and was read.
pub(crate) fn prose(topic: &Topic<'_>, dice: &mut Dice) -> String {
    if let Some(words) = dictation(topic.prompt) {
        return words.to_owned();
    }
    if topic.prompt.trim().is_empty() {
        return "Your message has no text for me to read. Send me a question and I will answer it."
            .to_owned();
    }
    let opening = dice.pick(&["You asked", "You wrote", "Your message says", "I read"]);
    let mut text = format!("{opening}: \u{201c}{}\u{201d}.", excerpt(topic.prompt, ECHO_CHARS));
    let subject = subject(topic.prompt);
    if !subject.is_empty() {
        let remark = dice.pick(&[
            "What matters most here seems to be",
            "The heart of it seems to be",
            "The word that stands out is",
        ]);
        text.push_str(&format!(" {remark} {subject}."));
    }
    if topic.turns > 1 {
        text.push_str(&format!(" This is turn {} of our conversation.", topic.turns));
    }
    if let Some(system) = topic.system {
        text.push_str(&format!(" My instructions begin with \u{201c}{}\u{201d}.", excerpt(system, 60)));
    }
    text.push_str(dice.pick(&[
        " I am the built-in demo model: I know no facts, but everything around me is real.",
        " I am a demo model without knowledge of my own; the path that brought your words here is the real one.",
        " A demo model cannot look this up, yet it travelled the same way as a real answer would.",
    ]));
    text.push_str(" Add a provider key, and the same request gets a real model's answer.");
    text
}

/// The thoughts that a reasoning model would show before it answers.
pub(crate) fn thoughts(topic: &Topic<'_>, dice: &mut Dice) -> String {
    let words = topic.prompt.split_whitespace().count();
    let opening = dice.pick(&["Let me see.", "First, what is asked?", "I take this step by step."]);
    format!(
        "{opening} The message has {words} words and is about {}. I should say what I read, \
         be honest that I am a demo, and keep it short.",
        match subject(topic.prompt) {
            "" => "nothing that I can name",
            subject => subject,
        },
    )
}

/// A long answer of numbered paragraphs, at least `tokens` long.
pub(crate) fn essay(topic: &Topic<'_>, dice: &mut Dice, tokens: usize) -> String {
    let subject = match subject(topic.prompt) {
        "" => "this",
        subject => subject,
    };
    let mut text = format!("Here is a long answer about {subject}.");
    let mut length = count(&text) as usize;
    let mut number = 1;
    while length < tokens {
        let paragraph = format!(
            "\n\n{number}. {} {subject}, {}. {}",
            dice.pick(&["When we look at", "In the matter of", "Turning to", "As for"]),
            dice.pick(&[
                "the first thing to settle is what would count as success",
                "it pays to write down what is known before guessing at the rest",
                "most of the cost hides in the parts that nobody owns",
                "small steps that can be undone beat one large step that cannot",
            ]),
            dice.pick(&[
                "A plan that names its own limits is easier to trust.",
                "Measure before and after, and keep both figures.",
                "Whoever comes next should find the reason next to the decision.",
                "If two views disagree, look for the question that would settle it.",
            ]),
        );
        length += count(&paragraph) as usize;
        text.push_str(&paragraph);
        number += 1;
    }
    text
}

/// The word that a prompt is most likely about: the last capitalised word that does not open a sentence, or else
/// the last word; empty when there is none.
pub(crate) fn subject(prompt: &str) -> &str {
    let mut last = "";
    let mut named = "";
    let mut opens = true;
    for raw in prompt.split_whitespace() {
        let word = raw.trim_matches(|c: char| !c.is_alphanumeric());
        if !word.is_empty() {
            last = word;
            if !opens && word != "I" && word.starts_with(char::is_uppercase) {
                named = word;
            }
        }
        opens = raw.ends_with(['.', '!', '?', ':']);
    }
    if named.is_empty() { last } else { named }
}

/// The beginning of a text on one line, with an ellipsis when it was cut.
pub(crate) fn excerpt(text: &str, chars: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(chars) {
        Some((end, _)) => format!("{}\u{2026}", line[..end].trim_end()),
        None => line,
    }
}

/// What is to be said when the prompt is of the form "say ..." or "repeat ...", as in many a first try.
fn dictation(prompt: &str) -> Option<&str> {
    let prompt = prompt.trim();
    let (verb, words) = prompt.split_once([' ', ':'])?;
    if !["say", "repeat"].iter().any(|known| verb.eq_ignore_ascii_case(known)) {
        return None;
    }
    let words = words.trim_start_matches(':').trim().trim_matches(['"', '\'', '\u{201c}', '\u{201d}']);
    (!words.is_empty()).then_some(words)
}

/// Time that `tokens` tokens take at a rate; no time at all when the rate is not a positive number.
pub(crate) fn time_for(tokens: u64, per_second: f64) -> Duration {
    if per_second > 0.0 && per_second.is_finite() {
        Duration::try_from_secs_f64(tokens as f64 / per_second).unwrap_or(Duration::MAX)
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_join_to_the_text() {
        for text in [
            "",
            " ",
            "  ",
            "Hello, world!",
            "a  b\n\n c",
            "Z\u{fc}rich \u{6771}\u{4eac} \u{1f468}\u{200d}\u{1f469}",
            "antidisestablishment x",
        ] {
            let tokens = Tokens::of(text.to_owned());
            assert_eq!(tokens.iter().collect::<String>(), text);
            assert_eq!(tokens.len() as u64, count(text), "{text:?}");
        }
    }

    #[test]
    fn token_rule() {
        let tokens = |text: &str| Tokens::of(text.to_owned()).iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(tokens("Hello, big  world"), ["Hello", ",", " big", " ", " world"]);
        assert_eq!(tokens("understanding"), ["understa", "nding"]);
    }

    #[test]
    fn truncation_keeps_whole_tokens() {
        let mut tokens = Tokens::of("one two three".to_owned());
        assert_eq!(tokens.truncate(2), 2);
        assert_eq!(tokens.text(), "one two");
        assert_eq!(tokens.truncate(0), 0);
        assert_eq!(tokens.text(), "");
    }

    #[test]
    fn prose_names_the_subject_and_repeats_the_prompt() {
        let topic =
            Topic { prompt: "What is the capital of France today?", turns: 2, system: Some("Be brief.") };
        let text = prose(&topic, &mut Dice::new(1, ["a"]));
        assert!(text.contains("What is the capital of France today?"), "{text}");
        assert!(text.contains("France.") && text.contains("turn 2") && text.contains("Be brief."), "{text}");
        assert_eq!(text, prose(&topic, &mut Dice::new(1, ["a"])));
    }

    #[test]
    fn subjects() {
        assert_eq!(subject("Hello there. What about Paris, then?"), "Paris");
        assert_eq!(subject("what is rust"), "rust");
        assert_eq!(subject("?!"), "");
    }

    #[test]
    fn dictation_is_followed() {
        let say = |prompt| prose(&Topic { prompt, turns: 1, system: None }, &mut Dice::new(0, []));
        assert_eq!(say("Say: hello there"), "hello there");
        assert_eq!(say("say \"pong\""), "pong");
    }

    #[test]
    fn essays_reach_their_length() {
        let topic = Topic { prompt: "Write about Bees", turns: 1, system: None };
        let text = essay(&topic, &mut Dice::new(0, []), 500);
        assert!((500..600).contains(&(count(&text) as usize)));
    }
}
