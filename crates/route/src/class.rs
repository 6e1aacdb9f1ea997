//! What kind of work a request is, and how hard: from features of its bytes, without a model.
//!
//! Words are looked up in a list in which each speaks for a class; code fences, file names, signs of mathematics, tables and
//! logs speak besides. What speaks for the classes is set against a fixed weight for `unknown`, so that a request of which
//! little can be said stays mostly unknown, and the weights of benchmarks stay as they are. Of a long conversation its
//! beginning and its end are read.
//!
//! Tags of the application go before all of it: `class:coding`, `complexity:0.8` (or `low`, `medium`, `high`).

use lockgate_core::Payload;
use lockgate_core::decision::{Class, MILLION, Task};

use crate::ask::Ask;
use crate::view::{Abilities, Ability};

/// What is counted in a text.
#[derive(Debug, Default)]
struct Features {
    /// What speaks for each class, in the order of [`Class::ALL`].
    speaks: [f64; Class::ALL.len()],
    words: u32,
    /// What makes work hard: constraints, steps, comparisons.
    hard: f64,
    questions: u32,
    fences: u32,
    /// Signs of program text: `{};()=<>`.
    signs: u32,
    digits: u32,
    bytes: u32,
}

/// The most bytes that are read, half from the beginning of the dialogue and half from its end.
const MOST: usize = 8 << 10;
/// What speaks for `unknown`.
const UNKNOWN: f64 = 3.0;

/// Words, each with the class that it speaks for and how much, in tenths. Short words that stand in every text are left out.
/// Grouped by class; looked up by [`INDEX`].
const WORDS: &[(Class, u8, &str)] = &[
    (
        Class::Coding,
        10,
        "fn impl struct enum def lambda const async await mutex pointer compile compiler refactor traceback stacktrace \
         segfault nullpointerexception typescript javascript python rust golang java kotlin swift cpp php ruby regex \
         sql postgres endpoint docker kubernetes git commit diff lint unittest pytest npm cargo api bug debug codebase \
         function method class import module variable syntax script",
    ),
    (
        Class::Mathematics,
        10,
        "equation integral derivative theorem lemma proof prove polynomial matrix eigenvalue probability modulo \
         triangle hypotenuse logarithm factorial prime divisor algebra geometry calculus frac sqrt sum_ solve \
         calculate compute arithmetic percentage quotient",
    ),
    (
        Class::Reasoning,
        9,
        "logic puzzle riddle deduce infer premise contradiction fallacy hypothesis therefore conclude reasoning \
         strategy tradeoff plan analyse analyze evaluate implications argue",
    ),
    (
        Class::Data,
        9,
        "csv tsv json xml yaml table column columns row rows dataset spreadsheet parse extract schema log logs \
         aggregate pivot dataframe query records fields timestamp classify label",
    ),
    (
        Class::Language,
        10,
        "translate translation summarise summarize summary rewrite paraphrase essay poem story novel tone grammar \
         proofread letter email blog headline paragraph slogan lyrics haiku sonnet fiction polish shorten french \
         german spanish italian japanese chinese portuguese",
    ),
    (
        Class::Knowledge,
        7,
        "who when where capital history invented president population discovered define definition meaning explain \
         biology chemistry physics planet century founded located author",
    ),
    (Class::Conversation, 9, "hi hello hey thanks thank bye goodbye lol chat feel feeling joke cheers"),
    (
        Class::Instructions,
        6,
        "must exactly always never only format bullet bullets list steps ensure avoid include exclude strictly \
         uppercase lowercase words sentences",
    ),
    (
        Class::Agentic,
        8,
        "tool_use tool_calls tool_call tool_result function_call functioncall browser terminal workspace subagent todo",
    ),
];

/// Words that make work hard.
const HARD: &str = "design architecture optimise optimize prove derive compare concurrent distributed algorithm complexity \
                    constraints tradeoffs multi-step comprehensive detailed rigorous edge edge-case refactor migrate diagnose \
                    synthesise synthesize formally invariants security deadlock";

/// Endings of file names that are programs, or data.
const FILES: &[(&str, Class)] = &[
    ("rs", Class::Coding),
    ("py", Class::Coding),
    ("js", Class::Coding),
    ("ts", Class::Coding),
    ("tsx", Class::Coding),
    ("go", Class::Coding),
    ("cpp", Class::Coding),
    ("java", Class::Coding),
    ("rb", Class::Coding),
    ("sh", Class::Coding),
    ("toml", Class::Coding),
    ("csv", Class::Data),
    ("json", Class::Data),
    ("xlsx", Class::Data),
    ("log", Class::Data),
    ("parquet", Class::Data),
];

/// The kind of work of a body. The request's tags go before what its bytes say.
pub(crate) fn task(ask: &Ask<'_>) -> Task {
    let mut features = Features::default();
    if let Some(payload) = ask.payload() {
        features.read_body(payload);
    }
    features.weigh(ask);
    let mut task = features.task(ask);
    tags(ask, &mut task);
    task
}

/// Output tokens of a typical answer: some hundred to a question, more where much is asked or reasoning is on.
pub(crate) fn usual_output(input_tokens: u64, needs: Abilities) -> u64 {
    let usual = (input_tokens / 4).clamp(200, 800);
    if needs.has(Ability::Reasoning) { usual * 4 } else { usual }
}

// === tags ===

fn tags(ask: &Ask<'_>, task: &mut Task) {
    for tag in &ask.attribution.tags {
        let Some((what, value)) = tag.split_once(':') else { continue };
        match what {
            "class" | "task" => {
                if let Some(class) = Class::from_code(value) {
                    task.classes = vec![(class, MILLION)];
                    task.told = true;
                }
            }
            "complexity" => {
                let share = match value {
                    "low" | "simple" => Some(0.1),
                    "medium" => Some(0.5),
                    "high" | "complex" => Some(0.9),
                    number => number.parse().ok().filter(|share| (0.0..=1.0).contains(share)),
                };
                if let Some(share) = share {
                    task.complexity = millionths(share);
                    task.told = true;
                }
            }
            _ => {}
        }
    }
}

// === impl Features ===

impl Features {
    fn read_body(&mut self, payload: &Payload) {
        const SAID: [&str; 4] = ["messages", "contents", "input", "prompt"];
        let Some(said) = SAID.iter().find_map(|name| payload.get(name)) else { return };
        self.bytes = u32::try_from(said.len()).unwrap_or(u32::MAX);
        if said.len() <= MOST {
            self.read(said);
        } else {
            self.read(&said[..MOST / 2]);
            self.read(&said[said.len() - MOST / 2..]);
        }
    }

    /// Counts in a slice of JSON. Escapes are skipped: a line break separates, a quote within a text is nothing.
    fn read(&mut self, text: &[u8]) {
        let mut at = 0;
        // The word before the last full stop, if one stands right before this word: a file's name.
        let mut stop = false;
        while let Some(byte) = text.get(at) {
            match byte {
                b'\\' => {
                    // LaTeX: `\\frac` in JSON.
                    if text.get(at + 1) == Some(&b'\\')
                        && text.get(at + 2).is_some_and(u8::is_ascii_lowercase)
                    {
                        self.add(Class::Mathematics, 0.8);
                    }
                    at += 2;
                    stop = false;
                    continue;
                }
                b'a'..=b'z' | b'A'..=b'Z' => {
                    let start = at;
                    while text
                        .get(at)
                        .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
                    {
                        at += 1;
                    }
                    self.word(&text[start..at], stop);
                    stop = text.get(at) == Some(&b'.');
                    at += usize::from(stop);
                    continue;
                }
                b'`' if text[at..].starts_with(b"```") => {
                    self.fences += 1;
                    at += 2;
                }
                b'@' if text[at..].starts_with(b"@@ -") => self.add(Class::Coding, 2.0),
                b'{' | b'}' | b';' | b'(' | b')' | b'=' | b'<' | b'>' => self.signs += 1,
                b'0'..=b'9' => self.digits += 1,
                b'?' => self.questions += 1,
                // Signs of mathematics: U+2200 to U+22FF are e2 88 80 to e2 8b bf.
                0xe2 if matches!(text.get(at + 1), Some(0x88..=0x8b)) => {
                    self.add(Class::Mathematics, 1.0);
                    at += 2;
                }
                _ => {}
            }
            stop = false;
            at += 1;
        }
    }

    fn word(&mut self, word: &[u8], behind_stop: bool) {
        self.words += 1;
        let mut lower = [0; 24];
        let Some(lower) = lower.get_mut(..word.len()) else { return };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        if behind_stop && word.len() <= 7 {
            let file = FILES.iter().find(|(ending, _)| ending.as_bytes() == lower);
            if let Some((_, class)) = file {
                self.add(*class, 1.5);
            }
        }
        if let Some(meaning) = INDEX.get(lower) {
            if let Some((class, tenths)) = meaning.class {
                self.add(class, f64::from(tenths) / 10.0);
            }
            self.hard += f64::from(u8::from(meaning.hard));
        }
    }

    fn add(&mut self, class: Class, much: f64) {
        // The tenth time says less than the first.
        let speaks = &mut self.speaks[class as usize];
        *speaks += much / (1.0 + *speaks / 4.0);
    }

    /// What the request says beside its words.
    fn weigh(&mut self, ask: &Ask<'_>) {
        let needs = ask.needs();
        self.add(Class::Coding, 1.5 * f64::from(self.fences.min(6)));
        let read = f64::from(self.bytes.min(MOST as u32)).max(1.0);
        // Of a dialogue in JSON some 2 % are such signs whatever is said.
        let density = f64::from(self.signs) / read - 0.03;
        if density > 0.0 {
            self.add(Class::Coding, (density * 60.0).min(4.0));
        }
        let digits = f64::from(self.digits) / read;
        if digits > 0.08 {
            self.add(Class::Data, (digits * 12.0).min(3.0));
        }
        if needs.has(Ability::Schema) {
            self.add(Class::Data, 2.0);
        }
        if needs.has(Ability::Tools) {
            self.add(Class::Agentic, if ask.mid_turn() { 6.0 } else { 2.0 });
        }
        if self.words < 30 && self.questions > 0 {
            self.add(Class::Knowledge, 0.8);
        }
        if self.words < 12 {
            self.add(Class::Conversation, 0.6);
        }
    }

    fn task(&self, ask: &Ask<'_>) -> Task {
        let total = UNKNOWN + self.speaks.iter().sum::<f64>();
        let mut left = MILLION;
        let mut classes: Vec<(Class, u32)> = Vec::with_capacity(4);
        for (class, speaks) in Class::ALL.iter().zip(self.speaks) {
            let share = millionths(speaks / total);
            if share >= MILLION / 100 {
                classes.push((*class, share));
                left = left.saturating_sub(share);
            }
        }
        // What speaks for a class by less than a hundredth is as good as unknown.
        classes.push((Class::Unknown, left));
        classes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Task { classes, complexity: self.complexity(ask), told: false }
    }

    /// The logistic of what makes a request hard: its length, its demands, its kind.
    fn complexity(&self, ask: &Ask<'_>) -> u32 {
        let speaks = |class: Class| self.speaks[class as usize].min(4.0);
        let length = ((ask.input_tokens() as f64).max(1.0) / 200.0).ln();
        let sum = -1.4
            + 0.45 * length
            + 0.5 * self.hard.min(6.0)
            + 0.25 * (speaks(Class::Coding) + speaks(Class::Mathematics) + speaks(Class::Reasoning))
            + 0.2 * (speaks(Class::Agentic) + speaks(Class::Instructions))
            + if ask.needs().has(Ability::Reasoning) { 1.0 } else { 0.0 }
            - 0.4 * speaks(Class::Conversation);
        millionths(1.0 / (1.0 + (-sum).exp()))
    }
}

fn millionths(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(MILLION)).round() as u32
}

// === the index of words ===

/// What a word speaks for.
#[derive(Clone, Copy, Debug, Default)]
struct Meaning {
    class: Option<(Class, u8)>,
    hard: bool,
}

/// Words by the hash of their letters, with open addressing.
struct Index {
    slots: Vec<Option<(&'static [u8], Meaning)>>,
}

/// At least four times the words there are; a power of two.
const SLOTS: usize = 2_048;

static INDEX: std::sync::LazyLock<Index> = std::sync::LazyLock::new(|| {
    let mut index = Index { slots: vec![None; SLOTS] };
    for (class, tenths, words) in WORDS {
        words.split_whitespace().for_each(|word| index.entry(word).class = Some((*class, *tenths)));
    }
    HARD.split_whitespace().for_each(|word| index.entry(word).hard = true);
    index
});

impl Index {
    fn get(&self, word: &[u8]) -> Option<Meaning> {
        let mut at = place(word);
        while let Some((known, meaning)) = self.slots[at] {
            if known == word {
                return Some(meaning);
            }
            at = (at + 1) % SLOTS;
        }
        None
    }

    fn entry(&mut self, word: &'static str) -> &mut Meaning {
        let mut at = place(word.as_bytes());
        while self.slots[at].is_some_and(|(known, _)| known != word.as_bytes()) {
            at = (at + 1) % SLOTS;
        }
        &mut self.slots[at].get_or_insert((word.as_bytes(), Meaning::default())).1
    }
}

/// FNV-1a of 32 bits, folded.
fn place(word: &[u8]) -> usize {
    let hash =
        word.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash ^ hash >> 15) as usize % SLOTS
}

#[cfg(test)]
mod tests;
