//! YAML text to a tree that knows where each value stands, with the variables of the environment put in.
//!
//! Sizes are bounded here, so that nothing behind this file has to think of them: the text, the depth, and the
//! number of values after aliases are followed.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::diagnostic::{Complaint, Findings, Position, quoted};
use crate::env::{self, Env};

/// Bytes of text that are read at most.
pub(crate) const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Lists and mappings inside each other at most.
const DEEPEST: usize = 64;
/// Values in the tree at most, an alias counted as all it stands for.
const MOST_VALUES: usize = 250_000;

/// A value and its place. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Its variables could not be put in; that was reported, nothing more is to be said.
    Broken,
    /// Nothing, `~` or `null`.
    Null,
    Text(Rc<Scalar>),
    List(Rc<Vec<Node>>),
    Map(Rc<Vec<Entry>>),
}

/// A line of a mapping. Keys of one mapping differ.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Node,
}

/// Text whose type only the reader knows.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written in quotes or as a block.
    pub(crate) quoted: bool,
    /// The variables it was written with.
    pub(crate) variables: Vec<String>,
    /// Whether a variable gave at least a part of the text.
    pub(crate) from_environment: bool,
}

impl Scalar {
    /// The text for a message: what the file says, never what a variable holds.
    pub(crate) fn shown(&self) -> String {
        if self.from_environment {
            let names: Vec<String> = self.variables.iter().map(|name| format!("${{{name}}}")).collect();
            format!("the value with {}", names.join(" and "))
        } else {
            quoted(&self.text)
        }
    }
}

impl Value {
    /// Text without quotes: a key that is read as a value.
    pub(crate) fn plain(text: &str) -> Self {
        let text = text.to_owned();
        Self::Text(Rc::new(Scalar { text, quoted: false, variables: Vec::new(), from_environment: false }))
    }

    /// What it is, for "expected a list, found text".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Broken | Self::Null => "nothing",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The value of a key, of a mapping that has it.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The keys of a mapping.
    pub(crate) fn keys(&self) -> Vec<String> {
        let Value::Map(entries) = &self.value else { return Vec::new() };
        entries.iter().map(|entry| entry.key.clone()).collect()
    }

    /// The same with a value at the end of a path of keys; mappings that are not there are made. What is no mapping stays as
    /// it is.
    pub(crate) fn with(self, path: &[&str], value: Self) -> Self {
        let [key, rest @ ..] = path else { return value };
        let mut entries = match &self.value {
            Value::Map(entries) => entries.to_vec(),
            Value::Null => Vec::new(),
            _ => return self,
        };
        let place = entries.iter().position(|entry| entry.key == *key);
        let inner = place
            .map_or_else(|| Self { at: value.at, value: Value::Null }, |place| entries.remove(place).value);
        let at = inner.at;
        let entry = Entry { key: (*key).to_owned(), at, value: inner.with(rest, value) };
        entries.insert(place.unwrap_or(entries.len()), entry);
        Self { value: Value::Map(Rc::new(entries)), ..self }
    }
}

/// Reads a text to its tree. `None` if there is no tree to look at; why is in the findings. Duplicate keys, tags
/// and faulty variables are findings too, but leave a tree.
pub(crate) fn read(text: &str, env: Env<'_>, findings: &mut Findings) -> Option<Node> {
    if text.len() > MOST_BYTES {
        findings.error("", Position::START, Complaint::new("the file is larger than 4MiB"));
        return None;
    }
    if let Some(index) = text.find('\0') {
        let at = position_of(text, index);
        findings.error("", at, Complaint::new("a NUL character cannot be part of the file"));
        return None;
    }
    let mut builder =
        Builder { env, findings, open: Vec::new(), anchors: HashMap::new(), root: None, values: 0 };
    // At the end of the text the parser may point behind the last line.
    let end = position_of(text, text.len());
    let place = |marker: &Marker| position(marker).min(end);
    let mut documents = 0;
    let mut parser = Parser::new_from_str(text);
    while let Some(step) = parser.next_event() {
        let outcome = match step {
            Ok((Event::DocumentStart(_), span)) => {
                documents += 1;
                if documents == 1 {
                    continue;
                }
                Err((place(&span.start), Complaint::new("the file holds more than one YAML document")))
            }
            Ok((event, span)) => builder.take(event, place(&span.start)),
            Err(fault) => {
                let at = place(fault.marker());
                Err((at, Complaint { hint: quotes_hint(text, at), ..not_yaml(fault.info()) }))
            }
        };
        if let Err((at, complaint)) = outcome {
            builder.findings.error("", at, complaint);
            return None;
        }
    }
    Some(builder.root.unwrap_or(Node { at: Position::START, value: Value::Null }))
}

/// A finished value with the sizes that an alias to it would add.
#[derive(Clone)]
struct Sized {
    node: Node,
    /// Lists and mappings inside each other, itself included.
    height: usize,
    /// Values in it, itself included.
    values: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: Position,
    anchor: usize,
    items: Items,
    height: usize,
    values: usize,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, lines: HashMap<String, u32>, key: Option<Key> },
}

/// A key whose value has not come yet.
struct Key {
    text: String,
    at: Position,
    duplicate: bool,
}

struct Builder<'a, 'f> {
    env: Env<'a>,
    findings: &'f mut Findings,
    open: Vec<Open>,
    anchors: HashMap<usize, Sized>,
    root: Option<Node>,
    values: usize,
}

/// A fault after which there is no point in reading on.
type Fatal = (Position, Complaint);

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Fatal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                if self.awaits_key() {
                    self.key(text.into_owned(), at);
                    return Ok(());
                }
                let value = self.scalar(&text, style, at);
                self.place(anchor, Sized { node: Node { at, value }, height: 0, values: 1 })
            }
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor).filter(|_| !self.awaits_key()) else {
                    return Err((at, Complaint::new("this alias does not stand for a finished value")));
                };
                let mut aliased = known.clone();
                aliased.node.at = at;
                self.place(0, aliased)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.begin(at, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                let items = Items::Map { entries: Vec::new(), lines: HashMap::new(), key: None };
                self.begin(at, anchor, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, text: String, at: Position) {
        let Some(Open { items: Items::Map { lines, key, .. }, .. }) = self.open.last_mut() else { return };
        let first = lines.get(&text).copied();
        if first.is_none() {
            lines.insert(text.clone(), at.line);
        }
        let message =
            first.map(|line| format!("the key {} is here twice (first in line {line})", quoted(&text)));
        *key = Some(Key { text, at, duplicate: first.is_some() });
        if let Some(message) = message {
            self.findings.error(&self.path(), at, Complaint::new(message));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Position) -> Value {
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Value::Null;
        }
        match env::fill(text, self.env) {
            Ok(filled) => Value::Text(Rc::new(Scalar {
                text: filled.text,
                quoted: !plain,
                variables: filled.variables,
                from_environment: filled.from_environment,
            })),
            Err(complaints) => {
                let path = self.path();
                for Complaint { message, hint } in complaints {
                    let message = if path.is_empty() { message } else { format!("{path}: {message}") };
                    self.findings.error(&path, at, Complaint { message, hint });
                }
                Value::Broken
            }
        }
    }

    fn begin(&mut self, at: Position, anchor: usize, items: Items) -> Result<(), Fatal> {
        if self.awaits_key() {
            return Err((at, Complaint::new("a key must be plain text, not a list or a mapping")));
        }
        if self.open.len() >= DEEPEST {
            return Err((at, too_deep()));
        }
        self.open.push(Open { at, anchor, items, height: 0, values: 1 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fatal> {
        let Some(Open { at, anchor, items, height, values }) = self.open.pop() else { return Ok(()) };
        let value = match items {
            Items::List(list) => Value::List(Rc::new(list)),
            Items::Map { entries, .. } => Value::Map(Rc::new(entries)),
        };
        // Its values were counted when they came.
        self.values -= values - 1;
        self.place(anchor, Sized { node: Node { at, value }, height: height + 1, values })
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, anchor: usize, sized: Sized) -> Result<(), Fatal> {
        let at = sized.node.at;
        self.values += sized.values;
        if self.values > MOST_VALUES {
            let message = format!("the file holds more than {MOST_VALUES} values, aliases followed");
            return Err((at, Complaint::new(message)));
        }
        if self.open.len() + sized.height > DEEPEST {
            return Err((at, too_deep()));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, sized.clone());
        }
        let Some(outer) = self.open.last_mut() else {
            self.root = Some(sized.node);
            return Ok(());
        };
        outer.height = outer.height.max(sized.height);
        outer.values += sized.values;
        match &mut outer.items {
            Items::List(list) => list.push(sized.node),
            Items::Map { entries, key, .. } => {
                if let Some(Key { text, at, duplicate: false }) = key.take() {
                    let mut value = sized.node;
                    // A value that is not there, or begins in a later line, is best looked for at its key.
                    let is_text = matches!(value.value, Value::Text(_) | Value::Broken);
                    if matches!(value.value, Value::Null) || (value.at.line > at.line && !is_text) {
                        value.at = at;
                    }
                    entries.push(Entry { key: text, at, value });
                }
            }
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tagged: bool, at: Position) {
        if tagged {
            let path = self.path();
            self.findings.error(&path, at, Complaint::new("YAML tags (\"!...\") have no meaning here"));
        }
    }

    /// The path of the value that is awaited.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match &open.items {
            Items::List(list) => format!("{path}[{}]", list.len()),
            Items::Map { key: Some(key), .. } => join(&path, &key.text),
            Items::Map { key: None, .. } => path,
        })
    }
}

/// A path with one more key; a key that would be ambiguous stands in quotes.
pub(crate) fn join(path: &str, key: &str) -> String {
    const LONGEST: usize = 64;
    let plain = (1..=LONGEST).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/'));
    let key = if plain { key.to_owned() } else { quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn too_deep() -> Complaint {
    Complaint::new(format!("more than {DEEPEST} lists and mappings stand inside each other"))
}

fn not_yaml(fault: &str) -> Complaint {
    Complaint::new(format!("this is not YAML: {fault}"))
}

/// A variable without quotes is fine in most places, but its brace means something to YAML in a list on one line.
fn quotes_hint(text: &str, at: Position) -> Option<String> {
    let line = text.lines().nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    line.contains("${").then(|| "inside { } and [ ] a variable needs quotes: \"${NAME}\"".to_owned())
}

fn position(marker: &Marker) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

fn position_of(text: &str, index: usize) -> Position {
    let before = &text[..index];
    let line_start = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    // YAML ends a line with LF, CR or both.
    let breaks = before.matches(['\n', '\r']).count() - before.matches("\r\n").count();
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(breaks + 1), column: number(before[line_start..].chars().count() + 1) }
}
