//! What a setting is: a type that can be read from a node, explained, and spelled. A group of settings is a
//! [`Section`]; how one is declared is in [`declare`](crate::declare).

use std::ops::RangeInclusive;

use serde_json::Value as Json;

use crate::context::Context;
use crate::diagnostic::{Complaint, Position};
use crate::document::{Entry, Node, Value};

/// A type that can stand in the file.
pub(crate) trait Setting: Sized {
    /// What may be written.
    fn shape() -> Shape;

    /// Reads a value. `None` after whatever was wrong has been reported.
    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self>;

    /// The value as one would write it; null for a setting that is absent.
    fn spell(&self) -> Json;

    /// What may be written where there can be any number of them.
    fn shape_of_many() -> Shape {
        Shape::List(Box::new(Self::shape()))
    }

    /// Reads any number of them: a list, unless the type has names (see [`Section`]).
    fn read_many(node: &Node, cx: &mut Context<'_>) -> Option<Vec<Self>> {
        let items = cx.list(node)?.iter().enumerate();
        let read = items.map(|(i, item)| cx.inside(Place::Index(i), |cx| Self::read(item, cx)));
        // All items are read before the first fault counts, so that every fault is reported.
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

/// What may be written for a setting.
pub(crate) enum Shape {
    /// One value (or a small group that is explained as one).
    Plain {
        /// What it is called in the reference.
        word: String,
        /// Its JSON schema.
        schema: Json,
    },
    /// One of a few words, each with its meaning.
    Words(&'static [(&'static str, &'static str)]),
    /// A fixed set of fields.
    Section { about: &'static str, fields: Vec<Field>, shorthand: bool },
    /// Any number of things, each under its own name.
    Named(Box<Self>),
    /// Any number of things in order.
    List(Box<Self>),
    /// What may hold things of its own kind; explained once.
    Defined {
        /// What it is called in the reference.
        word: &'static str,
        /// Its name among the definitions of the schema.
        name: &'static str,
        /// What it is made of, for the reference.
        fields: fn() -> Vec<Field>,
    },
}

/// The declaration of one field, as the schema and the reference see it.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) shape: Shape,
    /// `None` if the field must be there.
    pub(crate) default: Option<Json>,
    /// How the default is described where a value does not tell it.
    pub(crate) shown: Option<&'static str>,
    pub(crate) bounds: Option<Bounds>,
}

/// The smallest and the largest value that is accepted, as one would write them.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) low: Json,
    pub(crate) high: Json,
}

/// A step of a path.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Key(String),
    Index(usize),
}

/// A group of settings with fixed fields. Declared with `settings!`, never by hand.
pub(crate) trait Section: Sized {
    const ABOUT: &'static str;
    /// The field that a bare list stands for.
    const SHORTHAND: Option<&'static str>;
    /// Whether many of them stand in a list; else each stands under a name.
    const LISTED: bool;

    /// Every field at its default.
    fn start() -> Self;
    fn fields() -> Vec<Field>;
    fn fill(&mut self, from: &mut Fields<'_>, cx: &mut Context<'_>);
    /// What is wrong with the name of such a section.
    fn refuse_name(name: &str) -> Option<Complaint>;
}

/// The fields that the file gives for a section.
pub(crate) struct Fields<'n> {
    at: Position,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

// === impl Bounds ===

impl Bounds {
    pub(crate) fn of<T: Setting>(range: &RangeInclusive<T>) -> Self {
        Self { low: range.start().spell(), high: range.end().spell() }
    }

    pub(crate) fn complaint(&self) -> Complaint {
        Complaint::new(format!("must be between {} and {}", spelled(&self.low), spelled(&self.high)))
    }
}

/// A spelled value as it would stand in the file.
pub(crate) fn spelled(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

// === impl Fields ===

impl<'n> Fields<'n> {
    fn get(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Whether the file has the field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Where the value of a field stands; where the section stands, if the file does not have the field.
    pub(crate) fn at(&self, name: &str) -> Position {
        self.get(name).map_or(self.at, |entry| entry.value.at)
    }

    /// Reads a field, if the file has it.
    pub(crate) fn read<T: Setting>(&mut self, name: &'static str, slot: &mut T, cx: &mut Context<'_>) {
        self.known.push(name);
        if let Some(entry) = self.get(name)
            && let Some(value) = cx.inside(Place::Key(name.to_owned()), |cx| T::read(&entry.value, cx))
        {
            *slot = value;
        }
    }

    /// Reads a field, if the file has it, and refuses what is out of bounds.
    pub(crate) fn read_within<T: Setting + PartialOrd>(
        &mut self,
        name: &'static str,
        slot: &mut T,
        range: &RangeInclusive<T>,
        cx: &mut Context<'_>,
    ) {
        let bounds = Bounds::of(range);
        cx.bounds = Some(bounds.clone());
        let mut value = None;
        self.read(name, &mut value, cx);
        cx.bounds = None;
        match value {
            Some(value) if range.contains(&value) => *slot = value,
            Some(_) => cx.inside(Place::Key(name.to_owned()), |cx| {
                if let Some(Entry { value: node, .. }) = self.get(name) {
                    cx.parse(node, "", |_| Err::<T, _>(bounds.complaint()));
                }
            }),
            None => {}
        }
    }

    /// Complains if a field is not there.
    pub(crate) fn require(&self, name: &'static str, cx: &mut Context<'_>) {
        if !self.has(name) {
            cx.missing(self.at, name);
        }
    }

    /// Complains of every field that nobody asked for.
    fn refuse_rest(&self, cx: &mut Context<'_>) {
        for entry in self.entries {
            if !self.known.contains(&entry.key.as_str()) {
                cx.unknown_field(entry, &self.known);
            }
        }
    }
}

// === impl Setting ===

impl<T: Section> Setting for T {
    fn shape() -> Shape {
        Shape::Section { about: T::ABOUT, fields: T::fields(), shorthand: T::SHORTHAND.is_some() }
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let single;
        let entries = match (&node.value, T::SHORTHAND) {
            (Value::Null, _) => &[],
            (Value::Map(entries), _) => entries.as_slice(),
            (Value::List(_), Some(field)) => {
                single = [Entry { key: field.to_owned(), at: node.at, value: node.clone() }];
                &single
            }
            _ => {
                cx.mismatch(node, if T::SHORTHAND.is_some() { "a mapping or a list" } else { "a mapping" });
                return None;
            }
        };
        let mut section = T::start();
        let mut fields = Fields { at: node.at, entries, known: Vec::new() };
        section.fill(&mut fields, cx);
        fields.refuse_rest(cx);
        Some(section)
    }

    /// Only defaults are ever spelled, and those of a section are spelled field by field.
    fn spell(&self) -> Json {
        Json::Null
    }

    fn shape_of_many() -> Shape {
        let one = Box::new(Self::shape());
        if T::LISTED { Shape::List(one) } else { Shape::Named(one) }
    }

    fn read_many(node: &Node, cx: &mut Context<'_>) -> Option<Vec<Self>> {
        if T::LISTED {
            let items = cx.list(node)?.iter().enumerate();
            let read = items.map(|(i, item)| cx.inside(Place::Index(i), |cx| Self::read(item, cx)));
            return read.collect::<Vec<_>>().into_iter().collect();
        }
        let mut sections = Vec::new();
        for entry in cx.named(node)? {
            cx.inside(Place::Key(entry.key.clone()), |cx| {
                if let Some(complaint) = T::refuse_name(&entry.key) {
                    cx.error(entry.at, complaint);
                }
                sections.extend(Self::read(&entry.value, cx));
            });
        }
        Some(sections)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn shape() -> Shape {
        T::shape_of_many()
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        T::read_many(node, cx)
    }

    fn spell(&self) -> Json {
        self.iter().map(Setting::spell).collect()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        T::read(node, cx).map(Some)
    }

    fn spell(&self) -> Json {
        self.as_ref().map_or(Json::Null, Setting::spell)
    }
}
